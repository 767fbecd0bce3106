"""The losses of Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016), and two
later statistics of style, each with its gradient.

Notation of the paper: layer l has N feature maps of M positions each, F is the N x M matrix of the optimised picture's
features, P the photo's, G = F F^T the Gram matrix, A that of the style picture. Features come as tensors of shape
(1, N, height, width), M = height * width, in float32 or bfloat16.

All style is in the first two moments of a layer over its positions: S = F F^T / M, the Gram matrix per position, and
the mean m. So a loss is a function L(S, m) of small matrices, and its gradient with respect to F is one product:

    dL/dF = (2 dL/dS F + dL/dm) / M

This allows tiles: first the moments of all tiles, then the features of each tile alone
(Galerne, Raad, Lezama & Morel, "Scaling Painting Style Transfer", 2022).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from stylecore.recipe import Statistic

TINY = 1e-12


@dataclass(frozen=True)
class Moments:
    """Of a layer's features: ``second`` F F^T / M, shape (N, N); ``mean``, shape (N). Float32 or wider."""

    second: Tensor
    mean: Tensor

    @functools.cached_property
    def covariance(self) -> Tensor:
        """(N, N)"""
        return self.second - torch.outer(self.mean, self.mean)

    @functools.cached_property
    def sizes(self) -> tuple[float, float, float]:
        """||S||^2, ||C||^2 and ||m||^2, none of them 0. Computed once for a target."""
        found = torch.stack([x.square().sum() for x in (self.second, self.covariance, self.mean)]).tolist()
        return max(found[0], TINY), max(found[1], TINY), max(found[2], TINY)

    @functools.cached_property
    def root(self) -> tuple[Tensor, Tensor]:
        """The square root of the covariance, and its largest eigenvalue. Computed once for a target."""
        values, vectors = _eigh(self.covariance)
        return (vectors * values.clamp_min(0).sqrt()) @ vectors.T, values[-1].clamp_min(TINY)


@dataclass(frozen=True)
class Pull:
    """A layer's style loss, a scalar, with its gradients with respect to S, (N, N), symmetric, and m, (N)."""

    value: Tensor
    second: Tensor
    mean: Tensor

    def scaled(self, factor: float) -> Pull:
        return Pull(self.value * factor, self.second * factor, self.mean * factor)


def sums(features: Tensor, *, means: bool = True) -> tuple[Tensor, Tensor]:
    """F F^T (paper, equation 3; the Gram matrix), shape (N, N), and the sum over positions, shape (N), zeros unless
    ``means`` are wanted. Float32 or wider."""
    positions = positions_by_maps(features)
    gram = _wide(positions.T @ positions)
    return gram, positions.sum(0, dtype=gram.dtype) if means else gram.new_zeros(len(gram))


def moments(features: Tensor) -> Moments:
    gram, total = sums(features)
    count = features.shape[2] * features.shape[3]
    return Moments(gram / count, total / count)


def style_loss(statistic: Statistic, found: Moments, target: Moments) -> Pull:
    """The loss as a share of the target: 0 is the style itself, 1 about as far from it as all-zero features. So it has
    the same scale in all layers, for every picture size and source of weights. (In the paper's formula the deep layers
    dominate.)"""
    if statistic == "gram":
        return gram_error(found, target).scaled(1 / target.sizes[0])
    return covariance_loss(found, target) if statistic == "covariance" else wasserstein_loss(found, target)


def gram_error(found: Moments, target: Moments) -> Pull:
    """||S - S*||^2; divided by 4 N^2 it is E_l = 1 / (4 N^2 M^2) ||G - A||^2 (paper, equation 4)."""
    error = found.second - target.second
    return Pull(error.square().sum(), 2 * error, torch.zeros_like(found.mean))


def covariance_loss(found: Moments, target: Moments) -> Pull:
    """||C - C*||^2 / ||C*||^2 + ||m - m*||^2 / ||m*||^2 with C = S - m m^T (as in Li et al., "Demystifying Neural Style
    Transfer", 2017: matching moments)."""
    _, c_size, m_size = target.sizes
    by_c = (found.covariance - target.covariance) * (2 / c_size)
    by_m = (found.mean - target.mean) * (2 / m_size)
    value = (by_c.square().sum() * c_size + by_m.square().sum() * m_size) / 4
    return Pull(value, by_c, by_m - 2 * (by_c @ found.mean))


def wasserstein_loss(found: Moments, target: Moments) -> Pull:
    """The squared 2-Wasserstein distance between two Gaussians, ||m - m*||^2 + tr(C + C* - 2 (R C R)^(1/2)) with R =
    C*^(1/2) (Dowson & Landau 1982), over ||m*||^2 + tr C*. The gradient dL/dC is 1 - R (R C R)^(-1/2) R."""
    wanted, covariance = target.covariance, found.covariance
    r, largest = target.root
    values, vectors = _eigh(r @ covariance @ r)
    # Take t / sqrt(t + rounding) for the root of t: a t that rounding cannot tell from 0 has no inverse root.
    rounding = largest**2 * (8 * torch.finfo(values.dtype).eps)
    values = values.clamp_min(0)
    roots, slopes = (
        values / (values + rounding).sqrt(),
        (values + 2 * rounding) / (values + rounding) ** 1.5,
    )  # of 2 t / sqrt(t + rounding)
    by_c = torch.eye(len(values), dtype=values.dtype, device=values.device) - _symmetric(
        r @ (vectors * slopes) @ vectors.T @ r
    )
    shift = found.mean - target.mean
    value = shift.square().sum() + covariance.trace() + wanted.trace() - 2 * roots.sum()
    whole = Pull(value, by_c, 2 * shift - 2 * (by_c @ found.mean))
    size = (target.mean.square().sum() + wanted.trace()).clamp_min(TINY)
    return Pull(whole.value / size, whole.second / size, whole.mean / size)


def style_gradient(features: Tensor, pull: Pull, count: int) -> Tensor:
    """dL/dF of features that are all, or a part, of ``count`` positions. It has the features' shape, type and memory
    order (channels last), in which the convolutions sum gradients."""
    positions = positions_by_maps(features)
    factor = (pull.second * (2 / count)).to(positions.dtype)
    gradient = torch.addmm((pull.mean / count).to(positions.dtype), positions, factor)  # (M, N)
    _, maps, height, width = features.shape
    return gradient.reshape(1, height, width, maps).permute(0, 3, 1, 2)  # (1, N, h, w)


def total_variation(picture: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared difference of neighbours, both ways (Mahendran & Vedaldi 2015, beta = 2), and its gradient.

    ``picture``: shape (1, 3, height, width) in 0..1.
    """
    gradient = torch.zeros_like(picture)
    value = torch.zeros((), dtype=picture.dtype, device=picture.device)
    for axis in (2, 3):
        length = picture.shape[axis] - 1
        step = picture.narrow(axis, 1, length) - picture.narrow(axis, 0, length)
        value += step.square().mean()
        step *= 2 / step.numel()
        gradient.narrow(axis, 1, length).add_(step)
        gradient.narrow(axis, 0, length).sub_(step)
    return value, gradient


def positions_by_maps(features: Tensor) -> Tensor:
    """F^T, shape (M, N): a view, not a copy, of a channels-last tensor."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (M, N)


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def _eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors. On the CPU if the device has no such function; in float64 if float32 does not
    converge."""
    matrix = _symmetric(matrix)
    there = matrix.cpu() if matrix.device.type == "mps" else matrix
    try:
        values, vectors = torch.linalg.eigh(there)
    except LinAlgError:  # all eigenvalues are alike, as for a single colour
        values, vectors = torch.linalg.eigh(there.double().cpu())
    return values.to(matrix), vectors.to(matrix)


def _wide(x: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
