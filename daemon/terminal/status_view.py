"""The status view on a terminal, attached to a daemon: it follows the API and obeys keys."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from daemon.api.client import Client, NoDaemon, Refused
from daemon.api.schema import RunningOut, StatusOut
from daemon.paths import printable
from daemon.terminal.layout import PICTURE_FROM, Scene, lines, name_of, picture_corner
from daemon.terminal.pictures import half_blocks, kitty_picture, open_picture, speaks_kitty
from daemon.terminal.screen import Screen, keyboard, opened
from stylecore.errors import StylefolderError

DRAW_EVERY = 0.25  # seconds: 4 Hz at most
ASK_EVERY = 2.0  # for what no event tells: the device's gauges, files not complete yet
SAID_FOR = 6.0
PICTURE_EVERY = 3.0  # seconds: up to 60 kB each over ssh


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
        except (NoDaemon, Refused):
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
        running = [
            r.model_copy(update={**news, "left": _left(r, fields)}) if r.job.id == number else r for r in status.running
        ]
        self.status = status.model_copy(update={"running": running})


def _left(running: RunningOut, fields: dict[str, Any]) -> float | None:
    """What the daemon foretold, as far as the share of the work has come since."""
    if running.left is None or running.share >= 1:
        return running.left
    return running.left * (1 - float(fields["share"])) / (1 - running.share)


def run_live(connect: Callable[[], Client], stopped: Callable[[], bool], leave: Callable[[], None]) -> bool:
    """Until ``stopped``, the key q, which calls ``leave``, or the daemon's end. Returns whether the daemon ended."""
    follower = Follower(connect)
    follower.start()
    follower.changed.wait(DRAW_EVERY)
    with opened() as screen, keyboard() as pressed:
        view = _View(follower, screen, leave)
        while not stopped() and not view.left and not follower.gone.is_set():
            follower.refresh()
            view.draw()
            for key in pressed(DRAW_EVERY):
                view.obey(key)
    return follower.gone.is_set() and not view.left


class _View:
    def __init__(self, follower: Follower, screen: Screen, leave: Callable[[], None]) -> None:
        self.follower = follower
        self.screen = screen
        self.leave = leave
        self.left = False
        self.kitty = speaks_kitty(os.environ)
        self._said, self._said_at = "", 0.0
        self._picture: Sequence[Text] = ()
        self._graphic = ""  # what draws the picture, where the terminal draws finer than by lines
        self._pictured: tuple[object, tuple[int, int]] = (None, (0, 0))  # what it shows, how large
        self._pictured_at = 0.0

    def draw(self) -> None:
        width, height = self.screen.size
        scene = self._scene(width, height)
        self.screen.draw(
            lines(scene, width, height, self.screen.glyphs),
            picture_corner(scene, width),
            self._graphic if scene.picture else "",
        )

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
        return (
            "It goes on."
            if status.state == "paused"
            else "Paused: what runs is finished, no other is begun; p goes on."
        )

    def _cancel(self, client: Client, status: StatusOut) -> str:
        if not status.running:
            return "Nothing runs."
        job = status.running[0].job
        client.ask("DELETE", f"/v1/jobs/{job.id}")
        return f"{name_of(job.photo)} is cancelled; `stylefolder retry {job.id}` begins it again."

    def _retry(self, client: Client, status: StatusOut) -> str:
        return f"{len(client.ask('POST', '/v1/retry')['jobs'])} queued again."

    def _open(self, client: Client, status: StatusOut) -> str:
        there = next(
            (
                Path(job.result)
                for job in status.recent
                if job.source == "folder" and job.result and Path(job.result).exists()
            ),
            None,
        )
        if there is None:
            return "Nothing is done yet."
        return (
            f"Opening {name_of(str(there))}."
            if open_picture(there)
            else f"No program here opens pictures: it lies in {printable(there)}."
        )

    def _scene(self, width: int, height: int) -> Scene:
        follower, now = self.follower, time.monotonic()
        if follower.note:
            self._said, self._said_at, follower.note = printable(follower.note), now, ""
        said = self._said if now - self._said_at < SAID_FOR else ""
        return Scene(follower.status, follower.curves, self._shown(width, height), said, time.time())

    def _shown(self, width: int, height: int) -> Sequence[Text]:
        preview = self.follower.preview
        if width < PICTURE_FROM or not self.screen.colourful or preview is None:
            return ()
        now = time.monotonic()
        size = (width * 2 // 5, max(8, height // 2 - 4))
        if self._pictured[1] != size or (self._pictured[0] != preview and now - self._pictured_at >= PICTURE_EVERY):
            self._pictured, self._pictured_at = (preview, size), now
            if self.kitty:
                self._picture, self._graphic = kitty_picture(preview, *size)
            else:
                self._picture = half_blocks(preview, *size)
        return self._picture
