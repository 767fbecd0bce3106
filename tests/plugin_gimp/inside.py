"""Runs inside GIMP before each scenario: makes test images, calls our procedure, and records the outcome."""

from __future__ import annotations

import array
import json
import os
import random
from typing import Any

from gi.repository import Gegl, Gimp, Gio

PROCEDURE = Gimp.get_pdb().lookup_procedure("plug-in-stylefolder")
OUTCOME: dict[str, Any] = {}


def new_image(
    width: int = 60,
    height: int = 40,
    kind: str = "RGB",
    precision: str = "U8_NON_LINEAR",
    profile: str | None = None,
) -> Gimp.Image:
    image = Gimp.Image.new_with_precision(
        width, height, getattr(Gimp.ImageBaseType, kind), getattr(Gimp.Precision, precision)
    )
    if profile:
        image.set_color_profile(Gimp.ColorProfile.new_from_file(Gio.File.new_for_path(profile)))
    return image


def add_layer(
    image: Gimp.Image,
    width: int = 60,
    height: int = 40,
    alpha: bool = False,
    at: tuple[int, int] = (0, 0),
    parent: Gimp.Layer | None = None,
    name: str = "photo",
    seed: int = 1,
) -> Gimp.Layer:
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = ("GRAY" if grey else "RGB") + ("A" if alpha else "")
    layer = Gimp.Layer.new(
        image, name, width, height, getattr(Gimp.ImageType, f"{kind}_IMAGE"), 100, Gimp.LayerMode.NORMAL
    )
    image.insert_layer(layer, parent, 0)
    layer.set_offsets(*at)
    samples = array.array("H", (random.Random(seed).randrange(65536) for _ in range(width * height * 4)))
    if not alpha:
        samples[3::4] = array.array("H", [65535] * (width * height))
    layer.get_buffer().set(Gegl.Rectangle.new(0, 0, width, height), "R'G'B'A u16", samples.tobytes())
    layer.get_buffer().flush()
    layer.update(0, 0, width, height)
    return layer


def style(image: Gimp.Image, layers: list[Gimp.Layer], preset: str, **wanted: Any) -> tuple[str, str]:
    """Returns the status and the error message."""
    config = PROCEDURE.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", layers)
    config.set_property("preset", preset)
    for name, value in wanted.items():
        config.set_property(name, value)
    status = PROCEDURE.run(config).index(0)
    return status.value_nick, Gimp.get_pdb().get_last_error() if status != Gimp.PDBStatusType.SUCCESS else ""


def samples(layer: Gimp.Layer, kind: str = "R'G'B'A u16") -> array.array[int]:
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    found = array.array("H")
    found.frombytes(layer.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE))
    return found


def difference(a: Gimp.Layer, b: Gimp.Layer, kind: str = "R'G'B'A u16") -> float:
    """The largest difference of any sample, 0..255; the colour of fully transparent pixels does not count."""
    x, y = samples(a, kind), samples(b, kind)
    if len(x) != len(y):
        return 999
    return (
        max(
            (
                abs(p - q)
                for i, (p, q) in enumerate(zip(x, y))
                if kind != "R'G'B'A u16" or i % 4 == 3 or x[i - i % 4 + 3]
            ),
            default=0,
        )
        / 257
    )


def describe(layer: Gimp.Layer) -> dict[str, Any]:
    _, x, y = layer.get_offsets()
    return {
        "name": layer.get_name(),
        "at": [x, y],
        "size": [layer.get_width(), layer.get_height()],
        "alpha": layer.has_alpha(),
        "opacity": round(layer.get_opacity(), 1),
        "mask": layer.get_mask() is not None,
        "visible": layer.get_visible(),
    }


def tell() -> None:
    with open(os.environ["OUTCOME"], "w") as file:
        json.dump(OUTCOME, file)
