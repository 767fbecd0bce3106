"""A picture in tiles, each with the margin that its features see, so that they equal those of the whole picture."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from stylecore.layers import margin_of, stride_of

SMALLEST = 128  # edge


@dataclass(frozen=True)
class Tile:
    """Rows and columns of the picture: ``inner`` belongs to this tile alone, ``outer`` is what it sees. All bounds are
    multiples of the stride, or the picture's end."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]

    def see(self, picture: Tensor) -> Tensor:
        """(1, channels, height, width) -> what the tile sees."""
        return picture[:, :, self.outer[0], self.outer[1]]

    def own(self, features: Tensor, block: int) -> Tensor:
        """The features that belong to this tile alone, from those of what it sees, after ``block`` poolings."""
        if self.inner == self.outer:
            return features  # without a node in autograd's graph
        rows, columns = (
            slice((inner.start - outer.start) >> block, (inner.stop >> block) - (outer.start >> block))
            for inner, outer in zip(self.inner, self.outer, strict=True)
        )
        return features[:, :, rows, columns]


def tiles_of(height: int, width: int, edge: int | None, layers: Sequence[str]) -> list[Tile]:
    """Tiles of about ``edge`` pixels, with the exact margin that these ``layers`` see. None: one for the whole."""
    margin, stride = margin_of(layers), stride_of(layers)
    return [
        Tile((rows[0], columns[0]), (rows[1], columns[1]))
        for rows in _parts(height, edge, margin, stride)
        for columns in _parts(width, edge, margin, stride)
    ]


def _parts(length: int, edge: int | None, margin: int, stride: int) -> list[tuple[slice, slice]]:
    """(outer, inner) along one side, of equal lengths as far as the stride lets them be."""
    if edge is None or length <= edge:
        return [(slice(0, length), slice(0, length))]
    count = -(-length // edge)
    step = -(-length // count // stride) * stride
    bounds = [*range(0, length - stride, step), length]
    return [
        (slice(max(0, start - margin), min(length, stop + margin)), slice(start, stop))
        for start, stop in itertools.pairwise(bounds)
    ]
