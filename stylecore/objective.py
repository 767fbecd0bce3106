"""What is minimised: a Preset's weighting of the losses, with the targets from the photo and the style pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stylecore.colour import Colours, Floats, Palette, palette_of, sample, with_palette
from stylecore.images.decode import load_style_picture
from stylecore.layers import block_of
from stylecore.losses import TINY, Moments, Pull, gram_error, style_gradient, style_loss, sums, total_variation
from stylecore.memory import is_out_of_memory
from stylecore.network import Network
from stylecore.preset import Preset, StylePicture
from stylecore.tiles import SMALLEST, Tile, tiles_of

COLOURS = 30_000  # of a style picture, that stand for all
PIXEL_STROKES = (
    384  # pixels: where strokes keep their size in pixels, it is what they have in a picture of this long edge
)
SMALLEST_STYLE = 32
STYLE_TILE = 1024  # pixels: a style picture may be larger than memory, too


@dataclass(frozen=True)
class Losses:
    """Weighted terms and their sum, of one evaluation."""

    total: float
    content: float
    style: float
    variation: float


@dataclass(frozen=True)
class StyleTargets:
    """Per layer: ``moments`` of the style pictures' features, weighted means; ``activations``, the mean absolute
    response, by which the ``article`` weighting divides features."""

    moments: dict[str, Moments]
    activations: dict[str, float]


@functools.lru_cache(maxsize=64)
def style_targets(
    network: Network, pictures: tuple[StylePicture, ...], fingerprint: str, long_edge: int, layers: tuple[str, ...]
) -> StyleTargets:
    """Computed once for a preset and size, and kept; ``fingerprint`` (of the pictures' bytes) makes an edit count."""
    return targets_of(network, pictures, long_edge, layers)


def targets_of(
    network: Network,
    pictures: tuple[StylePicture, ...],
    long_edge: int,
    layers: tuple[str, ...],
    palette: Palette | None = None,
) -> StyleTargets:
    """Of the style pictures at this size, their colours exchanged for those of the ``palette``, if there is one."""
    found: dict[str, Moments] = {}
    activations: dict[str, float] = {}
    whole = sum(p.weight for p in pictures)
    for picture in pictures:
        pixels = load_style_picture(picture.picture, long_edge)
        if palette is not None:
            pixels = with_palette(pixels, palette)
        style = to_tensor(pixels, network.device)
        height, width = style.shape[2:]
        share = picture.weight / whole
        for tile in tiles_of(height, width, STYLE_TILE, layers):
            with torch.no_grad():
                features_of = network(tile.see(style), layers)
            for name, features in features_of.items():
                own, block = tile.own(features, block_of(name)), block_of(name)
                part = share / ((height >> block) * (width >> block))
                gram, total = sums(own)
                before = found.get(name, Moments(torch.zeros_like(gram), torch.zeros_like(total)))
                found[name] = Moments(before.second + part * gram, before.mean + part * total)
                activations[name] = activations.get(name, 0.0) + part / own.shape[1] * float(own.float().abs().sum())
    return StyleTargets(found, activations)


@functools.lru_cache(maxsize=64)
def style_palette(pictures: tuple[StylePicture, ...], fingerprint: str) -> Palette:
    """The colours of the style pictures; kept as ``style_targets`` are."""
    return palette_of([load_style_picture(p.picture, 256) for p in pictures], [p.weight for p in pictures])


@functools.lru_cache(maxsize=64)
def style_colours(pictures: tuple[StylePicture, ...], fingerprint: str) -> Colours:
    """A sample of the style pictures' colours, (n, 3), each picture with its share; kept as ``style_targets`` are."""
    whole = sum(p.weight for p in pictures)
    return np.concatenate(
        [sample(load_style_picture(p.picture, 256), int(COLOURS * p.weight / whole) + 1) for p in pictures]
    )


def to_tensor(pixels: object, device: torch.device) -> Tensor:
    """Float32 pixels (height, width, 3) in 0..1 to a picture (1, 3, height, width)."""
    return torch.as_tensor(pixels, dtype=torch.float32, device=device).permute(2, 0, 1)[None].contiguous()


def to_pixels(picture: Tensor) -> Floats:
    """A picture (1, 3, height, width) to pixels (height, width, 3), of the same range."""
    out: Floats = picture[0].permute(1, 2, 0).cpu().numpy()
    return out


class Objective:
    """``objective(picture)`` gives the losses and the gradient with respect to the picture.

    ``picture``: RGB in 0..1, shape (1, 3, height, width), float32; the gradient has the same shape. ``tile``: the edge
    in pixels of the tiles in which a large picture is worked on; None: all at once. The gradient is the same. ``coarser``: how many times this scale is half the finest.
    """

    def __init__(
        self,
        network: Network,
        preset: Preset,
        photo: Tensor,
        fingerprint: str,
        tile: int | None = None,
        coarser: int = 0,
    ) -> None:
        self.network = network
        self.preset = preset
        self.height, self.width = photo.shape[2:]
        self.layers = tuple(dict.fromkeys([*preset.content_layers, *preset.style_layers]))
        reference = max(photo.shape[2:]) if preset.strokes == "picture" else PIXEL_STROKES / 2**coarser
        long_edge = max(SMALLEST_STYLE, round(reference * preset.style_size))
        if preset.colour == "palette":
            self.style = targets_of(network, preset.style, long_edge, self.layers, palette_of([to_pixels(photo)], [1]))
        else:
            self.style = style_targets(network, preset.style, fingerprint, long_edge, self.layers)
        self.means = preset.statistic != "gram"
        self.photo = photo
        self.edge = tile or max(self.height, self.width)
        self._divide()

    def __call__(self, picture: Tensor) -> tuple[Losses, Tensor]:
        """Where memory runs out, tiles of half the edge are tried, and kept. Raises RuntimeError where none will do."""
        while True:
            try:
                return self._evaluate(picture)
            except RuntimeError as e:
                self._halve(e)
            self._divide()

    def _divide(self) -> None:
        """Into tiles of this edge, or, where not even their content has room, of a smaller one."""
        while True:
            self.tiles = tiles_of(self.height, self.width, self.edge, self.layers)
            try:
                self.content = [self._content_of(self.photo, tile) for tile in self.tiles]
                break
            except RuntimeError as e:
                self._halve(e)
        layers = self.preset.content_layers.items()
        self.content_factors = {name: self._content_factor(name, weight) for name, weight in layers}

    def _halve(self, error: RuntimeError) -> None:
        """Raises the error where it is another one, or the tiles are the smallest."""
        if not is_out_of_memory(error) or self.edge // 2 < SMALLEST:
            raise error
        self.edge //= 2
        self.content = []
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()

    def _evaluate(self, picture: Tensor) -> tuple[Losses, Tensor]:
        """Untiled, one pass there and back. Tiled, a pass gathers the moments of all tiles; in a second each tile's
        features are pulled by what the whole picture's moments lack (Galerne et al. 2022)."""
        gradient = torch.zeros_like(picture)
        if len(self.tiles) == 1:
            seen, found = self._watched(picture, self.tiles[0])
            pulls = self._pulls({name: sums(found[name], means=self.means) for name in self.preset.style_layers})
            contents = [self._back(seen, found, pulls, 0, gradient)]
        else:
            pulls = self._pulls(self._sums(picture))
            contents = []
            for i, tile in enumerate(self.tiles):
                seen, found = self._watched(picture, tile)
                contents.append(self._back(seen, found, pulls, i, gradient))
                del seen, found
        content = torch.stack(contents).sum() * self.preset.content_weight
        style = torch.stack([pull.value for pull in pulls.values()]).sum()
        variation = torch.zeros_like(content)
        if self.preset.tv_weight:
            value, own = total_variation(picture)
            variation = value * self.preset.tv_weight
            gradient.add_(own, alpha=self.preset.tv_weight)
        terms = torch.stack([content, style, variation]).tolist()  # the one transfer of a step
        return Losses(sum(terms), *terms), gradient

    def _watched(self, picture: Tensor, tile: Tile) -> tuple[Tensor, dict[str, Tensor]]:
        """What a tile sees, and its own features, with the way back from them."""
        seen = tile.see(picture).detach().requires_grad_()
        with torch.enable_grad():
            found = self.network(seen, self.layers)
            return seen, {name: tile.own(features, block_of(name)) for name, features in found.items()}

    def _sums(self, picture: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        whole: dict[str, tuple[Tensor, Tensor]] = {}
        for tile in self.tiles:
            with torch.no_grad():
                found = self.network(tile.see(picture), tuple(self.preset.style_layers))
            for name, features in found.items():
                gram, total = sums(tile.own(features, block_of(name)), means=self.means)
                before = whole.get(name)
                whole[name] = (gram, total) if before is None else (before[0].add_(gram), before[1].add_(total))
        return whole

    def _pulls(self, found: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Pull]:
        """The weighted style loss of each layer, with its gradient by the moments of the whole picture."""
        pulls = {}
        for name, weight in self.preset.style_layers.items():
            count = self._positions(name)
            own, target = Moments(found[name][0] / count, found[name][1] / count), self.style.moments[name]
            if self.preset.weighting == "relative":
                pull = style_loss(self.preset.statistic, own, target)
            else:
                maps, scale = len(own.mean), self.style.activations[name]
                pull = gram_error(own, target).scaled(1 / (4 * maps**2 * scale**4))
            pulls[name] = pull.scaled(weight * self.preset.style_weight)
        return pulls

    def _back(
        self, seen: Tensor, found: dict[str, Tensor], pulls: dict[str, Pull], number: int, gradient: Tensor
    ) -> Tensor:
        """Add a tile's part to the gradient; returns its part of the content loss."""
        loss = torch.zeros((), device=seen.device)
        pulled = {}
        with torch.no_grad():
            for name, pull in pulls.items():
                pulled[name] = style_gradient(found[name], pull, self._positions(name))
            for name, factor in self.content_factors.items():
                error = found[name] - self.content[number][name]
                loss = loss + error.float().square().sum() * factor
                error *= 2 * factor * self.preset.content_weight
                pulled[name] = pulled[name] + error if name in pulled else error
        (own,) = torch.autograd.grad([found[name] for name in pulled], seen, list(pulled.values()))
        self.tiles[number].see(gradient).add_(own)
        return loss

    def _content_of(self, photo: Tensor, tile: Tile) -> dict[str, Tensor]:
        with torch.no_grad():
            found = self.network(tile.see(photo), tuple(self.preset.content_layers))
        return {name: tile.own(features, block_of(name)).clone() for name, features in found.items()}

    def _content_factor(self, name: str, weight: float) -> float:
        """By which the sum of squared errors is multiplied."""
        if self.preset.weighting == "relative":
            return weight / max(sum(float(part[name].float().square().sum()) for part in self.content), TINY)
        maps = self.content[0][name].shape[1]
        return weight / (maps * self._positions(name)) / self.style.activations[name] ** 2

    def _positions(self, name: str) -> int:
        block = block_of(name)
        return (self.height >> block) * (self.width >> block)
