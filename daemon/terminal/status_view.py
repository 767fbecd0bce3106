"""The status view on a terminal: it follows a daemon through its API and obeys keys.

Two threads: a Reader takes events from the API; the drawing thread owns everything that is shown.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from daemon.api.client import Client
from daemon.api.schema import StatusOut
from daemon.errors import NoDaemon, Refused
from daemon.paths import printable
from daemon.terminal.layout import AT_HOME, PICTURE_FROM, Scene, lines, picture_corner
from daemon.terminal.lists import name_of
from daemon.terminal.pictures import half_blocks, kitty_picture, open_picture, speaks_kitty
from daemon.terminal.screen import Screen, keyboard, opened
from stylecore.errors import StylefolderError

DRAW_EVERY = 0.25  # seconds: 4 Hz at most
ASK_EVERY = 2.0  # for what no event reports: the device's gauges, files that are not complete yet
SAID_FOR = 6.0
PICTURE_EVERY = 3.0  # seconds: up to 60 kB each over ssh
KEPT, PREVIEWS = 10_000, 16  # events, and pictures, that wait to be drawn
STEP_FIELDS = ("step", "steps", "scale", "scales", "loss", "share", "seconds", "left")


class Reader:
    """A thread that connects and reads events into ``events`` until the daemon is ``gone``."""

    def __init__(self, connect: Callable[[], Client]) -> None:
        self.connect = connect
        self.client: Client | None = None  # once connected
        self.events: deque[dict[str, Any]] = deque(maxlen=KEPT)  # if a terminal is stopped, the oldest are lost
        self.previews: deque[tuple[int, str]] = deque(maxlen=PREVIEWS)  # the Job, and a JPEG in base 64
        self.connected = threading.Event()
        self.gone = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._read, name="stylefolder-view-reader", daemon=True).start()

    def _read(self) -> None:
        try:
            self.client = self.connect()
            self.connected.set()
            for fields in self.client.events(previews=True):
                if fields.get("event") == "JobPreview":
                    self.previews.append((fields["job"]["id"], fields["jpeg"]))
                else:
                    self.events.append(fields)
        except (NoDaemon, Refused):
            pass
        self.gone.set()
        self.connected.set()


class Follower:
    """What the view shows, from the Reader's events and the API's status. Use it only in the drawing thread."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.note = ""
        self.status: StatusOut | None = None
        self.curves: dict[int, list[tuple[int, float]]] = {}
        self.preview: bytes | Path | None = None
        self._asked = 0.0
        self.stale = True  # something happened that only the status shows

    @property
    def host(self) -> str | None:
        """Where the daemon is, if it is on another machine. Its files are there, too."""
        client = self.reader.client
        return client.address.host if client is not None and client.address.elsewhere else None

    def refresh(self) -> None:
        """Take in what has happened, and ask for the status if it is stale or old."""
        reader = self.reader
        while reader.events:
            self._hear(reader.events.popleft())
        first = self.status.running[0].job.id if self.status is not None and self.status.running else None
        while reader.previews:
            job, jpeg = reader.previews.popleft()
            if job == first:
                self.preview = base64.b64decode(jpeg)
        now, client = time.monotonic(), self.reader.client
        if client is None or self.reader.gone.is_set() or not (self.stale or now - self._asked > ASK_EVERY):
            return
        self.stale, self._asked = False, now
        try:
            self._take(StatusOut.model_validate(client.ask("GET", "/v1/status")))
        except (NoDaemon, Refused):
            self.reader.gone.set()

    def _take(self, status: StatusOut) -> None:
        self.status = status
        self.curves = {running.job.id: self.curves.get(running.job.id, []) for running in status.running}
        if self.host is None and not status.running and status.recent and status.recent[0].result:
            self.preview = Path(status.recent[0].result)

    def _hear(self, fields: dict[str, Any]) -> None:
        match fields.get("event"):
            case "JobStepped":
                self._step(fields)
            case "Note":
                self.note = fields["text"]
            case "Heartbeat":
                pass
            case _:
                self.stale = True

    def _step(self, fields: dict[str, Any]) -> None:
        number, status = fields["job"]["id"], self.status
        self.curves.setdefault(number, []).append((fields["scale"], fields["loss"]))
        if status is None or number not in (running.job.id for running in status.running):
            return
        news = {key: fields[key] for key in STEP_FIELDS}
        running = [r.model_copy(update=news) if r.job.id == number else r for r in status.running]
        self.status = status.model_copy(update={"running": running})


def run_view(connect: Callable[[], Client], stopped: Callable[[], bool], leave: Callable[[], None]) -> bool:
    """Run until ``stopped``, until q is pressed, which calls ``leave``, or until the daemon stops. Returns whether it
    did."""
    reader = Reader(connect)
    reader.start()
    reader.connected.wait(DRAW_EVERY)
    follower = Follower(reader)
    with opened() as screen, keyboard() as pressed:
        view = _View(follower, screen, leave)
        while not stopped() and not view.left and not reader.gone.is_set():
            follower.refresh()
            view.draw()
            for key in pressed(DRAW_EVERY):
                view.obey(key)
    return reader.gone.is_set() and not view.left


class _View:
    def __init__(self, follower: Follower, screen: Screen, leave: Callable[[], None]) -> None:
        self.follower = follower
        self.screen = screen
        self.leave = leave
        self.left = False
        self.kitty = speaks_kitty(os.environ)
        self._said, self._said_at = "", 0.0
        self._picture: Sequence[Text] = ()
        self._graphic = ""  # draws the picture, if the terminal can draw finer than half blocks
        self._pictured: tuple[object, tuple[int, int]] = (None, (0, 0))  # what the picture shows, and how large
        self._pictured_at = 0.0

    def draw(self) -> None:
        width, height = self.screen.size
        scene = self._scene(width, height)
        rows = lines(scene, width, height, self.screen.glyphs)
        self.screen.draw(rows, picture_corner(scene, width), self._graphic if scene.picture else "")

    def obey(self, key: str) -> None:
        follower = self.follower
        status, client = follower.status, follower.reader.client
        if key == "q":
            self.left = True
            self.leave()
        actions = {"p": self._pause, "c": self._cancel, "r": self._retry, "o": self._open}
        if client is None or status is None or key not in actions or (key in AT_HOME and follower.host):
            return
        try:
            self._said = actions[key](client, status)
        except StylefolderError as e:
            self._said = printable(e)
        self._said_at = time.monotonic()
        follower.stale = True

    def _pause(self, client: Client, status: StatusOut) -> str:
        if status.state == "paused":
            client.ask("POST", "/v1/resume")
            return "Resumed."
        client.ask("POST", "/v1/pause")
        return "Paused. The running photo will finish, but no other will start. Press p to resume."

    def _cancel(self, client: Client, status: StatusOut) -> str:
        if not status.running:
            return "Nothing is running."
        job = status.running[0].job
        client.ask("DELETE", f"/v1/jobs/{job.id}")
        return f"Cancelled {name_of(job.photo)}. To start it again, run `stylefolder retry {job.id}`."

    def _retry(self, client: Client, status: StatusOut) -> str:
        return f"{client.ask('POST', '/v1/retry')['count']} queued again."

    def _open(self, client: Client, status: StatusOut) -> str:
        results = (Path(job.result) for job in status.recent if job.source == "folder" and job.result)
        newest = next((result for result in results if result.exists()), None)
        if newest is None:
            return "Nothing is done yet."
        if open_picture(newest):
            return f"Opening {name_of(str(newest))}."
        return f"No picture viewer was found. The Result is {printable(newest)}."

    def _scene(self, width: int, height: int) -> Scene:
        follower, now = self.follower, time.monotonic()
        if follower.note:
            self._said, self._said_at, follower.note = printable(follower.note), now, ""
        said = self._said if now - self._said_at < SAID_FOR else ""
        return Scene(follower.status, follower.curves, self._shown(width, height), said, time.time(), follower.host)

    def _shown(self, width: int, height: int) -> Sequence[Text]:
        preview = self.follower.preview
        if width < PICTURE_FROM or not self.screen.colourful or preview is None:
            return ()
        now = time.monotonic()
        size = (width * 2 // 5, max(8, height // 2 - 4))
        outdated = self._pictured[0] != preview and now - self._pictured_at >= PICTURE_EVERY
        if self._pictured[1] != size or outdated:
            self._pictured, self._pictured_at = (preview, size), now
            if self.kitty:
                self._picture, self._graphic = kitty_picture(preview, *size)
            else:
                self._picture = half_blocks(preview, *size)
        return self._picture
