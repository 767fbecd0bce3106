"""Paint and paper: noise, flow, bristle strokes that leave relief, and light on it. Coordinates are (x, y) in
pixels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from scipy import ndimage

WIDTH, HEIGHT = 1280, 1024
Array = np.ndarray


def grid() -> tuple[Array, Array]:
    """x in 0..1.25, y in 0..1: units of the picture's height, each (HEIGHT, WIDTH)."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) / HEIGHT
    return x, y


def noise(rng: np.random.Generator, cells: float, octaves: int = 4, stretch: tuple[float, float] = (1, 1)) -> Array:
    """Fractal value noise of mean 0 and deviation 1; ``cells`` of the coarsest octave to the picture's height."""
    out = np.zeros((HEIGHT, WIDTH), np.float32)
    for octave in range(octaves):
        n = cells * 2**octave
        rows, columns = max(2, int(n * stretch[1])) + 3, max(2, int(n * stretch[0] * WIDTH / HEIGHT)) + 3
        coarse = rng.normal(size=(rows, columns)).astype(np.float32)
        zoomed = ndimage.zoom(coarse, (HEIGHT / (rows - 3), WIDTH / (columns - 3)), order=3)
        out += zoomed[:HEIGHT, :WIDTH] / 1.8**octave
    return (out - out.mean()) / out.std()


def smoothstep(low: float | Array, high: float | Array, x: Array) -> Array:
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a: Array, b: Array, t: Array) -> Array:
    t = t[..., None] if np.ndim(t) == np.ndim(a) - 1 or np.ndim(t) == 2 else t
    return a + (b - a) * t


def colour(text: str) -> Array:
    """'#rrggbb' to RGB in 0..1."""
    return np.array([int(text[i : i + 2], 16) for i in (1, 3, 5)], np.float32) / 255


def ramp(value: Array, *colours: str) -> Array:
    """Colours laid evenly over 0..1."""
    stops = np.stack([colour(c) for c in colours])
    at = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(value, at, stops[:, i]) for i in range(3)], -1).astype(np.float32)


class Canvas:
    """Colour (HEIGHT, WIDTH, 3) in 0..1 and the relief of the paint (HEIGHT, WIDTH)."""

    def __init__(self, ground: Array, rng: np.random.Generator, grain: Array | None = None) -> None:
        self.rgb: Array = np.broadcast_to(ground, (HEIGHT, WIDTH, 3)).astype(np.float32).copy()
        self.relief = np.zeros((HEIGHT, WIDTH), np.float32)
        self.rng = rng
        self.grain = grain  # paper tooth, 0..1: dry media catch on it

    def stroke(
        self,
        path: Array,
        width: float,
        tint: Array,
        *,
        opacity: float = 1.0,
        streaks: float = 0.12,
        dryness: float = 0.35,
        body: float = 1.0,
        tooth: float = 0.0,
        pickup: float = 0.15,
    ) -> None:
        """A brush drawn along ``path`` (n, 2). Bristles give streaks of colour and relief; ``dryness`` lets the stroke
        break up towards its end, ``tooth`` lets the paper's grain show, ``pickup`` takes along the paint below."""
        half = width / 2
        low = np.floor(path.min(0) - half - 2).astype(int)
        high = np.ceil(path.max(0) + half + 2).astype(int)
        x0, y0 = max(low[0], 0), max(low[1], 0)
        x1, y1 = min(high[0], WIDTH), min(high[1], HEIGHT)
        if x1 <= x0 or y1 <= y0:
            return
        u, v = _along_across(path, x0, y0, x1, y1)
        v = v / (half * (0.55 + 0.45 * np.sqrt(np.clip(np.sin(np.pi * np.clip(u, 0.02, 0.98)), 0, 1))))
        bristles = max(5, int(width * 0.9))
        hairs = ndimage.gaussian_filter1d(self.rng.normal(size=(6, bristles)), 0.7, axis=1)
        hair = ndimage.map_coordinates(
            hairs, [u * 5, (np.clip(v, -1, 1) + 1) / 2 * (bristles - 1)], order=1, mode="nearest"
        ).astype(np.float32)
        edge = 1 - smoothstep(0.82, 1.0, np.abs(v) + 0.10 * hair)
        ends = smoothstep(0, 0.06, u + 0.03 * hair) * (1 - smoothstep(0.86, 1.0, u + 0.06 * hair))
        worn = 1 - smoothstep(1.1, 1.7, hair * 0.9 + dryness * 2.2 * u)
        alpha = opacity * edge * ends * worn
        spot = np.s_[y0:y1, x0:x1]
        if tooth and self.grain is not None:
            alpha = alpha * smoothstep(tooth - 0.22, tooth + 0.22, self.grain[spot] + 0.12 * hair)
        below = self.rgb[spot]
        weight = alpha.sum()
        if weight < 1:
            return
        wet = tint * (1 - pickup) + pickup * (below * alpha[..., None]).sum((0, 1)) / weight
        paint = np.clip(wet * (1 + streaks * hair[..., None]) + 0.35 * streaks * hair[..., None] * 0.2, 0, 1)
        self.rgb[spot] = below + (paint - below) * alpha[..., None]
        if body:
            ridge = np.exp(-(((np.abs(v) - 0.78) / 0.16) ** 2))
            height = body * (0.55 + 0.25 * hair + 0.55 * ridge) * min(width, 26) / 14
            self.relief[spot] += (height + 0.35 * self.relief[spot] - self.relief[spot]) * alpha

    def glaze(self, path: Array, half: float, pigment: Array, load: float, tooth: float, edge: Array) -> None:
        """A wet mark along ``path`` (n, 2), ``half`` as wide: it multiplies what lies below by ``pigment``, gathers at
        its rim and its end, and settles in the paper's hollows. ``edge``: by how many pixels its rim wanders,
        (HEIGHT, WIDTH)."""
        low = np.floor(path.min(0) - half - 6).astype(int)
        high = np.ceil(path.max(0) + half + 6).astype(int)
        x0, y0 = max(low[0], 0), max(low[1], 0)
        x1, y1 = min(high[0], WIDTH), min(high[1], HEIGHT)
        if x1 <= x0 or y1 <= y0 or self.grain is None:
            return
        u, v = _along_across(path, x0, y0, x1, y1)
        spot = np.s_[y0:y1, x0:x1]
        belly = half * (0.62 + 0.38 * np.sin(np.pi * np.clip(u, 0.03, 0.97)))
        depth = belly - np.abs(v) + edge[spot]  # pixels inside the mark
        pools = 0.72 + 0.45 * u + 0.55 * np.exp(-np.clip(depth, 0, None) / 3)
        density = load * smoothstep(-0.8, 0.8, depth) * pools * (1 + 0.5 * (0.5 - self.grain[spot]))
        if tooth:
            density = density * smoothstep(tooth - 0.1, tooth + 0.35, self.grain[spot])
        self.rgb[spot] *= np.exp(density[..., None] * np.log(pigment))

    def lit(self, strength: float = 0.35, gloss: float = 0.12) -> Array:
        """The colours with light from the upper left on the relief."""
        relief = ndimage.gaussian_filter(self.relief, 0.8)
        dy, dx = np.gradient(relief)
        slope = dx * 0.7 + dy * 0.7
        shade = 1 + strength * np.tanh(slope * 1.6)
        shine = gloss * np.clip(np.tanh(slope * 1.6), 0, 1) ** 3
        return np.clip(self.rgb * shade[..., None] + shine[..., None], 0, 1)


def _along_across(path: Array, x0: int, y0: int, x1: int, y1: int) -> tuple[Array, Array]:
    """For every pixel of the box the place along the path (0..1) and the signed distance across it."""
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    best = np.full(x.shape, np.inf, np.float32)
    along, across = np.zeros_like(x), np.zeros_like(x)
    n = len(path) - 1
    for i, (a, b) in enumerate(pairwise(path)):
        dx, dy = b - a
        length = float(dx * dx + dy * dy) or 1e-6
        free = ((x - a[0]) * dx + (y - a[1]) * dy) / length
        t = np.clip(free, 0, 1)
        ex, ey = x - a[0] - t * dx, y - a[1] - t * dy
        distance = ex * ex + ey * ey
        nearer = distance < best
        best = np.where(nearer, distance, best)
        # Beyond the path's ends u runs on a little, so that the ends are ragged and not round.
        along = np.where(nearer, (i + t) / n, along)
        side = np.sign(dx * ey - dy * ex)
        across = np.where(nearer, side * np.sqrt(distance), across)
    return along, across


def follow(angle: Callable[[float, float], float], start: Array, length: float, steps: int = 9) -> Array:
    """A path of ``length`` pixels along a field of angles, through ``start`` as its middle."""

    def half(sign: int) -> list[Array]:
        at, points = start.astype(float), []
        for _ in range(steps // 2):
            direction = angle(at[0], at[1])
            at = at + sign * np.array([np.cos(direction), np.sin(direction)]) * length / steps
            points.append(at)
        return points

    return np.array([*reversed(half(-1)), start, *half(1)], np.float32)


def sampler(field: Array) -> Callable[[float, float], float]:
    """A field (HEIGHT, WIDTH) as a function of (x, y), nearest pixel."""

    def at(x: float, y: float) -> float:
        return field[min(max(int(y), 0), HEIGHT - 1), min(max(int(x), 0), WIDTH - 1)]

    return at


def scatter(rng: np.random.Generator, spacing: float) -> Array:
    """Points on a jittered grid, in random order."""
    x, y = np.meshgrid(np.arange(-spacing, WIDTH + spacing, spacing), np.arange(-spacing, HEIGHT + spacing, spacing))
    points = np.stack([x.ravel(), y.ravel()], 1) + rng.uniform(-0.6, 0.6, (x.size, 2)) * spacing
    return points[rng.permutation(len(points))]


def paper(rng: np.random.Generator, scale: float = 1.0) -> Array:
    """Paper tooth, 0..1, of a cold-pressed sheet."""
    rough = ndimage.gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 1.3 * scale)
    fine = ndimage.gaussian_filter(rng.normal(size=(HEIGHT, WIDTH)), 0.6)
    grain = rough / rough.std() + 0.5 * fine / fine.std()
    return np.clip(0.5 + grain / 4.5, 0, 1).astype(np.float32)


def inside(angle: Array) -> Array:
    """Angles of a field's level lines, for strokes that follow a shape: from a height field."""
    dy, dx = np.gradient(ndimage.gaussian_filter(angle, 6))
    return np.arctan2(dx, -dy)
