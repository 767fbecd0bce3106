"""VGG19 (Simonyan & Zisserman 2014, configuration E) as a feature extractor, by the papers' layer names."""

from __future__ import annotations

import functools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stylecore import winograd
from stylecore.device import Device
from stylecore.layers import LAYERS, maps_of
from stylecore.weights import Weights, load_weights


def features_of_vgg19() -> nn.Sequential:
    """As ``torchvision.models.vgg19().features``. Importing torchvision takes almost as long as importing torch."""
    modules: list[nn.Module] = []
    maps = 3
    for name in LAYERS:
        if name.startswith("conv"):
            modules.append(nn.Conv2d(maps, maps := maps_of(name), kernel_size=3, padding=1))
        else:
            modules.append(nn.ReLU(inplace=True) if name.startswith("relu") else nn.MaxPool2d(2))
    return nn.Sequential(*modules)


class Network(nn.Module):
    """Pixels in, named features out.

    Input: RGB in 0..1, shape (1, 3, height, width), both sides 16 px or more for block 5.
    Output of ``forward``: {layer: features of shape (1, channels, height / 2^b, width / 2^b)}, b the pools passed.
    ``conv4_2`` is the convolution's response, ``relu4_2`` the same after the rectifier.

    The weights have no gradient: only the picture is optimised.
    """

    def __init__(self, weights: Weights, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        with torch.device("meta"):  # no time for weights that are replaced at once
            features = features_of_vgg19()
        features.load_state_dict(weights.state, assign=True)
        self.features = features.to(device, dtype).to(memory_format=torch.channels_last)
        self.features.requires_grad_(False).eval()
        self.mean = weights.mean.reshape(1, 3, 1, 1).to(device)
        self.dtype = dtype
        self.device = device
        self.by_winograd = device.type == "cpu" and dtype == torch.float32
        self.filters: dict[int, winograd.Filters] = {}

    def forward(self, picture: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        wanted = {LAYERS.index(name) for name in layers}
        # As in training, subtract the mean before the (zero) padding: padding then means "mean colour".
        x = (picture - self.mean).to(self.dtype).contiguous(memory_format=torch.channels_last)
        found = {}
        rectified = False
        for i in range(max(wanted) + 1):
            module = self.features[i]
            if isinstance(module, nn.Conv2d) and self._gains(module, x):
                rectified = i not in wanted
                x = winograd.convolve(x, self._filters(i, module), rectify=rectified)
            elif isinstance(module, nn.ReLU) and rectified:
                rectified = False
            elif isinstance(module, nn.ReLU) and i - 1 in wanted:
                x = torch.relu(x)  # vgg19's own works in place and would overwrite the requested response
            else:
                x = module(x)
            if i in wanted:
                found[LAYERS[i]] = x
        return found

    def _gains(self, layer: nn.Conv2d, x: Tensor) -> bool:
        return self.by_winograd and winograd.gains(layer.in_channels, layer.out_channels, *x.shape[2:])

    def _filters(self, index: int, layer: nn.Conv2d) -> winograd.Filters:
        if index not in self.filters:
            assert layer.bias is not None
            self.filters[index] = winograd.Filters(layer.weight, layer.bias)
        return self.filters[index]


@functools.lru_cache(maxsize=2)
def load_network(weights: str, device: Device) -> Network:
    """Loaded once."""
    return Network(load_weights(weights), device.torch, device.dtype)
