"""The commands that come in groups: `presets`, `gimp`, `service`, `cluster` and `config`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon import certificates, paths
from daemon.commands.cli_options import Device, RootFolder, Worker
from daemon.folders.layout import Layout
from daemon.paths import printable
from stylecore.errors import PhotoError, PresetError

presets_app = typer.Typer(help="The styles: list, show, check or create presets.", rich_markup_mode=None)
gimp_app = typer.Typer(help="The plug-in for GIMP 3.", rich_markup_mode=None, no_args_is_help=True)
service_app = typer.Typer(help="Start Stylefolder when you log in.", rich_markup_mode=None, no_args_is_help=True)
cluster_app = typer.Typer(help="Other machines that work for this one.", rich_markup_mode=None, no_args_is_help=True)
config_app = typer.Typer(help="The settings.", rich_markup_mode=None, no_args_is_help=True)


@presets_app.callback(invoke_without_command=True)
def presets(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_presets()


@presets_app.command("list")
def list_presets() -> None:
    """List all presets, and what is wrong with broken ones."""
    from daemon.folders.presets import Presets

    found = Presets(Layout(paths.default_root()))
    width = max((len(printable(name)) for name in found.in_force), default=0)
    for name, preset in found.in_force.items():
        typer.echo(f"{printable(name):{width}}  {printable(preset.description)}")
    if found.errors:
        raise PresetError("\n".join(found.errors.values()))


@presets_app.command()
def show(name: Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.", metavar="NAME|FILE")]) -> None:
    """Show every key of a preset, defaults included, as YAML."""
    from daemon.folders.presets import get_preset
    from stylecore.preset import as_yaml

    typer.echo(as_yaml(get_preset(name, Layout(paths.default_root()))), nl=False)


@presets_app.command()
def check(name: Annotated[str, typer.Argument(help="A preset's name, or a .yaml file.", metavar="NAME|FILE")]) -> None:
    """Check a preset, and name each mistake with its line."""
    from daemon.folders.presets import get_preset
    from stylecore.lut_files import read_lut
    from stylecore.preset import Look, files_of

    preset = get_preset(name, Layout(paths.default_root()))
    if isinstance(preset, Look) and preset.lut is not None:
        read_lut(preset.lut)
    after = ", ".join(file.name for file in files_of(preset))
    typer.echo(printable(f"{name} is fine: {preset.transfer} {preset.name!r}, styled after {after}."))


@presets_app.command()
def new(
    name: Annotated[str, typer.Argument(help="The name of the preset and its Inbox.", metavar="NAME")],
    style: Annotated[
        list[Path], typer.Option("--style", help="A style picture. You can repeat this option.", metavar="PICTURE")
    ],
    sample: Annotated[bool, typer.Option(help="Paint a small sample beside it.")] = True,
    device: Device = "auto",
) -> None:
    """Write a preset into the configuration folder, with every key explained, and paint a sample."""
    from daemon.commands.demo import packaged_photograph
    from daemon.commands.new_preset import paint_sample, write_preset
    from daemon.terminal.output import view

    path = write_preset(name, style, paths.user_presets())
    typer.echo(f"Created {path}. Edit it as you like, and drop photos into the Inbox {name!r}.")
    if (paths.SHIPPED_PRESETS / path.name).exists():
        typer.echo(f"It replaces the shipped preset {name!r}. To get that back, delete the file.")
    if sample:
        try:
            photo = packaged_photograph()
        except PhotoError:
            photo = paths.SHIPPED_PRESETS / "styles" / "gouache.jpg"
        typer.echo("Painting a sample. To skip it, press Ctrl+C.")
        with view(plain=False, as_json=False) as show:
            painted = paint_sample(path, photo, device, show)
        typer.echo(f"The sample is {painted}")


@gimp_app.command()
def install() -> None:
    """Install the plug-in for each GIMP 3 that you have."""
    from daemon.commands import install_gimp

    for folder in install_gimp.install():
        typer.echo(f"Installed in {folder}")
    typer.echo("Restart GIMP, then choose Filters > Artistic > Style Transfer (Stylefolder)...")


@gimp_app.command()
def remove() -> None:
    """Remove the plug-in."""
    from daemon.commands import install_gimp

    for folder in install_gimp.remove():
        typer.echo(f"Removed {folder}")


@gimp_app.command()
def where() -> None:
    """Show the plug-in folders, and check the plug-in in each of them."""
    from daemon.commands import install_gimp

    if not (folders := install_gimp.plug_in_folders()):
        typer.echo("GIMP 3 was not found. Install it and start it once.")
    installed = {found.folder.parent: found for found in install_gimp.installed()}
    for plug_ins in folders:
        found = installed.get(plug_ins)
        typer.echo(f"{plug_ins}: {'not installed' if found is None else found.fault or 'installed'}")


@service_app.command("install")
def install_service(
    root: RootFolder = None,
    worker: Worker = None,
    certificate: Annotated[
        Path | None, typer.Option(help="With --worker: the file from the daemon's machine.", metavar="FILE")
    ] = None,
    device: Device = "auto",
) -> None:
    """Start the daemon now and whenever you log in (systemd --user, launchd)."""
    from daemon.commands import install_service as services

    arguments: list[str | Path]
    if worker is None:
        if certificate is not None:
            raise typer.BadParameter("--certificate is for --worker.")
        service, arguments = services.DAEMON, ["watch", "--plain", *([root.absolute()] if root else [])]
    else:
        if root is not None or certificate is None:
            raise typer.BadParameter("--worker needs --certificate FILE, and no ROOT.")
        certificates.load(certificate)
        service, arguments = services.WORKER, ["worker", worker, "--certificate", certificate.absolute()]
    if device != "auto":
        arguments += ["--device", device]
    typer.echo(f"Installed and started: {services.install(service, arguments)}")


@service_app.command("remove")
def remove_service(
    worker: Annotated[bool, typer.Option("--worker", help="The worker for another machine's daemon.")] = False,
) -> None:
    """Stop the daemon, and no longer start it when you log in."""
    from daemon.commands import install_service as services

    path = services.remove(services.WORKER if worker else services.DAEMON)
    typer.echo(f"Removed {path}" if path else "The service is not installed.")


@config_app.command("edit")
def edit_config() -> None:
    """Open the settings in your editor, then check them."""
    from daemon.commands import config

    config.edit(paths.settings_file())
    typer.echo(f"{paths.settings_file()} is fine.")


@config_app.command("path")
def config_path() -> None:
    """Show where the settings file is."""
    typer.echo(paths.settings_file())


@config_app.command("show")
def show_config() -> None:
    """Show the current settings."""
    from daemon.commands import config

    typer.echo(config.shown(paths.settings_file()), nl=False)


@cluster_app.callback()
def cluster() -> None: ...


@cluster_app.command()
def renew() -> None:
    """Make new certificates, and refuse the old ones."""
    from daemon.cluster import invitation

    typer.echo(f"Created {invitation.renew()}. Copy the file to the other machines: they cannot join without it.")
    typer.echo(invitation.TRUST)
