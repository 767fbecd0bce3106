"""What becomes of a photo from a folder when its Result is done: it stays, moves to `originals/`, or goes to the
trash."""

from __future__ import annotations

import os
from pathlib import Path

from daemon.events import Listener, Note
from daemon.folders.layout import Layout
from daemon.ledger.job import OriginalDue
from daemon.ledger.ledger import Ledger
from daemon.ledger.signature import look, same
from daemon.paths import free_name, printable
from stylecore.errors import cause


def settle(ledger: Ledger, layout: Layout, due: OriginalDue, announce: Listener) -> None:
    """Do with the photo what the settings said when its Result was done. A photo that changed since is left alone."""
    job, gone = due.job, False
    try:
        if job.result is not None and job.result.exists() and same(look(job.photo), due.signature):
            if due.action == "trash":
                _trash(job.photo)
            else:
                target = free_name(layout.original_path(job), os.path.lexists)
                target.parent.mkdir(parents=True, exist_ok=True)
                job.photo.rename(target)
            gone = True
    except FileNotFoundError:
        gone = True  # it was removed already
    except (OSError, ValueError) as e:  # a desktop's trash may refuse a name that is not UTF-8
        sentence = (
            f"The setting `originals: {due.action}` could not be applied to {printable(job.photo)} ({cause(e)}). "
            "The photo stays where it is; Stylefolder tries again at its next start."
        )
        announce(Note(sentence, warning=True))
        return
    ledger.originals.settled(job, gone=gone)


def _trash(photo: Path) -> None:
    import send2trash

    send2trash.send2trash(str(photo))
