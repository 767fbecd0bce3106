"""A command in a real pseudo-terminal, its screen kept by an emulator (pyte), to be read by tests and drawn as a
picture."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyte
from PIL import Image, ImageDraw, ImageFont

PALETTE = {
    "default": "#d4d4d4",
    "black": "#000000",
    "red": "#f14c4c",
    "green": "#23d18b",
    "brown": "#e5e510",
    "yellow": "#e5e510",
    "blue": "#3b8eea",
    "magenta": "#d670d6",
    "cyan": "#29b8db",
    "white": "#e5e5e5",
}
PAPER = "#1e1e1e"


class Terminal:
    """Runs the command while the context lasts, then kills it if necessary. ``raw``: all bytes that it wrote."""

    def __init__(self, command: Sequence[str], env: dict[str, str], columns: int = 80, rows: int = 24) -> None:
        self.command = command
        self.env = env
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def __enter__(self) -> Terminal:
        self.ours, theirs = pty.openpty()
        self._set_size(theirs)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            self.command, stdin=theirs, stdout=theirs, stderr=theirs, env=self.env, start_new_session=True
        )
        self.theirs = theirs  # kept open, so that the terminal's state can be read after the end
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(20)
            self.process.kill()
            self.process.wait()
        os.close(self.ours)
        os.close(self.theirs)

    def _set_size(self, fd: int) -> None:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.screen.lines, self.screen.columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._set_size(self.ours)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGWINCH)

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if not select.select([self.ours], [], [], left)[0]:
                return
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return
            self.raw += data
            self.stream.feed(data)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, said: str | Callable[[str], object], seconds: float = 60) -> str:
        """Read until the screen shows it."""
        end = time.monotonic() + seconds
        while not (said in self.text if isinstance(said, str) else said(self.text)):
            if time.monotonic() > end:
                raise AssertionError(f"not shown within {seconds} s: {said!r}; the screen:\n{self.text}")
            self.read(0.1)
        return self.text

    def picture(self, path: Path) -> None:
        """The screen as a PNG, in the monospaced font that comes with matplotlib."""
        import matplotlib as mpl

        folder = Path(mpl.get_data_path()) / "fonts" / "ttf"
        plain, bold = (
            ImageFont.truetype(str(folder / name), 15) for name in ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf")
        )
        width, height = 9, 18
        image = Image.new("RGB", (self.screen.columns * width, self.screen.lines * height), PAPER)
        draw = ImageDraw.Draw(image)
        for y in range(self.screen.lines):
            for x in range(self.screen.columns):
                cell = self.screen.buffer[y][x]
                ink, paper = _colour(cell.fg, PALETTE["default"]), _colour(cell.bg, PAPER)
                if cell.reverse:
                    ink, paper = paper, ink
                box = (x * width, y * height, (x + 1) * width - 1, (y + 1) * height - 1)
                draw.rectangle(box, paper)
                if cell.data == "▀":
                    draw.rectangle((box[0], box[1], box[2], box[1] + height // 2 - 1), ink)
                elif cell.data.strip():
                    draw.text((box[0], box[1]), cell.data, ink, font=bold if cell.bold else plain)
        image.save(path)


def _colour(name: str, default: str) -> str:
    if name == "default":
        return default
    return PALETTE.get(name.removeprefix("bright")) or f"#{name}"
