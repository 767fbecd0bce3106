"""What becomes of a photo from a folder when its Result is there: it stays, moves to `originals/`, or goes to the trash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from daemon import paths
from daemon.events import Event, Note
from daemon.folders.completeness import look
from daemon.ledger.job import Job
from daemon.ledger.ledger import Ledger


def settle(ledger: Ledger, root: Path, job: Job, tell: Callable[[Event], None]) -> None:
    """Do with the photo what the settings said when its Result was done. One that was changed since is left alone."""
    gone = False
    try:
        if (
            job.original is not None
            and job.result is not None
            and job.result.exists()
            and look(job.photo) == job.signature
        ):
            if job.original == "trash":
                _trash(job.photo)
            else:
                within = job.photo.relative_to(root / job.preset)
                target = paths.free(root / job.preset / paths.ORIGINALS / within, Path.exists)
                target.parent.mkdir(parents=True, exist_ok=True)
                job.photo.rename(target)
            gone = True
    except FileNotFoundError:
        gone = True  # it was taken away already
    except OSError as e:
        words = f"{paths.printable(job.photo)} stays where it is ({e.strerror or e}), though the setting `originals` asks for {job.original}"
        tell(Note(f"{words}: it is tried again when Stylefolder starts anew.", warning=True))
        return
    ledger.original_settled(job, gone=gone)


def _trash(photo: Path) -> None:
    import send2trash

    send2trash.send2trash(str(photo))
