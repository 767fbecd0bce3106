"""The pictures, one function each: returns RGB in 0..1, (HEIGHT, WIDTH, 3)."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from presets.paint.canvas import (
    HEIGHT,
    WIDTH,
    Array,
    Canvas,
    colour,
    follow,
    grid,
    inside,
    mix,
    noise,
    paper,
    ramp,
    sampler,
    scatter,
    smoothstep,
)  # fmt: skip


def swirl(rng: np.random.Generator) -> Array:
    """Night wind over a village: comma strokes around two eddies, small stars, dark hills with lit windows."""
    x, y = grid()
    drift = 0.35 * noise(rng, 1.5, 2)
    turn_x, turn_y = np.cos(drift), 0.5 * np.sin(drift)
    pale, gold = np.zeros_like(x), np.zeros_like(x)

    def eddy(cx: float, cy: float, radius: float, sense: int) -> Array:
        nonlocal turn_x, turn_y
        dx, dy = x - cx, y - cy
        distance = np.hypot(dx, dy) + 1e-4
        pull = np.exp(-((distance / radius) ** 2)) * 3.5
        turn_x, turn_y = turn_x - dy / distance * pull * sense, turn_y + dx / distance * pull * sense
        return distance / radius

    for cx, cy, radius, sense in ((0.42, 0.30, 0.20, 1), (0.80, 0.40, 0.17, -1)):
        distance = eddy(cx, cy, radius, sense)
        arm = np.arctan2(y - cy, x - cx) * sense + 5 * distance
        pale += np.clip(np.sin(arm), 0, 1) * np.exp(-(distance**2) / 1.6)
    for _ in range(11):
        cx, cy, radius = rng.uniform(0.05, 1.2), rng.uniform(0.05, 0.5), rng.uniform(0.025, 0.06)
        distance = eddy(cx, cy, radius, 1)
        gold += np.exp(-(distance**2) / 0.5) + 0.35 * np.exp(-((distance - 1.3) ** 2) / 0.08)
    ridge = 0.62 + 0.07 * np.sin(x * 5) + 0.025 * noise(rng, 3, 2)
    land = smoothstep(-0.004, 0.004, y - ridge)
    sky_tone = np.clip(0.36 + 0.16 * noise(rng, 4, 3, (0.6, 1.6)) + 0.34 * pale + 0.12 * (y < ridge - 0.12), 0, 1)
    tints = ramp(sky_tone, "#0b1a4a", "#1b3f8c", "#3a74b8", "#8db9cf", "#dfe6cf")
    tints = mix(tints, ramp(np.clip(gold, 0, 1), "#d9c56a", "#f3cf4a", "#fbe9a0"), np.clip(gold * 1.3, 0, 1))
    fields = ramp(
        np.clip(0.45 + 0.3 * noise(rng, 6, 3, (0.6, 1.8)) - (y - 0.75), 0, 1),
        "#0f1c2c",
        "#1f3f46",
        "#3f6a4a",
        "#a08a3c",
    )
    tints = mix(tints, fields, land)
    for _ in range(46):
        cx, cy = rng.uniform(0, 1.25), rng.uniform(0.68, 0.95)
        house = smoothstep(0.02, 0.017, np.maximum(np.abs(x - cx) * 0.9, np.abs(y - cy)))
        tints = mix(
            tints, np.broadcast_to(colour(rng.choice(["#e8b53a", "#c8642c", "#7fa3b8", "#efe0a8"])), tints.shape), house
        )
    field = np.where(land > 0.5, inside(y - ridge) + 0.35 * noise(rng, 5, 2), np.arctan2(turn_y, turn_x))
    canvas = Canvas(colour("#152a5c"), rng)
    at = sampler(field)
    for spacing, width, length in ((26, 34, 130), (16, 21, 88), (13, 14, 58)):
        for point in scatter(rng, spacing):
            px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
            tint = np.clip(tints[py, px] + rng.normal(0, 0.04, 3) + rng.normal(0, 0.06), 0, 1)
            canvas.stroke(follow(at, point, length * rng.uniform(0.6, 1.2)), width * rng.uniform(0.7, 1.2), tint)
    return canvas.lit(0.42, 0.16)


def oil(rng: np.random.Generator) -> Array:
    """Harvest evening in impasto: thick, short, loaded strokes."""
    x, y = grid()
    horizon = 0.46 + 0.05 * np.sin(x * 4.1) + 0.02 * noise(rng, 2, 2)
    sky = ramp(np.clip(y / 0.5 + 0.12 * noise(rng, 3, 3), 0, 1), "#2c5f8f", "#6fa3b8", "#e9c88e", "#f09a4a", "#d9532c")
    land = ramp(
        np.clip((y - 0.45) / 0.55 + 0.22 * noise(rng, 4, 3, (0.5, 1.6)), 0, 1),
        "#7d8a3a",
        "#d9a62e",
        "#b8651f",
        "#6b2f1d",
        "#2b2a33",
    )
    sun = np.exp(-(((x - 0.86) ** 2 + (y - 0.33) ** 2) / 0.008))
    scene = mix(sky, land, smoothstep(-0.012, 0.012, y - horizon))
    scene = mix(scene, np.broadcast_to(colour("#fff1b8"), scene.shape), np.clip(sun * 1.1, 0, 1))
    trees = smoothstep(0.35, 0.5, noise(rng, 5, 3) - np.abs(y - horizon + 0.05) * 9)
    scene = mix(scene, ramp(np.clip(0.5 + 0.3 * noise(rng, 9, 2), 0, 1), "#14261f", "#2d4a2b", "#6a7a2c"), trees)
    sky_angle = np.arctan2(y - 0.33, x - 0.86) + np.pi / 2 + 0.35 * noise(rng, 2, 2)
    field = np.where(y < horizon, sky_angle, 0.25 * noise(rng, 3, 2) + 0.5 * (x - 0.6))
    field = np.where(trees > 0.4, 1.4 + 0.6 * noise(rng, 6, 2), field)
    canvas = Canvas(colour("#7a4a2a"), rng)
    at = sampler(field)
    for spacing, width, length in ((30, 50, 130), (21, 38, 100), (24, 26, 74)):
        for point in scatter(rng, spacing):
            px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
            tint = np.clip(scene[py, px] * rng.normal(1, 0.09) + rng.normal(0, 0.035, 3), 0, 1)
            canvas.stroke(
                follow(at, point, length * rng.uniform(0.5, 1.15), 7),
                width * rng.uniform(0.7, 1.15),
                tint,
                streaks=0.16,
                body=1.5,
            )
    return canvas.lit(0.6, 0.22)


def watercolour(rng: np.random.Generator) -> Array:
    """Dune grass by a lake at dusk: a wet first wash, then glazes with dark rims, the broad ones first, on rough white
    paper."""
    x, y = grid()
    shore = 0.60 + 0.012 * noise(rng, 2, 2)
    height = np.clip(y / 0.5 + 0.10 * noise(rng, 1.5, 3, (0.5, 1.4)), 0, 1)
    near = np.clip((y - 0.6) / 0.4 + 0.12 * noise(rng, 3, 3, (0.4, 1.6)), 0, 1)
    sky = ramp(height, "#486a96", "#86a4c2", "#bccfda", "#f3e3cc", "#eec3a2")
    water = ramp(near, "#ecd2b8", "#b9b4b8", "#7d93a8", "#3a5472")
    scene = mix(sky, water, smoothstep(-0.004, 0.004, y - shore))
    lean = 0.25 * noise(rng, 1.5, 2)
    for base, rise, cells, top, foot in (
        (0.40, 0.06, 2.0, "#8c90b4", "#c4c6d6"), (0.48, 0.05, 2.6, "#6c7c9c", "#b0b8b8"),
        (0.55, 0.03, 4.0, "#5c6660", "#a89c78"),
    ):  # fmt: skip
        below = y - (base + rise * noise(rng, cells, 3)[HEIGHT // 2])[None]
        land = smoothstep(-0.002, 0.002, below) * smoothstep(0.004, -0.004, y - shore)
        scene = mix(scene, ramp(np.clip(below / 0.12 + 0.1 * noise(rng, 5, 2), 0, 1), top, foot), land)
        lean = np.where(land > 0.5, 0.5 * np.sign(np.sin(x * 7)) + 0.4 * noise(rng, 3, 2), lean)
    bank = y - (0.74 + 0.08 * np.sin(x * 2.6 + 0.6) + 0.01 * noise(rng, 3, 2))
    earth = np.clip(0.5 + 0.30 * noise(rng, 3, 3, (0.6, 1.6)), 0, 1)
    grass = ramp(earth, "#3c3440", "#7a5640", "#b4845c", "#d2aa80", "#80583f")
    scene = mix(scene, grass, smoothstep(-0.003, 0.003, bank))
    lean = np.where(bank > 0, -0.5 + 0.5 * noise(rng, 2, 2), lean)
    trees = smoothstep(0.0, 0.2, noise(rng, 4, 3) + 0.1 - np.abs(y - 0.54) * 14)
    scene = mix(scene, ramp(np.clip(0.5 + 0.3 * noise(rng, 8, 2), 0, 1), "#343c4a", "#565f5a", "#86805c"), trees)
    at = sampler(np.where(trees > 0.5, -1.2 + 0.5 * noise(rng, 5, 2), lean))
    white, grain = colour("#fbf7ec"), paper(rng, 1.4)
    canvas = Canvas(white, rng, grain)
    canvas.rgb *= (ndimage.gaussian_filter(scene, (5, 5, 0)) / white) ** (0.7 + 0.07 * noise(rng, 3, 4)[..., None])
    ragged = noise(rng, 22, 3)
    for spacing, width, length, load, tooth in (
        (74, 130, 560, 0.45, 0.0), (52, 76, 380, 0.50, 0.08), (38, 36, 250, 0.55, 0.10), (26, 18, 150, 0.60, 0.15),
        (18, 10, 80, 0.50, 0.15),
    ):  # fmt: skip
        for point in scatter(rng, spacing):
            path, half = follow(at, point, length * rng.uniform(0.5, 1.15), 7), width / 2 * rng.uniform(0.65, 1.2)
            px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
            aside = np.array([0, 0.7 * half])
            columns, rows = np.concatenate([path - aside, path + aside]).astype(int).T
            covered = scene[np.clip(rows, 0, HEIGHT - 1), np.clip(columns, 0, WIDTH - 1)]
            wanted = 0.45 * scene[py, px] + 0.55 * covered[covered.sum(-1).argmax()]  # few marks leave their shape
            pigment = np.clip(wanted * rng.normal(1, 0.025, 3) * rng.normal(1, 0.05) / canvas.rgb[py, px], 0.2, 1)
            if pigment.mean() < (0.96 if width > 60 else 0.9):
                dry = tooth if rng.random() < 2 * tooth else 0.0
                canvas.glaze(path, half, pigment, load, dry, min(2.2, 0.06 * width) * ragged)
    settled = white * (np.clip(canvas.rgb, 0.01, 1) / white) ** (1.11 - 0.22 * grain[..., None])
    return np.clip(settled * (1 + 0.5 * np.gradient(ndimage.gaussian_filter(grain, 1))[1])[..., None], 0, 1)


def woodblock(rng: np.random.Generator) -> Array:
    """Hills above a bay: flat colours with bokashi gradation, cut outlines where shapes meet, the plank's grain."""
    x, y = grid()
    ink = colour("#1f1e2a")
    print_ = ramp(np.clip(y / 0.62, 0, 1), "#2a5580", "#7fa8b4", "#e9dcc0", "#f0e3c6", "#e6b79b", "#e0a084")

    def block(edge: Array, tint: str, deep: str, height: float, width: float = 3.2) -> None:
        """A shape where ``edge``, in pixels, is above 0: it pales downwards, and is outlined."""
        nonlocal print_
        pale = np.clip(edge / (height * HEIGHT), 0, 1)
        print_ = mix(print_, ramp(pale, deep, tint), smoothstep(-0.7, 0.7, edge))
        swell = width * (0.75 + 0.3 * noise(rng, 5, 2))
        print_ = mix(print_, np.broadcast_to(ink, print_.shape), smoothstep(swell, swell - 1.2, np.abs(edge)))

    def ridge(base: float, rise: float, cells: float) -> Array:
        profile = base + rise * noise(rng, cells, 3)[HEIGHT // 3]
        slope = np.sqrt(1 + np.gradient(profile * HEIGHT) ** 2)
        return (y - profile[None]) * HEIGHT / slope[None]

    for base, rise, cells, tint, deep in (
        (0.30, 0.050, 2.0, "#9fbcb8", "#5f8fa4"),
        (0.38, 0.045, 2.6, "#8fb59a", "#3d7a72"),
        (0.46, 0.040, 2.3, "#d9ab72", "#96602f"),
        (0.55, 0.040, 3.0, "#c4553b", "#7a3024"),
        (0.64, 0.035, 2.6, "#a9744a", "#3f281d"),
    ):
        block(ridge(base, rise, cells), tint, deep, 0.16)
    crowns = (0.78 + 0.02 * np.sin(x * 9) - y) * 9 + 0.42 * noise(rng, 9, 2)
    crowns = np.minimum(crowns, (y - 0.71 - 0.02 * noise(rng, 4, 2)) * 30)
    steep = np.hypot(*np.gradient(crowns)) + 1e-4
    block((crowns - 0.1) / np.maximum(steep, 0.012), "#3f6b4c", "#1d3a30", 0.08, 2.4)
    bay = ridge(0.81, 0.004, 3)
    block(bay, "#8fb3b5", "#1d3d66", 0.16)
    warp = 0.10 * noise(rng, 2, 2)
    wave = y * 11 + 0.45 * np.sin(x * 7 + 3 * warp) + 0.25 * np.sin(x * 15 - y * 5 + 5 * warp) + 1.2 * warp
    distance = (0.5 - np.abs(wave % 1 - 0.5)) / (np.hypot(*np.gradient(wave)) + 1e-6)
    swell = np.clip(2.6 + 1.1 * noise(rng, 6, 2, (0.6, 1.6)), 0.1, None)
    near = smoothstep(30, 110, bay)
    water = near * smoothstep(swell, swell - 1.4, distance)
    crest = near * smoothstep(24, 9, distance) * (wave % 1 < 0.5)
    print_ = mix(print_, np.broadcast_to(colour("#f0e3c6"), print_.shape), 0.75 * crest)
    print_ = mix(print_, np.broadcast_to(ink, print_.shape), water)
    plank = np.sin((y + 0.02 * noise(rng, 2, 2)) * 260 + 5 * noise(rng, 1.5, 2)) * 0.5 + 0.5
    fibre = noise(rng, 60, 2, (0.25, 1.4))
    pores = noise(rng, 380, 1, (0.1, 1))
    print_ = print_ * (1 - 0.10 * plank[..., None]) * (1 + 0.035 * fibre[..., None]) * (1 + 0.05 * pores[..., None])
    return np.clip(
        mix(print_, np.broadcast_to(colour("#efe4c8"), print_.shape), 0.07 * smoothstep(1.2, 1.7, fibre)), 0, 1
    )


def pointillist(rng: np.random.Generator) -> Array:
    """River bank in dots of unmixed colour: neighbours in hue and a complement among them."""
    x, y = grid()
    bank = 0.55 + 0.1 * np.sin(x * 3) + 0.03 * noise(rng, 2, 2)
    sky = ramp(np.clip(y * 1.9, 0, 1), "#5f9fd8", "#9cc6ea", "#f4d7a6", "#f7e6b5")
    water = ramp(np.clip((y - 0.4) * 2 + 0.2 * noise(rng, 4, 2, (0.5, 2)), 0, 1), "#7fb2dc", "#2f6fb5", "#3f4f9f")
    meadow = ramp(np.clip(0.5 + 0.28 * noise(rng, 4, 3) + (y - 0.75), 0, 1), "#f0d23c", "#9ac23a", "#3f8f45", "#2a5a58")
    scene = mix(sky, water, smoothstep(-0.02, 0.02, y - 0.42))
    scene = mix(scene, meadow, smoothstep(-0.02, 0.02, y - bank))
    trees = smoothstep(0.1, 0.4, noise(rng, 3, 3) + 0.2 - np.abs(y - 0.36) * 6)
    scene = mix(scene, ramp(np.clip(0.5 + 0.3 * noise(rng, 6, 2), 0, 1), "#223a6a", "#2f7a4f", "#c9562f"), trees)
    picture = np.ones((HEIGHT, WIDTH, 3), np.float32) * colour("#f2e8d2")
    for spacing, radius in ((17, 12), (15, 9.5), (15, 8)):
        for cx, cy in scatter(rng, spacing):
            px, py = int(np.clip(cx, 0, WIDTH - 1)), int(np.clip(cy, 0, HEIGHT - 1))
            tint = scene[py, px]
            grey = tint.mean()
            chance = rng.random()
            pure = np.clip(grey + (tint - grey) * 1.35, 0, 1)
            if chance < 0.14:
                pure = np.clip(grey - (tint - grey) * 1.3, 0, 1)
            elif chance < 0.45:
                pure = np.clip(pure[[2, 0, 1]] * 0.35 + pure * 0.65, 0, 1)
            pure = np.clip(pure + rng.normal(0, 0.07, 3), 0, 1)
            r = radius * rng.uniform(0.7, 1.15)
            x0, x1, y0, y1 = int(cx - r - 2), int(cx + r + 3), int(cy - r - 2), int(cy + r + 3)
            if x0 < 0 or y0 < 0 or x1 > WIDTH or y1 > HEIGHT:
                continue
            dy, dx = np.mgrid[y0:y1, x0:x1]
            lean = rng.uniform(0.75, 1.3)
            alpha = smoothstep(r + 0.9, r - 0.9, np.hypot((dx - cx) * lean, (dy - cy) / lean))
            light = 1 + 0.10 * np.clip((cx - dx + cy - dy) / r, -1, 1)
            spot = picture[y0:y1, x0:x1]
            picture[y0:y1, x0:x1] = spot + (np.clip(pure * light[..., None], 0, 1) - spot) * alpha[..., None]
    return picture


def charcoal(rng: np.random.Generator) -> Array:
    """Hills under a wide sky: smudged tone, hatching over it, hard blacks and lifted whites on toothy paper."""
    x, y = grid()
    grain = paper(rng, 1.5)
    tone = 0.84 + 0.10 * noise(rng, 2.5, 3, (0.5, 1.6)) - 0.10 * y
    lean = np.full_like(x, -0.75) + 0.25 * noise(rng, 1.5, 2)
    ridges = []
    for base, rise, cells, top, foot in (
        (0.40, 0.07, 2.0, 0.58, 0.80), (0.53, 0.06, 2.6, 0.38, 0.72), (0.68, 0.05, 3.2, 0.18, 0.62),
        (0.86, 0.04, 2.4, 0.10, 0.46),
    ):  # fmt: skip
        profile = base + rise * noise(rng, cells, 4)[HEIGHT // 2]
        below = y - profile[None]
        lit = top + (foot - top) * smoothstep(0, 0.16, below + 0.05 * noise(rng, 4, 3))
        land = smoothstep(-0.003, 0.003, below)
        tone += (lit - tone) * land
        slope = np.arctan(np.gradient(ndimage.gaussian_filter1d(profile, 12)) * HEIGHT)
        lean += (slope + rng.choice([-0.8, 0.7]) - lean) * land
        ridges.append((profile * HEIGHT, slope))
    tone = np.clip(tone + 0.06 * noise(rng, 6, 3), 0, 1)
    canvas = Canvas(colour("#f1ede4"), rng, grain)
    canvas.rgb *= (ndimage.gaussian_filter(tone, 5) * 0.80 + 0.22 + 0.12 * (grain - 0.5))[..., None]
    canvas.rgb = np.clip(canvas.rgb, 0, 1)
    for spacing, width, length, turn in ((20, 9, 150, 0.0), (15, 6, 120, 0.12), (18, 6, 90, 1.35), (13, 4, 90, -0.15)):
        at = sampler(lean + turn)
        for point in scatter(rng, spacing):
            px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
            dark = 1 - tone[py, px]
            if rng.random() > dark * 1.5 - (0.16 if turn < 1 else 0.45):
                continue
            canvas.stroke(
                follow(at, point, length * rng.uniform(0.5, 1.2), 5),
                width * rng.uniform(0.7, 1.4), colour("#1c1a1a"), opacity=0.30 + 0.6 * dark,
                tooth=0.60 - 0.40 * dark, body=0, pickup=0, streaks=0.05, dryness=0.2,
            )  # fmt: skip
    for heights, slope in ridges:
        at = sampler(np.broadcast_to(slope, lean.shape))
        for column in range(0, WIDTH, 16):
            if rng.random() < 0.6:
                point = np.array([column, heights[column] + rng.normal() * 3])
                canvas.stroke(
                    follow(at, point, rng.uniform(40, 130), 9),
                    rng.uniform(4, 10), colour("#100f10"), opacity=0.95, tooth=0.25, body=0, pickup=0, streaks=0.05,
                    dryness=0.25,
                )  # fmt: skip
    for point in scatter(rng, 26):
        px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
        if rng.random() < 0.7 * smoothstep(0.66, 0.84, tone[py, px]):
            canvas.stroke(
                follow(sampler(lean), point, rng.uniform(60, 140), 5), rng.uniform(6, 16), colour("#f9f6ee"),
                opacity=0.75, tooth=0.42, body=0, pickup=0,
            )  # fmt: skip
    grey = ndimage.gaussian_filter(canvas.rgb.mean(-1), 0.5)[..., None]  # as sharp as a scan
    return np.clip(grey * np.array([1.0, 0.985, 0.955]), 0, 1)


def stained_glass(rng: np.random.Generator) -> Array:
    """A rose window's quarter: lead between panes of streaky pot-metal glass, lit from behind."""
    x, y = grid()
    cx, cy = 0.62, 0.5
    points = []
    for ring in range(13):
        radius = 0.055 + 0.072 * ring
        count = max(6, int(7 * (ring + 1) * 0.82))
        turn = rng.uniform(0, 1)
        for k in range(count):
            a = 2 * np.pi * (k + turn) / count
            points.append(
                (cx + radius * np.cos(a) + rng.normal(0, 0.008), cy + radius * np.sin(a) + rng.normal(0, 0.008))
            )
    sites = np.array(points)
    wx, wy = x + 0.012 * noise(rng, 4, 2), y + 0.012 * noise(rng, 4, 2)
    distance, index = cKDTree(sites).query(np.stack([wx.ravel(), wy.ravel()], 1), k=2)
    nearest = index[:, 0].reshape(x.shape)
    gap = (distance[:, 1] - distance[:, 0]).reshape(x.shape) * HEIGHT
    glass = [
        "#c4161c",
        "#0f3f9e",
        "#f2b705",
        "#0b7a4b",
        "#7a1fa2",
        "#1486c9",
        "#e8590c",
        "#e9eef2",
        "#0a2a6b",
        "#b3123f",
    ]
    ring_of = np.hypot(sites[:, 0] - cx, sites[:, 1] - cy)
    tints = np.stack([colour(glass[(int(r * 14) * 3 + rng.integers(0, 4)) % len(glass)]) for r in ring_of])
    pane = tints[nearest]
    turn = rng.uniform(0, np.pi, len(sites))[nearest]
    along = (x * np.cos(turn) + y * np.sin(turn)) * 34 + 1.6 * noise(rng, 5, 3)
    streak = np.sin(along) * 0.5 + np.sin(along * 2.7 + 1) * 0.25
    seeds = (ndimage.gaussian_filter(rng.normal(size=x.shape), 2.2) * 9 > 1.6) * 0.22
    glow = 0.78 + 0.30 * smoothstep(2, 26, gap) + 0.13 * streak + 0.10 * noise(rng, 2, 3) + seeds
    lit = pane * glow[..., None] + 0.20 * (glow[..., None] - 0.9) * colour("#fff3cf")
    half = 8.5 + 1.4 * noise(rng, 8, 2)
    lead = smoothstep(half + 1.5, half - 1.5, gap)
    came = ramp(
        np.clip(0.45 + 0.5 * np.cos(gap / 5.5) + 0.12 * noise(rng, 20, 2), 0, 1), "#0d0d10", "#1d1e22", "#4a4a4d"
    )
    return np.clip(mix(lit, came, lead), 0, 1)


def leaning(angle: float, x: float, a: float, b: float) -> float:
    """The angle at (a, b) of a blade of grass that stands at ``x``."""
    return angle + (a - x) * 0.006


def gouache(rng: np.random.Generator) -> Array:
    """A travel poster: opaque flat shapes, few colours, dry-brushed edges."""
    x, y = grid()
    canvas = Canvas(colour("#f3dfb6"), rng, paper(rng))
    streaks = noise(rng, 50, 2, (0.12, 1.5))
    canvas.rgb = ramp(np.clip(y * 1.5, 0, 1), "#1f8a8c", "#79c2b0", "#f6dfa8", "#f6c17a") * 1.0
    canvas.rgb = np.floor(canvas.rgb * 9 + 0.25 * streaks[..., None]) / 9 + 0.04
    sun = smoothstep(0.165, 0.155, np.hypot(x - 0.84, y - 0.34) + 0.004 * streaks)
    canvas.rgb = mix(canvas.rgb, np.broadcast_to(colour("#f4573a"), canvas.rgb.shape), sun)
    for base, height, tint in (
        (0.44, 0.13, "#e9a15b"),
        (0.52, 0.12, "#d2603a"),
        (0.60, 0.10, "#2b6d74"),
        (0.70, 0.09, "#174a5a"),
        (0.82, 0.08, "#f0b63c"),
        (0.9, 0.05, "#11283d"),
    ):
        ridge = base + height * 0.5 * noise(rng, 2.2, 2)[HEIGHT // 3]
        depth = y - ridge[None]
        dry = depth + 0.006 * streaks + 0.012 * np.clip(noise(rng, 40, 2, (0.2, 2)), 0, 3) * (depth < 0.03)
        body = smoothstep(-0.002, 0.002, dry)
        shade = colour(tint) * (1 + 0.05 * streaks[..., None])
        lighter = (
            smoothstep(0.35, 0.5, noise(rng, 3, 2))
            * smoothstep(0.0, 0.01, depth)
            * smoothstep(0.13, 0.11, depth + 0.01 * streaks)
        )
        canvas.rgb = mix(mix(canvas.rgb, shade, body), np.clip(shade * 1.28 + 0.05, 0, 1), lighter * body * 0.9)
    for _ in range(170):
        px, py = rng.uniform(0, WIDTH), rng.uniform(HEIGHT * 0.5, HEIGHT)
        lean = rng.normal(-np.pi / 2, 0.5)
        path = follow(partial(leaning, lean, px), np.array([px, py]), rng.uniform(50, 150), 9)
        blade = colour(rng.choice(["#f4573a", "#f6dfa8", "#0f3a46", "#79c2b0", "#f0b63c", "#1f8a8c"]))
        canvas.stroke(path, rng.uniform(14, 34), blade, streaks=0.05, dryness=0.55, body=0.25, pickup=0)
    for _ in range(60):
        px, py = rng.uniform(0, WIDTH), rng.uniform(0, HEIGHT * 0.4)
        path = follow(lambda a, b: 0.08 * np.sin(a / 90), np.array([px, py]), rng.uniform(90, 260), 9)
        canvas.stroke(
            path,
            rng.uniform(9, 24),
            colour(rng.choice(["#f9ecd0", "#79c2b0", "#f6c17a"])),
            streaks=0.05,
            dryness=0.7,
            body=0.2,
            pickup=0,
        )
    return np.clip(canvas.lit(0.15, 0.03) * (0.97 + 0.06 * paper(rng)[..., None]), 0, 1)


def pastel(rng: np.random.Generator) -> Array:
    """Dusk garden in soft pastel: side-of-the-stick strokes on grey paper that shows between them."""
    _, y = grid()
    grain = paper(rng, 1.6)
    canvas = Canvas(colour("#a39aac"), rng, grain)
    canvas.rgb *= (0.85 + 0.3 * grain)[..., None]
    mood = np.clip(0.5 + 0.22 * noise(rng, 2, 3) + 0.35 * (0.5 - y), 0, 1)
    scene = ramp(mood, "#23284f", "#4b4a8f", "#8a5fa8", "#d9799b", "#f2b48a", "#f7e3b0")
    scene = mix(
        scene,
        ramp(np.clip(0.5 + 0.3 * noise(rng, 6, 2), 0, 1), "#1f4a4a", "#4f9a7a", "#b9d98a"),
        smoothstep(0.2, 0.6, noise(rng, 3, 2) + (y - 0.55) * 2.2),
    )
    at = sampler(-0.85 + 0.55 * noise(rng, 1.6, 2))
    for spacing, width, length, tooth in ((20, 40, 130, 0.08), (19, 26, 115, 0.30), (20, 16, 90, 0.40)):
        for point in scatter(rng, spacing):
            px, py = int(np.clip(point[0], 0, WIDTH - 1)), int(np.clip(point[1], 0, HEIGHT - 1))
            tint = np.clip(scene[py, px] * rng.normal(1.04, 0.12) + rng.normal(0, 0.05, 3), 0, 1)
            canvas.stroke(
                follow(at, point, length * rng.uniform(0.5, 1.2), 7), width * rng.uniform(0.6, 1.3), tint,
                opacity=0.92, streaks=0.07, dryness=0.3, body=0, tooth=tooth, pickup=0.1,
            )  # fmt: skip
    return np.clip(canvas.rgb, 0, 1)
