"""The commands that style photos: `demo`, `apply`, `look` and `sheet`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from daemon import paths
from daemon.commands.cli_options import Device, Json, OrHere, Plain, PresetName
from daemon.folders.layout import Layout
from daemon.paths import printable
from stylecore.limits import MAX_DPI, MAX_EDGE, MAX_SIZE, MAX_STEPS, MIN_DPI, MIN_SIZE, PRINT_DPI

styling_app = typer.Typer()

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


@styling_app.command()
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


@styling_app.command()
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
    or_here: OrHere = False,
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Style photos now. If a daemon is running, it paints them ahead of its folders' photos."""
    from daemon.api.client import connected, running_daemon
    from daemon.commands.apply import Request
    from daemon.commands.apply import apply as run_apply
    from daemon.terminal.output import view

    request = Request(preset, _pixels(size), steps, seed, long_edge, _centimetres(print_size), dpi)
    with view(plain, as_json) as show:
        client = connected(paths.connection_file()) or running_daemon(paths.address_file())
        failed = run_apply(photos, request, out, device, show, client, curve, or_here=or_here)
    raise typer.Exit(1 if failed else 0)


@styling_app.command()
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


@styling_app.command()
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
    or_here: OrHere = False,
    plain: Plain = False,
) -> None:
    """Show a photo in every style on one sheet, so that you can choose."""
    from daemon.api.client import connected
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
        client = connected(paths.connection_file()) if device == "auto" else None
        failed = make_sheet(photo, chosen, target, device, show, client, or_here=or_here)
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
