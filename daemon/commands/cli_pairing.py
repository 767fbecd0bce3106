"""The commands for another machine's daemon: `pair`, `connect`, `disconnect`, `clients` and `send`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon import paths
from daemon.commands.cli_options import Json, OrHere, Plain, PresetName, checked_address

pairing_app = typer.Typer(rich_markup_mode=None)
clients_app = typer.Typer(help="Who may use this daemon from elsewhere.", rich_markup_mode=None)


@pairing_app.command()
def pair(
    full: Annotated[bool, typer.Option("--full", help="It may act on all Jobs, and pause the daemon.")] = False,
) -> None:
    """Let another machine or a browser use this daemon: print what to run there, once, within ten minutes."""
    from daemon.commands import pairing

    line = pairing.invite(full=full)
    typer.echo(f"stylefolder connect '{line}'")
    if sys.stdout.isatty():
        typer.echo("\nIn a browser, open the address between the quotes. For a phone, scan it:\n")
        pairing.show_code(line)


@pairing_app.command()
def connect(
    line: Annotated[str | None, typer.Argument(help="From `stylefolder pair`.", metavar="LINE")] = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The new address of the daemon that you are connected to.",
            metavar="ADDRESS:PORT",
            callback=checked_address,
        ),
    ] = None,
) -> None:
    """Use the daemon of another machine from now on."""
    from daemon.commands import pairing

    if (line is None) == (address is None):
        raise typer.BadParameter("give the line from `stylefolder pair`, or --address.")
    found = pairing.join(line) if line is not None else pairing.move(address or "")
    typer.echo(f"Connected to {found.host}. The commands use its daemon, until you run `stylefolder disconnect`.")


@pairing_app.command()
def disconnect() -> None:
    """Use this machine again."""
    from daemon.commands import pairing

    for line in pairing.leave():
        typer.echo(line)


@pairing_app.command()
def send(
    folder: Annotated[Path, typer.Argument(help="The folder with the photos.", metavar="FOLDER")],
    preset: PresetName,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the Results.", metavar="OUT")],
    or_here: OrHere = False,
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Style a folder of photos. You can stop this and run it again: nothing is done twice."""
    from daemon.api.client import connect, connected
    from daemon.commands.send import send as run_send
    from daemon.errors import NoDaemon
    from daemon.folders.layout import Layout
    from daemon.folders.presets import get_preset
    from daemon.terminal.output import view

    try:
        client = connected(paths.connection_file()) or connect(paths.address_file())
    except NoDaemon:
        if not or_here:
            raise
        client = None
    chosen = get_preset(preset, Layout(paths.default_root()))
    with view(plain, as_json, folder.resolve()) as show:
        failed = run_send(client, folder, chosen, out, show, or_here=or_here)
    raise typer.Exit(1 if failed else 0)


@clients_app.callback(invoke_without_command=True)
def clients(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        from daemon.commands import pairing

        for line in pairing.listed():
            typer.echo(line)


@clients_app.command()
def remove(number: Annotated[int, typer.Argument(help="A client's number.", metavar="CLIENT")]) -> None:
    """Cut a client off, at once."""
    from daemon.commands import pairing

    typer.echo(f"{pairing.remove(number)} can no longer use this daemon.")
