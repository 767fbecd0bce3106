"""The terminal's screen, drawn where it changed, and its keys."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.style import Style
from rich.text import Text

from daemon.terminal.lists import ASCII, UNICODE
from daemon.terminal.pictures import NO_PICTURE

SEQUENCE = re.compile(r"\x1b(\[[0-9;?]*[ -/]*[@-~]|O.|.)?")  # an arrow or a function key
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # the alternate screen without a cursor, and back


class Screen:
    """Writes only what changed, for slow connections."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.glyphs = UNICODE if (console.encoding or "").lower().replace("-", "").startswith("utf") else ASCII
        self.colourful = self.glyphs is UNICODE and not console.no_color
        self._rows: Sequence[Text] = ()
        self._size = (0, 0)
        self._graphic = ""

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines, now."""
        return self.console.size

    def draw(self, rows: Sequence[Text], corner: tuple[int, int], graphic: str) -> None:
        """``rows``: one for each line. ``graphic``: what draws a picture at ``corner``, (line, column) from 0; empty
        for none."""
        size, out = (self.size[0], len(rows)), []
        if size != self._size:
            out.append("\x1b[2J")
            self._rows, self._size = [Text()] * len(rows), size
            self._graphic = ""
        out += [
            self._change(i, old, new) for i, (old, new) in enumerate(zip(self._rows, rows, strict=True)) if old != new
        ]
        self._rows = rows
        placed = f"\x1b[{corner[0] + 1};{corner[1] + 1}H{graphic}" if graphic else ""
        if placed != self._graphic:
            out.append(placed or NO_PICTURE)
            self._graphic = placed
        write(self.console, "".join(out))

    def close(self) -> None:
        write(self.console, (NO_PICTURE if self._graphic else "") + LEAVE)

    def _change(self, line: int, old: Text, new: Text) -> str:
        """From the first cell that differs to the last. What is beside it, perhaps a picture, stays."""
        first, last, rest = 0, len(new), "\x1b[K"
        if old.cell_len == len(old) and new.cell_len == len(new):  # no wide characters: each is one cell
            there, wanted = self._cells(old), self._cells(new)
            differ = [i for i, (a, b) in enumerate(zip(there, wanted, strict=False)) if a != b]
            first = differ[0] if differ else min(len(there), len(wanted))
            if len(there) == len(wanted):
                last, rest = differ[-1] + 1 if differ else first, ""
        return f"\x1b[{line + 1};{first + 1}H{self._row(new[first:last])}{rest}"

    def _cells(self, line: Text) -> list[tuple[str, Style | None]]:
        return [(character, segment.style) for segment in line.render(self.console) for character in segment.text]

    def _row(self, line: Text) -> str:
        with self.console.capture() as capture:
            self.console.print(line, end="", no_wrap=True, overflow="crop", crop=True, highlight=False)
        return capture.get()


def write(console: Console, text: str) -> None:
    if text:
        console.file.write(text)
        console.file.flush()


@contextlib.contextmanager
def opened() -> Iterator[Screen]:
    """Afterwards the terminal is as it was, whatever happens inside."""
    screen = Screen(Console())
    write(screen.console, ENTER)
    try:
        yield screen
    finally:
        with contextlib.suppress(OSError):  # the terminal may be gone
            screen.close()


@contextlib.contextmanager
def keyboard() -> Iterator[Callable[[float], str]]:
    """Yields a function that waits at most the given number of seconds and returns the keys pressed, if any."""
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
    if not keys:  # an arrow alone, or a closed terminal, which is always ready
        return _no_key(max(0.0, until - time.monotonic()))
    return keys
