"""``stylefolder demo``: paint a real photo from start to finish."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from pathlib import Path

from daemon import paths
from daemon.events import Event, JobDone, Listener, Note
from daemon.folders.layout import PRESETS, Layout
from daemon.folders.names import is_hidden, is_sidecar
from daemon.folders.presets import get_preset
from daemon.ledger.ledger import Ledger
from daemon.watch import watch
from stylecore.errors import PhotoError
from stylecore.preset import as_yaml

PHOTOGRAPH = "skimage/data/chelsea.png"


def demo(photo: Path | None, preset: str, device: str, show: Listener) -> Path | None:
    """Returns the Result's path, or None if it failed. The temporary Root stays, because the Result is in it."""
    recipe = get_preset(preset, Layout(paths.default_root()))
    photo = photo or packaged_photograph()
    if not photo.is_file():
        raise PhotoError(f"There is no photo {photo}: check its name.")
    if is_hidden(photo.name) or is_sidecar(photo.name):
        raise PhotoError(f"In an Inbox, a file named {photo.name} is not treated as a photo: give it another name.")
    root = Path(tempfile.mkdtemp(prefix="stylefolder-demo-"))
    inbox = root / recipe.name
    (root / PRESETS).mkdir()  # so that any preset has an Inbox there
    (root / PRESETS / f"{recipe.name}.yaml").write_text(as_yaml(recipe), encoding="utf-8")
    result: list[Path] = []
    dropped = False

    def hear(event: Event) -> None:
        if isinstance(event, JobDone) and event.job.result:
            result.append(event.job.result)
        show(event)

    def drop(ledger: Ledger) -> bool:
        nonlocal dropped
        if not dropped:
            show(Note(f"Dropping {photo.name} into the Inbox {inbox}"))
            shutil.copyfile(photo, inbox / photo.name)
            dropped = True
        return ledger.history.count("done", "failed") > 0

    watch(root, device, hear, each_turn=drop)
    return result[0] if result else None


def packaged_photograph() -> Path:
    """Found without importing scikit-image, which takes a second."""
    try:
        return Path(str(importlib.metadata.distribution("scikit-image").locate_file(PHOTOGRAPH)))
    except importlib.metadata.PackageNotFoundError as e:
        raise PhotoError(
            "The demo's photograph comes with scikit-image: run `pip install 'stylefolder[demo]'`, or name a photo."
        ) from e
