"""The status view as lines for a terminal of a given size. Pure functions: everything that is shown is in the Scene."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.text import Text

from daemon.api.schema import RunningOut, SlotOut, StatusOut
from daemon.paths import printable
from daemon.sentences import clock
from daemon.terminal.lists import ASCII, UNICODE, Glyphs, lists, name_of, wrapped

KEYS = (("p", "pause"), ("c", "cancel"), ("r", "retry failed"), ("o", "open the result"), ("q", "quit"))
AT_HOME = "o"  # the Results of another machine's daemon are there
STATES = {"healthy": "green", "degraded": "yellow", "paused": "cyan"}
PICTURE_FROM = 100  # columns
IN_FULL, BRIEFLY = 2, 2  # Jobs that are shown in full; the lines of each if there are more
SHOWN = 8  # Jobs, and devices


@dataclass(frozen=True)
class Scene:
    """``status``: the API's answer, None before the first. ``curves``: each running Job's (scale, loss) so far.
    ``picture``: the running Job's preview, or the last Result, as lines of half blocks. ``said``: what the last key
    did. ``now``: Unix seconds. ``host``: where the daemon is, if it is on another machine."""

    status: StatusOut | None
    curves: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    picture: Sequence[Text] = ()
    said: str = ""
    now: float = 0.0
    host: str | None = None


def lines(scene: Scene, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """Exactly ``height`` lines, none longer than ``width``."""
    status = scene.status
    if status is None:
        return _fit([Text("Connecting to the daemon" + glyphs.ellipsis, "dim")], width, height, glyphs)
    beside = scene.picture if width >= PICTURE_FROM else ()
    picture_width = max((line.cell_len for line in beside), default=0)
    column = width - picture_width - 2 if beside else width
    top = _fit_all([*_heading(scene, status, width, glyphs), Text()], width, glyphs)
    work = [*_running(scene, column, glyphs), Text(), *_devices(status, column, glyphs)]
    work = _fit_all(_at_least(work, len(beside)), column, glyphs)
    body = [_joined(line, beside[i] if i < len(beside) else None, column) for i, line in enumerate(work)]
    foot = [Text(scene.said, "bold") if scene.said else Text(), _keys(scene, status, width)]
    left = height - len(top) - len(body) - len(foot)
    below = lists(status, width, left - 1, glyphs)
    return _fit([*top, *body, *_at_least(below, left)[: max(left, 0)], *foot], width, height, glyphs)


def picture_corner(scene: Scene, width: int) -> tuple[int, int]:
    """(line, column), from 0, of the picture's upper left corner in ``lines``."""
    heading = 0 if scene.status is None else len(_heading(scene, scene.status, width, ASCII)) + 1
    return heading, width - max((line.cell_len for line in scene.picture), default=0)


def _heading(scene: Scene, status: StatusOut, width: int, glyphs: Glyphs) -> list[Text]:
    now_text = time.strftime("%H:%M", time.localtime(scene.now))
    line = Text.assemble(
        (f"{glyphs.dot} {status.state}", f"bold {STATES[status.state]}"),
        f"  Stylefolder  {scene.host or printable(status.root)}",
    )
    line.truncate(max(1, width - len(now_text) - 2), overflow="ellipsis" if glyphs is UNICODE else "crop")
    line.append(" " * max(1, width - line.cell_len - len(now_text)) + now_text, "dim")
    return [line, *(row for problem in status.problems[:3] for row in wrapped(f"! {problem}", width, "yellow", 2))]


def _running(scene: Scene, width: int, glyphs: Glyphs) -> list[Text]:
    status = scene.status
    assert status is not None
    if not status.running:
        queued = sum(counts.get("queued", 0) for counts in status.inboxes.values())
        words = f"{queued} queued."
        if not queued:
            remedy = f"drop a photo into a folder in {printable(status.root)}"
            words = f"Nothing to do: {'run `stylefolder send`' if scene.host else remedy}."
        return [
            Text(row.plain.strip(), "dim")
            for row in wrapped(words if status.state != "paused" else f"Paused; {queued} queued.", width, "", 2)
        ]
    found: list[Text] = []
    most = None if len(status.running) <= IN_FULL else BRIEFLY
    for running in status.running[:SHOWN]:
        found += _one_running(running, scene.curves.get(running.job.id, []), scene.now, width, glyphs)[:most]
    if (more := len(status.running) - SHOWN) > 0:
        found.append(Text(f"and {more} more", "dim"))
    return found


def _one_running(
    running: RunningOut, curve: list[tuple[int, float]], now: float, width: int, glyphs: Glyphs
) -> list[Text]:
    job = running.job
    elapsed = now - job.started_at if job.started_at else running.seconds
    times = clock(elapsed) + (f", {clock(running.left)} left" if running.left is not None else "")
    name = Text.assemble((name_of(job.photo), "bold"), f" [{printable(job.preset)}]", (f"  Job {job.id}", "dim"))
    name.truncate(max(1, width - len(times) - 2), overflow="ellipsis" if glyphs is UNICODE else "crop")
    first = Text.assemble(name, " " * max(2, width - name.cell_len - len(times)), times)
    share = f" {running.share:4.0%}"
    room = max(4, width - len(share))
    done = round(room * min(1.0, running.share))
    bar = Text.assemble((glyphs.full * done, "green"), (glyphs.empty * (room - done), "dim"), share)
    if not running.steps:
        return [first, bar, Text("starting", "dim")]
    size = f", {running.size[0]} x {running.size[1]} px" if running.size else ""
    size += f", about {running.memory / 1e9:.1f} GB" if running.memory is not None else ""
    scale = f"scale {running.scale} of {running.scales}, " if running.scales != 1 else ""
    step = Text(f"{scale}step {running.step} of {running.steps}{size}")
    loss = Text()
    if curve:
        best = min(
            loss for scale, loss in curve if scale == curve[-1][0]
        )  # of this scale: losses of different scales cannot be compared
        sparks = sparkline([loss for _, loss in curve], max(8, min(40, width - 40)), glyphs)
        loss = Text.assemble("loss ", (sparks, "green"), f" {curve[-1][1]:.4g}, best {best:.4g}")
    return [first, bar, step, loss]


def sparkline(values: Sequence[float], width: int, glyphs: Glyphs = UNICODE) -> str:
    """The values, thinned to the width, on a logarithmic scale: losses fall by orders of magnitude."""
    many = -(-len(values) // width)
    logs = [math.log(max(v, 1e-30)) for v in values[::many]]
    low, high = min(logs), max(logs)
    top = len(glyphs.sparks) - 1
    return "".join(glyphs.sparks[round((v - low) / (high - low) * top) if high > low else 0] for v in logs)


def _devices(status: StatusOut, width: int, glyphs: Glyphs) -> list[Text]:
    shown, more = status.slots[:SHOWN], len(status.slots) - SHOWN
    rows = [_slot(slot, len(status.slots) > 1, width, glyphs) for slot in shown]
    return [*rows, Text(f"and {more} more", "dim")] if more > 0 else rows


def _slot(slot: SlotOut, several: bool, width: int, glyphs: Glyphs) -> Text:
    """The device's figures, its Job if there are ``several``, and as much of its name as fits."""
    device, gigabyte, parts = slot.device, 1e9, [""]
    if several:
        parts.append("idle" if slot.job is None else f"Job {slot.job}")
    if device.use is not None:
        parts.append(f"use {device.use:.0%}")
    if device.load is not None:
        parts.append(f"load {device.load:.1f}")
    long, short = list(parts), list(parts)
    if device.memory_ours is not None and device.memory_others is not None and device.memory_total is not None:
        figures = (device.memory_ours / gigabyte, device.memory_others / gigabyte, device.memory_total / gigabyte)
        long.append("memory {:.1f} GB ours, {:.1f} others', of {:.0f}".format(*figures))
        short.append("memory {:.1f} + {:.1f} of {:.0f} GB".format(*figures))
    degrees = [] if device.temperature is None else [f"{device.temperature:.0f} C"]
    row = "   ".join([*long, *degrees])
    if len(device.name) + len(row) > width:
        row = "  ".join([*short, *degrees])
    name = Text(device.name, "dim")
    name.truncate(max(1, width - len(row)), overflow="ellipsis" if glyphs is UNICODE else "crop")
    return name.append(row)


def _keys(scene: Scene, status: StatusOut, width: int) -> Text:
    line = Text()
    for key, words in KEYS:
        if key in AT_HOME and scene.host:
            continue
        if key == "p" and status.state == "paused":
            words = "resume"  # noqa: PLW2901
        if line.cell_len + len(words) + 4 > width:
            break
        line.append(f" {key} ", "reverse").append(f" {words}  ")
    return line


def _joined(line: Text, beside: Text | None, column: int) -> Text:
    if beside is None:
        return line
    return Text.assemble(line, " " * (column - line.cell_len + 2), beside)


def _at_least(found: list[Text], count: int) -> list[Text]:
    return [*found, *(Text() for _ in range(count - len(found)))]


def _fit_all(found: Sequence[Text], width: int, glyphs: Glyphs) -> list[Text]:
    for line in found:
        line.truncate(width, overflow="ellipsis" if glyphs is UNICODE else "crop")
    return list(found)


def _fit(found: Sequence[Text], width: int, height: int, glyphs: Glyphs) -> list[Text]:
    return _at_least(_fit_all(found[:height], width, glyphs), height)
