"""What keeps a Look's table natural: penalties on colours that no photographer would print.

A table could match a style picture's statistics by turning skin green, reversing light and dark, or stretching a clear
sky until it breaks into steps. Each penalty here forbids one of these. Colours are sRGB-encoded values; hue and chroma
are OKLab's (Ottosson 2020).

The table is a uniform cubic B-spline of POINTS controls along each axis: smooth by construction, it holds the identity
exactly, and it gives a lattice of any size without resampling.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stylecore.colour import LUMA

POINTS = 9
LATTICE = 17  # points along each axis at which slopes are looked at, and through which pixels go during the fit

MONOTONE, STEEP, STEEP_HERE, SMOOTH, ORDER = 10.0, 12.0, 6.0, 1e-3, 1000.0
SKIN, HUES, GREY, ENDS, GAMUT, EXPOSURE = 40.0, 1.0, 0.1, 200.0, 0.1, 15.0
LOWEST, LOWEST_OF_GREY, HIGHEST = 0.1, 0.25, 1.3  # slopes; 1 is the identity's
BANDING, BANDING_HERE, WIDEST = 30.0, 30.0, 1.2  # WIDEST: of a step in a gradient, times what the eye saw before
NARROW = 0.02  # in OKLab: a step that may become as wide as any of this size
PATHS = (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 1), (1, 0, -1), (1, 1, -1)  # of gradients: the last two, warm to cool
CAST_ON_SKIN = 0.15  # of the change of grey, which skin takes part in: nobody is untouched by the evening light
MOST_LIGHTNESS = 0.06  # by which skin becomes lighter or darker, in OKLab
ALIKE, PRESENT, ABSENT = 0.08, 0.005, 0.2  # distance in OKLab; share of a photo; what matters without it
SKIN_CHROMA, HUE_CHROMA = (0.7, 1.5), (0.4, 2.0)  # times that of the photo
BLACKEST, BLACKEST_CHANNEL, WHITEST = 0.05, 0.1, 0.75  # of what was black, its luma and each channel; luma of white
MARGIN = 0.02  # of the range: a colour this close to an end counts as about to be clipped
MOST_EXPOSURE = 0.15  # of the range of luma
LEAST_STEP = 0.2  # of a step between neighbours in the photo
FAINT = 0.05  # chroma in OKLab below which a colour has no hue worth keeping

SKIN_COLOURS = (
    (0.98, 0.88, 0.80),
    (0.95, 0.80, 0.69),
    (0.91, 0.72, 0.58),
    (0.83, 0.62, 0.48),
    (0.76, 0.57, 0.44),
    (0.65, 0.46, 0.35),
    (0.55, 0.38, 0.28),
    (0.43, 0.29, 0.21),
    (0.33, 0.22, 0.17),
    (0.24, 0.16, 0.12),
)
"""From pale to dark, in daylight."""

TO_CONES = torch.tensor(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = torch.tensor(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
DARK = 1e-3  # below it, the slope of the cube root is too steep to descend


def spline(size: int) -> Tensor:
    """The weights of the controls at ``size`` evenly spaced points of one axis, (size, POINTS)."""
    return _weights(torch.linspace(0, 1, size))


def lattice(controls: Tensor, size: int) -> Tensor:
    """(POINTS, POINTS, POINTS, 3) to (size, size, size, 3)."""
    basis = spline(size)
    for axis in range(3):
        controls = torch.tensordot(basis, controls, dims=([1], [axis])).movedim(0, axis)
    return controls


def places_of_controls() -> Tensor:
    """The colours at which the controls of the identity are, (POINTS, POINTS, POINTS, 3): some are outside 0..1."""
    axis = (torch.arange(POINTS, dtype=torch.float32) - 1) / (POINTS - 3)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


def oklab(rgb: Tensor) -> Tensor:
    """sRGB-encoded (..., 3) to lightness, a and b."""
    encoded = rgb.clamp(DARK, 1.2)
    light = torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return (light @ TO_CONES.T) ** (1 / 3) @ TO_OKLAB.T


def luma(colours: Tensor) -> Tensor:
    return colours @ torch.from_numpy(LUMA)


class Naturalness:
    """``naturalness(controls)`` is the sum of the penalties, a scalar, about 0 for the identity.

    ``colours``: of the photos, (n, 3). ``skin``: 0..1, how much skin is protected. ``in_colour``: whether hues and
    chroma are to be kept."""

    def __init__(self, colours: Tensor, skin: float, in_colour: bool) -> None:
        self.skin, self.in_colour = skin, in_colour
        self.share = _shares(colours, LATTICE - 1)
        axis = torch.linspace(0, 1, LATTICE)
        identity = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
        self.steps = [step.clamp_min(NARROW) for step in _steps(identity)]
        self.greys = _at(torch.linspace(0, 1, LATTICE)[:, None].expand(-1, 3))
        self.skin_colours = _Kept(*_skin_in(colours), SKIN_CHROMA, CAST_ON_SKIN)
        axis = (torch.arange(6) + 0.5) / 6
        hues = torch.cartesian_prod(axis, axis, axis)
        hues = hues[oklab(hues)[:, 1:].norm(dim=1) > FAINT]
        self.hues = _Kept(hues, torch.ones(len(hues)), HUE_CHROMA, 1.0)

    def __call__(self, controls: Tensor) -> Tensor:
        flat = controls.reshape(-1, 3)
        greys = self.greys @ flat
        table = lattice(controls, LATTICE)
        slopes = [table.diff(dim=axis) * (LATTICE - 1) for axis in range(3)]
        of_grey = greys.diff(dim=0) * (LATTICE - 1)
        found = MONOTONE * _below(luma(of_grey), LOWEST_OF_GREY)
        for axis, slope in enumerate(slopes):
            found = found + MONOTONE * _below(luma(slope), 0)
            steep = (slope.norm(dim=-1) - HIGHEST).clamp_min(0).square()
            found = found + STEEP * steep.mean() + STEEP_HERE * (_cells(steep, axis) * self.share).sum()
            if self.in_colour:
                found = found + MONOTONE * _below(slope[..., axis], LOWEST)
        found = found + STEEP * _above(of_grey.norm(dim=1) / 3**0.5, HIGHEST) + self._banding(table)
        found = found + SMOOTH * _bending(controls) + self._ends(greys[0], luma(greys[-1]))
        if self.in_colour:
            lightness_a_b = oklab(greys)
            found = found + GREY * lightness_a_b[:, 1:].square().sum(1).mean()
            hue, chroma = self.skin_colours.turned_and_drained(flat)
            found = found + SKIN * self.skin * (hue + chroma)
            _, chroma = self.hues.turned_and_drained(flat)
            found = found + HUES * chroma
        return found + SKIN * self.skin * self.skin_colours.lightened(flat)

    def _banding(self, table: Tensor) -> Tensor:
        """How far smooth gradients break into steps that the eye sees."""
        found = table.new_zeros(())
        for step, before in zip(_steps(table), self.steps, strict=True):
            wide = (step / before - WIDEST).clamp_min(0).square()
            cells = wide[: LATTICE - 1, : LATTICE - 1, : LATTICE - 1]
            found = found + BANDING * wide.mean() + BANDING_HERE * (cells * self.share).sum()
        return found

    @staticmethod
    def _ends(black: Tensor, white: Tensor) -> Tensor:
        """Blacks stay black, and white does not become grey."""
        return ENDS * (_above(luma(black), BLACKEST) + _above(black, BLACKEST_CHANNEL) + 0.1 * _below(white, WHITEST))


class _Kept:
    """How far a table moves some ``colours``, (n, 3), in hue, and in chroma beyond ``bounds``, after ``share`` of what
    it does to the grey of the same luma is taken away. ``weights``: of the colours, (n,). Mean squares, in units of a
    colour's own chroma."""

    def __init__(self, colours: Tensor, weights: Tensor, bounds: tuple[float, float], share: float) -> None:
        self.weights, self.lightness = weights / len(weights), oklab(colours)[:, 0]
        chroma = oklab(colours)[:, 1:]
        self.length = chroma.norm(dim=1)
        self.along = chroma / self.length[:, None]
        self.colours = _at(colours)
        self.greys = _at(luma(colours)[:, None].expand(-1, 3))
        self.bounds, self.share = bounds, share

    def turned_and_drained(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        chroma = oklab(self.colours @ flat)[:, 1:] - self.share * oklab(self.greys @ flat)[:, 1:]
        kept = (chroma * self.along).sum(1) / self.length
        turned = (chroma[:, 0] * self.along[:, 1] - chroma[:, 1] * self.along[:, 0]) / self.length
        out = (self.bounds[0] - kept).clamp_min(0).square() + (kept - self.bounds[1]).clamp_min(0).square()
        return (self.weights * turned.square()).sum(), (self.weights * out).sum()

    def lightened(self, flat: Tensor) -> Tensor:
        """How far lightness moves beyond MOST_LIGHTNESS: dark skin is not to become pale, nor pale skin dark."""
        moved = oklab(self.colours @ flat)[:, 0] - self.lightness
        return (self.weights * (moved.abs() - MOST_LIGHTNESS).clamp_min(0).square()).sum()


def _skin_in(colours: Tensor) -> tuple[Tensor, Tensor]:
    """The colours of skin, (20, 3), and their weights: SKIN_COLOURS, and for each the mean of the photo's own colours,
    (n, 3), that are like it and not FAINT. If at least PRESENT are, the weight is 1 and ABSENT; without any, ABSENT."""
    skin, seen = torch.tensor(SKIN_COLOURS), oklab(colours)
    apart, nearest = torch.cdist(seen, oklab(skin)).min(1)
    candidates = (apart < ALIKE) & (seen[:, 1:].norm(dim=1) > FAINT)
    own, weights = skin.clone(), torch.full((len(skin),), ABSENT)
    for number in range(len(skin)):
        alike = candidates & (nearest == number)
        if alike.any():
            own[number] = colours[alike].mean(0)
            weights[number] += float((alike.float().mean() / PRESENT).clamp(max=1))
    return torch.cat([skin, own]), weights.repeat(2)


def _steps(table: Tensor) -> list[Tensor]:
    """Distances in OKLab of neighbours in a table (n, n, n, 3), for each of PATHS."""

    def shifted(lab: Tensor, path: tuple[int, ...]) -> Tensor:
        return lab[tuple(slice(1, None) if way > 0 else slice(0, -1) if way < 0 else slice(None) for way in path)]

    lab = oklab(table)
    apart = [shifted(lab, path) - shifted(lab, tuple(-way for way in path)) for path in PATHS]
    return [(step.square().sum(-1) + 1e-8).sqrt() for step in apart]  # without the sum, equal colours have no slope


def _bending(controls: Tensor) -> Tensor:
    """The energy of a thin plate: the mean square of all second derivatives."""
    bending, scale = controls.new_zeros(()), (POINTS - 3) ** 4
    for axis in range(3):
        bending = bending + controls.diff(n=2, dim=axis).square().mean() * scale
        for other in range(axis + 1, 3):
            bending = bending + 2 * controls.diff(dim=axis).diff(dim=other).square().mean() * scale
    return bending


def overexposure(pixels: Tensor, before: Tensor) -> Tensor:
    """How far the mean luma of a picture (n, 3) moves beyond MOST_EXPOSURE from what it was ``before``: a night stays a
    night, and a bright portrait bright."""
    moved = luma(pixels).mean() - luma(before).mean()
    return EXPOSURE * (moved.abs() - MOST_EXPOSURE).clamp_min(0).square()


def disorder(pixels: Tensor, before: Tensor, height: int, width: int) -> Tensor:
    """How far light and dark change places between neighbours: ``pixels`` and what they were ``before``, (n, 3), of a
    picture of this size. The mean square by which a step of luma falls short of LEAST_STEP of what it was, as a share
    of all steps' mean square."""
    lost, whole = pixels.new_zeros(()), 0.0
    after, was = luma(pixels).reshape(height, width), luma(before).reshape(height, width)
    for axis in (0, 1):
        step, old = after.diff(dim=axis), was.diff(dim=axis)
        lost = lost + (LEAST_STEP * old.abs() - step * old.sign()).clamp_min(0).square().mean()
        whole += float(old.square().mean())
    return ORDER * lost / max(whole, 1e-6)


def _shares(colours: Tensor, cells: int) -> Tensor:
    """Which share of the colours (n, 3) is in each of cells^3 cells."""
    place = (colours * cells).long().clamp(0, cells - 1)
    number = (place[:, 0] * cells + place[:, 1]) * cells + place[:, 2]
    return torch.bincount(number, minlength=cells**3).reshape(cells, cells, cells) / len(colours)


def _cells(edges: Tensor, axis: int) -> Tensor:
    """Values at the lattice's edges along ``axis`` to means over each cell's four such edges."""
    for other in range(3):
        if other != axis:
            count = edges.shape[other] - 1
            edges = (edges.narrow(other, 0, count) + edges.narrow(other, 1, count)) / 2
    return edges


def clipping(pixels: Tensor, before: Tensor) -> Tensor:
    """How many colours (n, 3) are clipped, or nearly, that were not ``before``: a mean, 0 to about 3."""
    low = (before.clamp(0, MARGIN) - pixels).clamp_min(0)
    high = ((1 - before).clamp(0, MARGIN) - (1 - pixels)).clamp_min(0)
    return GAMUT * (low.square() + high.square()).sum(1).mean() / MARGIN**2


def _at(colours: Tensor) -> Tensor:
    """The weights of all controls at these colours (n, 3), in 0..1: (n, POINTS^3)."""
    red, green, blue = (_weights(colours[:, axis]) for axis in range(3))
    return torch.einsum("pi,pj,pk->pijk", red, green, blue).reshape(len(colours), -1)


def _weights(x: Tensor) -> Tensor:
    place = x * (POINTS - 3)
    first = place.long().clamp(max=POINTS - 4)
    t = place - first
    four = torch.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], -1) / 6
    return torch.zeros(len(x), POINTS).scatter_(1, first[:, None] + torch.arange(4), four)


def _below(x: Tensor, bound: float) -> Tensor:
    return (bound - x).clamp_min(0).square().mean()


def _above(x: Tensor, bound: float) -> Tensor:
    return (x - bound).clamp_min(0).square().mean()
