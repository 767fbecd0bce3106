"""The gradient computed in tiles equals that of the whole picture."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import weakref
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image

from stylecore import Result, load_photo, memory, stylize, targets
from stylecore.device import Device
from stylecore.errors import TooLarge
from stylecore.memory import tile_and_pairs
from stylecore.network import load_network
from stylecore.painting import objective_of
from stylecore.preset import Painting
from stylecore.progress import Progress
from stylecore.recipe import Statistic, StylePicture
from stylecore.scales import scales_of
from stylecore.targets import targets_of, to_tensor
from stylecore.tiles import tiles_of
from tests.harness import HANG, REPOSITORY

EXACT = Device(torch.device("cpu"), torch.float32, "CPU, float32")


@pytest.mark.parametrize(
    ("layer", "margin", "stride"), [("relu5_1", 80, 16), ("relu5_4", 128, 16), ("pool5", 128, 32), ("relu1_1", 1, 1)]
)
@pytest.mark.parametrize(
    ("height", "width", "edge"), [(400, 600, 128), (333, 517, 160), (64, 900, 256), (145, 145, 128)]
)
def test_tiles_cover_the_picture_once(height: int, width: int, edge: int, layer: str, margin: int, stride: int) -> None:
    count = torch.zeros(1, 1, height, width)
    for tile in tiles_of(height, width, edge, (layer, "conv1_1")):
        count[:, :, tile.inner[0], tile.inner[1]] += 1
        for inner, outer, length in zip(tile.inner, tile.outer, (height, width), strict=True):
            assert inner.start % stride == outer.start % stride == 0
            assert inner.start - outer.start in (0, min(margin, inner.start))
            assert outer.stop in (length, inner.stop + margin)
    assert bool((count == 1).all())


@pytest.mark.parametrize(
    ("weighting", "statistic", "deepest"),
    [
        ("article", "gram", "relu5_1"),
        *(("relative", statistic, "relu5_1") for statistic in get_args(Statistic)),
        ("relative", "covariance", "pool5"),
    ],
)
def test_the_gradient_is_that_of_the_whole(
    cat: Image.Image, oil: Painting, tmp_path: Path, statistic: Statistic, weighting: str, deepest: str
) -> None:
    """In float32, at borders and seams too; the sides are not multiples of anything."""
    cat.save(tmp_path / "cat.png")
    photo = to_tensor(load_photo(tmp_path / "cat.png").resized(275, 261), EXACT.torch)
    layers = {**oil.style_layers, deepest: 0.2}
    preset = oil.model_copy(
        update={
            "statistic": statistic,
            "weighting": weighting,
            "tv_weight": 0.01,
            "style_size": 0.5,
            "style_layers": layers,
        }
    )
    picture = (photo.roll(37, 3) * 0.7 + 0.1).contiguous()
    network = load_network("oxford", EXACT)
    undivided = objective_of(network, preset, photo)
    whole, expected = undivided(picture)
    objective = objective_of(network, preset, photo, tile=144)
    assert len(objective.tiles) == 4
    tiled, gradient = objective(picture)
    assert tiled.total == pytest.approx(whole.total, rel=1e-5)
    assert tiled.content == pytest.approx(whole.content, rel=1e-5)
    for losses in (undivided.losses(picture), objective.losses(picture)):
        assert dataclasses.astuple(losses) == pytest.approx(dataclasses.astuple(whole), rel=1e-5)
    assert float((gradient - expected).norm() / expected.norm()) < 1e-4
    assert float((gradient - expected).abs().max() / expected.abs().max()) < 1e-3, "no seam"


SHORT = """
import resource, sys, psutil, torch
from pathlib import Path
from stylecore.device import Device
from stylecore.preset_file import load_preset
from stylecore.network import load_network
from stylecore.painting import objective_of
device = Device(torch.device("cpu"), torch.float32, "CPU, float32")
network, preset = load_network("oxford", device), load_preset(Path(sys.argv[1]))
photo = torch.rand(1, 3, 448, 672, generator=torch.Generator().manual_seed(1))

def evaluated():
    objective = objective_of(network, preset, photo)
    return len(objective.tiles), objective(photo * 0.8)[0].total, len(objective.tiles)

print(*evaluated())  # this starts threads and transforms filters, too
for more in range(1000, 100, -100):  # MB; how much the whole picture takes differs between processors
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + (more << 20), -1))
    found = evaluated()
    resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
    if found[2] > 1:
        break
print(*found)
"""


@pytest.mark.slow
def test_out_of_memory_halves_the_tiles_and_goes_on() -> None:
    """With the process's memory really limited: the same loss, in tiles."""
    command = [sys.executable, "-c", SHORT, str(REPOSITORY / "presets" / "oil.yaml")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=HANG)
    assert done.returncode == 0, done.stderr
    (first, loss, last), (begun, again, ended) = (line.split() for line in done.stdout.splitlines())
    assert first == last == begun == "1"
    assert int(ended) > 1
    assert float(again) == pytest.approx(float(loss), rel=1e-4)


def test_what_fits(oil: Painting) -> None:
    """As a whole, in tiles, with few pairs, or not at all: then the message names a size that would fit."""
    assert tile_and_pairs(EXACT, oil, 512, 384, 8 << 30) == (None, 20)
    tile, pairs = tile_and_pairs(EXACT, oil, 6000, 4000, 16 << 30)
    assert tile is not None
    assert 128 <= tile <= 1024
    assert 1 <= pairs < 20
    with pytest.raises(TooLarge, match="a long edge of") as refused:
        tile_and_pairs(EXACT, oil, 30_000, 20_000, 8 << 30)
    fits = int(str(refused.value).split("long edge of ")[1].split()[0])
    tile_and_pairs(EXACT, oil, fits, fits * 2 // 3, 8 << 30)
    early = oil.model_copy(update={"content_layers": {"relu1_2": 1.0}})
    with pytest.raises(TooLarge):
        tile_and_pairs(EXACT, early, fits, fits * 2 // 3, 8 << 30)
    small = 900 << 20
    with pytest.raises(TooLarge, match="a long edge of") as refused:
        tile_and_pairs(EXACT, oil, 768, 512, small)
    fits = int(str(refused.value).split("long edge of ")[1].split()[0])
    assert fits >= 100, "as a whole: no tile fits"
    tile_and_pairs(EXACT, oil, fits, fits * 2 // 3, small)
    with pytest.raises(TooLarge, match=r"is free \(700 MB\): close other programs"):
        tile_and_pairs(EXACT, oil, 768, 512, 700 << 20)


@pytest.mark.slow
def test_full_size_has_no_enlarging(cat: Image.Image, oil: Painting, tmp_path: Path) -> None:
    cat.save(tmp_path / "cat.png")
    photo = load_photo(tmp_path / "cat.png")
    full = oil.model_copy(update={"size": "full", "steps": (1, 1)})
    assert scales_of(photo.size, full, EXACT)[-1].size == photo.size
    *progress, result = stylize(photo, full, EXACT)
    assert isinstance(result, Result)
    assert isinstance(progress[-1], Progress)
    painting = np.rint(progress[-1].preview() * 255)
    assert np.abs(painting - result.pixels).max() <= 1


def test_memory_is_released_after_the_traceback_is_gone(
    oil: Painting, cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then the traceback's frames hold the tensors that did not fit."""
    network = load_network("oxford", EXACT)
    photo = to_tensor(np.asarray(cat.resize((300, 280)), np.float32) / 255, EXACT.torch)
    objective = objective_of(network, oil, photo)
    evaluate, failed, held = objective._evaluate, list[weakref.ref[torch.Tensor]](), list[bool]()

    def fail_once(picture: torch.Tensor) -> object:
        if failed:
            return evaluate(picture)
        large = torch.zeros(1000)
        failed.append(weakref.ref(large))
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(objective, "_evaluate", fail_once)
    monkeypatch.setattr("stylecore.objective.release_memory", lambda _: held.append(failed[0]() is not None))
    objective(photo)
    assert held == [False]


def test_a_style_picture_in_tiles_has_the_same_targets(oil: Painting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Little memory is free."""
    network, layers = load_network(oil.weights, EXACT), ("relu1_1", "relu2_1", "relu3_1")
    whole = targets_of(network, oil.style, 400, layers)
    monkeypatch.setattr(memory, "available_memory", lambda: 100_000_000)
    edge = memory.style_tile(EXACT.torch, EXACT.dtype, layers)
    assert len(tiles_of(300, 400, edge, layers)) > 1
    tiled = targets_of(network, oil.style, 400, layers)
    for name in layers:
        torch.testing.assert_close(tiled.moments[name].second, whole.moments[name].second, rtol=1e-3, atol=1e-3)
        assert tiled.activations[name] == pytest.approx(whole.activations[name], rel=1e-4)


def test_each_of_several_style_pictures_has_its_share_of_the_colours(tmp_path: Path) -> None:
    pictures = []
    for name, size, weight in (("red", (64, 64), 3.0), ("blue", (600, 400), 1.0)):
        Image.new("RGB", size, name).save(file := tmp_path / f"{name}.png")
        pictures.append(StylePicture(picture=file, weight=weight))
    colours = targets.style_colours(tuple(pictures), "fingerprint")
    assert np.mean(colours[:, 0] > 0.5) == pytest.approx(0.75, abs=0.01)
