"""Winograd's convolutions give what the direct ones give, forward and back."""

from __future__ import annotations

import functools

import pytest
import torch
from torch.nn import functional

from stylecore import winograd
from stylecore.network import Network
from stylecore.weights import load_weights
from tests.bench.steps import gradients
from tests.harness import shipped

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "conv4_2", "relu5_1")


def relative(found: torch.Tensor, exact: torch.Tensor) -> float:
    found, exact = found.detach(), exact.detach()
    return float((found - exact).norm() / exact.norm())


@pytest.mark.parametrize("rectify", [True, False])
@pytest.mark.parametrize(
    ("inputs", "outputs", "height", "width"),
    [(64, 128, 61, 53), (128, 64, 8, 4), (3, 5, 1, 1), (8, 8, 2, 700), (512, 512, 40, 33), (16, 16, 130, 1030)],
)
def test_a_convolution_and_its_gradient(inputs: int, outputs: int, height: int, width: int, rectify: bool) -> None:
    torch.manual_seed(1)
    x = torch.randn(1, inputs, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    weights = torch.randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5
    bias, pull = torch.randn(outputs), torch.randn(1, outputs, height, width)
    found = winograd.convolve(x, winograd.Filters(weights, bias), rectify=rectify)
    (gradient,) = torch.autograd.grad(found, x, pull)
    exact = functional.conv2d(x.double(), weights.double(), bias.double(), padding=1)
    exact = exact * (found.detach() > 0) if rectify else exact  # whatever the sign of responses of about 0
    (exact_gradient,) = torch.autograd.grad(exact, x, pull.double())
    assert relative(found, exact) < 5e-6
    assert relative(gradient, exact_gradient) < 5e-6
    assert not rectify or bool((found >= 0).all())


def test_with_any_number_of_threads() -> None:
    x = torch.randn(1, 32, 90, 40).contiguous(memory_format=torch.channels_last)
    filters = winograd.Filters(torch.randn(32, 32, 3, 3), torch.randn(32))
    threads = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            found.append(winograd.convolve(x, filters, rectify=False))
    finally:
        torch.set_num_threads(threads)
    assert relative(found[1], found[0]) < 1e-6
    assert relative(found[2], found[0]) < 1e-6


def test_the_networks_gradient_is_as_exact_as_that_of_direct_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through five blocks, against float64; the picture's sides are not multiples of anything."""
    torch.manual_seed(1)
    picture = torch.rand(1, 3, 109, 147)

    def gradient(dtype: torch.dtype, everywhere: bool) -> torch.Tensor:
        network = Network(load_weights("oxford"), torch.device("cpu"), dtype)
        monkeypatch.setattr(winograd, "gains", lambda *shape: everywhere)
        seen = picture.to(dtype).requires_grad_()
        found = network(seen, LAYERS)
        loss = sum(features.square().mean() for features in found.values())
        assert isinstance(loss, torch.Tensor)
        return torch.autograd.grad(loss, seen)[0]

    exact = gradient(torch.float64, everywhere=False)
    direct = relative(gradient(torch.float32, everywhere=False), exact)
    assert relative(gradient(torch.float32, everywhere=True), exact) < max(3 * direct, 2e-3)


@pytest.mark.slow
def test_the_gradient_of_a_paintings_loss() -> None:
    """By the layers that gain here, as `make bench` measures it."""
    errors = gradients(shipped("oil"))
    assert errors["Winograd"] < max(3 * errors["direct"], 2e-3)


def test_a_layer_that_does_not_gain_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe's answer decides, layer by layer."""
    asked, used = [], []
    convolve = winograd.convolve

    def gains(inputs: int, outputs: int, height: int, width: int) -> bool:
        asked.append((inputs, outputs, height, width))
        return inputs == 128

    def note(x: torch.Tensor, filters: winograd.Filters, *, rectify: bool) -> torch.Tensor:
        used.append((x.shape[1], rectify))
        return convolve(x, filters, rectify=rectify)

    monkeypatch.setattr(winograd, "gains", gains)
    monkeypatch.setattr(winograd, "convolve", note)
    network = Network(load_weights("oxford"), torch.device("cpu"), torch.float32)
    network(torch.rand(1, 3, 32, 48), ["conv3_1"])
    assert asked == [(3, 64, 32, 48), (64, 64, 32, 48), (64, 128, 16, 24), (128, 128, 16, 24), (128, 256, 8, 12)]
    assert used == [(128, True), (128, False)], "conv3_1 was asked for as it is"
    network.by_winograd = False
    network(torch.rand(1, 3, 32, 48), ["conv3_1"])
    assert len(asked) == 5


def test_the_probe_measures_once_for_about_the_same_size() -> None:
    winograd.gains(16, 16, 60, 60)
    before = winograd._gains.cache_info().misses
    winograd.gains(16, 16, 64, 64)
    winograd.gains(16, 16, 50, 70)
    assert winograd._gains.cache_info().misses == before
    assert not winograd.gains(3, 64, 128, 128), "its output alone costs more to transform"
    assert winograd._gains.cache_info().misses == before, "which needs no probe"
    assert isinstance(winograd._gains, functools._lru_cache_wrapper)
