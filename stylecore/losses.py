"""The losses of Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks" (CVPR 2016).

Notation of the paper: layer l has N feature maps of M positions each, F is the N x M matrix of the optimised
picture's features, P the photo's, G = F F^T the Gram matrix, A that of the style picture. Features come as tensors
of shape (1, N, height, width), M = height * width, in float32 or bfloat16; losses are float32 scalars >= 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def gram_matrix(features: Tensor) -> Tensor:
    """G = F F^T (paper, equation 3): shape (N, N), float32 or wider, not normalised."""
    positions = _positions_by_maps(features)
    return _wide(positions.T @ positions)  # (N, N)


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """mean (F - P)^2, the paper's equation 1 (1/2 sum) divided by N M / 2.

    As textbooks have it, and as equation 4 has it for the style: so the two weights mean the same at every size.
    """
    return (_wide(features) - _wide(target)).square().mean()


def style_layer_loss(features: Tensor, target: Tensor) -> Tensor:
    """E_l = 1 / (4 N^2 M^2) * ||G - A||^2 (paper, equation 4).

    ``target`` is A / M, Gram matrix per position, so that style pictures of another size can be matched;
    with A' = A / M and G' = G / M this is ||G' - A'||^2 / (4 N^2).
    """
    maps = features.shape[1]
    return gram_error(features, target) / (4 * maps**2)


def relative_content_loss(features: Tensor, target: Tensor) -> Tensor:
    """||F - P||^2 / ||P||^2: 0 the photo's own features, 1 as far from them as silence is."""
    target = _wide(target)
    return (_wide(features) - target).square().sum() / target.square().sum().clamp_min(1e-12)


def relative_style_layer_loss(features: Tensor, target: Tensor) -> Tensor:
    """||G' - A'||^2 / ||A'||^2, both per position: the same scale in every layer, for every picture size and for
    every source of weights. Not in the paper, whose formula lets the deep layers rule."""
    return gram_error(features, target) / target.square().sum().clamp_min(1e-12)


def gram_error(features: Tensor, target: Tensor) -> Tensor:
    """||G / M - target||^2 as a scalar; ``target`` has shape (N, N), float32."""
    return _GramError.apply(features, target)  # type: ignore[no-any-return]


def total_variation(picture: Tensor) -> Tensor:
    """Mean squared difference of neighbours, both ways (Mahendran & Vedaldi 2015, beta = 2).

    ``picture``: shape (1, 3, height, width) in 0..1.
    """
    across = (picture[..., :, 1:] - picture[..., :, :-1]).square().mean()
    down = (picture[..., 1:, :] - picture[..., :-1, :]).square().mean()
    return across + down


def _wide(x: Tensor) -> Tensor:
    """Half precision becomes float32; float32 and float64 stay."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _positions_by_maps(features: Tensor) -> Tensor:
    """F^T, of shape (M, N): for a channels-last tensor a view, no copy."""
    return features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])  # (M, N)


class _GramError(torch.autograd.Function):
    """||F F^T / M - A'||^2 and its gradient 4 / M * (G' - A') F in one: two matrix products in the features' own
    type, and a gradient in channels-last order, the one in which the convolutions add it up. Autograd's own way
    through ``gram_matrix`` needs float32 copies and a transposition."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, target: Tensor) -> Tensor:
        positions = _positions_by_maps(features)
        error = (positions.T @ positions).to(target.dtype) / len(positions) - target  # (N, N)
        ctx.save_for_backward(positions, error)
        ctx.shape = features.shape
        return error.square().sum()

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor, None]:
        positions, error = ctx.saved_tensors
        factor = (error * (upstream[0] * 4 / len(positions))).to(positions.dtype)
        _, maps, height, width = ctx.shape
        return (positions @ factor).reshape(1, height, width, maps).permute(0, 3, 1, 2), None  # (1, N, h, w)
