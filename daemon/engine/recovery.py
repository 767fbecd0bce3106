"""At startup: clean up what a crash, or the loss of the Ledger, left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from daemon.engine.placing import place
from daemon.folders.layout import FAILED, Layout
from daemon.folders.names import is_others_folder
from daemon.ledger.job import Job, Original
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import has_bytes, look
from daemon.paths import differs_by_case, free_name, names_in
from stylecore.errors import ResultError
from stylecore.images.atomic_write import clear_parts
from stylecore.images.formats import EXTENSIONS
from stylecore.preset import Preset, files_of


def finish_interrupted(ledger: Ledger, originals: Original) -> Iterator[Job]:
    """The Jobs that were interrupted after their Result was written and before the Ledger recorded it. A file counts as
    the Result only if its bytes are those that the worker reported."""
    for job, part, result, digest in ledger.history.interrupted():
        if not has_bytes(result, digest):
            if not has_bytes(part, digest):
                continue
            try:
                place(ledger, job, part, result, digest)
            except ResultError:
                continue
        yield ledger.queue.done(job, originals if job.source == "folder" else "keep")


def clear_all_parts(layout: Layout, keep_alive: Callable[[], None] = lambda: None) -> None:
    """Remove partial files that were left in the Root when a writer was killed."""
    one = layout.one_results_folder
    inboxes = [layout.root / name for name in os.listdir(layout.root) if not is_others_folder(name)]  # noqa: PTH208
    results = [one] if one is not None else [inbox / layout.results for inbox in inboxes]
    for ours in (*results, *(inbox / FAILED for inbox in inboxes), layout.own_folder):
        for folder, _, _ in os.walk(ours):  # passes over what it cannot read
            keep_alive()
            clear_parts(Path(folder))


def clear_styles(store: Path, presets: Iterable[Preset]) -> None:
    """Remove copies of style pictures that no Job and no Preset needs any more."""
    needed = {file.name for preset in presets for file in files_of(preset)}
    if store.is_dir():
        for copy in store.iterdir():
            if copy.name not in needed:
                copy.unlink(missing_ok=True)


class Adoption:
    """After the loss of the Ledger: which Result belongs to a photo. It has the name that the photo's Result would
    have, and is newer than the photo. No Result is given to two photos."""

    def __init__(self, layout: Layout, ledger: Ledger) -> None:
        self.layout = layout
        self.ledger = ledger
        self._names: dict[Path, dict[str, set[str]]] = {}  # of the folders of Results, as they were at first

    def __call__(self, job: Job) -> Path | None:
        for extension in EXTENSIONS.values():
            for path in self._existing(self.layout.result_path(job, extension)):
                with contextlib.suppress(OSError):
                    if path.stat().st_mtime_ns >= look(job.photo).ctime_ns and not self.ledger.history.has_result(path):
                        return path
        return None

    def _existing(self, name: Path) -> list[Path]:
        """The files name, name-2, name-3, ... as far as they exist, or others whose names differ only by case."""
        names = self._names.get(name.parent)
        if names is None:
            names = self._names[name.parent] = names_in(name.parent)
        found: list[Path] = []

        def exists(path: Path) -> bool:
            there = os.path.lexists(path)
            found.extend([path] if path.name in names.get(path.name.casefold(), ()) else [])
            return there or differs_by_case(path, names)

        free_name(name, exists)
        return found
