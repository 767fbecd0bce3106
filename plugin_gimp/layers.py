"""Layers out of GIMP as samples, and Results back in as layers. The named formats are sRGB: babl converts from and to
the image's profile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp  # noqa: E402
from link import Daemon, Trouble  # noqa: E402

ROWS = 256  # in a strip
SAMPLES = {1: "Y'", 2: "Y'A", 3: "R'G'B'", 4: "R'G'B'A"}
SHALLOW = (Gimp.Precision.U8_LINEAR, Gimp.Precision.U8_NON_LINEAR, Gimp.Precision.U8_PERCEPTUAL)


class Pixels:
    """A layer as it looks on its own: with a group's projection and its own filters, without its mask and opacity.

    A context manager: leaving it deletes temporary images.
    """

    def __init__(self, layer: Gimp.Layer) -> None:
        image = layer.get_image()
        self._made: Gimp.Image | None = None
        shown = layer
        if any(found.get_visible() for found in layer.get_filters()):
            shown = self._with_filters(layer, image)
        self.width, self.height = layer.get_width(), layer.get_height()
        self.channels = (1 if image.get_base_type() == Gimp.ImageBaseType.GRAY else 3) + shown.has_alpha()
        self.bits = 8 if image.get_precision() in SHALLOW else 16
        self._buffer = shown.get_buffer()

    def __enter__(self) -> Pixels:
        return self

    def __exit__(self, *_: Any) -> None:
        self._buffer = None
        if self._made is not None:
            self._made.delete()

    @property
    def size(self) -> int:
        return self.width * self.height * self.channels * self.bits // 8

    def strips(self) -> Iterator[bytes]:
        kind = f"{SAMPLES[self.channels]} u{self.bits}"
        for rectangle in _strips(self.width, self.height):
            yield self._buffer.get(rectangle, 1.0, kind, Gegl.AbyssPolicy.NONE)

    def _with_filters(self, layer: Gimp.Layer, image: Gimp.Image) -> Gimp.Layer:
        """A copy in a hidden image: the user's own layer stays as it is."""
        made = Gimp.Image.new_with_precision(
            image.get_width(), image.get_height(), image.get_base_type(), image.get_precision()
        )
        self._made = made  # to be deleted, whatever comes now
        made.set_color_profile(image.get_effective_color_profile())
        copy = Gimp.Layer.new_from_drawable(layer, made)
        made.insert_layer(copy, None, 0)
        copy.merge_filters()
        copy.resize(layer.get_width(), layer.get_height(), *_distance(copy, layer))  # a blur has enlarged it
        return copy


def check(drawables: list[Gimp.Drawable]) -> list[Gimp.Layer]:
    """The layers to style. Raises Trouble if there is none that can be styled."""
    layers = []
    for drawable in drawables:
        layer = Gimp.Layer.from_mask(drawable) if isinstance(drawable, Gimp.LayerMask) else drawable
        if not isinstance(layer, Gimp.Layer):
            raise Trouble("A channel has no colours: select a layer.")
        if layer.is_indexed():
            raise Trouble("An indexed image cannot hold new colours: choose Image > Mode > RGB first.")
        layers.append(layer)
    if not layers:
        raise Trouble("No layer is selected: select one in the Layers dialog.")
    return layers


def insert(daemon: Daemon, job: int, source: Gimp.Layer, name: str, opacity: float) -> Gimp.Layer:
    """A new layer with the Job's Result, right above its source, in the same place; limited by the selection and the
    source's mask. Raises Trouble if the source is gone."""
    if not source.is_valid():
        raise Trouble("The layer was deleted in the meantime, so its painting cannot be inserted.")
    image = source.get_image()
    shape, samples = daemon.result(job)
    alpha = shape["channels"] == 4
    grey = image.get_base_type() == Gimp.ImageBaseType.GRAY
    kind = {(False, False): "RGB", (False, True): "RGBA", (True, False): "GRAY", (True, True): "GRAYA"}[grey, alpha]
    layer = Gimp.Layer.new(
        image,
        name,
        shape["width"],
        shape["height"],
        getattr(Gimp.ImageType, f"{kind}_IMAGE"),
        opacity,
        Gimp.LayerMode.NORMAL,
    )
    buffer = layer.get_buffer()
    for rectangle in _strips(shape["width"], shape["height"]):
        strip = samples.read(rectangle.width * rectangle.height * shape["channels"] * shape["bits"] // 8)
        buffer.set(rectangle, f"{SAMPLES[shape['channels']]} u{shape['bits']}", strip)
    buffer.flush()
    layer.update(0, 0, shape["width"], shape["height"])
    image.insert_layer(layer, source.get_parent(), image.get_item_position(source))
    _, x, y = source.get_offsets()
    layer.set_offsets(x, y)
    _limit(image, layer, source)
    return layer


def _limit(image: Gimp.Image, layer: Gimp.Layer, source: Gimp.Layer) -> None:
    """Limit the layer by a mask: the selection with its soft edges, within the source's own mask."""
    selected = not Gimp.Selection.is_empty(image)
    mask = source.get_mask() if source.get_mask() is not None and source.get_apply_mask() else None
    if mask is None and not selected:
        return
    before = Gimp.Selection.save(image) if mask is not None and selected else None
    if mask is not None:
        image.select_item(Gimp.ChannelOps.INTERSECT if selected else Gimp.ChannelOps.REPLACE, mask)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.SELECTION))
    if before is not None:
        image.select_item(Gimp.ChannelOps.REPLACE, before)
        image.remove_channel(before)
    elif mask is not None:
        Gimp.Selection.none(image)


def _strips(width: int, height: int) -> Iterator[Gegl.Rectangle]:
    for y in range(0, height, ROWS):
        yield Gegl.Rectangle.new(0, y, width, min(ROWS, height - y))


def _distance(copy: Gimp.Layer, layer: Gimp.Layer) -> tuple[int, int]:
    (_, x, y), (_, left, top) = copy.get_offsets(), layer.get_offsets()
    return x - left, y - top
