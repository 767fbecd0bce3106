"""The formulas, against a direct float64 computation, and the gradient against finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylecore import losses


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(1, 5, 6, 7, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def other() -> torch.Tensor:
    return torch.randn(1, 5, 4, 9, generator=torch.Generator().manual_seed(2))


def matrix(features: torch.Tensor) -> np.ndarray:
    """F of the paper: N x M, float64."""
    return features[0].reshape(features.shape[1], -1).double().numpy()


def test_gram_matrix_is_f_f_transposed(features: torch.Tensor) -> None:
    f = matrix(features)
    assert np.allclose(losses.gram_matrix(features).numpy(), f @ f.T, rtol=1e-5)


def test_style_loss_is_equation_4(features: torch.Tensor, other: torch.Tensor) -> None:
    """With pictures of two sizes the style's Gram matrix is scaled to the photo's number of positions."""
    f, s = matrix(features), matrix(other)
    n, m = f.shape
    a = s @ s.T / s.shape[1] * m
    expected = np.square(f @ f.T - a).sum() / (4 * n**2 * m**2)
    target = losses.gram_matrix(other) / s.shape[1]
    assert float(losses.style_layer_loss(features, target)) == pytest.approx(expected, rel=1e-5)


def test_content_loss_is_the_mean_squared_error(features: torch.Tensor) -> None:
    target = torch.zeros_like(features)
    assert float(losses.content_loss(features, target)) == pytest.approx(np.square(matrix(features)).mean(), rel=1e-5)


def test_relative_losses_are_shares_of_their_targets(features: torch.Tensor) -> None:
    gram = losses.gram_matrix(features) / 42
    silence = torch.zeros_like(features)
    assert float(losses.relative_style_layer_loss(features, gram)) == pytest.approx(0, abs=1e-9)
    assert float(losses.relative_style_layer_loss(silence, gram)) == pytest.approx(1)
    assert float(losses.relative_content_loss(silence, features)) == pytest.approx(1)


def test_total_variation_of_a_ramp() -> None:
    ramp = torch.arange(5.0).reshape(1, 1, 1, 5).expand(1, 3, 4, 5) * 0.1
    assert float(losses.total_variation(ramp)) == pytest.approx(0.01)


def test_the_gradient_of_the_gram_error_is_the_numerical_one(features: torch.Tensor, other: torch.Tensor) -> None:
    target = losses.gram_matrix(other).double() / 36
    assert torch.autograd.gradcheck(lambda x: losses.gram_error(x, target), features.double().requires_grad_())


def test_channels_last_gives_the_same(features: torch.Tensor, other: torch.Tensor) -> None:
    target = losses.gram_matrix(other) / 36
    last = features.contiguous(memory_format=torch.channels_last)
    assert float(losses.gram_error(features, target)) == pytest.approx(float(losses.gram_error(last, target)), rel=1e-5)
