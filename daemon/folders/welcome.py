"""The first start: a short README in the Root says what its folders are for."""

from __future__ import annotations

import contextlib

from daemon.folders.layout import Layout
from stylecore.errors import ResultError
from stylecore.images.atomic_write import write_whole

README = "README.txt"
TEXT = """\
Drop a photo into one of these folders. Each is named after a style. The painting
appears in the folder's `styled` folder, and your photo stays as it is.

You can also drop a folder of photos. If something fails, the `failed` folder
says why.

To make a style of your own, create a folder here and put a picture named
style.jpg into it, or look.jpg if only the colours should change.

See all styles on your own photo:    stylefolder sheet PHOTO
See what is going on:                stylefolder status
Find out what is wrong:              stylefolder doctor

You can delete this file. It does not come back while .stylefolder is here.
"""


def welcome(layout: Layout) -> None:
    """Once: in a Root that no daemon has used."""
    readme = layout.root / README
    if not any(layout.own_folder.iterdir()) and not readme.exists():
        with contextlib.suppress(ResultError):  # a full or read-only Root is reported elsewhere
            write_whole(readme, TEXT.encode())
