"""Options that several commands share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer


def _checked_device(value: str) -> str:
    for name in value.split(","):
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name) or (name == "auto" and name != value):
            raise typer.BadParameter(f"There is no device {name!r}: use auto, or cpu, cuda, cuda:1, mps, or several.")
    return value


def checked_address(value: str | None) -> str | None:
    from daemon.settings import is_address

    if value is not None and not is_address(value):
        port = value if value.isdigit() else "8787"
        raise typer.BadParameter(f"{value!r} is not an address: give HOST:PORT, such as 192.168.1.10:{port}.")
    return value


Device = Annotated[
    str,
    typer.Option(
        help="auto, cpu, cuda, cuda:1 or mps; several with commas take as many photos at once. auto and cuda take all "
        "GPUs.",
        metavar="DEVICE",
        callback=_checked_device,
    ),
]
OrHere = Annotated[
    bool, typer.Option("--or-here", help="Use this machine if the connected one does not answer or refuses.")
]
Address = Annotated[str, typer.Argument(help="The daemon's address.", metavar="ADDRESS:PORT", callback=checked_address)]
Cluster = Annotated[
    str | None,
    typer.Option(help="Let other machines join at this address.", metavar="ADDRESS:PORT", callback=checked_address),
]
Listening = Annotated[
    str | None,
    typer.Option(
        help="Let paired clients on other machines reach this daemon here.",
        metavar="ADDRESS:PORT",
        callback=checked_address,
    ),
]
Worker = Annotated[
    str | None,
    typer.Option(
        help="Work for the daemon at this address, as `stylefolder worker` does.",
        metavar="ADDRESS:PORT",
        callback=checked_address,
    ),
]
PresetName = Annotated[
    str, typer.Option("--preset", "-p", help="A preset's name, or a .yaml file.", metavar="NAME|FILE")
]
Plain = Annotated[bool, typer.Option("--plain", help="Print a line per event, without bars.")]
RootFolder = Annotated[
    Path | None, typer.Argument(help="The folder to watch. The default is ~/Pictures/Stylefolder.", metavar="ROOT")
]
Json = Annotated[bool, typer.Option("--json", help="Print a JSON object per event.")]
