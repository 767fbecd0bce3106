"""Runs within GIMP, before each scenario: images to try on, the call of our procedure, and what came of it."""

import array
import json
import os
import random

from gi.repository import Gegl, Gimp, Gio

PROCEDURE = Gimp.get_pdb().lookup_procedure("plug-in-stylefolder")
OUTCOME = {}


def new_image(width=60, height=40, kind="RGB", precision="U8_NON_LINEAR", profile=None):
    image = Gimp.Image.new_with_precision(
        width, height, getattr(Gimp.ImageBaseType, kind), getattr(Gimp.Precision, precision)
    )
    if profile:
        image.set_color_profile(Gimp.ColorProfile.new_from_file(Gio.File.new_for_path(profile)))
    return image


def add_layer(image, width=60, height=40, alpha=False, at=(0, 0), parent=None, name="photo", seed=1):
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


def style(image, layers, preset, **wanted):
    """The status and the error's sentence."""
    config = PROCEDURE.create_config()
    config.set_property("image", image)
    config.set_core_object_array("drawables", layers)
    config.set_property("preset", preset)
    for name, value in wanted.items():
        config.set_property(name, value)
    status = PROCEDURE.run(config).index(0)
    return status.value_nick, Gimp.get_pdb().get_last_error() if status != Gimp.PDBStatusType.SUCCESS else ""


def samples(layer, kind="R'G'B'A u16"):
    rectangle = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    found = array.array("H")
    found.frombytes(layer.get_buffer().get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE))
    return found


def difference(a, b, kind="R'G'B'A u16"):
    """The largest, of all samples, 0..255; what is wholly transparent has no colour."""
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


def describe(layer):
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


def tell():
    with open(os.environ["OUTCOME"], "w") as file:
        json.dump(OUTCOME, file)
