"""A picture in a terminal: in half blocks everywhere, two pixels to a character, the upper's colour and its background's;
finer by kitty's graphics protocol, where the terminal speaks it (kitty, Ghostty, WezTerm, Konsole).

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

if TYPE_CHECKING:
    from PIL.Image import Image

CELL = 6  # pixels of width that a character is given; twice as many of height
CHUNK = 4096  # bytes: the protocol's most
NUMBER = 7  # the picture's; another one under it takes its place
NO_PICTURE = f"\x1b_Ga=d,d=I,i={NUMBER},q=2\x1b\\"


def half_blocks(picture: bytes | Path, columns: int, rows: int) -> list[Text]:
    """As large as fits. Empty where it cannot be read: a picture that is only shown is no one's loss."""
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
    """By the names under which those terminals are known. A multiplexer between keeps pictures to itself."""
    if "TMUX" in environ or "STY" in environ:
        return False
    konsole = environ.get("KONSOLE_VERSION", "")
    return (
        environ.get("TERM") in ("xterm-kitty", "xterm-ghostty")
        or environ.get("TERM_PROGRAM") in ("WezTerm", "ghostty")
        or (konsole.isdigit() and int(konsole) >= 220400)
    )


def kitty_picture(picture: bytes | Path, columns: int, rows: int) -> tuple[list[Text], str]:
    """The blank lines over which it lies, and what draws it where the cursor is. As large as fits; empty as above."""
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
    """In the program that the user has for it, which says nothing into our terminal. False where there is none."""
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
    """At most so many pixels."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture) as image:
            image.draft("RGB", (width * 2, height * 2))  # a large JPEG is decoded small
            small = image.convert("RGB")
        small.thumbnail((width, height), Image.Resampling.BOX)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    return small


def _colour(rgb: object) -> Color:
    return Color.from_triplet(ColorTriplet(*rgb))  # type: ignore[misc]
