"""The formulas, against a direct float64 computation, and their gradients against finite differences."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from stylecore import losses
from stylecore.device import Device
from stylecore.losses import Moments, moments
from stylecore.network import load_network
from stylecore.recipe import Statistic


@pytest.fixture
def features() -> Tensor:
    return torch.randn(1, 5, 6, 7, generator=torch.Generator().manual_seed(1)) + 0.3


@pytest.fixture
def other() -> Tensor:
    return torch.randn(1, 5, 4, 9, generator=torch.Generator().manual_seed(2)) - 0.2


def matrix(features: Tensor) -> np.ndarray:
    """F of the paper: N x M, float64."""
    return features[0].reshape(features.shape[1], -1).double().numpy()


def test_the_moments(features: Tensor) -> None:
    f = matrix(features)
    found = moments(features)
    assert np.allclose(found.second.numpy(), f @ f.T / 42, rtol=1e-5)
    assert np.allclose(found.mean.numpy(), f.mean(1), rtol=1e-5)
    assert np.allclose(found.covariance.numpy(), np.cov(f, bias=True), rtol=1e-4)


def test_style_loss_is_equation_4(features: Tensor, other: Tensor) -> None:
    """With pictures of two sizes the style's Gram matrix is scaled to the photo's number of positions."""
    f, s = matrix(features), matrix(other)
    n, m = f.shape
    a = s @ s.T / s.shape[1] * m
    expected = np.square(f @ f.T - a).sum() / (4 * n**2 * m**2)
    found = losses.gram_error(moments(features), moments(other)).scaled(1 / (4 * n**2))
    assert float(found.value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("statistic", get_args(Statistic))
def test_a_style_loss_is_a_share_of_its_target(features: Tensor, statistic: Statistic) -> None:
    target = moments(features.double())
    assert float(losses.style_loss(statistic, target, target).value) == pytest.approx(0, abs=1e-9)
    silence = Moments(torch.zeros_like(target.second), torch.zeros_like(target.mean))
    expected = 2 if statistic == "covariance" else 1
    assert float(losses.style_loss(statistic, silence, target).value) == pytest.approx(expected)


def test_wasserstein_against_scipy(features: Tensor, other: Tensor) -> None:
    from scipy.linalg import sqrtm

    a, b = matrix(features), matrix(other)
    ca, cb = np.cov(a, bias=True), np.cov(b, bias=True)
    distance = np.square(a.mean(1) - b.mean(1)).sum() + np.trace(ca + cb - 2 * sqrtm(sqrtm(cb) @ ca @ sqrtm(cb)).real)
    expected = distance / (np.square(b.mean(1)).sum() + np.trace(cb))
    assert float(losses.wasserstein_loss(moments(features.double()), moments(other.double())).value) == pytest.approx(
        expected, rel=1e-6
    )


@pytest.mark.parametrize("statistic", get_args(Statistic))
def test_the_gradient_is_the_numerical_one(features: Tensor, other: Tensor, statistic: Statistic) -> None:
    features, target = features.double(), moments(other.double())
    pull = losses.style_loss(statistic, moments(features), target)
    gradient = losses.style_gradient(features, pull, 42)
    direction = torch.randn(features.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def value(step: float) -> float:
        return float(losses.style_loss(statistic, moments(features + step * direction), target).value)

    assert float((gradient * direction).sum()) == pytest.approx((value(1e-5) - value(-1e-5)) / 2e-5, rel=1e-6)


def test_wasserstein_of_maps_that_are_silent(features: Tensor) -> None:
    """Matrices without full rank, as for a grey picture or a dead map, give no NaN in float32."""
    dead = features.clone()
    dead[:, 3:] = 0
    for a, b in ((dead, features), (features, dead), (dead, dead)):
        pull = losses.wasserstein_loss(moments(a), moments(b))
        assert bool(torch.isfinite(losses.style_gradient(a, pull, 42)).all())
        assert float(pull.value) > -1e-5


def test_total_variation_of_a_ramp() -> None:
    ramp = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 3, 4, 5) * 0.1
    assert float(losses.total_variation(ramp)[0]) == pytest.approx(0.01)


def test_the_gradient_of_total_variation() -> None:
    picture = torch.rand(1, 3, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    value, gradient = losses.total_variation(picture)
    moved = picture.clone()
    moved[0, 1, 2, 3] += 1e-6
    assert float(losses.total_variation(moved)[0] - value) / 1e-6 == pytest.approx(
        float(gradient[0, 1, 2, 3]), rel=1e-3
    )


def test_channels_last_gives_the_same(features: Tensor) -> None:
    last = features.contiguous(memory_format=torch.channels_last)
    assert torch.allclose(moments(last).second, moments(features).second, rtol=1e-5)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_wasserstein_of_a_single_colour(kind: torch.dtype) -> None:
    """The network's features of one colour, whose eigenvalues are all alike: float32 may not find any."""
    device = Device(torch.device("cpu"), kind, "CPU")
    picture = torch.tensor([0.8, 0.3, 0.1]).reshape(1, 3, 1, 1).expand(1, 3, 72, 96).contiguous()
    found = load_network("oxford", device)(picture, ("relu3_1", "relu4_1", "relu5_1"))
    for features in found.values():
        pull = losses.wasserstein_loss(moments(features + 0.1 * torch.rand_like(features)), moments(features))
        assert bool(torch.isfinite(pull.value)) and bool(torch.isfinite(pull.second).all())
