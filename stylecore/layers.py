"""The layers of VGG19 by the names that Gatys et al. use, in order: conv1_1, relu1_1, ... relu5_4, pool5."""

from __future__ import annotations

CONVOLUTIONS_PER_BLOCK = (2, 2, 4, 4, 4)

CONVOLUTIONS = tuple(
    f"{block}_{i}" for block, n in enumerate(CONVOLUTIONS_PER_BLOCK, 1) for i in range(1, n + 1)
)


def _names() -> tuple[str, ...]:
    names = []
    for block, n in enumerate(CONVOLUTIONS_PER_BLOCK, 1):
        for i in range(1, n + 1):
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
        names.append(f"pool{block}")
    return tuple(names)


LAYERS = _names()
"""Index = index in ``torchvision.models.vgg19().features``."""


def block_of(name: str) -> int:
    """How many poolings are before a layer: ``relu4_2`` is in block 4, after three."""
    return int(name.removeprefix("conv").removeprefix("relu").removeprefix("pool")[0]) - (0 if name.startswith("pool") else 1)
