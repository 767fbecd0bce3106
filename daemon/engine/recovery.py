"""At the start: what a crash, or the loss of the Ledger, left behind is put in order."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon import paths
from daemon.folders import completeness
from daemon.ledger.job import Job, Original
from daemon.ledger.ledger import Ledger
from stylecore.images.atomic_write import clear_parts
from stylecore.images.encode import EXTENSIONS
from stylecore.preset import Preset

CLOCK_TICK = 0.01  # seconds that a file's time may be behind the clock's


def clear_all_parts(root: Path, results: str, interrupted: Iterable[Job]) -> None:
    """What a kill in the middle of writing left."""
    folder = Path(results).expanduser()
    places_of_ours = [folder] if folder.is_absolute() else list(root.glob(f"*/{results}"))
    for ours in (*places_of_ours, *root.glob(f"*/{paths.FAILED}"), paths.own_folder(root)):
        for within in (ours, *(path for path in ours.rglob("*") if path.is_dir())):
            clear_parts(within)
    for job in interrupted:
        if job.target is not None:
            clear_parts(job.target.parent)


def clear_styles(store: Path, recipes: Iterable[Preset]) -> None:
    """Copies of style pictures that no Job and no preset needs any more."""
    needed = {style.picture.name for recipe in recipes for style in recipe.style}
    if store.is_dir():
        for copy in store.iterdir():
            if copy.name not in needed:
                copy.unlink(missing_ok=True)


def finish_interrupted(ledger: Ledger, root: Path, results: str, original: Original) -> Iterator[Job]:
    """A Job that was killed between its Result and its row: the Result is whole, for it is written so or not at all."""
    for job in list(ledger.jobs("running")):
        names = (paths.result_path(root, job, extension, results) for extension in EXTENSIONS.values())
        candidates = [job.target] if job.target else [path for name in names for path in _all_of(name)]
        if (path := whole_result(ledger, job, candidates)) is not None:
            yield ledger.done(job, path, completeness.sha256(path), original if job.source == "folder" else "keep")


def whole_result(ledger: Ledger, job: Job, candidates: Iterable[Path]) -> Path | None:
    """The one of them that this Job has written since it was begun: a worker has one Job at a time."""
    for path in candidates:
        with contextlib.suppress(OSError):
            if path.stat().st_mtime >= (job.started_at or 0) - CLOCK_TICK and not ledger.is_anothers_result(path, job):
                return path
    return None


def _all_of(name: Path) -> list[Path]:
    """The name, and name-2, name-3, ... as far as there are files."""
    found: list[Path] = []

    def there(path: Path) -> bool:
        found.append(path)
        return os.path.lexists(path)

    paths.free(name, there)
    return found[:-1]


class Adoption:
    """After the loss of the Ledger: which Result is a photo's. One made after the photo was put where it lies, under the
    name that the photo's Result would have; none is given to two photos."""

    def __init__(self, root: Path, results: Callable[[], str]) -> None:
        self.root = root
        self.results = results
        self._given: set[Path] = set()

    def __call__(self, job: Job) -> Path | None:
        for extension in EXTENSIONS.values():
            for path in _all_of(paths.result_path(self.root, job, extension, self.results())):
                with contextlib.suppress(OSError):
                    if path not in self._given and path.stat().st_mtime_ns >= job.signature.ctime_ns:
                        self._given.add(path)
                        return path
        return None
