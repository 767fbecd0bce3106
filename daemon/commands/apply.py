"""``stylefolder apply``: photos named on the command line, painted by the running daemon or by a private Engine."""

from __future__ import annotations

import dataclasses
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon import paths
from daemon.api.client import Client
from daemon.commands.apply_by_daemon import ResultPath, send
from daemon.commands.bring_preset import bring, travels
from daemon.commands.by_box import Errand, paint
from daemon.commands.loss_plot import PLOTS, can_plot, plot_losses
from daemon.commands.private_engine import run_jobs
from daemon.engine.tables import wants_table
from daemon.errors import NoDaemon, Refused, UsageError
from daemon.events import Event, JobCancelled, JobDone, JobFailed, Listener, Note
from daemon.folders.layout import Layout
from daemon.folders.presets import get_preset
from daemon.ledger.job import Failure, Job
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import Signature, look, sha256
from daemon.paths import printable
from stylecore.errors import cause
from stylecore.images.encode import output_format
from stylecore.images.formats import EXTENSIONS, one_suffix
from stylecore.output import Output
from stylecore.preset import Preset, with_options, with_output

EXTENSION_LIST = ", ".join(EXTENSIONS.values())


@dataclass(frozen=True)
class Request:
    """``preset``: a name or a .yaml file. Options that are None leave the preset as it is. ``print``: in
    centimetres."""

    preset: str
    size: int | Literal["full"] | None = None
    steps: int | None = None
    seed: int | None = None
    long_edge: int | None = None
    print: float | None = None
    dpi: int | None = None

    def load(self, root: Path) -> Preset:
        """The Preset, which can also be one of this Root's own. Raises PresetError."""
        preset = get_preset(self.preset, Layout(root))
        preset = with_output(preset, long_edge=self.long_edge, print=self.print, dpi=self.dpi)
        return with_options(preset, size=self.size, steps=self.steps, seed=self.seed)

    def query(self, out: Out) -> dict[str, object]:
        """The query of ``POST /v1/jobs``. Raises ResultError if the file's name asks for an unknown format."""
        named = out.file
        kind = None if named is None else output_format("", Output(), named)
        return {**dataclasses.asdict(self), "format": kind}


@dataclass(frozen=True)
class Out:
    """Where Results go: to ``file``, or else to ``<photo>-<preset>`` in ``folder``, or beside each photo. No existing
    file is overwritten, except one that is named."""

    file: Path | None
    folder: Path | None

    def result_path(self, photo: Path, preset: str, extension: str) -> Path:
        parent = self.folder or photo.parent
        names = paths.names_in(parent)

        def taken(path: Path) -> bool:
            return os.path.lexists(path) or paths.differs_by_case(path, names)

        return self.file or paths.free_name(parent / f"{_stem(photo, preset)}-{preset}{extension}", taken)


def _stem(photo: Path, preset: str) -> str:
    """The photo's stem, cut so that the Preset's name fits after it."""
    return paths.shortened(photo.stem, max(40, paths.LONGEST_NAME - 2 - len(os.fsencode(preset))))


def apply(
    photos: Sequence[Path],
    request: Request,
    out: Path | None,
    device: str,
    show: Listener,
    client: Client | None = None,
    curve: Path | None = None,
    *,
    or_here: bool = False,
) -> int:
    """Returns how many failed.

    ``out``: a file for one photo, a folder for several, or None to write beside each photo. ``client``: for a running
    daemon, which paints the photos: this machine's if it has a Preset of that name, and another machine's in any case.
    ``curve``: where to plot the losses of one photo. ``or_here``: paint here what another machine does not.

    Raises UsageError if ``out`` or ``curve`` does not fit, PresetError, SettingsError.
    """
    place = place_for(photos, out)
    left = list(dict.fromkeys(photo.absolute() for photo in photos))
    if curve is not None:
        _check_curve(left, curve)
    failed = 0

    def hear(event: Event) -> None:
        nonlocal failed
        failed += isinstance(event, (JobFailed, JobCancelled))
        show(event)
        if curve is not None and isinstance(event, JobDone) and event.curve:
            plot_losses(event.curve, f"{event.job.photo.name}, {event.job.preset}", curve)

    if client is not None and client.address.elsewhere:
        if device == "auto" and curve is None and travels(preset := request.load(paths.default_root())):
            left = _elsewhere(client, left, preset, place, hear, or_here)
        client = None
    root = Path(client.address.root) if client is not None else paths.default_root()
    known = client is not None and device == "auto" and _known_to(client, request.preset)
    if client is not None and known and not wants_table(request.load(root)):  # a table would stay with the daemon
        left = send(client, left, request.query(place), place.result_path, hear)
    if left:
        apply_here(left, request.load(root), place.result_path, device, hear, place.file)
    return failed


def _elsewhere(
    client: Client, photos: Sequence[Path], preset: Preset, out: Out, hear: Listener, or_here: bool
) -> list[Path]:
    """By another machine. Returns what is left to do here. Raises NoDaemon, Refused."""
    ended = set[Path]()

    def note(event: Event) -> None:
        if isinstance(event, (JobDone, JobFailed, JobCancelled)):
            ended.add(event.job.photo)
        hear(event)

    kind = None if out.file is None else output_format("", Output(), out.file)
    try:
        kept = bring(client, preset)
        errands = [Errand(photo, {"kept": kept, "format": kind, "ticket": secrets.token_hex(16)}) for photo in photos]
        paint(client, errands, out.result_path, note, patient=False, cancels=True)
    except (NoDaemon, Refused) as e:
        if not or_here:
            raise
        hear(Note(f"{e} Continuing here.", warning=True))
    return [photo for photo in photos if photo not in ended]


def apply_here(
    photos: Sequence[Path],
    preset: Preset,
    result_path: ResultPath,
    device: str,
    hear: Listener,
    target: Path | None = None,
) -> None:
    """Without a daemon. ``target``: the Result of the only photo."""

    def enter(ledger: Ledger) -> None:
        for photo in photos:
            job = _enter(ledger, photo, preset, target)
            if job.state == "failed":
                hear(JobFailed(job))

    run_jobs(enter, device, hear, lambda job, extension: result_path(job.photo, job.preset, extension))


def _enter(ledger: Ledger, photo: Path, preset: Preset, target: Path | None) -> Job:
    try:
        return ledger.queue.ask("command", photo, preset, sha256(photo), look(photo), target)
    except IsADirectoryError:
        reason = "It is a folder: name the photos in it, or drop it into an Inbox."
    except OSError as e:
        reason = f"It cannot be read ({cause(e)}): check its name and its permissions."
    unseen = Signature(0, 0, 0, 0)
    return ledger.queue.ask("command", photo, preset, None, unseen, target, failure=Failure("photo", reason))


def place_for(photos: Sequence[Path], out: Path | None) -> Out:
    """Raises UsageError if ``out`` cannot be the Results' file or folder."""
    if out is None:
        return Out(None, None)
    check_usable(out)
    is_folder = os.path.isdir(out) or len(photos) > 1
    there = os.path.exists(out)
    if is_folder and there and not os.path.isdir(out):
        raise UsageError(f"{out} is a file, and there are {len(photos)} photos: name a folder with -o.")
    if is_folder and not there and out.suffix.lower() in EXTENSIONS.values():
        raise UsageError(
            f"{out} is the name of one picture, and there are {len(photos)} photos: name a folder with -o."
        )
    if not is_folder and one_suffix(out.suffix) not in EXTENSIONS.values():
        raise UsageError(
            f"{out.name}: {out.suffix!r} is not a known format: use one of {EXTENSION_LIST}, or name a folder."
        )
    check_writable(out)
    if there and not is_folder and any(os.path.exists(photo) and out.samefile(photo) for photo in photos):
        raise UsageError(f"{out} is the photo itself, which is never changed: give another name with -o.")
    return Out(None, out.absolute()) if is_folder else Out(out.absolute(), None)


def check_usable(out: Path) -> None:
    """Raises UsageError if there can be no such file or folder."""
    try:
        out.lstat()
    except FileNotFoundError:
        pass
    except OSError as e:  # the name is too long, a folder on the way is closed to us, or is a file, ...
        raise UsageError(f"{printable(out)} cannot be used ({cause(e)}): give another name with -o.") from e


def check_writable(out: Path) -> None:
    """Raises UsageError if nothing can be written there, or into the folder in which it would be."""
    folder = next(path for path in (out, *out.absolute().parents) if os.path.isdir(path))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"The folder {folder} is not writable: check its permissions, or name another with -o.")


def _check_curve(photos: Sequence[Path], curve: Path) -> None:
    if len(photos) > 1 or curve.suffix.lower() not in PLOTS:
        raise UsageError(f"--curve needs a single photo, and a file name that ends in one of {', '.join(PLOTS)}.")
    if not can_plot():
        raise UsageError("--curve needs matplotlib: run `pip install 'stylefolder[curve]'`.")


def _known_to(client: Client, preset: str) -> bool:
    presets = client.ask("GET", "/v1/presets")["presets"]
    return any(known["name"] == preset and known["problem"] is None for known in presets)
