"""Black and white pictures, plain or toned: a Look of one is in black and white as well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stylecore.colour import LUMA, Colours
from stylecore.natural import luma


@dataclass(frozen=True)
class Toning:
    """The chroma of a black and white picture, by its luma: neutral, sepia, blue. ``curve``: (3, 3), red, green and
    blue less luma, as polynomials of luma from the constant up; ``ends``: the luma between which they are known."""

    curve: Tensor
    ends: tuple[float, float]

    def of(self, colours: Tensor) -> Tensor:
        """(..., 3) in black and white, toned."""
        light = luma(colours)[..., None]
        x = light.clamp(*self.ends)
        return light + self.curve[0] + x * self.curve[1] + x * x * self.curve[2]


def toning_of(colours: Colours) -> Toning | None:
    """None for a picture, (n, 3), with colours that its luma does not explain."""
    light = colours @ LUMA
    powers = np.stack([np.ones_like(light), light, light**2], 1)
    chroma = colours - light[:, None]
    curve = np.linalg.lstsq(powers, chroma, rcond=None)[0]
    if np.sqrt(np.square(chroma - powers @ curve).mean()) > 0.01:
        return None
    low, high = np.quantile(light, [0.01, 0.99])
    return Toning(torch.from_numpy(curve.astype(np.float32)), (float(low), float(high)))
