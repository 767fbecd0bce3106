"""What becomes of a photo whose Result is in place: it is still to be moved or trashed, until that is done."""

from __future__ import annotations

from daemon.ledger.database import Database
from daemon.ledger.job import Job, Original, OriginalDue
from daemon.ledger.photos import Photos
from daemon.ledger.rows import StoredPaths, job_of
from daemon.ledger.signature import Signature


class Originals:
    """Every method raises a LedgerError if SQLite fails."""

    def __init__(self, database: Database, paths: StoredPaths, photos: Photos) -> None:
        self._sql = database.sql
        self._paths = paths
        self._photos = photos

    def dropped_again(self, job: Job, action: Original) -> None:
        """The same photo, which is done, was dropped again."""
        self._sql("UPDATE jobs SET original = ? WHERE id = ?", (action, job.id))

    def due(self, job: Job | None = None) -> list[OriginalDue]:
        """Photos to move or trash: this Job's, or all."""
        rows = self._sql(
            "SELECT * FROM jobs WHERE original IS NOT NULL AND state = 'done' AND (?1 IS NULL OR id = ?1)",
            (job and job.id,),
        )
        return [
            OriginalDue(
                job_of(row, self._paths),
                row["original"],
                Signature(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"]),
            )
            for row in rows
        ]

    def settled(self, job: Job, *, gone: bool) -> None:
        """The photo was moved or trashed (``gone``), or stays where it is."""
        self._sql("UPDATE jobs SET original = NULL WHERE id = ?", (job.id,))
        if gone:
            self._photos.gone([str(job.photo)])
