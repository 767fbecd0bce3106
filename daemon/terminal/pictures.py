"""A picture in a terminal: half blocks everywhere, two pixels to a character (its colour and its background's); finer
with kitty's graphics protocol in terminals that support it (kitty, Ghostty, WezTerm, Konsole).

https://sw.kovidgoyal.net/kitty/graphics-protocol/
"""

from __future__ import annotations

import base64
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.color import Color
from rich.color_triplet import ColorTriplet
from rich.style import Style
from rich.text import Text

from stylecore.errors import PhotoError
from stylecore.images.preview import small_picture

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = 6  # pixels in a character's width; its height has twice as many
CHUNK = 4096  # bytes, the protocol's limit
NUMBER = 7  # of the picture; a new picture with the same number replaces it
NO_PICTURE = f"\x1b_Ga=d,d=I,i={NUMBER},q=2\x1b\\"


def half_blocks(picture: bytes | Path, columns: int, rows: int) -> list[Text]:
    """As large as fits. Empty if the picture cannot be read, which does no harm: it is only for display."""
    small = _small(picture, columns, rows * 2)
    if small is None:
        return []
    width, height = small.size
    colours = list(small.get_flattened_data()) if hasattr(small, "get_flattened_data") else list(small.getdata())
    found = []
    for y in range(0, height, 2):
        line = Text()
        for x in range(width):
            upper = _colour(colours[y * width + x])
            lower = _colour(colours[(y + 1) * width + x]) if y + 1 < height else None
            line.append("▀", Style(color=upper, bgcolor=lower))
        found.append(line)
    return found


def speaks_kitty(environ: Mapping[str, str]) -> bool:
    """Whether the terminal is one of those by name. A multiplexer in between does not pass pictures through."""
    if "TMUX" in environ or "STY" in environ:
        return False
    konsole = environ.get("KONSOLE_VERSION", "")
    return (
        environ.get("TERM") in ("xterm-kitty", "xterm-ghostty")
        or environ.get("TERM_PROGRAM") in ("WezTerm", "ghostty")
        or (konsole.isdigit() and int(konsole) >= 220400)
    )


def kitty_picture(picture: bytes | Path, columns: int, rows: int) -> tuple[list[Text], str]:
    """The blank lines to reserve for the picture, and the sequence that draws it at the cursor. As large as fits;
    empty if the picture cannot be read."""
    small = _small(picture, columns * CELL, rows * 2 * CELL)
    if small is None:
        return [], ""
    wide, high = -(-small.width // CELL), -(-small.height // (2 * CELL))
    out = io.BytesIO()
    small.save(out, "PNG")
    data = base64.b64encode(out.getvalue()).decode()
    chunks = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]
    keys = f"a=T,f=100,i={NUMBER},p=1,c={wide},r={high},C=1,q=2,"
    said = [f"\x1b_G{'' if i else keys}m={int(i + 1 < len(chunks))};{chunk}\x1b\\" for i, chunk in enumerate(chunks)]
    return [Text(" " * wide) for _ in range(high)], "".join(said)


def open_picture(path: Path) -> bool:
    """Open it in the user's picture viewer, whose output stays out of our terminal. False if there is none."""
    if sys.platform == "win32":
        os.startfile(path)
        return True
    program = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if program is None:
        return False
    subprocess.Popen(
        [program, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    return True


def _small(picture: bytes | Path, width: int, height: int) -> Image | None:
    try:
        return small_picture(picture, width, height)
    except PhotoError:
        return None


def _colour(rgb: object) -> Color:
    return Color.from_triplet(ColorTriplet(*rgb))  # type: ignore[misc]
