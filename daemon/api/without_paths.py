"""What clients on other machines don't learn: where files lie on this one. Names stay."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Any

from daemon.api.schema import JobOut

ABSOLUTE = re.compile(r"(?<![\w.:/\\])(?:/|[A-Za-z]:[\\/]|\\\\)(?:[^\s'\":;,()]+[\\/])*(?=[^\s'\"/\\])")
"""The folders of a path in a sentence, up to its last part."""


def without_paths(job: JobOut) -> JobOut:
    shown = {"photo": _name(job.photo), "result": job.result and _name(job.result)}
    inside = Path(job.photo)
    reason = job.reason and words_without_paths(job.reason, inside)
    notes = [words_without_paths(note, inside) for note in job.notes]
    return job.model_copy(update={**shown, "reason": reason, "notes": notes})


def event_without_paths(fields: dict[str, Any]) -> dict[str, Any]:
    """Of an event about a Job, as ``event_out`` makes it."""
    job = JobOut.model_validate(fields["job"])
    shown = {**fields, "job": without_paths(job).model_dump()}
    if "notes" in fields:
        shown["notes"] = [words_without_paths(note, Path(job.photo)) for note in fields["notes"]]
    return shown


def words_without_paths(text: str, inside: PurePath) -> str:
    """A sentence in which paths are only names. ``inside``: a path whose folders may have spaces in their names."""
    for folder in inside.parents:
        if folder.name:
            text = text.replace(f"{folder}/", "").replace(f"{folder}\\", "").replace(str(folder), folder.name)
    return ABSOLUTE.sub("", text)


def _name(path: str) -> str:
    return PurePath(path).name
