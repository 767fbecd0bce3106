"""The dialog: choose a style by its picture and description, then strength, size and colours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("GimpUi", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import GdkPixbuf, Gimp, GimpUi, GLib, GObject, Gtk  # noqa: E402
from link import Daemon, NotRunning, Trouble, is_look  # noqa: E402

THUMBNAIL = 200  # pixels
PAINTING_ONLY = ("size", "keep-colours")  # arguments that a look does not have


def ask(procedure: Gimp.Procedure, config: Gimp.ProcedureConfig, daemon: Daemon, title: str, style_label: str) -> bool:
    """Whether the user confirmed. The choices are in ``config``."""
    GimpUi.init("stylefolder")
    dialog = GimpUi.ProcedureDialog.new(procedure, config, title)
    dialog.get_scale_entry("strength", 1.0)
    dialog.fill(["strength", *PAINTING_ONLY])

    def offer(preset: dict[str, Any]) -> None:
        for name in PAINTING_ONLY:
            dialog.set_sensitive(name, not is_look(preset), None, None, False)

    chooser = _chooser(config, daemon, style_label, offer)
    dialog.get_content_area().pack_start(chooser, True, True, 0)
    dialog.get_content_area().reorder_child(chooser, 0)
    chooser.show_all()
    try:
        return bool(dialog.run())
    finally:
        dialog.destroy()


def _chooser(
    config: Gimp.ProcedureConfig, daemon: Daemon, label: str, offer: Callable[[dict[str, Any]], None]
) -> Gtk.Widget:
    """``offer`` is called with each preset that is chosen."""
    presets = {preset["name"]: preset for preset in daemon.presets()}
    combo = Gtk.ComboBoxText()
    for name in presets:
        combo.append(name, name)
    picture, words = Gtk.Image(), Gtk.Label(wrap=True, xalign=0, yalign=0, max_width_chars=36, width_chars=36)
    picture.set_size_request(THUMBNAIL, THUMBNAIL)
    show = _shower(config, presets, daemon, picture, words, offer)
    config.connect("notify::preset", show)
    show(config)
    config.bind_property(
        "preset", combo, "active-id", GObject.BindingFlags.BIDIRECTIONAL | GObject.BindingFlags.SYNC_CREATE
    )
    title = Gtk.Label(label=label, use_underline=True, xalign=0, mnemonic_widget=combo)
    beside = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6)
    for child in (title, combo, words):
        beside.pack_start(child, False, False, 0)
    box = Gtk.Box(spacing=12, margin_bottom=6)
    box.pack_start(picture, False, False, 0)
    box.pack_start(beside, True, True, 0)
    return box


def _shower(
    config: Gimp.ProcedureConfig,
    presets: dict[str, dict[str, Any]],
    daemon: Daemon,
    picture: Gtk.Image,
    words: Gtk.Label,
    offer: Callable[[dict[str, Any]], None],
) -> Callable[..., None]:
    def show(*_: Any) -> None:
        name = config.get_property("preset")
        if name not in presets:  # a preset that no longer exists
            config.set_property("preset", next(iter(presets), ""))
            return
        offer(presets[name])
        words.set_text(presets[name]["description"])
        try:
            picture.set_from_pixbuf(_scaled(daemon.thumbnail(name)))
        except (Trouble, NotRunning, GLib.Error):
            picture.clear()

    return show


def _scaled(jpeg: bytes) -> GdkPixbuf.Pixbuf:
    loader = GdkPixbuf.PixbufLoader()
    loader.write(jpeg)
    loader.close()
    found = loader.get_pixbuf()
    scale = THUMBNAIL / max(found.get_width(), found.get_height())
    size = (max(1, round(found.get_width() * scale)), max(1, round(found.get_height() * scale)))
    return found.scale_simple(*size, GdkPixbuf.InterpType.BILINEAR)
