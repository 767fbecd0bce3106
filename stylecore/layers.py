"""The layers of VGG19 by the names that Gatys et al. use, in order: conv1_1, relu1_1, ... relu5_4, pool5."""

from __future__ import annotations

from collections.abc import Iterable

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)

MAP_COST = 110  # multiplications that take as long as what else is done with a map's value; measured on a CPU

CONVOLUTIONS = tuple(f"{block}_{i}" for block, n in enumerate(CONVOLUTIONS_PER_BLOCK, 1) for i in range(1, n + 1))


def _names() -> tuple[str, ...]:
    names = []
    for block, n in enumerate(CONVOLUTIONS_PER_BLOCK, 1):
        for i in range(1, n + 1):
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
        names.append(f"pool{block}")
    return tuple(names)


LAYERS = _names()
"""Index = index in ``torchvision.models.vgg19().features``."""


def maps_of(name: str) -> int:
    """How many feature maps a layer has."""
    return min(512, 32 << _block_number(name))


def margin_of(layers: Iterable[str]) -> int:
    """How many pixels beyond its own a position of the deepest layer sees: the sum of the convolutions' reach, rounded
    up to a multiple of ``stride_of``. 80 through relu5_1."""
    last, reach = max(LAYERS.index(name) for name in layers), 0
    for name in LAYERS[: last + 1]:
        reach += 1 << block_of(name) if name.startswith("conv") else 0
    stride = stride_of(layers)
    return -(-reach // stride) * stride


def stride_of(layers: Iterable[str]) -> int:
    """Pixels from one position of the deepest layer to the next. 16 through relu5_1."""
    return 1 << max(block_of(name) for name in layers)


def work_of(layers: Iterable[str]) -> float:
    """The time per pixel through the deepest of these layers, as a share of that through relu5_1."""
    return _work(max(LAYERS.index(name) for name in layers)) / _work(LAYERS.index("relu5_1"))


def _work(last: int) -> float:
    """In multiplications per pixel."""
    work, maps = 0.0, 3
    for name in LAYERS[: last + 1]:
        if name.startswith("conv"):
            work += (maps + MAP_COST) * maps_of(name) / 4 ** block_of(name)
            maps = maps_of(name)
    return work


def block_of(name: str) -> int:
    """How many poolings come before a layer: ``relu4_2`` is in block 4, after three."""
    return _block_number(name) - (0 if name.startswith("pool") else 1)


def _block_number(name: str) -> int:
    return int(name[4:].partition("_")[0])  # after conv, relu or pool
