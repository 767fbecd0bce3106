"""The status view on a terminal, attached to a daemon: it follows the API, draws what changed, and obeys keys."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.style import Style
from rich.text import Text

from daemon.client import Client, NoDaemon, Refused
from daemon.halfblocks import half_blocks
from daemon.panel import ASCII, PICTURE_FROM, UNICODE, Scene, lines, name_of
from daemon.places import printable
from daemon.wire import RunningOut, StatusOut
from stylecore.errors import StylefolderError

DRAW_EVERY = 0.25  # seconds: 4 Hz at most
ASK_EVERY = 2.0  # for what no event tells: the device's gauges, files not complete yet
SAID_FOR = 6.0
PICTURE_ROWS = 12
PICTURE_EVERY = 3.0  # seconds: 12 kB each over ssh
SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?")  # an arrow or a function key
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the alternate screen without a cursor, and back


class Follower:
    """What the API tells, gathered by a thread of its own; ``scene`` gives it as the panel wants it."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.connect = connect
        self.client: Client | None = None
        self.note = ""
        self.gone = threading.Event()
        self.changed = threading.Event()
        self.status: StatusOut | None = None
        self.curves: dict[int, list[tuple[int, float]]] = {}
        self.preview: bytes | Path | None = None
        self._asked = 0.0
        self._stale = True

    def start(self) -> None:
        threading.Thread(target=self._follow, name="stylefolder-view", daemon=True).start()

    def refresh(self) -> None:
        """Ask for the whole status, where something happened or it is old. Called by the thread that draws."""
        now = time.monotonic()
        if self.client is None or self.gone.is_set() or not (self._stale or now - self._asked > ASK_EVERY):
            return
        self._stale, self._asked = False, now
        try:
            self._take(StatusOut.model_validate(self.client.ask("GET", "/v1/status")))
        except NoDaemon:
            self.gone.set()

    def _take(self, status: StatusOut) -> None:
        self.status = status
        self.curves = {running.job.id: self.curves.get(running.job.id, []) for running in status.running}
        if not status.running and status.recent and status.recent[0].result:
            self.preview = Path(status.recent[0].result)

    def _follow(self) -> None:
        try:
            self.client = self.connect()
            self.changed.set()
            for fields in self.client.events(previews=True):
                self._hear(fields)
                self.changed.set()
        except (NoDaemon, Refused):
            pass
        self.gone.set()
        self.changed.set()

    def _hear(self, fields: dict[str, Any]) -> None:
        match fields.get("event"):
            case "JobStepped":
                self._step(fields)
            case "JobPreview":
                import base64

                self.preview = base64.b64decode(fields["jpeg"])
            case "Note":
                self.note = fields["text"]
            case "Heartbeat":
                pass
            case _:
                self._stale = True

    def _step(self, fields: dict[str, Any]) -> None:
        number, status = fields["job"]["id"], self.status
        self.curves.setdefault(number, []).append((fields["scale"], fields["loss"]))
        if status is None or number not in (r.job.id for r in status.running):
            return
        news = {key: fields[key] for key in ("step", "steps", "scale", "scales", "loss", "share", "seconds")}
        running = [r.model_copy(update={**news, "left": _left(r, fields)}) if r.job.id == number else r for r in status.running]
        self.status = status.model_copy(update={"running": running})


def _left(running: RunningOut, fields: dict[str, Any]) -> float | None:
    """What the daemon foretold, as far as the share of the work has come since."""
    if running.left is None or running.share >= 1:
        return running.left
    return running.left * (1 - float(fields["share"])) / (1 - running.share)


def run_live(connect: Callable[[], Client], stopped: Callable[[], bool], leave: Callable[[], None]) -> bool:
    """Until ``stopped``, the key q, which calls ``leave``, or the daemon's end. Returns whether the daemon ended."""
    console = Console()
    follower = Follower(connect)
    follower.start()
    view = _View(follower, console, leave)
    follower.changed.wait(DRAW_EVERY)
    with _screen(view.console), _keys() as pressed:
        while not stopped() and not view.left and not follower.gone.is_set():
            follower.refresh()
            view.draw()
            for key in pressed(DRAW_EVERY):
                view.obey(key)
    return follower.gone.is_set() and not view.left


class _View:
    def __init__(self, follower: Follower, console: Console, leave: Callable[[], None]) -> None:
        self.follower = follower
        self.console = console
        self.leave = leave
        self.left = False
        self.glyphs = UNICODE if (console.encoding or "").lower().replace("-", "").startswith("utf") else ASCII
        self._drawn: list[Text] = []
        self._size = (0, 0)
        self._said, self._said_at = "", 0.0
        self._picture: tuple[Text, ...] = ()
        self._pictured: tuple[object, int] = (None, 0)  # what it shows, for which width
        self._pictured_at = 0.0

    def draw(self) -> None:
        """Only what changed: a slow connection stays quiet."""
        width, height = self.console.size
        rows = lines(self._scene(width), width, height, self.glyphs)
        if (width, height) != self._size:
            self._drawn, self._size = [], (width, height)
            self._write("\x1b[2J")
        before = self._drawn or [Text()] * height
        self._write("".join(self._change(i, old, new) for i, (old, new) in enumerate(zip(before, rows, strict=True)) if old != new))
        self._drawn = rows

    def _change(self, line: int, old: Text, new: Text) -> str:
        """From the first cell that differs to the last: what stands beside, a picture perhaps, stays."""
        first, last, rest = 0, len(new), "\x1b[K"
        if old.cell_len == len(old) and new.cell_len == len(new):  # no wide characters: a character is a cell
            there, wanted = self._cells(old), self._cells(new)
            differ = [i for i, (a, b) in enumerate(zip(there, wanted, strict=False)) if a != b]
            first = differ[0] if differ else min(len(there), len(wanted))
            if len(there) == len(wanted):
                last, rest = differ[-1] + 1 if differ else first, ""
        return f"\x1b[{line + 1};{first + 1}H{self._row(new[first:last])}{rest}"

    def _cells(self, line: Text) -> list[tuple[str, Style | None]]:
        return [(character, segment.style) for segment in line.render(self.console) for character in segment.text]

    def obey(self, key: str) -> None:
        follower, status, client = self.follower, self.follower.status, self.follower.client
        if key == "q":
            self.left = True
            self.leave()
        if client is None or status is None or key not in ("p", "c", "r", "o"):
            return
        try:
            self._said = {"p": self._pause, "c": self._cancel, "r": self._retry, "o": self._open}[key](client, status)
        except StylefolderError as e:
            self._said = str(e)
        self._said_at = time.monotonic()
        follower._stale = True

    def _pause(self, client: Client, status: StatusOut) -> str:
        client.ask("POST", "/v1/resume" if status.state == "paused" else "/v1/pause")
        return "It goes on." if status.state == "paused" else "Paused: what runs is finished, no other is begun; p goes on."

    def _cancel(self, client: Client, status: StatusOut) -> str:
        if not status.running:
            return "Nothing runs."
        job = status.running[0].job
        client.ask("DELETE", f"/v1/jobs/{job.id}")
        return f"{name_of(job.photo)} is cancelled; `stylefolder retry {job.id}` begins it again."

    def _retry(self, client: Client, status: StatusOut) -> str:
        return f"{len(client.ask('POST', '/v1/retry')['jobs'])} queued again."

    def _open(self, client: Client, status: StatusOut) -> str:
        import typer

        done = next((job for job in status.recent if job.result), None)
        if done is None or done.result is None:
            return "Nothing is done yet."
        typer.launch(done.result)
        return f"Opening {name_of(done.result)}."

    def _scene(self, width: int) -> Scene:
        follower, now = self.follower, time.monotonic()
        if follower.note:
            self._said, self._said_at, follower.note = printable(follower.note), now, ""
        said = self._said if now - self._said_at < SAID_FOR else ""
        return Scene(follower.status, follower.curves, self._shown(width), said, time.time())

    def _shown(self, width: int) -> tuple[Text, ...]:
        preview = self.follower.preview
        if width < PICTURE_FROM or self.glyphs is ASCII or self.console.no_color or preview is None:
            return ()
        now = time.monotonic()
        if self._pictured[1] != width or (self._pictured[0] != preview and now - self._pictured_at >= PICTURE_EVERY):
            self._pictured, self._pictured_at = (preview, width), now
            self._picture = tuple(half_blocks(preview, width // 4, PICTURE_ROWS))
        return self._picture

    def _row(self, line: Text) -> str:
        with self.console.capture() as capture:
            self.console.print(line, end="", no_wrap=True, overflow="crop", crop=True, highlight=False)
        return capture.get()

    def _write(self, text: str) -> None:
        if text:
            self.console.file.write(text)
            self.console.file.flush()


@contextlib.contextmanager
def _screen(console: Console) -> Iterator[None]:
    """The terminal as it was, whatever happens within."""
    console.file.write(ENTER)
    console.file.flush()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # the terminal may be gone
            console.file.write(LEAVE)
            console.file.flush()


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], str]]:
    """A function that waits at most so many seconds and gives the keys pressed; empty where there were none, or no keyboard."""
    try:
        import termios
        import tty
    except ImportError:  # Windows
        yield _no_key
        return
    try:
        before = termios.tcgetattr(sys.stdin)
    except (termios.error, OSError, ValueError):
        yield _no_key
        return
    try:
        tty.setcbreak(sys.stdin)
        yield _pressed
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _no_key(wait: float) -> str:
    time.sleep(wait)
    return ""


def _pressed(wait: float) -> str:
    until = time.monotonic() + wait
    try:
        ready, _, _ = select.select([sys.stdin], [], [], wait)
    except InterruptedError:
        return ""
    if not ready:
        return ""
    keys = SEQUENCE.sub("", os.read(sys.stdin.fileno(), 64).decode("ascii", "replace")).lower()
    if not keys:  # an arrow alone, or the terminal's end, which is always ready
        return _no_key(max(0.0, until - time.monotonic()))
    return keys
