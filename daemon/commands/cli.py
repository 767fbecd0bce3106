"""The command line. Each command reads its arguments, calls one function, and turns the outcome into an exit status."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from daemon import paths
from daemon.commands.cli_groups import cluster_app, config_app, gimp_app, presets_app, service_app
from daemon.commands.cli_options import Address, Cluster, Device, Json, Listening, Plain, RootFolder
from daemon.commands.cli_pairing import clients_app, pairing_app
from daemon.commands.cli_styling import styling_app
from daemon.folders.layout import Layout
from daemon.paths import printable

app = typer.Typer(
    name="stylefolder",
    help="Drop a photo into a folder named after a style. The painting appears beside it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(styling_app)
app.add_typer(pairing_app)
app.add_typer(clients_app, name="clients")
app.add_typer(presets_app, name="presets")
app.add_typer(gimp_app, name="gimp")
app.add_typer(service_app, name="service")
app.add_typer(cluster_app, name="cluster")
app.add_typer(config_app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"stylefolder {importlib.metadata.version('stylefolder')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    if debug:
        os.environ["STYLEFOLDER_DEBUG"] = "1"


@app.command()
def watch(
    root: RootFolder = None,
    once: Annotated[bool, typer.Option("--once", help="Style what is in the Inboxes, then exit.")] = False,
    device: Device = "auto",
    cluster: Cluster = None,
    listen: Listening = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="With --listen: your own certificate, in PEM.", metavar="FILE")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, in PEM.", metavar="FILE")] = None,
    behind_proxy: Annotated[
        str | None,
        typer.Option(help="With --listen: a proxy with this name passes requests on, and does TLS.", metavar="HOST"),
    ] = None,
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Run the daemon in the foreground: style each photo dropped into an Inbox, until you press Ctrl+C."""
    from daemon.api.outside import Listen
    from daemon.commands.install_gimp import address_files
    from daemon.log import logged
    from daemon.terminal.output import is_terminal, view, watch_view
    from daemon.watch import watch as run_watch

    root = (root or paths.default_root()).absolute()
    if listen is None and (tls_certificate or tls_key or behind_proxy):
        raise typer.BadParameter("--tls-certificate, --tls-key and --behind-proxy are for --listen.")
    if behind_proxy and (tls_certificate or tls_key):
        raise typer.BadParameter("behind a proxy, the certificate is the proxy's: leave out --tls-certificate.")
    outside = None if listen is None else Listen(listen, tls_certificate, tls_key, behind_proxy)
    addresses = None if once else [paths.address_file(), *address_files()]
    with watch_view() if not once and is_terminal(plain, as_json) else view(plain, as_json) as show:
        tell = show if once else logged(show, paths.log_file())
        failed = run_watch(root, device, tell, once=once, address_files=addresses, cluster=cluster, listen=outside)
    raise typer.Exit(1 if once and failed else 0)


@app.command()
def status(
    once: Annotated[bool, typer.Option("--once", help="Show the status once, then exit.")] = False,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """Show what the running daemon is doing, until you press Ctrl+C. The daemon keeps running."""
    from daemon.api.client import ENDED, connect
    from daemon.api.schema import StatusOut, event_in
    from daemon.errors import NoDaemon
    from daemon.terminal.output import attached_view, is_terminal, view
    from daemon.terminal.summary import summary

    client = connect(paths.address_file(), paths.connection_file())
    if not once and is_terminal(plain, as_json):
        if attached_view(client):
            raise NoDaemon(ENDED)
        return
    found = client.ask("GET", "/v1/status")
    if once and as_json:
        import json

        typer.echo(json.dumps(found))
        return
    if not as_json:
        typer.echo(summary(StatusOut.model_validate(found), client.address.host if client.address.elsewhere else None))
    if not once:
        with view(plain, as_json) as show:
            for fields in client.events():
                if fields:
                    show(event_in(fields))


@app.command()
def worker(
    address: Address,
    certificate: Annotated[Path, typer.Option(help="The file from the daemon's machine.", metavar="FILE")],
    device: Device = "auto",
) -> None:
    """Style photos for the daemon on another machine, until you press Ctrl+C."""
    from daemon.commands.worker import work

    work(address, certificate, device, typer.echo)


@app.command()
def pause() -> None:
    """Pause: finish the running Job, and start no other."""
    _ask("POST", "/v1/pause")
    typer.echo("Paused. To continue, run `stylefolder resume`.")


@app.command()
def resume() -> None:
    """Continue after a pause."""
    _ask("POST", "/v1/resume")
    typer.echo("Resumed.")


@app.command()
def cancel(job: Annotated[int, typer.Argument(help="A Job's number.", metavar="JOB")]) -> None:
    """Cancel a Job. If it is running, it stops before its next step."""
    ended = {"failed": "has already failed", "done": "is already done"}
    state = _ask("GET", f"/v1/jobs/{job}")["state"]
    if state not in (*ended, "cancelled"):  # a DELETE of a finished Job removes what was sent
        state = _ask("DELETE", f"/v1/jobs/{job}")["state"]
    if state in ended:
        typer.echo(f"Job {job} {ended[state]}: there is nothing to cancel.")
    else:
        typer.echo(f"Job {job} is cancelled. To start it again, run `stylefolder retry {job}`.")


@app.command()
def retry(
    job: Annotated[int | None, typer.Argument(help="A Job's number.", metavar="JOB")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All Jobs that failed.")] = False,
) -> None:
    """Try a failed or cancelled Job again."""
    if failed == (job is not None):
        raise typer.BadParameter("give either a Job's number or --failed.")
    if failed:
        count = _ask("POST", "/v1/retry")["count"]
    else:
        _ask("POST", f"/v1/jobs/{job}/retry")
        count = 1
    typer.echo(f"{count} queued again.")


def _ask(method: str, path: str) -> Any:
    from daemon.api.client import connect

    return connect(paths.address_file(), paths.connection_file()).ask(method, path)


@app.command()
def doctor(root: RootFolder = None, device: Device = "auto") -> None:
    """Check this machine: what is fine, what is not, and how to fix it."""
    from daemon.commands.doctor import examine

    sound = True
    for finding in examine(Layout((root or paths.default_root()).absolute()), device):
        sound &= finding.ok
        typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {printable(finding.text)}")
    raise typer.Exit(0 if sound else 1)
