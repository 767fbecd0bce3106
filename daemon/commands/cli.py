"""The command line. Each command reads its arguments, calls one function, and turns the outcome into an exit status."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from daemon import paths
from daemon.commands.cli_groups import config_app, gimp_app, presets_app, service_app
from daemon.commands.cli_options import Device, Json, Plain, PresetName, RootFolder
from daemon.folders.layout import Layout
from daemon.paths import printable
from stylecore.limits import MAX_DPI, MAX_EDGE, MAX_SIZE, MAX_STEPS, MIN_DPI, MIN_SIZE, PRINT_DPI

app = typer.Typer(
    name="stylefolder",
    help="Drop a photo into a folder named after a style. The painting appears beside it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(presets_app, name="presets")
app.add_typer(gimp_app, name="gimp")
app.add_typer(service_app, name="service")
app.add_typer(config_app, name="config")

SIZES = f"a number from {MIN_SIZE} to {MAX_SIZE}, or full"
Size = Annotated[
    str | None,
    typer.Option(
        help=f"Long edge, in pixels, at which the optimiser works: {SIZES} for the photo's own size.",
        metavar="PX|full",
    ),
]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="A file; for several photos, a folder.", metavar="OUT")]
Steps = Annotated[
    int | None,
    typer.Option(
        min=1, max=MAX_STEPS, help="Steps of the scales with all layers; the finish follows in proportion.", metavar="N"
    ),
]


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
def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="Your own photo. The default is one from scikit-image.", metavar="PHOTO")
    ] = None,
    preset: PresetName = "oil",
    device: Device = "auto",
    plain: Plain = False,
) -> None:
    """Paint a real photo from start to finish, in a temporary folder."""
    from daemon.commands.demo import demo as run_demo
    from daemon.terminal.output import view

    with view(plain, as_json=False) as show:
        result = run_demo(photo, preset, device, show)
    if result is None:
        raise typer.Exit(1)
    typer.echo(f"The Result is {printable(result)}")


@app.command()
def apply(
    photos: Annotated[list[Path], typer.Argument(help="The photos.", metavar="PHOTO")],
    preset: PresetName,
    out: Out = None,
    size: Size = None,
    steps: Steps = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**32 - 1, help="Each number gives a different painting of the same photo.", metavar="N"
        ),
    ] = None,
    long_edge: Annotated[
        int | None, typer.Option(min=MIN_SIZE, max=MAX_EDGE, help="The Result's long edge, in pixels.", metavar="PX")
    ] = None,
    print_size: Annotated[
        str | None, typer.Option("--print", help="The Result's long edge on paper: 90cm, 36in.", metavar="LENGTH")
    ] = None,
    dpi: Annotated[
        int | None,
        typer.Option(min=MIN_DPI, max=MAX_DPI, help=f"Dots per inch. For a print, {PRINT_DPI}.", metavar="N"),
    ] = None,
    curve: Annotated[
        Path | None, typer.Option(help="Plot the losses to this .png, .svg or .pdf file.", metavar="FILE")
    ] = None,
    device: Device = "auto",
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Style photos now. If a daemon is running, it paints them ahead of its folders' photos."""
    from daemon.api.client import running_daemon
    from daemon.commands.apply import Request
    from daemon.commands.apply import apply as run_apply
    from daemon.terminal.output import view

    request = Request(preset, _pixels(size), steps, seed, long_edge, _centimetres(print_size), dpi)
    with view(plain, as_json) as show:
        failed = run_apply(photos, request, out, device, show, running_daemon(paths.address_file()), curve)
    raise typer.Exit(1 if failed else 0)


@app.command()
def look(
    photos: Annotated[list[Path], typer.Argument(help="The photos.", metavar="PHOTO")],
    like: Annotated[
        list[Path] | None,
        typer.Option("--like", help="A picture whose look you want. You can repeat this option.", metavar="PICTURE"),
    ] = None,
    lut: Annotated[
        Path | None, typer.Option("--lut", help="A table in place of a picture: .cube or HaldCLUT.", metavar="FILE")
    ] = None,
    out: Out = None,
    cube: Annotated[Path | None, typer.Option(help="Write the table to this .cube file.", metavar="FILE")] = None,
    hald: Annotated[
        Path | None, typer.Option(help="Write the table to this .png file, as a HaldCLUT.", metavar="FILE")
    ] = None,
    strength: Annotated[
        float, typer.Option(min=0, max=100, help="How much of the look, in percent.", metavar="N")
    ] = 100,
    series: Annotated[bool, typer.Option("--series", help="One table for all photos.")] = False,
    device: Device = "auto",
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Give photos the colours and tones of another picture, with every detail kept."""
    from daemon.commands.look import Request
    from daemon.commands.look import look as run_look
    from daemon.terminal.output import view

    request = Request(tuple(like or ()), lut, cube, hald, strength, series)
    with view(plain, as_json) as show:
        failed = run_look(photos, request, out, device, show)
    raise typer.Exit(1 if failed else 0)


@app.command()
def sheet(
    photo: Annotated[Path, typer.Argument(help="The photo.", metavar="PHOTO")],
    presets: Annotated[
        str | None, typer.Option(help="Only these presets, separated by commas. The default is all.", metavar="A,B,...")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="A picture, or a page with sliders (.html). The default is PHOTO-sheet.jpg.",
            metavar="OUT",
        ),
    ] = None,
    device: Device = "auto",
    plain: Plain = False,
) -> None:
    """Show a photo in every style on one sheet, so that you can choose."""
    from daemon.commands.sheet import make_sheet
    from daemon.folders.presets import Presets, get_preset
    from daemon.terminal.output import view

    layout = Layout(paths.default_root())
    if presets:
        chosen = [get_preset(name.strip(), layout) for name in presets.split(",")]
    else:
        chosen = list(Presets(layout).in_force.values())
    target = out or photo.with_name(f"{photo.stem}-sheet.jpg")
    with view(plain, as_json=False) as show:
        failed = make_sheet(photo, chosen, target, device, show)
    typer.echo(f"The sheet is {printable(target)}")
    raise typer.Exit(1 if failed else 0)


def _pixels(size: str | None) -> int | Literal["full"] | None:
    if size is None or size == "full":
        return size  # type: ignore[return-value]
    if not (size.isdecimal() and MIN_SIZE <= int(size) <= MAX_SIZE):
        raise typer.BadParameter(f"--size must be {SIZES}, not {size!r}.")
    return int(size)


def _centimetres(length: str | None) -> float | None:
    from stylecore.output import centimetres

    try:
        return None if length is None else float(centimetres(length))
    except ValueError as e:
        raise typer.BadParameter(f"--print {e}, not {length!r}.") from e


@app.command()
def watch(
    root: RootFolder = None,
    once: Annotated[bool, typer.Option("--once", help="Style what is in the Inboxes, then exit.")] = False,
    device: Device = "auto",
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Run the daemon in the foreground: style each photo dropped into an Inbox, until you press Ctrl+C."""
    from daemon.commands.install_gimp import address_files
    from daemon.log import logged
    from daemon.terminal.output import is_terminal, view, watch_view
    from daemon.watch import watch as run_watch

    root = (root or paths.default_root()).absolute()
    addresses = None if once else [paths.address_file(), *address_files()]
    with watch_view() if not once and is_terminal(plain, as_json) else view(plain, as_json) as show:
        tell = show if once else logged(show, paths.log_file())
        failed = run_watch(root, device, tell, once=once, address_files=addresses)
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

    client = connect(paths.address_file())
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
        typer.echo(summary(StatusOut.model_validate(found)))
    if not once:
        with view(plain, as_json) as show:
            for fields in client.events():
                if fields:
                    show(event_in(fields))


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

    return connect(paths.address_file()).ask(method, path)


@app.command()
def doctor(root: RootFolder = None, device: Device = "auto") -> None:
    """Check this machine: what is fine, what is not, and how to fix it."""
    from daemon.commands.doctor import examine

    sound = True
    for finding in examine(Layout((root or paths.default_root()).absolute()), device):
        sound &= finding.ok
        typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {printable(finding.text)}")
    raise typer.Exit(0 if sound else 1)
