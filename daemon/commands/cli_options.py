"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
PresetName = Annotated[str, typer.Option("--preset", "-p", help="A preset's name, or a .yaml file.")]
Plain = Annotated[bool, typer.Option("--plain", help="Print a line per event, without bars.")]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object per event.")]
