"""How much memory there is, how large a picture or a tile fits into it, and when freed memory goes back to the
system."""

from __future__ import annotations

import ctypes
import math
import platform

import torch

from stylecore.available import available_memory
from stylecore.device import Device
from stylecore.errors import TooLarge
from stylecore.layers import block_of, maps_of, margin_of, stride_of
from stylecore.limits import MIN_SIZE
from stylecore.preset import Painting
from stylecore.tiles import SMALLEST

SHARE = 0.8  # of what is free: other programs need some, and estimates err
BYTES_SEEN = {
    torch.bfloat16: 1250,
    torch.float32: 3400,
    torch.float64: 6800,
}  # per pixel of a tile, forward and back, with the freed memory that is kept; measured, but for float64
BYTES_OF_STYLE = {
    torch.bfloat16: 650,
    torch.float32: 1250,
    torch.float64: 2500,
}  # per pixel of a style picture's tile; measured in float32
STYLE_TILE = 1536  # pixels; larger ones are no faster
BYTES_KEPT = 84  # per pixel of the whole picture: photo, picture, candidate, direction, two gradients, Result
CPU_KEPT = 150  # the same where freed memory is kept; measured
BYTES_PAIR = 24  # per pixel, for each pair that L-BFGS remembers
MAX_PAIRS, MIN_PAIRS = 20, 1
COMPACT = 4_000_000  # pixels beyond which the photo's features are kept in bf16: rounded by up to 1/512
WINOGRAD = 600_000_000  # bytes: the transformed filters through relu5_1, and a strip for each thread
BYTES_RESULT = 8  # per sample of a Result that is larger than its photo: enlarged photo, Result, encoder's copies
CPU_MAX = 4_500_000_000  # bytes for one evaluation on the CPU, whose memory other programs need, too
CPU_PAIRS = 600_000_000  # bytes for pairs there
CPU_TILE, CPU_MARGINS = 512, 12  # edge, in pixels and in margins; larger ones are no faster there
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, LARGE = -1, -3, (1 << 31) - 1  # of glibc's malloc.h; the largest C int
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED", "unable to find an engine to execute")


def free_memory(device: Device) -> int:
    """Bytes that this process can allocate on the device now."""
    trim_memory()
    return _free(device.torch, device.sharers)


def _free(device: torch.device, sharers: int = 1) -> int:
    if device.type == "cuda":
        own = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return own + torch.cuda.mem_get_info(device)[0] // sharers
    return available_memory() // sharers  # Apple's GPU shares it


def tile_and_pairs(
    device: Device, preset: Painting, width: int, height: int, free: int, steps: int = MAX_PAIRS + 1
) -> tuple[int | None, int]:
    """The edge of the tiles for a picture of this size (None if it fits as a whole), and how many pairs L-BFGS may
    remember in so many ``steps``, within ``free`` bytes. Raises TooLarge, which names a size that would fit."""
    on_cpu = device.torch.type == "cpu"
    most, least = min(MAX_PAIRS, max(1, steps - 1)), min(MIN_PAIRS, max(1, steps - 1))
    room, pixels, seen = free * SHARE, width * height, BYTES_SEEN[device.dtype]
    room = max(0, room - _winograd(device, preset))
    margin = margin_of((*preset.content_layers, *preset.style_layers))
    smallest = (SMALLEST + 2 * margin) ** 2 * seen
    kept = _kept(device, preset, least, pixels)
    left = room - pixels * kept
    if left < min(smallest, pixels * seen):
        share = max((room - smallest) / kept, room / (kept + seen)) / pixels  # in tiles, or as a whole
        fits = int(max(width, height) * math.sqrt(min(share, 1)))
        remedy = "close other programs."
        if fits >= MIN_SIZE:
            remedy = f"a long edge of {fits} pixels would fit; set it as `size` in the preset or with --size."
        raise TooLarge(f"{width} x {height} pixels need more memory than is free ({free >> 20} MB): {remedy}")
    if on_cpu:
        most = max(least, min(most, CPU_PAIRS // (pixels * BYTES_PAIR)))
    pairs = int(min(most, least + left / 2 / (pixels * BYTES_PAIR)))
    left -= (pairs - least) * pixels * BYTES_PAIR
    if pixels * seen <= (min(left, CPU_MAX) if on_cpu else left):
        return None, pairs
    edge = max(SMALLEST, int(math.sqrt(left / seen)) - 2 * margin)
    return min(edge, max(CPU_TILE, CPU_MARGINS * margin)) if on_cpu else edge, pairs


def bytes_needed(device: Device, preset: Painting, width: int, height: int, tile: int | None, pairs: int) -> int:
    """At the peak, for a picture of this size in tiles of this edge."""
    seen, pixels = BYTES_SEEN[device.dtype], width * height
    margin = margin_of((*preset.content_layers, *preset.style_layers))
    at_once = pixels if tile is None else min(pixels, (tile + 2 * margin) ** 2)
    return int(pixels * _kept(device, preset, pairs, pixels) + at_once * seen) + _winograd(device, preset)


def style_tile(device: torch.device, dtype: torch.dtype, layers: tuple[str, ...]) -> int:
    """The edge of the tiles in which a style picture's features are taken. It can be larger than memory, too."""
    edge = int(math.sqrt(_free(device) * SHARE / BYTES_OF_STYLE[dtype])) - 2 * margin_of(layers)
    return min(STYLE_TILE, max(SMALLEST, edge))


def kept_dtype(pixels: int, dtype: torch.dtype) -> torch.dtype:
    """Of the photo's features, in a picture of so many pixels."""
    return torch.bfloat16 if pixels > COMPACT else dtype


def _kept(device: Device, preset: Painting, pairs: int, pixels: int) -> float:
    """Bytes per pixel of the whole picture."""
    maps: float = sum(maps_of(name) / 4 ** block_of(name) for name in preset.content_layers)
    whole = CPU_KEPT if device.torch.type == "cpu" else BYTES_KEPT
    return whole + maps * kept_dtype(pixels, device.dtype).itemsize + pairs * BYTES_PAIR


def _winograd(device: Device, preset: Painting) -> int:
    """Bytes of Winograd's filters and strips. The filters of shallow layers are small."""
    deep = stride_of((*preset.content_layers, *preset.style_layers)) > 4
    return WINOGRAD if deep and device.torch.type == "cpu" and device.dtype == torch.float32 else 0


def bytes_of_result(width: int, height: int, bytes_per_sample: int = 1) -> int:
    """At the peak, while a Result of this size is enlarged and encoded."""
    return width * height * 3 * BYTES_RESULT * bytes_per_sample


def check_result(width: int, height: int, bytes_per_sample: int) -> None:
    """Raises TooLarge if a Result of this size does not fit into memory, which names a size that would."""
    needed, room = bytes_of_result(width, height, bytes_per_sample), available_memory() * SHARE
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


def reuse_memory() -> None:
    """Let this process reuse freed memory, where it has glibc. By default, glibc returns large blocks to the system at
    once, which then clears each page again: a third of the time of a step with shallow layers. Call ``trim_memory`` in
    the end."""
    if (libc := _glibc()) is not None:
        libc.mallopt(M_MMAP_THRESHOLD, LARGE)
        libc.mallopt(M_TRIM_THRESHOLD, LARGE)


def trim_memory() -> None:
    """Return the freed memory that ``reuse_memory`` kept."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def release_memory(device: torch.device) -> None:
    """Return what is freed, and what torch caches, to the device."""
    trim_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL("libc.so.6") if platform.libc_ver()[0] == "glibc" else None
