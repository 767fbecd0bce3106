"""``stylefolder apply``: photos named on the command line, by the running daemon or by an Engine of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon import paths
from daemon.api.client import Client
from daemon.commands.apply_by_daemon import send
from daemon.commands.loss_plot import PLOTS, plot_curve
from daemon.engine.engine import Engine
from daemon.events import Event, JobCancelled, JobDone, JobFailed
from daemon.folders import completeness
from daemon.folders.presets import get_preset
from daemon.ledger.job import Job, Signature
from daemon.ledger.ledger import Ledger
from daemon.lifetime import stoppable
from daemon.paths import canonical
from daemon.settings import load_settings
from stylecore.errors import StylefolderError
from stylecore.images.encode import EXTENSIONS, output_format
from stylecore.preset import Output, Preset

TICK = 0.25  # seconds that the Engine is heard out in one turn
Show = Callable[[Event], None]


class UsageError(StylefolderError):
    exit_status = 2


@dataclass(frozen=True)
class Recipe:
    """``preset``: a name or a .yaml file; None leaves what it says."""

    preset: str
    size: int | Literal["full"] | None = None
    steps: int | None = None
    seed: int | None = None

    def load(self, root: Path) -> Preset:
        """With this Root's own presets. Raises PresetError."""
        preset = get_preset(self.preset, root)
        if self.steps is not None:
            preset = preset.with_steps(self.steps)
        given = {"size": self.size, "seed": self.seed}
        return preset.model_copy(update={key: value for key, value in given.items() if value is not None})


@dataclass(frozen=True)
class Out:
    """Where Results go: ``<photo>-<preset>`` beside each photo, where ``path`` is None, or in that folder; or that file.
    No file that is there is overwritten, but for one that is named."""

    path: Path | None
    is_folder: bool

    def named(self) -> Path | None:
        return None if self.is_folder or self.path is None else self.path.absolute()

    def names(self, job: Job) -> dict[str, Path]:
        return {extension: self.target(job.photo, job.preset, extension) for extension in EXTENSIONS.values()}

    def target(self, photo: Path, preset: str, extension: str) -> Path:
        parent = self.path.absolute() if self.is_folder and self.path else photo.parent
        return self.named() or paths.free(parent / f"{photo.stem[:200]}-{preset}{extension}", Path.exists)


def apply(
    photos: Sequence[Path],
    recipe: Recipe,
    out: Path | None,
    device: str,
    show: Show,
    client: Client | None = None,
    curve: Path | None = None,
) -> int:
    """``curve``: a plot of the losses, for one photo. ``out``: a file for one photo, a folder for several; None: beside each photo. ``client``: of a running daemon,
    which does it where it has a preset of that name. Returns how many failed.

    Raises UsageError where ``out`` does not fit, PresetError, SettingsError.
    """
    place = _place(photos, out)
    left = list(dict.fromkeys(photo.absolute() for photo in photos))
    if curve is not None and (len(left) > 1 or curve.suffix.lower() not in PLOTS):
        raise UsageError(f"--curve wants one photo, and a name that ends in {', '.join(PLOTS)}.")
    failed = 0

    def tell(event: Event) -> None:
        nonlocal failed
        failed += isinstance(event, (JobFailed, JobCancelled))
        show(event)
        if curve is not None and isinstance(event, JobDone) and event.curve:
            plot_curve(event.curve, f"{event.job.photo.name}, {event.job.preset}", curve)

    if client is not None and device == "auto" and _known_to(client, recipe.preset):
        left = send(
            client,
            left,
            _options(recipe, place),
            lambda photo, extension: place.target(photo, recipe.preset, extension),
            tell,
        )
    root = Path(client.address.root) if client is not None else paths.default_root()
    if left:
        _apply_here(left, recipe.load(root), place, device, tell)
    return failed


def _apply_here(photos: Sequence[Path], preset: Preset, out: Out, device: str, tell: Show) -> None:
    """Through a Ledger in memory. Raises KeyboardInterrupt where ctrl-C left some."""
    patience = load_settings(paths.settings_file()).patience
    with stoppable() as stopped, contextlib.closing(Ledger(":memory:")) as ledger:
        for photo in photos:
            _enter(ledger, photo, preset, out.named(), tell)
        engine = Engine(ledger, device, out.names, tell, patience=lambda: patience)
        try:
            while not stopped() and ledger.count("queued", "running"):
                engine.turn(TICK)
        finally:
            engine.stop()
        if ledger.count("queued"):
            raise KeyboardInterrupt


def _enter(ledger: Ledger, photo: Path, preset: Preset, target: Path | None, tell: Show) -> None:
    reason, digest, signature = None, "", Signature(0, 0, 0, 0)
    try:
        signature = completeness.look(photo)
        digest = completeness.sha256(photo)
    except IsADirectoryError:
        reason = "It is a folder: name the photos in it, or drop it into an Inbox."
    except OSError as e:
        reason = f"It cannot be read ({e.strerror}): check its name, and that you may read it."
    job = ledger.ask("command", photo, preset, digest, signature, target, reason=reason)
    if reason:
        tell(JobFailed(job))


def _place(photos: Sequence[Path], out: Path | None) -> Out:
    folder = out is not None and (out.is_dir() or len(photos) > 1)
    if out is not None and folder and out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, and there are {len(photos)} photos: name a folder after -o.")
    if out is not None and folder and not out.exists() and out.suffix.lower() in EXTENSIONS.values():
        raise UsageError(
            f"{out} is the name of one picture, and there are {len(photos)} photos: name a folder after -o."
        )
    if out is not None and not folder and canonical(out.suffix) not in EXTENSIONS.values():
        raise UsageError(
            f"{out.name}: no format is known by {out.suffix!r}: end the name in {', '.join(EXTENSIONS.values())}, or name a folder."
        )
    there = next((p for p in (out, *out.absolute().parents) if p.is_dir()), None) if out is not None else None
    if there is not None and not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"The folder {there} cannot be written to: mend its rights, or name another after -o.")
    if out is not None and not folder and any(p.exists() and out.exists() and out.samefile(p) for p in photos):
        raise UsageError(f"{out} is the photo itself, which is never changed: give another name after -o.")
    return Out(out, folder)


def _known_to(client: Client, preset: str) -> bool:
    return any(
        known["name"] == preset and known["problem"] is None for known in client.ask("GET", "/v1/presets")["presets"]
    )


def _options(recipe: Recipe, out: Out) -> dict[str, object]:
    """The query of ``POST /v1/jobs``. Raises ResultError where the file's name asks for no known format."""
    named = out.named()
    kind = None if named is None else output_format("", Output(), named)
    return {"preset": recipe.preset, "size": recipe.size, "steps": recipe.steps, "seed": recipe.seed, "format": kind}
