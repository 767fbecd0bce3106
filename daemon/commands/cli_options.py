"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", metavar="DEVICE")]
PresetName = Annotated[
    str, typer.Option("--preset", "-p", help="A preset's name, or a .yaml file.", metavar="NAME|FILE")
]
Plain = Annotated[bool, typer.Option("--plain", help="Print a line per event, without bars.")]
RootFolder = Annotated[
    Path | None, typer.Argument(help="The folder to watch. The default is ~/Pictures/Stylefolder.", metavar="ROOT")
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object per event.")]
