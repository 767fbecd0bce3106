"""Night stays night: under a dark photo, the style pictures are darkened toward it. Otherwise the palette match, which
ignores how light the photo is, paints a night sky as a pale day."""

from __future__ import annotations

import bisect

import numpy as np

from stylecore.colour import luma
from stylecore.images.photo import Photo
from stylecore.preset import Painting
from stylecore.targets import style_colours

DARK, DIM = 0.17, 0.40  # mean luma: a photo below DARK is dark, one above DIM is not
LIFT = 0.03  # luma by which a dark photo may become lighter
EDGE = 64  # pixels at which the photo's luma is measured
DARKEST, STEP = 5.0, 0.1  # of the exponent; in steps, so that photos share the style's targets


def gamma_of(photo: Photo, preset: Painting) -> float:
    """The exponent of ``colour.darkened`` for the style pictures; 1 for most photos."""
    if preset.lightness == "style" or preset.colour == "palette":
        return 1.0
    share = min(1.0, EDGE / max(photo.size))
    width, height = (max(1, round(length * share)) for length in photo.size)
    own = float(luma(photo.resized(width, height)).mean())
    before = _mean_luma(preset, 1.0)
    weight = min(1.0, max(0.0, (DIM - own) / (DIM - DARK)))
    wanted = before + weight * (min(before, own + LIFT) - before)
    if wanted == before:
        return 1.0
    exponents = [float(e) for e in np.arange(1.0, DARKEST + STEP / 2, STEP)]
    darker = bisect.bisect_left(exponents, -wanted, key=lambda gamma: -_mean_luma(preset, gamma))
    return exponents[min(darker, len(exponents) - 1)]


def _mean_luma(preset: Painting, gamma: float) -> float:
    return float(luma(style_colours(preset.style, preset.digest, gamma)).mean())
