"""What is minimised: a Preset's weighting of the losses, with the targets from the photo and the style pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor

from stylecore import losses
from stylecore.colour import Palette, palette_of
from stylecore.decode import load_style_picture
from stylecore.network import Network
from stylecore.preset import Preset, StylePicture


@dataclass(frozen=True)
class Losses:
    """Weighted terms and their sum, of one evaluation."""

    total: float
    content: float
    style: float
    variation: float


@dataclass(frozen=True)
class StyleTargets:
    """Per layer: ``grams``, the Gram matrix per position, shape (N, N), weighted mean over the style pictures;
    ``activations``, the mean absolute response, by which the ``article`` weighting divides features."""

    grams: dict[str, Tensor]
    activations: dict[str, float]


@functools.lru_cache(maxsize=64)
def style_targets(
    network: Network, pictures: tuple[StylePicture, ...], fingerprint: str, long_edge: int, layers: tuple[str, ...]
) -> StyleTargets:
    """Computed once for a preset and size, and kept; ``fingerprint`` (of the pictures' bytes) makes an edit count."""
    grams: dict[str, Tensor] = {}
    activations: dict[str, float] = {}
    whole = sum(p.weight for p in pictures)
    for picture in pictures:
        pixels = load_style_picture(picture.picture, long_edge)
        with torch.no_grad():
            found = network(to_tensor(pixels, network.device), layers)
        for name, features in found.items():
            share = picture.weight / whole
            positions = features.shape[2] * features.shape[3]
            gram = losses.gram_matrix(features) / positions * share
            grams[name] = grams[name] + gram if name in grams else gram
            activations[name] = activations.get(name, 0.0) + share * float(features.float().abs().mean())
    return StyleTargets(grams, activations)


@functools.lru_cache(maxsize=64)
def style_palette(pictures: tuple[StylePicture, ...], fingerprint: str) -> Palette:
    """The colours of the style pictures; kept as ``style_targets`` are."""
    return palette_of([load_style_picture(p.picture, 256) for p in pictures], [p.weight for p in pictures])


def to_tensor(pixels: object, device: torch.device) -> Tensor:
    """Float32 pixels (height, width, 3) in 0..1 to a picture (1, 3, height, width)."""
    return torch.as_tensor(pixels, dtype=torch.float32, device=device).permute(2, 0, 1)[None].contiguous()


class Objective:
    """``objective(picture)`` gives the losses and the gradient with respect to the picture.

    ``picture``: RGB in 0..1, shape (1, 3, height, width), float32; the gradient has the same shape.
    """

    def __init__(self, network: Network, preset: Preset, photo: Tensor, fingerprint: str) -> None:
        self.network = network
        self.preset = preset
        self.layers = tuple(dict.fromkeys([*preset.content_layers, *preset.style_layers]))
        long_edge = round(max(photo.shape[2:]) * preset.style_size)
        self.style = style_targets(network, preset.style, fingerprint, long_edge, self.layers)
        with torch.no_grad():
            self.content = dict(network(photo, tuple(preset.content_layers)))

    def __call__(self, picture: Tensor) -> tuple[Losses, Tensor]:
        picture = picture.detach().requires_grad_()
        with torch.enable_grad():
            found = self.network(picture, self.layers)
            terms = [
                self.preset.content_weight * self._content(found),
                self.preset.style_weight * self._style(found),
                self.preset.tv_weight * losses.total_variation(picture),
            ]
            total = torch.stack([*terms, sum(terms, torch.zeros((), device=picture.device))])
            (gradient,) = torch.autograd.grad(total[3], picture)
        content, style, variation, whole = total.tolist()
        return Losses(whole, content, style, variation), gradient

    def _content(self, found: dict[str, Tensor]) -> Tensor:
        parts = []
        for name, weight in self.preset.content_layers.items():
            if self.preset.weighting == "relative":
                parts.append(weight * losses.relative_content_loss(found[name], self.content[name]))
            else:
                scale = self.style.activations[name]
                parts.append(weight * losses.content_loss(found[name], self.content[name]) / scale**2)
        return torch.stack(parts).sum()

    def _style(self, found: dict[str, Tensor]) -> Tensor:
        parts = []
        for name, weight in self.preset.style_layers.items():
            if self.preset.weighting == "relative":
                parts.append(weight * losses.relative_style_layer_loss(found[name], self.style.grams[name]))
            else:
                scale = self.style.activations[name]
                parts.append(weight * losses.style_layer_loss(found[name], self.style.grams[name]) / scale**4)
        return torch.stack(parts).sum()
