"""``stylefolder sheet``: one photo under many presets, small and fast, to choose a style by looking."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import html
import io
import string
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from daemon import paths
from daemon.engine.engine import Engine
from daemon.events import Event, Heartbeat, JobDone, Note
from daemon.folders import completeness
from daemon.ledger.ledger import Ledger
from daemon.lifetime import stoppable
from daemon.settings import load_settings
from stylecore.errors import StylefolderError
from stylecore.images.atomic_write import write_whole
from stylecore.images.decode import load_photo
from stylecore.preset import Output, Preset

EDGE = 288  # pixels: enough to judge, quick to paint
GAP, LABEL = 12, 30
PAPER, INK = "#f6f4f0", "#222222"
PAGE = Path(__file__).with_name("sheet.html")
TICK = 0.25
PICTURES = (".jpg", ".jpeg", ".png", ".webp")


class SheetError(StylefolderError):
    """The file that was asked for cannot be a sheet."""

    exit_status = 2


def make_sheet(photo: Path, presets: Sequence[Preset], out: Path, device: str, show: Callable[[Event], None]) -> int:
    """Paint ``photo`` under each preset and write the sheet: a picture, or a page with sliders where ``out`` ends in
    .html. Returns how many presets failed; those are left out. Raises SheetError, PhotoError, ResultError."""
    kind = out.suffix.lower()
    if kind not in (*PICTURES, ".html"):
        raise SheetError(f"{out}: a sheet is a picture ({', '.join(PICTURES)}) or a page (.html): end its name so.")
    if out.exists() and out.samefile(photo):
        raise SheetError(f"{out} is the photo itself, which is never changed: give another name after -o.")
    small = _small(photo)
    with tempfile.TemporaryDirectory(prefix="stylefolder-sheet-") as folder:
        paintings = _paint(photo, small, presets, Path(folder), device, show)
    if not paintings:
        raise SheetError("No preset could be painted: the reasons are above.")
    if kind == ".html":
        write_whole(out, _page(paths.printable(photo.name), small, paintings).encode())
    else:
        buffer = io.BytesIO()
        contact_sheet([(paths.printable(photo.stem), small), *paintings]).save(
            buffer, {".jpg": "JPEG", ".jpeg": "JPEG"}.get(kind, kind[1:].upper()), quality=92
        )
        write_whole(out, buffer.getvalue())
    return len(presets) - len(paintings)


def contact_sheet(pictures: Sequence[tuple[str, Image.Image]], columns: int | None = None) -> Image.Image:
    """All of one size, in rows, each with its name beneath; by default about as wide as high."""
    width, height = pictures[0][1].size
    columns = columns or min(len(pictures), max(1, round((len(pictures) * (height + LABEL) / width) ** 0.5 * 1.15)))
    rows = -(-len(pictures) // columns)
    cell_width, cell_height = width + GAP, height + LABEL
    sheet = Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + GAP), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for i, (name, picture) in enumerate(pictures):
        x, y = GAP + i % columns * cell_width, GAP + i // columns * cell_height
        sheet.paste(picture, (x, y))
        draw.text((x + width / 2, y + height + LABEL / 2 - 3), name, INK, font=font, anchor="mm")
    return sheet


def _small(photo: Path) -> Image.Image:
    loaded = load_photo(photo)
    width, height = loaded.size
    share = min(1.0, EDGE / max(width, height))
    pixels = loaded.resized(max(1, round(width * share)), max(1, round(height * share)))
    return Image.fromarray((pixels * 255).round().astype("uint8"))


def _paint(
    photo: Path, small: Image.Image, presets: Sequence[Preset], folder: Path, device: str, show: Callable[[Event], None]
) -> list[tuple[str, Image.Image]]:
    copy = folder / "photo.png"
    small.save(copy)
    asked: list[tuple[int, str]] = []  # Jobs, with their presets' names
    results: dict[int, Path] = {}

    def tell(event: Event) -> None:
        if isinstance(event, JobDone) and event.job.result is not None:
            results[event.job.id] = event.job.result
            event = dataclasses.replace(event, curve=())
        if not isinstance(event, (Note, Heartbeat)):  # of the copies that nobody keeps nothing is told
            event = dataclasses.replace(event, job=dataclasses.replace(event.job, photo=photo, result=None))
        show(event)

    patience = load_settings(paths.settings_file()).patience
    with stoppable() as stopped, contextlib.closing(Ledger(":memory:")) as ledger:
        for i, preset in enumerate(presets):
            recipe = preset.model_copy(update={"size": EDGE, "output": Output(format="png")})
            job = ledger.ask(
                "command", copy, recipe, completeness.sha256(copy), completeness.look(copy), folder / f"{i}.png"
            )
            asked.append((job.id, preset.name))
        engine = Engine(ledger, device, lambda _: {}, tell, patience=lambda: patience)
        try:
            while not stopped() and ledger.count("queued", "running"):
                engine.turn(TICK)
        finally:
            engine.stop()
        if ledger.count("queued"):
            raise KeyboardInterrupt
    found = []
    for number, name in asked:
        if number in results:
            with Image.open(results[number]) as image:
                found.append((name, image.convert("RGB")))
    return found


def _page(title: str, photo: Image.Image, paintings: Sequence[tuple[str, Image.Image]]) -> str:
    """Self-contained: the pictures are in it."""
    figure = string.Template(
        '<figure><div class="pair" style="aspect-ratio:$width/$height"><img alt="$name" src="$after"><img class="before" alt="the photo" src="$before">'
        '<input type="range" min="0" max="100" value="50" aria-label="$name: photo or painting"></div><figcaption>$name</figcaption></figure>'
    )
    before = _data(photo)
    figures = "\n".join(
        figure.substitute(
            name=html.escape(name), after=_data(painting), before=before, width=photo.width, height=photo.height
        )
        for name, painting in paintings
    )
    return string.Template(PAGE.read_text()).substitute(title=html.escape(title), figures=figures)


def _data(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
