"""How much memory there is, and how large a picture or a tile fits into it."""

from __future__ import annotations

import math

import psutil
import torch

from stylecore.device import Device
from stylecore.errors import TooLarge
from stylecore.layers import block_of, maps_of, margin_of
from stylecore.preset import Painting
from stylecore.tiles import SMALLEST

SHARE = 0.6  # of what is free: other programs need some, and estimates err
BYTES_SEEN = {
    torch.bfloat16: 1250,
    torch.float32: 2400,
}  # per pixel of a tile, forward and back through relu5_1; measured
BYTES_KEPT = 84  # per pixel of the whole picture: photo, picture, candidate, direction, two gradients, Result
BYTES_PAIR = 24  # per pixel, for each pair that L-BFGS remembers
MAX_PAIRS, MIN_PAIRS = 20, 3
WINOGRAD = 600_000_000  # bytes: the transformed filters through relu5_1, and a strip for each thread
BYTES_RESULT = 8  # per sample of a Result that is larger than its photo: enlarged photo, Result, encoder's copies
CPU_MAX = 5_000_000_000  # bytes for one evaluation on the CPU, whose memory other programs need, too
CPU_TILE = 1024  # edge; larger ones are no faster there
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine to execute")


def free_memory(device: Device) -> int:
    """Bytes that can be allocated on the device now."""
    if device.torch.type == "cuda":
        return (
            torch.cuda.mem_get_info(device.torch)[0]
            + torch.cuda.memory_reserved(device.torch)
            - torch.cuda.memory_allocated(device.torch)
        )
    return int(psutil.virtual_memory().available)  # Apple's GPU shares it


def tile_and_pairs(device: Device, preset: Painting, width: int, height: int, free: int) -> tuple[int | None, int]:
    """The edge of the tiles for a picture of this size (None if it fits as a whole), and how many pairs L-BFGS may
    remember, within ``free`` bytes. Raises TooLarge, which names a size that would fit."""
    room, pixels, seen = free * SHARE, width * height, BYTES_SEEN.get(device.dtype, 2400)
    if _by_winograd(device):
        room = max(0, room - WINOGRAD)
    margin = margin_of((*preset.content_layers, *preset.style_layers))
    smallest = (SMALLEST + 2 * margin) ** 2 * seen
    kept = _kept(device, preset, MIN_PAIRS)
    left = room - pixels * kept
    if left < min(smallest, pixels * seen):
        share = max(room - smallest, 0) / kept / pixels
        fits = int(max(width, height) * math.sqrt(min(share, 1)))
        raise TooLarge(
            f"{width} x {height} pixels need more memory than is free ({free >> 20} MB): a long edge of {fits} pixels "
            "would fit; set it as `size` in the preset or with --size."
        )
    pairs = int(min(MAX_PAIRS, MIN_PAIRS + left / 2 / (pixels * BYTES_PAIR)))
    left -= (pairs - MIN_PAIRS) * pixels * BYTES_PAIR
    on_cpu = device.torch.type == "cpu"
    if pixels * seen <= (min(left, CPU_MAX) if on_cpu else left):
        return None, pairs
    edge = max(SMALLEST, int(math.sqrt(left / seen)) - 2 * margin)
    return min(edge, CPU_TILE) if on_cpu else edge, pairs


def bytes_needed(device: Device, preset: Painting, width: int, height: int, tile: int | None, pairs: int) -> int:
    """At the peak, for a picture of this size in tiles of this edge."""
    seen, pixels = BYTES_SEEN.get(device.dtype, 2400), width * height
    margin = margin_of((*preset.content_layers, *preset.style_layers))
    at_once = pixels if tile is None else min(pixels, (tile + 2 * margin) ** 2)
    return int(pixels * _kept(device, preset, pairs) + at_once * seen) + (WINOGRAD if _by_winograd(device) else 0)


def _kept(device: Device, preset: Painting, pairs: int) -> float:
    """Bytes per pixel of the whole picture."""
    content: float = sum(maps_of(name) / 4 ** block_of(name) for name in preset.content_layers) * device.dtype.itemsize
    return BYTES_KEPT + content + pairs * BYTES_PAIR


def _by_winograd(device: Device) -> bool:
    return device.torch.type == "cpu" and device.dtype == torch.float32


def check_result(width: int, height: int, bytes_per_sample: int) -> None:
    """Raises TooLarge if a Result of this size does not fit into memory, which names a size that would."""
    needed, room = width * height * 3 * BYTES_RESULT * bytes_per_sample, psutil.virtual_memory().available * SHARE
    if needed > room:
        fits = int(max(width, height) * math.sqrt(room / needed))
        raise TooLarge(
            f"A Result of {width} x {height} pixels needs about {needed / 1e9:.1f} GB of memory, more than is free: a "
            f"long edge of {fits} pixels would fit; set it with --long-edge, or as `long_edge` in the preset's output."
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Torch has an error class for a GPU's memory only; cuBLAS and cuDNN use their own words."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in said for words in OUT_OF_MEMORY)


def release_memory(device: torch.device) -> None:
    """Return what torch caches to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
