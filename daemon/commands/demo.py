"""``stylefolder demo``: a real photo through the whole way."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml

from daemon import paths
from daemon.events import Event, JobDone, Note
from daemon.folders.presets import get_preset
from daemon.ledger.ledger import Ledger
from daemon.watch import watch
from stylecore.errors import PhotoError
from stylecore.preset import Preset

PHOTOGRAPH = "skimage/data/chelsea.png"


def demo(photo: Path | None, preset: str, device: str, show: Callable[[Event], None]) -> Path | None:
    """Returns where the Result lies, or None where it failed. The temporary Root stays, for the Result's sake."""
    recipe = get_preset(preset, paths.default_root())
    photo = photo or packaged_photograph()
    if not photo.is_file():
        raise PhotoError(f"There is no photo {photo}: check its name.")
    root = Path(tempfile.mkdtemp(prefix="stylefolder-demo-"))
    inbox = root / recipe.name
    _give(recipe, root / paths.PRESETS)
    result: list[Path] = []
    dropped = False

    def remember(event: Event) -> None:
        if isinstance(event, JobDone) and event.job.result:
            result.append(event.job.result)
        show(event)

    def drop(ledger: Ledger) -> bool:
        nonlocal dropped
        if not dropped:
            show(Note(f"Dropping {photo.name} into the Inbox {inbox}"))
            shutil.copyfile(photo, inbox / photo.name)
            dropped = True
        return ledger.count("done", "failed") > 0

    watch(root, device, remember, api=False, each_turn=drop)
    return result[0] if result else None


def _give(recipe: Preset, folder: Path) -> None:
    """Write the preset into the Root's own folder, so that one from anywhere has an Inbox there."""
    folder.mkdir()
    keys = recipe.model_dump(mode="json", exclude={"name", "digest"})
    (folder / f"{recipe.name}.yaml").write_text(yaml.safe_dump(keys, allow_unicode=True))


def packaged_photograph() -> Path:
    """Found without importing scikit-image, which takes a second."""
    try:
        path = Path(str(importlib.metadata.distribution("scikit-image").locate_file(PHOTOGRAPH)))
    except importlib.metadata.PackageNotFoundError as e:
        raise PhotoError(
            "The demo's photograph comes with scikit-image: `pip install 'stylefolder[demo]'`, or name a photo."
        ) from e
    return path
