"""How much memory there is, and how large a picture or a tile it holds."""

from __future__ import annotations

import math

import psutil
import torch

from stylecore.device import Device
from stylecore.errors import PhotoError
from stylecore.layers import block_of, maps_of, margin_of
from stylecore.preset import Preset
from stylecore.tiles import SMALLEST

SHARE = 0.6  # of what is free, for what we estimate: others want some, and estimates err
BYTES_SEEN = {
    torch.bfloat16: 1250,
    torch.float32: 2400,
}  # a pixel of a tile, on the way there and back through relu5_1; measured
BYTES_KEPT = 84  # a pixel of the whole picture: photo, picture, candidate, direction, two gradients, Result
BYTES_PAIR = 24  # a pixel, for each pair that L-BFGS remembers
MOST_PAIRS, FEWEST_PAIRS = 20, 3
CPU_MOST = 5_000_000_000  # bytes for one evaluation on the CPU, whose memory others want, too
CPU_TILE = 1024  # edge; larger ones are no quicker there
SAID_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine to execute")


class TooLarge(PhotoError):
    """Not even by tiles is there memory enough."""


def free_memory(device: Device) -> int:
    """Bytes that can be taken on the device now."""
    if device.torch.type == "cuda":
        return (
            torch.cuda.mem_get_info(device.torch)[0]
            + torch.cuda.memory_reserved(device.torch)
            - torch.cuda.memory_allocated(device.torch)
        )
    return int(psutil.virtual_memory().available)  # Apple's GPU shares it


def tile_and_pairs(device: Device, preset: Preset, width: int, height: int, free: int) -> tuple[int | None, int]:
    """The edge of the tiles in which a picture of this size is worked on (None: it fits as a whole) and how many pairs
    L-BFGS may remember, within ``free`` bytes. Raises TooLarge, with a size that would fit."""
    room, pixels, seen = free * SHARE, width * height, BYTES_SEEN.get(device.dtype, 2400)
    margin = margin_of((*preset.content_layers, *preset.style_layers))
    smallest = (SMALLEST + 2 * margin) ** 2 * seen
    content = sum(maps_of(name) / 4 ** block_of(name) for name in preset.content_layers) * device.dtype.itemsize
    kept = BYTES_KEPT + content + FEWEST_PAIRS * BYTES_PAIR
    left = room - pixels * kept
    if left < min(smallest, pixels * seen):
        share = max(room - smallest, 0) / kept / pixels
        fits = int(max(width, height) * math.sqrt(min(share, 1)))
        raise TooLarge(
            f"{width} x {height} pixels want more memory than is free ({free >> 20} MB): a long edge of {fits} pixels would fit; "
            "give that as `size` in the preset or with --size."
        )
    pairs = int(min(MOST_PAIRS, FEWEST_PAIRS + left / 2 / (pixels * BYTES_PAIR)))
    left -= (pairs - FEWEST_PAIRS) * pixels * BYTES_PAIR
    on_cpu = device.torch.type == "cpu"
    if pixels * seen <= (min(left, CPU_MOST) if on_cpu else left):
        return None, pairs
    edge = max(SMALLEST, int(math.sqrt(left / seen)) - 2 * margin)
    return min(edge, CPU_TILE) if on_cpu else edge, pairs


def is_out_of_memory(error: RuntimeError) -> bool:
    """Torch has a class of its own for a GPU's memory only; cuBLAS and cuDNN say it in their own words."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in said for words in SAID_OF_MEMORY)
