"""What the optimiser is measured against: the package pastiche, and a textbook loop. Same pictures, same sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylecore import load_photo
from stylecore.device import Device
from stylecore.network import Network, load_network
from stylecore.optimise import Adam, Lbfgs
from stylecore.preset import Painting
from stylecore.targets import style_targets, to_tensor

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
BGR_MEAN = (103.939, 116.779, 123.68)
Step = Callable[[], object]


class Pastiche:
    """``pastiche`` 1.6 with its own defaults; ``judge`` gives its loss of any picture, in float32."""

    def __init__(self, photo: Path, style: Path, size: int, optimiser: str = "lbfgs", device: str = "cpu") -> None:
        from pastiche.pastiche import PasticheArtist

        self.artist = PasticheArtist(
            str(photo), [str(style)], size=size, style_size=size, optimizer=optimiser, device=device
        )
        self.step: Step = self.artist.draw

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.artist.content_size
        return width, height

    def picture(self) -> Tensor:
        """As it would be saved, RGB in 0..1, (1, 3, height, width)."""
        bgr = self.artist.pastiche.detach().cpu() + torch.tensor(BGR_MEAN).reshape(1, 3, 1, 1)
        return (bgr.flip(1) / 255).clamp(0, 1)

    def judge(self, picture: Tensor) -> float:
        mine = self.artist.pastiche.data
        device = mine.device
        self.artist.pastiche.data = (picture * 255).flip(1).to(device) - torch.tensor(BGR_MEAN, device=device).reshape(
            1, 3, 1, 1
        )
        with torch.no_grad():
            loss = float(self.artist._calc_loss())
        self.artist.pastiche.data = mine
        return loss


def as_pastiche(preset: Painting, device: Device, long_edge: int) -> Painting:
    """Pastiche's objective in our terms: 0.01 mean (F - P)^2 + sum over layers of 10 / N^2 mean (G / M - A / M)^2."""
    network = load_network("oxford", device)
    layers = ("relu4_2", *LAYERS)
    found = style_targets(network, preset.style, preset.digest, long_edge, layers)
    style = {name: 40 / len(found.moments[name].mean) ** 2 * found.activations[name] ** 4 for name in LAYERS}
    update = {
        "weighting": "article",
        "statistic": "gram",
        "style_layers": style,
        "content_layers": {"relu4_2": found.activations["relu4_2"] ** 2},
        "content_weight": 0.01,
        "style_weight": 1.0,
        "style_size": 1.0,
        "tv_weight": 0.0,
        "recolour": False,
    }
    return preset.model_copy(update=update)


class Textbook:
    """The paper's loop: float32, eager, autograd through everything, Adam or torch's L-BFGS."""

    def __init__(self, photo: Path, style: Path, size: tuple[int, int], optimiser: str, device: Device) -> None:
        exact = Device(device.torch, torch.float32, device.words)
        network = load_network("oxford", exact)
        content = to_tensor(load_photo(photo).resized(*size), device.torch)
        painting = to_tensor(load_photo(style).resized(*size), device.torch)
        wanted = ("relu4_2", *LAYERS)
        with torch.no_grad():
            target = network(content, wanted)["relu4_2"]
            grams = {name: _gram(features) for name, features in network(painting, LAYERS).items()}
        picture = content.clone().requires_grad_()
        kind = (
            torch.optim.LBFGS([picture], lr=1, max_iter=1)
            if optimiser == "lbfgs"
            else torch.optim.Adam([picture], lr=0.02)
        )

        def closure() -> Tensor:
            kind.zero_grad()
            found = network(picture, wanted)
            loss = (found["relu4_2"] - target).square().mean()
            for name in LAYERS:
                loss = loss + 1e4 * (_gram(found[name]) - grams[name]).square().mean() / len(grams)
            loss.backward()
            loss.item()
            return loss

        self.step: Step = lambda: kind.step(closure)  # type: ignore[no-untyped-call]


def _gram(features: Tensor) -> Tensor:
    positions = features.flatten(2)[0]
    return positions @ positions.T / positions.shape[1]


def ours(preset: Painting, photo: Path, size: tuple[int, int], optimiser: str, network: Network) -> Step:
    from stylecore.painting import objective_of

    target = to_tensor(load_photo(photo).resized(*size), network.device)
    objective = objective_of(network, preset, target)
    return (Lbfgs if optimiser == "lbfgs" else Adam)(target.clone(), objective).step


def scores(picture: Tensor, photo: Tensor, style: Tensor, device: Device) -> tuple[float, float, float]:
    """colour: sliced Wasserstein distance between the RGB clouds, 64 directions, of 255; rel: mean over layers of
    |G - Gs|^2 / |Gs|^2; edges: correlation of the luminance gradients' magnitude. All pictures (1, 3, h, w) in 0..1."""
    exact = Device(device.torch, torch.float32, device.words)
    network = load_network("oxford", exact)
    with torch.no_grad():
        mine, theirs = network(picture.to(device.torch), LAYERS), network(style.to(device.torch), LAYERS)
    rel = [float((_gram(mine[n]) - _gram(theirs[n])).square().sum() / _gram(theirs[n]).square().sum()) for n in LAYERS]
    directions = np.random.default_rng(0).normal(size=(3, 64))
    directions /= np.linalg.norm(directions, axis=0)
    ranks = np.linspace(0, 1, 2000)
    clouds = [
        np.quantile(p[0].flatten(1).T.cpu().double().numpy() @ directions, ranks, axis=0) for p in (picture, style)
    ]
    colour = float(np.abs(clouds[0] - clouds[1]).mean() * 255)
    edges = [_edges(p) for p in (picture, photo)]
    return colour, float(np.mean(rel)), float(np.corrcoef(edges[0].ravel(), edges[1].ravel())[0, 1])


def _edges(picture: Tensor) -> np.ndarray:
    luma = np.tensordot(picture[0].cpu().double().numpy().transpose(1, 2, 0), (0.299, 0.587, 0.114), 1)
    return np.hypot(*np.gradient(luma))
