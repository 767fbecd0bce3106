"""The first start: a short README in the Root says what its folders are for."""

from __future__ import annotations

import contextlib
from pathlib import Path

from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_whole

README = "README.txt"
TEXT = """\
Drop a photo into one of these folders. Each is named after a style; the painting
appears in its folder `styled`, and the photo stays as it is.

A folder of photos may be dropped, too. If something fails, the reason lies in the
folder `failed`.

A style of your own: make a folder here, and put a picture named style.jpg into it.
To see all styles on a photo of yours:  stylefolder sheet PHOTO
How it is:                              stylefolder status
What is right and what is not:          stylefolder doctor

This file may be deleted; it does not come back while .stylefolder is here.
"""


def welcome(root: Path) -> None:
    """Once: a Root that has a Ledger is no new one."""
    if not (root / ".stylefolder" / "ledger.sqlite3").exists() and not (root / README).exists():
        with contextlib.suppress(ResultError):  # the Root may be full or closed; what matters says so itself
            write_whole(root / README, TEXT.encode())
