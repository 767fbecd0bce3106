"""The commands. Each reads its arguments, calls one function of another room and turns the outcome into an exit status."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from daemon import paths
from stylecore.errors import PresetError

app = typer.Typer(
    name="stylefolder",
    help="Drop a photo into a folder named after a style; the painting appears beside it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
presets_app = typer.Typer(help="The styles: list, show, check, make a new one.", rich_markup_mode=None)
app.add_typer(presets_app, name="presets")
gimp_app = typer.Typer(help="The plug-in for GIMP 3.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(gimp_app, name="gimp")

service_app = typer.Typer(help="Start with the session.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(service_app, name="service")
config_app = typer.Typer(help="The settings.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(config_app, name="config")

Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
PresetName = Annotated[str, typer.Option("--preset", "-p", help="A preset's name, or a .yaml file.")]
Size = Annotated[
    str | None,
    typer.Option(
        help="Long edge in pixels at which the optimiser works, 32 to 16384; full: the photo's own.", metavar="PX|full"
    ),
]
Steps = Annotated[int | None, typer.Option(min=1, max=20000, help="Steps in all, over the preset's scales.")]
Plain = Annotated[bool, typer.Option("--plain", help="A line per event, no bars.")]
Json = Annotated[bool, typer.Option("--json", help="A JSON object per event.")]


def _version(wanted: bool) -> None:
    if wanted:
        import importlib.metadata

        typer.echo(f"stylefolder {importlib.metadata.version('stylefolder')}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Which stylefolder this is.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    if debug:
        os.environ["STYLEFOLDER_DEBUG"] = "1"


@app.command()
def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="Your own photo; by default one that scikit-image ships.")
    ] = None,
    preset: PresetName = "oil",
    device: Device = "auto",
    plain: Plain = False,
) -> None:
    """A real photo through the whole way, in a temporary folder."""
    from daemon.commands.demo import demo as run_demo
    from daemon.terminal.output import view

    with view(plain, as_json=False) as show:
        result = run_demo(photo, preset, device, show)
    if result is None:
        raise typer.Exit(1)
    typer.echo(f"The Result lies in {result}")


@app.command()
def apply(
    photos: Annotated[list[Path], typer.Argument(help="The photos.", metavar="PHOTO...")],
    preset: PresetName,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A file, or a folder for several photos.")] = None,
    size: Size = None,
    steps: Steps = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="Another painting of the same photo.")] = None,
    curve: Annotated[
        Path | None, typer.Option(help="Plot the losses into this .png, .svg or .pdf.", metavar="FILE")
    ] = None,
    device: Device = "auto",
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Style photos now: by the running daemon, ahead of its folders' photos, or without one."""
    from daemon.api.client import running_daemon
    from daemon.commands.apply import Recipe
    from daemon.commands.apply import apply as run_apply
    from daemon.terminal.output import view

    with view(plain, as_json) as show:
        failed = run_apply(
            photos,
            Recipe(preset, _pixels(size), steps, seed),
            out,
            device,
            show,
            running_daemon(paths.address_file()),
            curve,
        )
    raise typer.Exit(1 if failed else 0)


@app.command()
def sheet(
    photo: Annotated[Path, typer.Argument(help="The photo.")],
    presets: Annotated[
        str | None, typer.Option(help="Only these, with commas between; by default all.", metavar="A,B,...")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A picture, or a page with sliders (.html); by default PHOTO-sheet.jpg."),
    ] = None,
    device: Device = "auto",
    plain: Plain = False,
) -> None:
    """Choose a style by looking: the photo under every preset, small, on one sheet."""
    from daemon.commands.sheet import make_sheet
    from daemon.folders.presets import Library, get_preset
    from daemon.terminal.output import view

    root = paths.default_root()
    chosen = (
        [get_preset(name.strip(), root) for name in presets.split(",")]
        if presets
        else list(Library(root).presets.values())
    )
    target = out or photo.with_name(f"{photo.stem}-sheet.jpg")
    with view(plain, as_json=False) as show:
        failed = make_sheet(photo, chosen, target, device, show)
    typer.echo(f"The sheet lies in {paths.printable(target)}")
    raise typer.Exit(1 if failed else 0)


def _pixels(size: str | None) -> int | Literal["full"] | None:
    if size is None or size == "full":
        return size  # type: ignore[return-value]
    if not (size.isdecimal() and 32 <= int(size) <= 16384):
        raise typer.BadParameter(f"--size is a number from 32 to 16384, or full, and not {size!r}.")
    return int(size)


@app.command()
def watch(
    root: Annotated[Path | None, typer.Argument(help="The folder to watch; by default ~/Pictures/Stylefolder.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Style what lies in the Inboxes, then end.")] = False,
    device: Device = "auto",
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """The daemon in the foreground: styles each photo dropped into an Inbox, until ctrl-C."""
    from daemon.log import logged
    from daemon.terminal.output import live_view, view, view_on_terminal
    from daemon.watch import watch as run_watch

    root = (root or paths.default_root()).absolute()
    with live_view() if not once and view_on_terminal(plain, as_json) else view(plain, as_json) as show:
        tell = show if once else logged(show, paths.log_file())
        failed = run_watch(root, device, tell, once=once, api=not once)
    raise typer.Exit(1 if once and failed else 0)


@app.command()
def status(
    once: Annotated[bool, typer.Option("--once", help="How it is now, and no more.")] = False,
    as_json: Json = False,
    plain: Plain = False,
) -> None:
    """What the running daemon does, until ctrl-C; the daemon goes on."""
    from daemon.api.client import NoDaemon, connect
    from daemon.terminal.output import attached_view, view, view_on_terminal
    from daemon.terminal.summary import follow, summary

    client = connect(paths.address_file())
    if not once and view_on_terminal(plain, as_json):
        if attached_view(client):
            raise NoDaemon("The daemon has ended: `stylefolder watch` starts it again.")
        return
    if once:
        import json

        found = client.ask("GET", "/v1/status")
        typer.echo(json.dumps(found) if as_json else summary(found))
        return
    if not as_json:
        typer.echo(summary(client.ask("GET", "/v1/status")))
    with view(plain, as_json) as show:
        follow(client, show)


@app.command()
def pause() -> None:
    """Begin no further Job; the one that runs is finished."""
    _ask("POST", "/v1/pause")
    typer.echo("Paused: `stylefolder resume` lets it go on.")


@app.command()
def resume() -> None:
    """Go on after a pause."""
    _ask("POST", "/v1/resume")
    typer.echo("It goes on.")


@app.command()
def cancel(job: Annotated[int, typer.Argument(help="A Job's number.")]) -> None:
    """Cancel a Job; one that runs stops before its next step."""
    found = _ask("DELETE", f"/v1/jobs/{job}")
    if found["state"] == "cancelled":
        typer.echo(f"Job {job} is cancelled; `stylefolder retry {job}` takes it up again.")
    else:
        typer.echo(
            f"Job {job} {'has failed' if found['state'] == 'failed' else 'is done'} already: there is nothing to cancel."
        )


@app.command()
def retry(
    job: Annotated[int | None, typer.Argument(help="A Job's number.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that failed.")] = False,
) -> None:
    """Try a failed or cancelled Job again."""
    if failed == (job is not None):
        raise typer.BadParameter("name a Job's number, or give --failed.")
    again = _ask("POST", "/v1/retry")["jobs"] if failed else [_ask("POST", f"/v1/jobs/{job}/retry")]
    typer.echo(f"{len(again)} queued again.")


def _ask(method: str, path: str) -> Any:
    from daemon.api.client import connect

    return connect(paths.address_file()).ask(method, path)


@app.command()
def doctor(
    root: Annotated[Path | None, typer.Argument(help="The Root to look at.")] = None, device: Device = "auto"
) -> None:
    """What is right here, what is not, and how to mend it."""
    from daemon.commands.doctor import examine

    sound = True
    for finding in examine((root or paths.default_root()).absolute(), device):
        sound &= finding.ok
        typer.echo(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {paths.printable(finding.text)}")
    raise typer.Exit(0 if sound else 1)


@presets_app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_presets()


@presets_app.command("list")
def list_presets() -> None:
    """All presets in force, and what is wrong with broken ones."""
    from daemon.folders.presets import Library

    library = Library(paths.default_root())
    width = max(map(len, library.presets), default=0)
    for name, preset in library.presets.items():
        typer.echo(f"{name:{width}}  {preset.description}")
    if library.errors:
        raise PresetError("\n".join(library.errors.values()))


@presets_app.command()
def show(name: Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.")]) -> None:
    """Every key of a preset, defaults included, as YAML."""
    import yaml

    from daemon.folders.presets import get_preset

    preset = get_preset(name, paths.default_root())
    typer.echo(
        yaml.safe_dump(preset.model_dump(mode="json", exclude={"name", "digest"}), sort_keys=False, allow_unicode=True),
        nl=False,
    )


@presets_app.command()
def check(name: Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.")]) -> None:
    """Say whether a preset is right, or each mistake with its line."""
    from daemon.folders.presets import get_preset

    preset = get_preset(name, paths.default_root())
    typer.echo(
        f"{name} is right: preset {preset.name!r} after {', '.join(style.picture.name for style in preset.style)}."
    )


@presets_app.command()
def new(
    name: Annotated[str, typer.Argument(help="Its name, and its Inbox's.")],
    style: Annotated[list[Path], typer.Option("--style", help="A style picture; may be given several times.")],
    sample: Annotated[bool, typer.Option(help="Paint a small sample beside it.")] = True,
    device: Device = "auto",
) -> None:
    """Write a preset into the configuration folder, every key explained; paint a sample."""
    from daemon.commands.demo import packaged_photograph
    from daemon.commands.new_preset import paint_sample, write_preset
    from daemon.terminal.output import view
    from stylecore.errors import PhotoError

    path = write_preset(name, style, paths.config_folder() / paths.PRESETS)
    typer.echo(f"{path} is written; edit it as you like, and drop photos into the Inbox {name!r}.")
    if (paths.SHIPPED / path.name).exists():
        typer.echo(f"It takes the place of the preset {name!r} that ships; without the file that is back.")
    if sample:
        try:
            photo = packaged_photograph()
        except PhotoError:
            photo = paths.SHIPPED / "styles" / "gouache.jpg"
        typer.echo("Painting a sample, which takes a while; ctrl-C does without.")
        with view(plain=False, as_json=False) as show:
            painted = paint_sample(path, photo, device, show)
        typer.echo(f"A sample: {painted}")


@gimp_app.command()
def install() -> None:
    """Put the plug-in where each GIMP 3 of yours looks for it."""
    from daemon.commands import install_gimp

    for folder in install_gimp.install():
        typer.echo(f"Installed in {folder}")
    typer.echo("Start GIMP again: Filters > Artistic > Style Transfer (Stylefolder)...")


@gimp_app.command()
def remove() -> None:
    """Take the plug-in away."""
    from daemon.commands import install_gimp

    for folder in install_gimp.remove():
        typer.echo(f"Removed {folder}")


@gimp_app.command()
def where() -> None:
    """The plug-in's folders, and whether all is well in them."""
    from daemon.commands import install_gimp

    if not (folders := install_gimp.plug_in_folders()):
        typer.echo("No GIMP 3 was found: install GIMP 3 and start it once.")
    for plug_ins in folders:
        found = next((known for known in install_gimp.installed() if known.folder.parent == plug_ins), None)
        typer.echo(f"{plug_ins}: {'not installed' if found is None else found.fault or 'installed'}")


@service_app.command("install")
def install_service(
    root: Annotated[Path | None, typer.Argument(help="The Root to watch; by default ~/Pictures/Stylefolder.")] = None,
) -> None:
    """The daemon starts now and with each session (systemd --user, launchd)."""
    from daemon.commands import install_service

    typer.echo(f"Installed and started: {install_service.install(root and root.absolute())}")


@service_app.command("remove")
def remove_service() -> None:
    """It ends, and starts no more by itself."""
    from daemon.commands import install_service

    path = install_service.remove()
    typer.echo(f"Removed {path}" if path else "It is not installed.")


@config_app.command("edit")
def edit_config() -> None:
    """Open the settings in your editor; then they are checked."""
    from daemon.commands import config

    config.edit(paths.settings_file())
    typer.echo(f"{paths.settings_file()} is sound.")


@config_app.command("path")
def config_path() -> None:
    """Where the settings lie."""
    typer.echo(paths.settings_file())


@config_app.command("show")
def show_config() -> None:
    """The settings in force."""
    from daemon.commands import config

    typer.echo(config.shown(paths.settings_file()), nl=False)
