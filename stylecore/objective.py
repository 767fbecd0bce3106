"""What is minimised: the losses with a Preset's weights, between a picture's features and those of the photo and the
style pictures. Paintings and Looks share them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from stylecore.graph import Function, captured
from stylecore.layers import block_of
from stylecore.losses import TINY, Moments, Pull, gram_error, style_gradient, style_loss, sums, total_variation
from stylecore.memory import is_out_of_memory, kept_dtype, release_memory
from stylecore.network import Network
from stylecore.recipe import Statistic, Weighting
from stylecore.targets import StyleTargets
from stylecore.tiles import SMALLEST, Tile, tiles_of


@dataclass(frozen=True)
class Losses:
    """Weighted terms and their sum, of one evaluation."""

    total: float
    content: float
    style: float
    variation: float


class Aims(Protocol):
    """What a Preset says about the losses."""

    @property
    def content_layers(self) -> dict[str, float]: ...
    @property
    def style_layers(self) -> dict[str, float]: ...
    @property
    def content_weight(self) -> float: ...
    @property
    def style_weight(self) -> float: ...
    @property
    def tv_weight(self) -> float: ...
    @property
    def statistic(self) -> Statistic: ...
    @property
    def weighting(self) -> Weighting: ...


def layers_of(aims: Aims) -> tuple[str, ...]:
    """All layers that the losses look at."""
    return tuple(dict.fromkeys([*aims.content_layers, *aims.style_layers]))


Found = TypeVar("Found")


class Objective:
    """``objective(picture)`` gives the losses and the gradient with respect to the picture.

    ``picture``: RGB in 0..1, shape (1, 3, height, width), float32. The gradient has the same shape. ``tile``: the edge,
    in pixels, of the tiles that a large picture is divided into; None for no tiles. The gradient is the same either
    way.
    """

    def __init__(
        self,
        network: Network,
        aims: Aims,
        photo: Tensor,
        style: StyleTargets,
        tile: int | None = None,
    ) -> None:
        self.network = network
        self.aims = aims
        self.height, self.width = photo.shape[2:]
        self.layers = layers_of(aims)
        self.style = style
        self.means = aims.statistic != "gram"
        self.photo = photo
        self.edge = tile or max(self.height, self.width)
        self.evaluations = 0
        self.replay: Function | None = None
        self._divide()

    def __call__(self, picture: Tensor) -> tuple[Losses, Tensor]:
        """If memory runs out, continue with tiles of half the edge. Raises RuntimeError if even the smallest do not
        fit."""
        terms, gradient = self._within_memory(self._captured_or_evaluate, picture)
        return _losses(terms), gradient

    def losses(self, picture: Tensor) -> Losses:
        """As a call gives them. Without the gradient, they take half of the time."""
        return _losses(self._within_memory(self._terms_only, picture))

    def _within_memory(self, evaluate: Callable[[Tensor], Found], picture: Tensor) -> Found:
        while True:
            try:
                return evaluate(picture)
            except RuntimeError as e:
                self._check_can_halve(e)
            self._halve()
            self._divide()

    def _captured_or_evaluate(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """On CUDA, the second evaluation captures a graph: the first computes what is computed only once. An
        eigendecomposition waits for the GPU, and many tiles keep it busy."""
        self.evaluations += 1
        if self.evaluations == 2 and picture.is_cuda and len(self.tiles) == 1 and self.aims.statistic != "wasserstein":
            self.replay = captured(self._evaluate, picture)
        return (self.replay or self._evaluate)(picture)

    def _divide(self) -> None:
        """Divide the picture into tiles of this edge, or smaller ones if not even their content fits."""
        while True:
            self.tiles = tiles_of(self.height, self.width, self.edge, self.layers)
            try:
                self.content = [self._content_of(self.photo, tile) for tile in self.tiles]
                break
            except RuntimeError as e:
                self._check_can_halve(e)
            self._halve()
        layers = self.aims.content_layers.items()
        self.content_factors = {name: self._content_factor(name, weight) for name, weight in layers}

    def _check_can_halve(self, error: RuntimeError) -> None:
        """Raise the error again if it is not about memory, or if the tiles are already the smallest."""
        if not is_out_of_memory(error) or self.edge // 2 < SMALLEST:
            raise error

    def _halve(self) -> None:
        """Call this outside ``except``: inside it, the traceback holds the tensors whose memory is to be freed."""
        self.edge //= 2
        self.content, self.replay = [], None
        release_memory(self.network.device)

    def _evaluate(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """The three terms, (3), and the gradient. Without tiles, one pass forward and back. With tiles, a first pass
        gathers the moments of all tiles; in a second, each tile's features are pulled by the error of the whole
        picture's moments (Galerne et al. 2022)."""
        gradient = torch.zeros_like(picture)
        if len(self.tiles) == 1:
            seen, found = self._forward(picture, self.tiles[0])
            pulls = self._pulls({name: sums(found[name], means=self.means) for name in self.aims.style_layers})
            contents = [self._backward(seen, found, pulls, 0, gradient)]
        else:
            pulls = self._pulls(self._sums(picture))
            contents = []
            for i, tile in enumerate(self.tiles):
                seen, found = self._forward(picture, tile)
                contents.append(self._backward(seen, found, pulls, i, gradient))
                del seen, found
        variation = torch.zeros_like(contents[0])
        if self.aims.tv_weight:
            variation, own = total_variation(picture)
            gradient.add_(own, alpha=self.aims.tv_weight)
        return self._terms(contents, pulls, variation), gradient

    def _terms_only(self, picture: Tensor) -> Tensor:
        """The three terms, (3). One pass forward, with tiles too."""
        whole: dict[str, tuple[Tensor, Tensor]] = {}
        contents = []
        for tile, wanted in zip(self.tiles, self.content, strict=True):
            found = self._own(picture, tile, self.layers)
            self._add_sums(whole, found)
            errors = [(found[n] - wanted[n]).float().square().sum() * f for n, f in self.content_factors.items()]
            contents.append(torch.stack(errors).sum())
        variation = total_variation(picture)[0] if self.aims.tv_weight else torch.zeros_like(contents[0])
        return self._terms(contents, self._pulls(whole), variation)

    def _terms(self, contents: list[Tensor], pulls: dict[str, Pull], variation: Tensor) -> Tensor:
        content = torch.stack(contents).sum() * self.aims.content_weight
        style = torch.stack([pull.value for pull in pulls.values()]).sum()
        return torch.stack([content, style, variation * self.aims.tv_weight])

    def _forward(self, picture: Tensor, tile: Tile) -> tuple[Tensor, dict[str, Tensor]]:
        """What a tile sees, and its own features, with autograd's graph between them."""
        seen = tile.see(picture).detach().requires_grad_()
        with torch.enable_grad():
            found = self.network(seen, self.layers)
            return seen, {name: tile.own(features, block_of(name)) for name, features in found.items()}

    def _sums(self, picture: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        whole: dict[str, tuple[Tensor, Tensor]] = {}
        for tile in self.tiles:
            self._add_sums(whole, self._own(picture, tile, tuple(self.aims.style_layers)))
        return whole

    def _add_sums(self, whole: dict[str, tuple[Tensor, Tensor]], found: dict[str, Tensor]) -> None:
        for name in self.aims.style_layers:
            gram, total = sums(found[name], means=self.means)
            before = whole.get(name)
            whole[name] = (gram, total) if before is None else (before[0].add_(gram), before[1].add_(total))

    def _own(self, picture: Tensor, tile: Tile, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """A tile's own features, without a way back."""
        with torch.no_grad():
            found = self.network(tile.see(picture), layers)
        return {name: tile.own(features, block_of(name)) for name, features in found.items()}

    def _pulls(self, found: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Pull]:
        """The weighted style loss of each layer, with its gradient with respect to the whole picture's moments."""
        pulls = {}
        for name, weight in self.aims.style_layers.items():
            count = self._positions(name)
            own, target = Moments(found[name][0] / count, found[name][1] / count), self.style.moments[name]
            if self.aims.weighting == "relative":
                pull = style_loss(self.aims.statistic, own, target)
            else:
                maps, scale = len(own.mean), self.style.activations[name]
                pull = gram_error(own, target).scaled(1 / (4 * maps**2 * scale**4))
            pulls[name] = pull.scaled(weight * self.aims.style_weight)
        return pulls

    def _backward(
        self, seen: Tensor, found: dict[str, Tensor], pulls: dict[str, Pull], number: int, gradient: Tensor
    ) -> Tensor:
        """Add a tile's part to the gradient. Returns its part of the content loss."""
        loss = torch.zeros((), device=seen.device)
        pulled = {}
        with torch.no_grad():
            for name, pull in pulls.items():
                pulled[name] = style_gradient(found[name], pull, self._positions(name))
            for name, factor in self.content_factors.items():
                error = found[name] - self.content[number][name]
                loss = loss + error.float().square().sum() * factor
                error *= 2 * factor * self.aims.content_weight
                pulled[name] = pulled[name] + error if name in pulled else error
        (own,) = torch.autograd.grad([found[name] for name in pulled], seen, list(pulled.values()))
        self.tiles[number].see(gradient).add_(own)
        return loss

    def _content_of(self, photo: Tensor, tile: Tile) -> dict[str, Tensor]:
        found = self._own(photo, tile, tuple(self.aims.content_layers))
        dtype = kept_dtype(self.height * self.width, self.network.dtype)
        return {name: features.to(dtype, copy=True) for name, features in found.items()}

    def _content_factor(self, name: str, weight: float) -> float:
        """The factor by which the sum of squared errors is multiplied."""
        if self.aims.weighting == "relative":
            return weight / max(sum(float(part[name].float().square().sum()) for part in self.content), TINY)
        maps = self.content[0][name].shape[1]
        return weight / (maps * self._positions(name)) / self.style.activations[name] ** 2

    def _positions(self, name: str) -> int:
        block = block_of(name)
        return (self.height >> block) * (self.width >> block)


def _losses(terms: Tensor) -> Losses:
    values = terms.tolist()  # a step's only transfer to the host
    return Losses(sum(values), *values)
