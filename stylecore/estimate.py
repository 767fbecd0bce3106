"""About how long a painting takes and how much memory, known before it starts."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import torch

from stylecore.device import Device
from stylecore.memory import bytes_needed, free_memory, tile_and_pairs
from stylecore.network import load_network
from stylecore.preset import Painting
from stylecore.scales import Scale, scales_of

SHORT = 6_000_000  # pixels through all layers: less takes about a minute even on a slow machine
BACKGROUND = 1_200_000_000  # bytes: torch, the weights, a photo
PROBE = (160, 240)  # height and width of the picture that is timed
TILED = 1.5  # with tiles, each is seen twice, once without a way back


@dataclass(frozen=True)
class Estimate:
    """``seconds`` for the whole painting; ``memory`` of the device at its peak, in bytes."""

    seconds: float
    memory: int


def estimate(photo: tuple[int, int], preset: Painting, device: Device) -> Estimate | None:
    """For a photo of this (width, height); None if it takes a minute at most. Raises TooLarge and WeightsError."""
    scales = scales_of(photo, preset, device) if preset.strength > 0 else []
    if sum(scale.cost * scale.steps for scale in scales) < SHORT:
        return None
    free = free_memory(device)
    work = sum(_passes(scale, device, free) * scale.cost * (scale.steps + 1) for scale in scales)
    finest = scales[-1]
    return Estimate(work * _seconds_per_pixel(preset.weights, device), _memory(finest, device, free))


def _passes(scale: Scale, device: Device, free: int) -> float:
    tile, _ = tile_and_pairs(device, scale.recipe, *scale.size, free, scale.steps)
    return 1.0 if tile is None else TILED


def _memory(scale: Scale, device: Device, free: int) -> int:
    tile, pairs = tile_and_pairs(device, scale.recipe, *scale.size, free, scale.steps)
    return BACKGROUND + bytes_needed(device, scale.recipe, *scale.size, tile, pairs)


@functools.lru_cache(maxsize=4)
def _seconds_per_pixel(weights: str, device: Device) -> float:
    """Of one evaluation through all layers: measured once."""
    network = load_network(weights, device)
    height, width = PROBE
    picture = torch.rand(1, 3, height, width, device=device.torch, requires_grad=True)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        found = network(picture, ("relu5_1",))["relu5_1"]
        torch.autograd.grad(found.float().sum(), picture)[0].sum().item()
        best = min(best, time.perf_counter() - start)
    return best / (height * width)
