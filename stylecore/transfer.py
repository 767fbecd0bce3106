"""``stylize``: one Photo under one Preset, as a generator that the caller drives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stylecore.colour import Floats
from stylecore.device import Device, choose_device
from stylecore.images.encode import Result
from stylecore.images.photo import Photo
from stylecore.look import look
from stylecore.lut import Lut
from stylecore.painting import paint
from stylecore.preset import Look, Painting, Preset
from stylecore.progress import Progress


def stylize(
    photo: Photo,
    preset: Preset,
    device: Device | None = None,
    table: Lut | None = None,
    series: Sequence[Floats] = (),
) -> Iterator[Progress | Result]:
    """Yield a Progress after each step, and the Result at the end. To cancel, leave the loop.

    For a Look of a series, ``table`` is what was fitted to it before, or ``series`` holds the photos that it is fitted
    to now, as ``look.small`` gives them. The network and the targets of style pictures are cached between calls. Raises
    WeightsError, DeviceError, Diverged, PhotoError (of a style picture), LutError (of a table's file).
    """
    device = device or choose_device()
    if isinstance(preset, Look):
        return look(photo, preset, device, table, series)
    assert isinstance(preset, Painting)
    return paint(photo, preset, device)
