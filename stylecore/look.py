"""A Look: a table of colours is optimised through the same losses as a painting's pixels.

The photo, seen through the table, takes on the style picture's features in the shallow layers (relu1_1 to relu3_1) and
keeps its own at relu3_1, while `natural.py` keeps the colours plausible. Because only colours change, every detail
stays, and the same table works in other programs.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from stylecore.colour import Floats, palette_of, transport
from stylecore.device import Device
from stylecore.errors import Diverged, PresetError
from stylecore.images.encode import Result
from stylecore.images.photo import Photo
from stylecore.lut import SIZE, Lut, identity, restyle
from stylecore.lut_files import read_lut
from stylecore.natural import (
    LATTICE,
    Naturalness,
    clipping,
    disorder,
    lattice,
    overexposure,
    places_of_controls,
)
from stylecore.network import load_network
from stylecore.objective import Losses, Objective, layers_of
from stylecore.preset import Look
from stylecore.progress import Progress
from stylecore.targets import style_colours, style_targets, to_tensor
from stylecore.toning import toning_of

STEPS = 25
MAX_SEARCH = 20  # evaluations in one step
PIXELS = 112 * 112  # at which a photo is looked at. Colours need no more
PIXELS_OF_SEVERAL = 90 * 90  # for each of a series
SMALLEST_EDGE = 32
PALETTE = 350.0
DIRECTIONS, RANKS = 32, 256  # in which colours are sorted, and of which as many are compared
COMPARED = 5000  # pixels of a photo whose colours are compared
OUTSIDE = (-0.15, 1.15)  # bounds of the first table
FLAT = 2 / 255  # standard deviation of a picture that has only one colour


def look(
    photo: Photo, preset: Look, device: Device, table: Lut | None = None, series: Sequence[Floats] = ()
) -> Iterator[Progress | Result]:
    """As ``transfer.stylize``."""
    start, done, loss = time.perf_counter(), 0, None
    if preset.strength == 0:
        table = Lut(identity())
    elif preset.lut is not None:
        table, notes = read_lut(preset.lut)
        photo = replace(photo, notes=(*photo.notes, *notes))
    elif table is None:
        fitting = fit(series or [small(photo)], preset, device)
        while True:
            try:
                progress = next(fitting)
            except StopIteration as end:
                table = end.value
                break
            done, loss = progress.step, progress.losses.total
            yield progress
    pixels = photo.pixels  # for strength 0, unchanged to the last bit
    if preset.strength > 0 and table is not None:
        pixels = restyle(table.at_strength(preset.strength), pixels, photo.profile)
    yield Result(photo, pixels, done, time.perf_counter() - start, loss, device.words, table)


def small(photo: Photo, pixels: int = PIXELS) -> Floats:
    """The photo as the fit sees it, sRGB in 0..1, (height, width, 3): about as many ``pixels``, whatever its shape."""
    share = min(1.0, math.sqrt(pixels / math.prod(photo.size)))
    longest = pixels // SMALLEST_EDGE
    width, height = (min(longest, max(SMALLEST_EDGE, round(length * share))) for length in photo.size)
    return photo.resized(width, height)


def fit(pictures: Sequence[Floats], preset: Look, device: Device) -> Generator[Progress, None, Lut]:
    """Fit one table to all ``pictures``, as ``small`` gives them. Yields a Progress after each step and returns the
    table. Raises as ``transfer.stylize``, and PresetError if the style pictures have a single colour."""
    start = time.perf_counter()
    fitting = _Fitting(pictures, preset, device)
    controls = fitting.start().requires_grad_()
    known: dict[bytes, tuple[Losses, Tensor]] = {}

    def evaluated() -> Losses:
        """The losses of ``controls``, which get their gradient. A step begins where the last one ended."""
        key = controls.detach().numpy().tobytes()
        if key not in known:
            known[key] = fitting(controls)
        losses, gradient = known[key]
        controls.grad = gradient.clone()
        return losses

    if not math.isfinite(evaluated().total):
        raise Diverged("The loss of the first table is not a number: check the preset's weights and the weights file.")
    optimiser = torch.optim.LBFGS(
        [controls], max_iter=1, max_eval=MAX_SEARCH, history_size=20, line_search_fn="strong_wolfe"
    )
    height, width = pictures[0].shape[:2]
    for step in range(1, STEPS + 1):
        optimiser.step(lambda: evaluated().total)  # type: ignore[no-untyped-call]
        yield Progress(
            step=step,
            steps=STEPS,
            scale=1,
            scales=1,
            size=(width, height),
            losses=evaluated(),
            share=step / STEPS,
            seconds=time.perf_counter() - start,
            preview=functools.partial(fitting.preview, controls.detach()),
        )
    return Lut(fitting.table(controls.detach(), SIZE).clamp(0, 1).numpy())


class _Fitting:
    """``fitting(controls)`` gives the losses of a table and their gradient with respect to its ``controls``, shape
    (POINTS, POINTS, POINTS, 3)."""

    def __init__(self, pictures: Sequence[Floats], preset: Look, device: Device) -> None:
        network = load_network(preset.weights, device)
        self.device, self.pictures = device, pictures
        self.wanted = style_colours(preset.style, preset.digest)
        if self.wanted.std(0).max() < FLAT:
            names = ", ".join(p.picture.name for p in preset.style)
            raise PresetError(f"{names} has only one colour, so there is no look to take from it: choose another.")
        self.toning = toning_of(self.wanted)
        self.pixels = [torch.from_numpy(picture.reshape(-1, 3)) for picture in pictures]
        colours = torch.cat(self.pixels)
        self.naturalness = Naturalness(colours, preset.skin / 100, in_colour=self.toning is None)
        self.objectives = [
            Objective(
                network,
                preset,
                to_tensor(picture, device.torch),
                style_targets(network, preset.style, preset.digest, max(picture.shape), layers_of(preset)),
            )
            for picture in pictures
        ]
        directions = torch.randn(DIRECTIONS, 3, generator=torch.Generator().manual_seed(0))
        self.directions = directions / directions.norm(dim=1, keepdim=True)
        self.ranks = self._ranks(torch.from_numpy(self.wanted))

    def start(self) -> Tensor:
        """The controls of the linear map that gives the photos the style's mean and covariance."""
        own = palette_of(self.pictures, [1] * len(self.pictures))
        matrix, offset = transport(own, palette_of([self.wanted[None]], [1]))
        places = places_of_controls().double()
        return (places @ torch.from_numpy(matrix).T + torch.from_numpy(offset)).float().clamp(*OUTSIDE)

    def table(self, controls: Tensor, size: int) -> Tensor:
        """(size, size, size, 3), by red, green and blue."""
        return lattice(controls if self.toning is None else self.toning.of(controls), size)

    def preview(self, controls: Tensor) -> Floats:
        """The first picture through the table."""
        found = _through(self.table(controls, LATTICE), self.pixels[0])
        seen: Floats = found.clamp(0, 1).reshape(self.pictures[0].shape).numpy()
        return seen

    @torch.enable_grad()
    def __call__(self, controls: Tensor) -> tuple[Losses, Tensor]:
        controls = controls.detach().requires_grad_()
        table = self.table(controls, LATTICE)
        found = [_through(table, pixels) for pixels in self.pixels]
        share = 1 / len(found)
        own = self.naturalness(controls if self.toning is None else self.toning.of(controls))
        for pixels, before, picture in zip(found, self.pixels, self.pictures, strict=True):
            kept = (
                clipping(pixels, before) + overexposure(pixels, before) + disorder(pixels, before, *picture.shape[:2])
            )
            own = own + share * kept
        step = max(1, sum(map(len, found)) // COMPARED)
        own = own + PALETTE * (self._ranks(torch.cat(found)[::step]) - self.ranks).square().mean()
        content, style, pulled = 0.0, 0.0, own
        for pixels, picture, objective in zip(found, self.pictures, self.objectives, strict=True):
            losses, gradient = objective(to_tensor(pixels.detach().reshape(picture.shape), self.device.torch))
            content, style = content + share * losses.content, style + share * losses.style
            pulled = pulled + share * (pixels * gradient[0].permute(1, 2, 0).reshape(-1, 3).cpu()).sum()
        (gradient,) = torch.autograd.grad(pulled, controls)
        return Losses(content + style + own.item(), content, style, 0.0), gradient

    def _ranks(self, colours: Tensor) -> Tensor:
        """The colours (n, 3), sorted in each direction: RANKS values of each, (RANKS, DIRECTIONS). The squared distance
        of two of these is the sliced Wasserstein distance (Rabin et al. 2012)."""
        ordered = (colours @ self.directions.T).sort(dim=0).values
        place = (torch.arange(RANKS) + 0.5) / RANKS * (len(ordered) - 1)
        low = place.long().clamp(max=max(0, len(ordered) - 2))
        return torch.lerp(ordered[low], ordered[(low + 1).clamp(max=len(ordered) - 1)], (place - low)[:, None])


def _through(table: Tensor, pixels: Tensor) -> Tensor:
    """Pixels (n, 3) in 0..1 through a table (size, size, size, 3): (n, 3), not clipped."""
    at = pixels.flip(-1)[None, None, None] * 2 - 1  # (1, 1, 1, n, 3), blue first: the table's last axis
    found = torch.nn.functional.grid_sample(table.permute(3, 0, 1, 2)[None], at, align_corners=True)
    return found[0, :, 0, 0].T
