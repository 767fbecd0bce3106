"""Rows to Jobs and paths to bytes: the one way in and out of the Ledger's tables."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from daemon.ledger.job import Job, Order
from daemon.ledger.signature import Signature
from stylecore.preset import Preset


class StoredPaths:
    """Paths inside ``root`` are stored relative to it, so that a Root can be moved, and as the bytes that the file
    system has, so that no name is lost."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._prefix = os.fsencode(root).rstrip(b"/") + b"/"

    def key(self, path: Path | str) -> bytes:
        return os.fsencode(path).removeprefix(self._prefix)

    def path(self, key: bytes) -> Path:
        return self.root / os.fsdecode(key)


def job_of(row: Any, paths: StoredPaths) -> Job:
    return Job(
        id=row["id"],
        source=row["source"],
        photo=paths.path(row["photo"]),
        preset=os.fsdecode(row["preset"]),
        state=row["state"],
        attempts=row["attempts"],
        reason=row["reason"],
        result=paths.path(row["result"]) if row["result"] and row["state"] == "done" else None,
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def order_of(row: Any, recipe: Preset, paths: StoredPaths) -> Order:
    return Order(
        job=row["id"],
        photo=paths.path(row["photo"]),
        recipe=recipe,
        signature=Signature(row["size"], row["mtime_ns"], row["ctime_ns"], row["inode"]),
        target=paths.path(row["target"]) if row["target"] else None,
    )


def as_text(reason: str) -> str:
    """SQLite's text is UTF-8. Bytes of a file name that are not UTF-8 become escapes."""
    return reason.encode("utf-8", "backslashreplace").decode()
