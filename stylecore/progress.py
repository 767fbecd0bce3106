"""What ``stylize`` yields while it works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stylecore.colour import Floats
from stylecore.objective import Losses


@dataclass(frozen=True)
class Progress:
    """Step ``step`` of ``steps`` over all scales is done. ``size``: (width, height) of scale ``scale`` of ``scales``.

    ``share``: of the whole work, 0..1; a step of a fine scale counts for more than one of a coarse scale. ``seconds``:
    since the start. ``preview()``: the picture so far, float32 in 0..1, (height, width, 3), valid until the next turn
    of the loop.
    """

    step: int
    steps: int
    scale: int
    scales: int
    size: tuple[int, int]
    losses: Losses
    share: float
    seconds: float
    preview: Callable[[], Floats]
