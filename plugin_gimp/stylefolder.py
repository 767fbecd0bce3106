#!/usr/bin/env python3
"""GIMP 3 plug-in: send the current layer to the Stylefolder daemon, and insert the result as a new layer above it."""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib, GObject  # noqa: E402
from layers import Pixels, check, insert  # noqa: E402
from link import Daemon, NotRunning, Trouble, connect, is_look  # noqa: E402

PROCEDURE = "plug-in-stylefolder"
FOLDER = Path(__file__).resolve().parent
LOG = FOLDER / "stylefolder.log"
DEFAULT_PRESET = "oil"
MAX_SIZE = 100_000  # pixels, for GIMP's entry; the daemon knows what it can paint


def _(message: str) -> str:
    return GLib.dgettext(None, message)


class Stylefolder(Gimp.PlugIn):
    def do_set_i18n(self, name: str) -> bool:
        return False  # there are no translations yet

    def do_query_procedures(self) -> list[str]:
        return [PROCEDURE]

    def do_create_procedure(self, name: str) -> Gimp.Procedure:
        procedure = Gimp.ImageProcedure.new(self, name, Gimp.PDBProcType.PLUGIN, run, None)
        procedure.set_image_types("RGB*, GRAY*")
        procedure.set_sensitivity_mask(Gimp.ProcedureSensitivityMask.DRAWABLE | Gimp.ProcedureSensitivityMask.DRAWABLES)
        procedure.set_menu_label(_("Style Transfer (Stylefolder)..."))
        procedure.add_menu_path("<Image>/Filters/Artistic")
        procedure.set_documentation(
            _("Paint the layer in the style of a picture, or give it a look"),
            _(
                "Sends the selected layers to the Stylefolder daemon, which is started if necessary, and inserts each "
                "result as a new layer above its source. Strength is the new layer's opacity; you can change it "
                "later."
            ),
            name,
        )
        procedure.set_attribution("Stylefolder", "Stylefolder", "2026")
        flags = GObject.ParamFlags.READWRITE
        procedure.add_string_argument("preset", _("_Style"), _("The name of a preset"), DEFAULT_PRESET, flags)
        procedure.add_double_argument(
            "strength", _("St_rength"), _("Opacity of the result over the photo, in percent"), 0, 100, 100, flags
        )
        procedure.add_int_argument(
            "size",
            _("Si_ze (0: the style's own)"),
            _("Long edge, in pixels, at which to paint. Smaller values are faster and give larger strokes."),
            0,
            MAX_SIZE,
            0,
            flags,
        )
        procedure.add_boolean_argument(
            "keep-colours", _("_Keep the photo's colours"), _("Use only the style's strokes"), False, flags
        )
        return procedure


def run(
    procedure: Gimp.Procedure, run_mode: Gimp.RunMode, image: Gimp.Image, drawables: list[Gimp.Drawable],
    config: Gimp.ProcedureConfig, data: Any,
) -> Gimp.ValueArray:  # fmt: skip
    """Every outcome is one that GIMP knows: no error may leave as a traceback."""
    log = _log()
    try:
        chosen = check(drawables)
        Gimp.progress_init(_("Stylefolder"))
        daemon = connect(FOLDER, Gimp.progress_set_text)
        if run_mode == Gimp.RunMode.INTERACTIVE:
            from dialog import ask

            if not ask(procedure, config, daemon, _("Style Transfer (Stylefolder)"), _("_Style")):
                return procedure.new_return_values(Gimp.PDBStatusType.CANCEL, None)
        _style(daemon, image, chosen, config)
    except Trouble as e:
        return _error(procedure, str(e))
    except NotRunning:
        return _error(procedure, _("Stylefolder stopped. Try again: it restarts on its own."))
    except Exception as e:
        log.exception("unexpected")
        return _error(procedure, _("Unexpected error, {}: {}. For details, see {}.").format(type(e).__name__, e, LOG))
    return procedure.new_return_values(Gimp.PDBStatusType.SUCCESS, None)


def _style(daemon: Daemon, image: Gimp.Image, chosen: list[Gimp.Layer], config: Gimp.ProcedureConfig) -> None:
    """Finish all results before inserting any layer: if one fails, nothing has changed, and nothing of ours is left
    in the daemon."""
    preset, options = _options(daemon, config)
    jobs: list[int] = []
    try:
        for number, layer in enumerate(chosen):
            jobs.append(_send(daemon, layer, options))
            _follow(daemon, jobs[-1], number, len(chosen))
        image.undo_group_start()
        try:
            for job, layer in zip(jobs, chosen, strict=True):
                insert(daemon, job, layer, f"{layer.get_name()} ({preset})", config.get_property("strength"))
        finally:
            image.undo_group_end()
    finally:
        for job in jobs:
            with contextlib.suppress(Trouble, NotRunning):
                daemon.forget(job)
        Gimp.displays_flush()
        Gimp.progress_end()


def _send(daemon: Daemon, layer: Gimp.Layer, options: dict[str, Any]) -> int:
    """Returns the Job's number."""
    with Pixels(layer) as pixels:
        shape = {"width": pixels.width, "height": pixels.height, "channels": pixels.channels, "bits": pixels.bits}
        Gimp.progress_set_text(_("Sending “{}”").format(layer.get_name()))
        name = layer.get_name()[:80] or None
        return daemon.submit({**options, **shape, "name": name}, pixels.strips(), pixels.size)


def _follow(daemon: Daemon, number: int, layer: int, layers: int) -> None:
    """Show progress until the Job is done. Raises Trouble if it fails."""
    job: dict[str, Any] = {"state": "queued"}
    for event in daemon.follow(number):
        _show(event, layer, layers)
        job = event["job"]
    if job["state"] in ("queued", "running"):
        raise NotRunning
    if job["state"] != "done":
        raise Trouble(job["reason"] or _("It was cancelled."))


def _options(daemon: Daemon, config: Gimp.ProcedureConfig) -> tuple[str, dict[str, Any]]:
    preset, size = config.get_property("preset"), config.get_property("size")
    known = {found["name"]: found for found in daemon.presets()}
    if preset not in known:
        raise Trouble(_("There is no preset “{}”: choose one of {}.").format(preset, ", ".join(known)))
    if is_look(known[preset]):
        return preset, {"preset": preset}
    colour = "photo" if config.get_property("keep-colours") else None
    return preset, {"preset": preset, "size": size or None, "colour": colour}


def _show(event: dict[str, Any], layer: int, layers: int) -> None:
    """Show an event in GIMP's progress bar. ``layer``: which of the ``layers`` it is about."""
    if event["event"] == "Job" and event["job"]["state"] == "queued":
        ahead = event["job"]["ahead"]
        if event["paused"]:
            Gimp.progress_set_text(_("Stylefolder is paused. To continue, run `stylefolder resume`."))
        else:
            Gimp.progress_set_text(_("Waiting: {} ahead").format(ahead) if ahead else _("Waiting"))
        Gimp.progress_pulse()
    elif event["event"] == "JobStepped":
        left = round(event["left"] or 0)
        step = _("Step {} of {}, {}:{:02} left").format(event["step"], event["steps"], left // 60, left % 60)
        Gimp.progress_set_text(step)
        Gimp.progress_update((layer + event["share"]) / layers)


def _error(procedure: Gimp.Procedure, sentence: str) -> Gimp.ValueArray:
    logging.getLogger("stylefolder").warning("%s", sentence)
    return procedure.new_return_values(Gimp.PDBStatusType.EXECUTION_ERROR, GLib.Error(sentence))


def _log() -> logging.Logger:
    """In the plug-in's folder, or, if that is read-only, on GIMP's terminal."""
    log = logging.getLogger("stylefolder")
    if not log.handlers:
        try:
            handler: logging.Handler = logging.handlers.RotatingFileHandler(
                LOG, maxBytes=200_000, backupCount=1, encoding="utf-8"
            )
        except OSError:
            handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
    return log


Gimp.main(Stylefolder.__gtype__, sys.argv)
