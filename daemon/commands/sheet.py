"""``stylefolder sheet``: one photo under many Presets, small and fast, to help choose a style."""

from __future__ import annotations

import base64
import dataclasses
import html
import io
import secrets
import string
import tempfile
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from daemon.api.client import Client
from daemon.commands.bring_preset import bring, travels
from daemon.commands.by_box import Errand, paint
from daemon.commands.private_engine import run_jobs
from daemon.errors import NoDaemon, Refused, UsageError
from daemon.events import Event, Heartbeat, JobDone, Listener, Note
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look, sha256
from daemon.paths import printable
from stylecore.images.atomic_write import write_whole
from stylecore.images.decode import load_photo
from stylecore.preset import Look, Painting, Preset, with_options

EDGE, STEPS = 288, 60  # pixels, and steps at most: enough to judge, quick to paint
GAP, LABEL = 12, 30
PAPER, INK = "#f6f4f0", "#222222"
PAGE = Path(__file__).with_name("sheet.html")
SHEETS = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
FIGURE = string.Template(
    '<figure><div class="pair" style="aspect-ratio:$width/$height"><img alt="$name" src="$after">'
    '<img class="before" alt="the photo" src="$before">'
    '<input type="range" min="0" max="100" value="50" aria-label="$name: photo or Result"></div>'
    "<figcaption>$name</figcaption></figure>"
)

Named = tuple[str, Image.Image]


def make_sheet(
    photo: Path,
    presets: Sequence[Preset],
    out: Path,
    device: str,
    show: Listener,
    client: Client | None = None,
    *,
    or_here: bool = False,
) -> int:
    """Paint ``photo`` under each Preset and write the sheet: a picture, or a page with sliders if ``out`` ends in
    .html. ``client``: of another machine's daemon, which paints. ``or_here``: if it does not, paint here.

    Returns how many Presets failed; those are left out. Raises UsageError, PhotoError, ResultError.
    """
    kind = out.suffix.lower()
    if kind not in (*SHEETS, ".html"):
        raise UsageError(f"{out}: a sheet is a picture ({', '.join(SHEETS)}) or a page (.html): use one of these.")
    if out.exists() and photo.exists() and out.samefile(photo):
        raise UsageError(f"{out} is the photo itself, which is never changed: give another name with -o.")
    small = _small(photo)
    with tempfile.TemporaryDirectory(prefix="stylefolder-sheet-") as folder:
        copy = Path(folder) / "photo.png"
        small.save(copy)
        try:
            if client is None:
                paintings = _paint(photo, copy, presets, device, show)
            else:
                there, here = _shared_out(client, presets, show, or_here=or_here)
                paintings = _paint_elsewhere(client, photo, copy, there, show)
                paintings += _paint(photo, copy, here, device, show) if here else []
        except (NoDaemon, Refused) as e:
            if not or_here:
                raise
            show(Note(f"{e} Continuing here.", warning=True))
            paintings = _paint(photo, copy, presets, device, show)
    if not paintings:
        raise UsageError("No preset could be applied. The reasons are above.")
    if kind == ".html":
        write_whole(out, _page(printable(photo.name), small, paintings).encode())
    else:
        buffer = io.BytesIO()
        contact_sheet([(printable(photo.stem), small), *paintings]).save(buffer, SHEETS[kind], quality=92)
        write_whole(out, buffer.getvalue())
    return len(presets) - len(paintings)


def quick(preset: Preset) -> Preset:
    """As it is painted on the sheet: small, and in fewer steps if it has many."""
    output = type(preset.output)(format="png")
    if not isinstance(preset, Painting):
        fit = "series" if isinstance(preset, Look) and preset.photos else "photo"  # there is only one
        return with_options(preset, output=output, fit=fit)
    steps = STEPS if sum(preset.steps) > STEPS else None
    return with_options(preset, size=EDGE, steps=steps, output=output)


def contact_sheet(pictures: Sequence[Named], columns: int | None = None) -> Image.Image:
    """Pictures of one size, in rows, each with its name beneath. By default, about as wide as it is high."""
    width, height = pictures[0][1].size
    if columns is None:
        square = (len(pictures) * (height + LABEL) / width) ** 0.5 * 1.15
        columns = min(len(pictures), max(1, round(square)))
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


def _paint(photo: Path, copy: Path, presets: Sequence[Preset], device: str, show: Listener) -> list[Named]:
    """``copy``: the photo as it is painted."""
    folder = copy.parent
    names: dict[int, str] = {}  # of Presets, by Job
    results: dict[int, Path] = {}

    def enter(ledger: Ledger) -> None:
        for i, preset in enumerate(presets):
            recipe = quick(preset)
            job = ledger.queue.ask("command", copy, recipe, sha256(copy), look(copy), folder / f"{i}.png")
            names[job.id] = preset.name

    def hear(event: Event) -> None:
        if isinstance(event, JobDone) and event.job.result is not None:
            results[event.job.id] = event.job.result
            event = dataclasses.replace(event, curve=())
        if not isinstance(event, (Note, Heartbeat)):  # nobody keeps the copies: do not name them
            event = dataclasses.replace(event, job=dataclasses.replace(event.job, photo=photo, result=None))
        show(event)

    run_jobs(enter, device, hear, lambda job, extension: folder / f"{job.id}{extension}")
    found = []
    for number, name in names.items():
        if number in results:
            with Image.open(results[number]) as image:
                found.append((name, image.convert("RGB")))
    return found


def _shared_out(
    client: Client, presets: Sequence[Preset], show: Listener, *, or_here: bool
) -> tuple[dict[str, str], list[Preset]]:
    """What the other machine paints, as ``kept`` of ``POST /v1/jobs`` by the Preset's name, and what this one does.
    A Preset that the other machine cannot use is left out unless ``or_here``. Raises NoDaemon, Refused."""
    there: dict[str, str] = {}
    here: list[Preset] = []
    for preset in presets:
        if not travels(quick(preset)):
            here.append(preset)
            continue
        try:
            there[preset.name] = bring(client, quick(preset))
        except Refused as e:
            if e.status != HTTPStatus.CONFLICT:
                raise
            if or_here:
                here.append(preset)
            else:
                show(Note(str(e), warning=True))
    return there, here


def _paint_elsewhere(
    client: Client, photo: Path, copy: Path, presets: Mapping[str, str], show: Listener
) -> list[Named]:
    """The same by another machine. ``presets``: as of ``_shared_out``. Raises NoDaemon, Refused."""
    errands = [Errand(copy, {"kept": kept, "ticket": secrets.token_hex(16)}) for kept in presets.values()]

    def result_path(_: Path, preset: str, extension: str) -> Path:
        return copy.parent / "painted" / f"{preset}{extension}"

    def hear(event: Event) -> None:
        if not isinstance(event, (Note, Heartbeat)):
            event = dataclasses.replace(event, job=dataclasses.replace(event.job, photo=photo, result=None))
        show(event)

    paint(client, errands, result_path, hear, patient=False, cancels=True)
    found = []
    for name in presets:
        if (result := result_path(copy, name, ".png")).exists():
            with Image.open(result) as image:
                found.append((name, image.convert("RGB")))
    return found


def _page(title: str, photo: Image.Image, paintings: Sequence[Named]) -> str:
    """Self-contained: the pictures are in it."""
    before = _data(photo)
    figures = "\n".join(
        FIGURE.substitute(
            name=html.escape(name), after=_data(painting), before=before, width=photo.width, height=photo.height
        )
        for name, painting in paintings
    )
    return string.Template(PAGE.read_text()).substitute(title=html.escape(title), figures=figures)


def _data(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
