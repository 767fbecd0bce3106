"""Where things are in a Root: Inboxes, Results, failure notes, and what the daemon keeps for itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon import paths
from stylecore.images.formats import one_suffix

if TYPE_CHECKING:
    from daemon.ledger.job import Job

STYLED, FAILED, ORIGINALS, PRESETS, OWN = "styled", "failed", "originals", "presets", ".stylefolder"


@dataclass(frozen=True)
class Layout:
    """``results``, as in the settings: a folder's name in each Inbox, or the path of one folder for all Results, with a
    folder for each Preset in it."""

    root: Path
    results: str = STYLED

    @property
    def own_folder(self) -> Path:
        """What the daemon keeps in a Root for itself."""
        return self.root / OWN

    @property
    def ledger_file(self) -> Path:
        return self.own_folder / "ledger.sqlite3"

    @property
    def lock_file(self) -> Path:
        return self.own_folder / "lock"

    @property
    def uploads(self) -> Path:
        """Pictures sent to the API, and their Results: a folder for each."""
        return self.own_folder / "spool"

    @property
    def style_store(self) -> Path:
        """Copies of style pictures, named by their bytes, as they were when a Preset was read."""
        return self.own_folder / "styles"

    @property
    def preset_folders(self) -> list[Path]:
        """The Root's, the user's and the shipped Presets. Of two Presets with one name, the first wins."""
        return [self.root / PRESETS, paths.user_presets(), paths.SHIPPED_PRESETS]

    @property
    def one_results_folder(self) -> Path | None:
        """The folder for all Results, if there is one."""
        folder = Path(self.results).expanduser()
        return folder if folder.is_absolute() else None

    @property
    def not_photos(self) -> tuple[str, ...]:
        """The folders in an Inbox that hold what we put there."""
        return (self.results, STYLED, FAILED, ORIGINALS)

    def inbox(self, preset: str) -> Path:
        return self.root / preset

    def results_folder(self, preset: str) -> Path:
        folder = self.one_results_folder
        return self.inbox(preset) / self.results if folder is None else folder / preset

    def result_path(self, job: Job, extension: str) -> Path:
        """The Result mirrors its photo's path. Its extension differs only if its format does. The Result of an upload
        is beside the upload."""
        if job.source != "folder":
            return job.photo.with_name(f"result{extension}")
        within = job.photo.relative_to(self.inbox(job.preset))
        if one_suffix(within.suffix) != extension:
            within = within.with_name(paths.shortened(within.stem) + extension)
        return self.results_folder(job.preset) / within

    def failure_note(self, job: Job) -> Path | None:
        """Where the reason for a failure is kept, for a photo from a folder."""
        if job.source != "folder":
            return None
        within = job.photo.relative_to(self.inbox(job.preset))
        return self.inbox(job.preset) / FAILED / within.with_name(paths.shortened(within.name) + ".txt")

    def original_path(self, job: Job) -> Path:
        """Where the setting ``originals: move`` puts the photo."""
        inbox = self.inbox(job.preset)
        return inbox / ORIGINALS / job.photo.relative_to(inbox)

    def is_ours(self, path: Path) -> bool:
        """Whether we created this path in the Root, so that it is not a photo."""
        parts = path.relative_to(self.root).parts if path.is_relative_to(self.root) else ()
        return parts[:1] == (OWN,) or (len(parts) > 1 and parts[1] in self.not_photos)
