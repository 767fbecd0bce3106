"""stylize(): real photographs, real weights, small sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylecore import Painting, Photo, Preset, Progress, Result, load_photo, load_preset, stylize
from stylecore.colour import luma, palette_of
from stylecore.device import Device, choose_device
from stylecore.errors import DeviceError
from stylecore.network import load_network
from stylecore.painting import objective_of
from stylecore.targets import to_tensor
from tests.harness import REPOSITORY, difference, shipped

CPU32 = Device(torch.device("cpu"), torch.float32, "CPU, float32")


def run(photo: Photo, preset: Preset, device: Device | None = None) -> tuple[list[Progress], Result]:
    *progress, result = stylize(photo, preset, device)
    assert isinstance(result, Result)
    return [p for p in progress if isinstance(p, Progress)], result


def edges_kept(result: Result, photo: Photo) -> float:
    """Correlation of the luminance gradients' magnitudes, a little blurred."""

    def edges(pixels: np.ndarray) -> np.ndarray:
        small = Photo(Path("small"), pixels, "png").resized(64, 42)
        return np.hypot(*np.gradient(luma(small))).ravel()

    return float(np.corrcoef(edges(result.pixels), edges(photo.pixels))[0, 1])


def test_classic_lowers_the_total_loss_tenfold_and_keeps_the_scene(photo: Photo) -> None:
    classic = shipped("classic").model_copy(update={"size": 128, "steps": (60,)})
    network = load_network("oxford", CPU32)
    start, _ = objective_of(network, classic, to_tensor(photo.resized(128, 85), CPU32.torch))(
        to_tensor(photo.resized(128, 85), CPU32.torch)
    )
    progress, result = run(photo, classic, CPU32)
    assert progress[-1].losses.total < start.total / 10
    assert edges_kept(result, photo) > 0.3, "the photo's edges are still there"
    assert difference(result.pixels, photo.pixels) > 20, "and it is painted over"


def test_the_gradient_of_the_whole_objective_is_the_numerical_one(photo: Photo, oil: Painting) -> None:
    """In float64, along a direction that is half gradient, half noise: network, both losses and total variation."""
    preset = oil.model_copy(update={"tv_weight": 0.3})
    network = load_network("oxford", Device(torch.device("cpu"), torch.float64, "CPU, float64"))
    target = to_tensor(photo.resized(48, 32), torch.device("cpu")).double()
    objective = objective_of(network, preset, target)
    generator = torch.Generator().manual_seed(3)
    picture = (target * 0.8 + 0.2 * torch.rand(target.shape, generator=generator)).double()
    _, gradient = objective(picture)
    noise = torch.randn(picture.shape, generator=generator, dtype=torch.float64)
    direction = gradient / gradient.norm() + noise / noise.norm()
    step = 1e-5
    up, down = objective(picture + step * direction)[0].total, objective(picture - step * direction)[0].total
    assert float((gradient * direction).sum()) == pytest.approx((up - down) / (2 * step), rel=1e-3)


def test_a_style_in_black_and_white_gives_a_painting_in_black_and_white(photo: Photo) -> None:
    """Without specks of colour, which charcoal had on white; with `colour: photo`, the photo's colours stay."""
    preset = shipped("charcoal").model_copy(update={"steps": (2, 2), "size": 96})

    def chroma(pixels: np.ndarray) -> np.ndarray:
        whole = pixels.astype(np.float32)
        return np.abs(whole - luma(whole)[..., None]).max(-1)

    style = chroma(np.asarray(Image.open(preset.style[0].picture).convert("RGB")))
    progress, result = run(photo, preset)
    for seen in (result.pixels, progress[-1].preview() * 255):
        assert np.quantile(chroma(seen), 0.999) <= np.quantile(style, 0.999) + 2
    kept = run(photo, preset.model_copy(update={"colour": "photo"}))[1]
    assert np.median(chroma(kept.pixels)) > 10


def test_progress_tells_the_whole_way(photo: Photo, oil: Painting) -> None:
    finish = (oil.finish[0].model_copy(update={"steps": 1}),)
    preset = oil.model_copy(update={"steps": (2, 3), "finish": finish, "size": 96})
    progress, result = run(photo, preset)
    assert [p.step for p in progress] == [1, 2, 3, 4, 5, 6]
    assert [p.scale for p in progress] == [1, 1, 2, 3, 3, 3]
    assert {p.steps for p in progress} == {6}
    shares = [p.share for p in progress]
    assert shares == sorted(shares)
    assert shares[1] < 0.3
    assert shares[-1] == 1
    assert [p.size for p in progress][1:3] == [(48, 32), (96, 64)]
    assert progress[-1].preview().shape == (64, 96, 3)
    assert result.steps == 6
    assert result.size == photo.size == (451, 300)


def test_a_seed_gives_another_painting_and_always_the_same(photo: Photo, quick: Painting) -> None:
    """Without a seed, the painting is the same each time, too, to the last bit."""
    recipes = [quick.model_copy(update={"seed": seed, "steps": (3, 2)}) for seed in (None, None, 1, 1, 2)]
    plain, again, one, one_again, two = (run(photo, recipe)[1].pixels for recipe in recipes)
    assert np.array_equal(plain, again)
    assert np.array_equal(one, one_again)
    assert difference(one, two) > 1
    assert difference(one, plain) > 1


def test_leaving_the_loop_is_cancelling(photo: Photo, quick: Painting) -> None:
    events = stylize(photo, quick)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert torch.is_grad_enabled()


def test_strength_0_is_the_photo_and_costs_no_step(photo: Photo, quick: Painting) -> None:
    progress, result = run(photo, quick.model_copy(update={"strength": 0}))
    assert progress == []
    assert np.array_equal(result.pixels, photo.pixels)


def test_strength_mixes(photo: Photo, quick: Painting) -> None:
    _, whole = run(photo, quick)
    _, half = run(photo, quick.model_copy(update={"strength": 50}))
    mean = (whole.pixels.astype(float) + photo.pixels) / 2
    assert difference(half.pixels, mean) < 0.6


def test_colour_photo_keeps_the_chroma(photo: Photo, quick: Painting) -> None:
    def chroma(pixels: np.ndarray) -> np.ndarray:
        floats = pixels.astype(np.float32) / np.float32(255)
        return floats - luma(floats)[..., None]

    _, kept = run(photo, quick.model_copy(update={"colour": "photo"}))
    _, other = run(photo, quick)
    inside = ((kept.pixels > 3) & (kept.pixels < 252)).all(-1)  # where nothing was clipped
    assert difference(chroma(kept.pixels)[inside], chroma(photo.pixels)[inside]) * 255 < 1
    assert difference(chroma(other.pixels)[inside], chroma(photo.pixels)[inside]) * 255 > 4
    assert difference(luma(kept.pixels.astype(np.float32)), luma(photo.pixels.astype(np.float32))) > 4


def test_a_grey_photo_and_a_flat_one(quick: Painting) -> None:
    flat = Photo(Path("flat.png"), np.full((40, 60, 3), 128, np.uint8), "png")
    assert 5 < run(flat, quick)[1].pixels.mean() < 250
    black = Photo(Path("black.png"), np.zeros((40, 60, 3), np.uint8), "png")
    assert run(black, quick)[1].pixels.shape == (40, 60, 3)


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (700, 3), (20, 20)])
def test_odd_sizes(quick: Painting, shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (*shape, 3), dtype=np.uint8)
    _, result = run(Photo(Path("odd.png"), pixels, "png"), quick)
    assert result.pixels.shape == pixels.shape


def test_16_bits_stay_16_bits(photo: Photo, quick: Painting) -> None:
    deep = Photo(photo.path, photo.pixels.astype(np.uint16) * 257, "png")
    _, result = run(deep, quick)
    assert result.pixels.dtype == np.uint16
    assert len(np.unique(result.pixels)) > 10_000


def test_several_style_pictures_are_weighted(photo: Photo, quick: Painting, tmp_path: Path) -> None:
    styles = REPOSITORY / "presets" / "styles"

    def loaded(text: str) -> Result:
        path = tmp_path / "mixed.yaml"
        path.write_text(f"steps: 12\nsize: 64\nstyle:\n{text}")
        return run(photo, load_preset(path))[1]

    oil, coal = styles / "oil.jpg", styles / "charcoal.jpg"
    one = loaded(f"  - {oil}\n")
    mostly = loaded(f"  - {{picture: {oil}, weight: 9}}\n  - {{picture: {coal}, weight: 1}}\n")
    hardly = loaded(f"  - {{picture: {oil}, weight: 1}}\n  - {{picture: {coal}, weight: 9}}\n")
    assert difference(mostly.pixels, one.pixels) < difference(hardly.pixels, one.pixels)


def test_a_preset_looks_alike_under_other_weights(photo: Photo, oil: Painting, tmp_path: Path) -> None:
    """Activations twice as large in the first layer, and so in all after it: the same picture, also with classic."""
    from stylecore.weights import load_weights

    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    mean = torch.tensor([0.485, 0.456, 0.406])
    weights = load_weights("oxford")
    state = {k: v.clone() for k, v in weights.state.items()}
    state["0.bias"] += (state["0.weight"] * (mean - weights.mean).reshape(1, 3, 1, 1)).sum((1, 2, 3))
    state = {k: v * 2 if k.startswith("0.") or k.endswith("bias") else v for k, v in state.items()}
    state["0.weight"] = state["0.weight"] * std
    torch.save({f"features.{k}": v for k, v in state.items()}, tmp_path / "double.pth")
    classic = shipped("classic")
    for preset in (oil, classic):
        short = preset.model_copy(update={"steps": (6,), "size": 64})
        _, one = run(photo, short, CPU32)
        _, other = run(photo, short.model_copy(update={"weights": str(tmp_path / "double.pth")}), CPU32)
        assert difference(one.pixels, other.pixels) < 6, preset.name


@pytest.mark.slow
def test_bf16_is_harmless(photo: Photo, oil: Painting) -> None:
    """The same steps in bf16 and in float32 end at losses within a tenth of each other, both judged in float32."""
    preset = oil.model_copy(update={"steps": (15,), "size": 64})
    target = to_tensor(photo.resized(64, 43), CPU32.torch)
    judge = objective_of(load_network("oxford", CPU32), preset, target)
    ends = {}
    for dtype in (torch.bfloat16, torch.float32):
        progress, _ = run(photo, preset, Device(torch.device("cpu"), dtype, str(dtype)))
        ends[dtype] = judge(to_tensor(progress[-1].preview(), CPU32.torch))[0].total
    assert ends[torch.bfloat16] == pytest.approx(ends[torch.float32], rel=0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
def test_a_gpu_paints_what_the_cpu_paints(photo: Photo, oil: Painting) -> None:
    preset = oil.model_copy(update={"steps": (10,), "size": 128})
    _, there = run(photo, preset, choose_device("cuda"))
    _, here = run(photo, preset, CPU32)
    assert difference(there.pixels, here.pixels) < 8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU on this machine")
def test_a_captured_evaluation_is_the_same(photo: Photo, oil: Painting) -> None:
    device = choose_device("cuda")
    target = to_tensor(photo.resized(192, 128), device.torch)
    captured, plain = (objective_of(load_network("oxford", device), oil, target) for _ in range(2))
    for strength in (1.0, 0.9, 0.7, 0.5):
        losses, gradient = captured(target * strength)
        terms, expected = plain._evaluate(target * strength)
        assert losses.total == pytest.approx(float(terms.sum()), rel=1e-5)
        assert float((gradient - expected).norm() / expected.norm()) < 1e-5
    assert captured.replay is not None


def test_devices() -> None:
    assert choose_device("cpu").torch.type == "cpu"
    assert choose_device().words
    for name in ("tpu", "cuda:99", "cpu:1"):
        with pytest.raises(DeviceError, match="There is no device"):
            choose_device(name)


def test_colour_palette_keeps_the_photos_palette(photo: Photo, quick: Painting) -> None:
    """The style picture first gets the photo's colours, so mean and covariance stay close to them. A grey photo stays
    grey."""
    _, other = run(photo, quick.model_copy(update={"steps": (20, 10)}))
    _, kept = run(photo, quick.model_copy(update={"steps": (20, 10), "colour": "palette"}))

    def apart(result: Result) -> float:
        a, b = (
            palette_of([pixels.astype(np.float32) / np.float32(255)], [1]) for pixels in (result.pixels, photo.pixels)
        )
        return float(np.abs(a.mean - b.mean).max() + np.abs(a.covariance - b.covariance).max())

    assert apart(kept) < 0.04 < apart(other)
    assert difference(kept.pixels, photo.pixels) > 4, "and it is painted"
    grey = Photo(photo.path, np.repeat(np.asarray(Image.fromarray(photo.pixels).convert("L"))[..., None], 3, 2), "png")
    _, result = run(grey, quick.model_copy(update={"steps": (20, 10), "colour": "palette"}))
    assert float(np.ptp(result.pixels.astype(int), axis=2).mean()) < 12


def test_a_photo_that_is_the_style_already(quick: Painting) -> None:
    """There is nothing left to do: no step makes it better, and none makes it worse."""
    style = load_photo(quick.style[0].picture)
    progress, _ = run(style, quick.model_copy(update={"recolour": False, "steps": (15,), "style_size": 1.0}), CPU32)
    assert len(progress) == 15
    assert np.abs(progress[-1].preview() - style.resized(*progress[-1].size)).max() < 0.01


def test_adam_with_an_average_is_calmer(photo: Photo) -> None:
    """With steps that are too long, their mean has less noise than the last one."""
    classic = shipped("classic").model_copy(update={"size": 96, "steps": (25,), "rate": 0.1})
    noise = {}
    for average in (0.0, 0.9):
        _, result = run(photo, classic.model_copy(update={"average": average}))
        small = Photo(Path("small"), result.pixels, "png").resized(96, 64)
        noise[average] = float(np.abs(np.diff(small, axis=1)).mean())
    assert noise[0.9] < 0.9 * noise[0.0]
