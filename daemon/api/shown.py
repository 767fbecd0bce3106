"""``python -m daemon.api.shown EDGE FILE``: a picture of any format as a small JPEG on stdout, for a browser.

What clients send is hostile input, so it is decoded in a process of its own, never in the daemon's.
"""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

from stylecore.errors import PhotoError, StylefolderError

EDGE = 1600  # pixels, of a picture to look at
QUALITY = 88
WITHIN = 60.0  # seconds


def shown(picture: Path, edge: int) -> bytes:
    """A JPEG within ``edge`` pixels. Raises PhotoError."""
    command = [sys.executable, "-m", "daemon.api.shown", str(edge), str(picture)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=WITHIN)  # noqa: S603
    except subprocess.TimeoutExpired as e:
        raise PhotoError("The picture takes too long to read.") from e
    if done.returncode != 0 or not done.stdout:
        raise PhotoError("The picture cannot be shown.")
    return done.stdout


def main(edge: int, picture: Path) -> None:
    import numpy as np
    from PIL import Image

    from stylecore.images.decode import load_photo

    photo = load_photo(picture)
    width, height = photo.size
    share = min(1.0, edge / max(width, height))
    pixels = photo.resized(max(1, round(width * share)), max(1, round(height * share)))
    out = io.BytesIO()
    Image.fromarray((np.asarray(pixels) * 255).round().astype(np.uint8)).save(out, "JPEG", quality=QUALITY)
    sys.stdout.buffer.write(out.getvalue())


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    except StylefolderError as e:
        sys.exit(str(e))
