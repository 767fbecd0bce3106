"""``python -m presets.paint [NAME...]``: paint the style pictures again (needs scipy: ``pip install -e .[dev]``)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from presets.paint import pictures

NAMES = ("swirl", "oil", "watercolour", "woodblock", "pointillist", "charcoal", "stained_glass", "gouache", "pastel")
FOLDER = Path(__file__).parent.parent / "styles"


def main() -> None:
    for name in sys.argv[1:] or NAMES:
        start = time.perf_counter()
        painted = getattr(pictures, name)(np.random.default_rng(20 + NAMES.index(name)))
        path = FOLDER / f"{name.replace('_', '-')}.jpg"
        Image.fromarray(np.rint(painted * 255).astype(np.uint8)).save(path, quality=90, subsampling=0)
        print(f"{path} {path.stat().st_size // 1024} kB, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
