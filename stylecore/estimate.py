"""About how long a painting takes and how much memory, known before it starts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from stylecore.device import Device
from stylecore.memory import bytes_needed, bytes_of_result, free_memory, tile_and_pairs
from stylecore.network import load_network
from stylecore.objective import Objective, layers_of
from stylecore.preset import Painting
from stylecore.scales import Scale, scales_of
from stylecore.targets import targets_of

SHORT = 8_000_000  # pixels through all layers: less takes about a minute even on a slow machine
BACKGROUND = 1_200_000_000  # bytes: torch, the weights, a photo
PROBE, PROBE_STYLE = 256, 64  # edges of the pictures with which an evaluation is timed
TILED = 1.8  # with tiles, each is seen twice, once without a way back, and margins overlap
TO_BEGIN = 1.5  # a scale's targets and first evaluation, in steps
TO_FINISH = 0.3e-6  # seconds for a pixel of the Result: enlarged and encoded


@dataclass(frozen=True)
class Estimate:
    """``seconds`` for the whole painting; ``memory`` of the device at its peak, in bytes."""

    seconds: float
    memory: int


Rates = Mapping[tuple[str, ...], float]
"""The seconds that an evaluation of the losses and their gradient takes per pixel, by the layers that it looks at."""


def estimate(photo: tuple[int, int], preset: Painting, device: Device, bytes_per_sample: int = 1) -> Estimate | None:
    """For a photo of this (width, height); None if it takes a minute at most. Raises TooLarge and WeightsError."""
    scales = scales_of(photo, preset, device) if preset.strength > 0 else []
    if sum(scale.cost * scale.steps for scale in scales) < SHORT:
        return None
    return expected(scales, preset.output.size_of(photo), device, probe(scales, device), bytes_per_sample)


def probe(scales: Sequence[Scale], device: Device) -> Rates:
    """How fast this machine is now, which changes with what else it does."""
    recipes = {layers_of(scale.recipe): scale.recipe for scale in scales}
    return {layers: _seconds_per_pixel(recipe, device) for layers, recipe in recipes.items()}


def expected(
    scales: Sequence[Scale], result: tuple[int, int], device: Device, rates: Rates, bytes_per_sample: int = 1
) -> Estimate:
    """At these rates, for a Result of this (width, height)."""
    width, height = result
    free = free_memory(device)
    seconds = width * height * TO_FINISH + sum(_seconds(scale, device, free, rates) for scale in scales)
    memory = max(_memory(scale, device, free) for scale in scales)  # a coarser one may need no tiles
    if device.torch.type == "cpu":
        memory = max(memory, BACKGROUND + bytes_of_result(width, height, bytes_per_sample))
    return Estimate(seconds, memory)


def _seconds(scale: Scale, device: Device, free: int, rates: Rates) -> float:
    width, height = scale.size
    tile, _ = tile_and_pairs(device, scale.recipe, width, height, free, scale.steps)
    once = width * height * rates[layers_of(scale.recipe)] * (1.0 if tile is None else TILED)
    return once * (scale.steps + TO_BEGIN)


def _memory(scale: Scale, device: Device, free: int) -> int:
    tile, pairs = tile_and_pairs(device, scale.recipe, *scale.size, free, scale.steps)
    return BACKGROUND + bytes_needed(device, scale.recipe, *scale.size, tile, pairs)


def _seconds_per_pixel(preset: Painting, device: Device) -> float:
    network = load_network(preset.weights, device)
    style = targets_of(network, preset.style, PROBE_STYLE, layers_of(preset))
    picture = torch.rand(1, 3, PROBE, PROBE, device=device.torch)
    objective = Objective(network, preset, picture, style)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        objective(picture)
        best = min(best, time.perf_counter() - start)
    return best / PROBE**2
