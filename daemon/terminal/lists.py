"""The lower part of the status view: sections that grow, and share the lines that are left. Pure functions."""

from __future__ import annotations

import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from daemon.api.schema import JobOut, StatusOut
from daemon.paths import printable
from daemon.sentences import clock, skipped_sentence


@dataclass(frozen=True)
class Glyphs:
    sparks: str
    full: str
    empty: str
    dot: str
    arrow: str
    ellipsis: str


UNICODE = Glyphs("▁▂▃▄▅▆▇█", "━", "─", "●", "→", "…")
ASCII = Glyphs("_.-=*#", "#", "-", "*", "->", "~")


def lists(status: StatusOut, width: int, room: int, glyphs: Glyphs) -> list[Text]:
    """The sections that grow. Short ones leave their space to long ones."""
    hour = status.throughput
    paced = (
        f", median {hour.median:.1f} s, 95th percentile {hour.p95:.1f} s"
        if hour.median is not None and hour.p95 is not None
        else ""
    )
    unlisted = max(0, status.pending_count - len(status.pending))
    sections = [
        _Section(_inboxes(status)),
        _Section([Text(f"Last hour: {hour.done} done{paced}")]),
        _section("Failed", "bold red", [row for job in status.failures for row in _failure(job, width)]),
        _section("Not complete yet", "bold", _pending(status), unlisted),
        _section("Done", "bold", [_recent(job, glyphs) for job in status.recent]),
        _Section(_remarks(status, width)),
    ]
    sections = [section for section in sections if section.rows]
    sizes = [len(section.rows) for section in sections]
    gap = [Text()] if sum(sizes) + len(sizes) <= room else []  # if space is short, the headings separate them
    while sum(sizes) > room and max(sizes, default=0) > 2:
        sizes[sizes.index(max(sizes))] -= 1
    found: list[Text] = [] if gap else [Text()]
    for section, size in zip(sections, sizes, strict=True):
        shown, hidden = section.rows[:size], len(section.rows) - size + section.unlisted
        if hidden and size > 1:
            shown = [*shown[:-1], Text(f"  and {hidden + 1} more", "dim")]
        found += [*gap, *shown]
    return found


@dataclass(frozen=True)
class _Section:
    """``unlisted``: how many more there are, which the status only counts."""

    rows: list[Text]
    unlisted: int = 0


def _section(heading: str, style: str, rows: list[Text], unlisted: int = 0) -> _Section:
    return _Section([Text(heading, style), *rows] if rows else [], unlisted)


def _pending(status: StatusOut) -> list[Text]:
    return [Text(f"  {name_of(file.photo)}: waits for {printable(file.waits_for)}") for file in status.pending]


def _remarks(status: StatusOut, width: int) -> list[Text]:
    skipped = [skipped_sentence(status.skipped)] if status.skipped else []
    return [
        Text(row.plain.strip(), "dim") for said in [*status.remarks, *skipped] for row in wrapped(said, width, "", 2)
    ]


def _inboxes(status: StatusOut) -> list[Text]:
    busy = sorted(
        (name for name, counts in status.inboxes.items() if any(counts.values())),
        key=lambda name: (
            not status.inboxes[name].get("running", 0),
            -status.inboxes[name].get("queued", 0),
            -status.inboxes[name].get("failed", 0),
            -status.done_today.get(name, 0),
            name,
        ),
    )
    if not busy:
        return []
    rows = [Text(f"{'Inbox':<22}{'waiting':>9}{'queued':>9}{'today':>9}{'failed':>9}{'time left':>11}", "bold")]
    for name in busy:
        counts, drain = status.inboxes[name], status.drain.get(name)
        figures = [counts.get("waiting", 0), counts.get("queued", 0), status.done_today.get(name, 0)]
        columns = "".join(f"{figure:>9}" for figure in [*figures, counts.get("failed", 0)])
        rows.append(Text(f"  {printable(name)[:19]:<20}{columns}{clock(drain) if drain else '':>11}"))
    return rows


def _failure(job: JobOut, width: int) -> list[Text]:
    """In one line if it fits, otherwise with the reason beneath."""
    line = Text.assemble(
        "  ", (f"stylefolder retry {job.id}", "bold"), f"  {name_of(job.photo)} [{printable(job.preset)}]: "
    )
    reason = printable(job.reason or "")
    if line.cell_len + len(reason) <= width:
        return [line.append(reason)]
    return [line, *wrapped(reason, width, "", 2)]


def _recent(job: JobOut, glyphs: Glyphs) -> Text:
    at = time.strftime("%H:%M", time.localtime(job.finished_at))
    took = f"{job.seconds:.1f} s" if job.seconds is not None else ""
    line = Text(f"  {at} {name_of(job.photo)} [{printable(job.preset)}] {took}")
    if job.result and job.source == "folder":  # whoever sent a photo has put its Result elsewhere
        link = Path(job.result).as_uri() if Path(job.result).is_absolute() else ""
        line.append(f" {glyphs.arrow} ").append(name_of(job.result), f"link {link}" if link else "")
    return line


def name_of(path: str) -> str:
    return printable(path.replace("\\", "/").rpartition("/")[2] or path)


def wrapped(sentence: str, width: int, style: str, most: int) -> list[Text]:
    """At most ``most`` lines, indented a little."""
    rows = textwrap.wrap(printable(sentence), max(10, width - 2), break_on_hyphens=False) or [""]
    return [Text(f"  {row}", style) for row in [*rows[: most - 1], " ".join(rows[most - 1 :])] if row]
