"""3 x 3 convolutions by Winograd's F(4 x 4, 3 x 3), on the CPU, in float32: a quarter of the multiplications of the
direct way (Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", section 4.3).

    Y = A^T [ (G g G^T) * (B^T d B) ] A

d is a tile of the input, 6 x 6, g the weights, and Y the 4 x 4 of the output that the tile gives. The weights are
frozen, so G g G^T is computed once. Tiles are taken in strips of a few rows, whose intermediate results stay in the
processor's cache.
"""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CACHE = 1_000_000  # floats of a strip's transformed input and output; measured
GAIN = 0.9  # Winograd's share of the direct time below which it is used
FEWEST_INPUTS = 16  # with fewer, transforming the output takes longer than a direct convolution
PROBE_WORK, SMALLEST_PROBE, REPEATS = 5e8, 1024, 3  # multiplications, positions
G = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)


class Filters:
    """A convolution's weights (out, in, 3, 3) and bias (out), transformed for both directions."""

    def __init__(self, weights: Tensor, bias: Tensor) -> None:
        self.weights = weights
        self.bias = bias

    @functools.cached_property
    def forward(self) -> Tensor:
        """(36, in, out)"""
        return _transformed(self.weights)

    @functools.cached_property
    def backward(self) -> Tensor:
        """(36, out, in): the gradient with respect to the input is a convolution, too, with the weights rotated and
        transposed."""
        return _transformed(self.weights.flip(2, 3).transpose(0, 1))


def convolve(x: Tensor, filters: Filters, *, rectify: bool) -> Tensor:
    """``conv2d(x, weights, bias, padding=1)``, followed by ``relu`` if asked; x: (1, in, height, width), float32,
    channels last."""
    found: Tensor = _Convolution.apply(x, filters, rectify)
    return found


def gains(inputs: int, outputs: int, height: int, width: int) -> bool:
    """Whether it is clearly faster here than the direct way. Measured once for sizes that are about the same; sizes
    beyond a few milliseconds of work gain alike."""
    if inputs < FEWEST_INPUTS:
        return False
    largest = max(SMALLEST_PROBE, int(PROBE_WORK / (9 * inputs * outputs)))
    doublings = (min(height * width, largest) - 1).bit_length()
    return _gains(inputs, outputs, 1 << doublings + doublings % 2)


@functools.lru_cache(maxsize=256)
def _gains(inputs: int, outputs: int, positions: int) -> bool:
    height = 1 << (positions.bit_length() - 1) // 2
    x = torch.ones(1, inputs, height, positions // height).contiguous(memory_format=torch.channels_last)
    weights = torch.ones(outputs, inputs, 3, 3).contiguous(memory_format=torch.channels_last)
    filters, bias = torch.ones(36, inputs, outputs), torch.zeros(outputs)
    ways: tuple[Callable[[], Tensor], ...] = (
        lambda: functional.conv2d(x, weights, bias, padding=1).relu_(),
        lambda: _convolved(x, filters, bias, rectify=True),
    )
    best = [math.inf, math.inf]
    with torch.no_grad():
        for _ in range(REPEATS):
            for i, way in enumerate(ways):
                start = time.perf_counter()
                way()
                best[i] = min(best[i], time.perf_counter() - start)
    return best[1] < GAIN * best[0]


def _transformed(weights: Tensor) -> Tensor:
    """(out, in, 3, 3) -> (36, in, out), by the tile's column, then row."""
    outputs, inputs = weights.shape[:2]
    found = torch.kron(G, G) @ weights.permute(3, 2, 1, 0).reshape(9, -1).double()
    return found.float().reshape(36, inputs, outputs)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, filters: Filters, rectify: bool) -> Tensor:
        out = _convolved(x, filters.forward, filters.bias, rectify=rectify)
        ctx.filters = filters
        ctx.save_for_backward(*([out] if rectify else []))
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        rectified = ctx.saved_tensors[0] if ctx.saved_tensors else None
        return _convolved(gradient, ctx.filters.backward, rectified=rectified), None, None


def _convolved(
    x: Tensor, filters: Tensor, bias: Tensor | None = None, *, rectify: bool = False, rectified: Tensor | None = None
) -> Tensor:
    """``rectified``: of the shape of x, which counts as 0 where this is 0."""
    _, inputs, height, width = x.shape
    outputs = filters.shape[2]
    out = torch.empty(
        (1, outputs, height, width), memory_format=torch.channels_last
    )  # not a view: autograd would refuse to rectify it in place
    rows_of_x, rows_of_out = (t.permute(0, 2, 3, 1)[0] for t in (x, out))
    rows_of_mask = None if rectified is None else rectified.permute(0, 2, 3, 1)[0]
    down, across = -(-height // 4), -(-width // 4)  # tiles
    strips = min(torch.get_num_threads(), down)
    # Where the filters are larger than the cache, larger strips read them less often.
    most = max(1, max(CACHE, filters.numel()) // (36 * across * (inputs + outputs)))
    rows = -(-down // (strips * -(-down // (strips * most))))
    with torch.no_grad():
        work = _Strips(strips, rows, across, inputs, outputs)
        for row in range(0, down, strips * rows):
            work.read(rows_of_x, rows_of_mask, row)
            work.convolve(filters, bias)
            work.write(rows_of_out, row, rectify=rectify)
    return out


class _Strips:
    """The intermediate results of one strip of tiles for each thread, as views, because making a view takes Python as
    long as adding a few thousand numbers. The strips are the outermost dimension of all tensors, along which torch
    divides an operation among threads: so what a thread reads is in its own cache."""

    def __init__(self, strips: int, rows: int, across: int, inputs: int, outputs: int) -> None:
        self.strips, self.rows = strips, rows
        width, tiles = 4 * across + 2, rows * across
        half = max((14 * rows + 2 + 4 * rows) * width * inputs, 36 * tiles * outputs)
        memory = _memory(strips * (half + max(60 * tiles * inputs, 48 * tiles * outputs)))
        # What the next stage reads lies in one half, what it writes in the other.
        one, other = memory[: strips * half], memory[strips * half :]
        self.padded, turned, *spare = _divided(
            one, strips, (4 * rows + 2, width, inputs), (6, rows, width, inputs), *[(2, rows, width, inputs)] * 2
        )
        strip, down, along, _ = self.padded.stride()
        tiled = self.padded.as_strided(
            (6, strips, rows, width, inputs), (down, strip, 4 * down, along, 1), self.padded.storage_offset()
        )
        self.by_rows = _before(tiled, turned.transpose(0, 1), *(x.transpose(0, 1) for x in spare))
        strip, plane, row, along, _ = turned.stride()
        tiled = turned.as_strided(
            (6, strips, 6, rows, across, inputs),
            (along, strip, plane, row, 4 * along, 1),
            turned.storage_offset(),
        )
        ready, *spare = _divided(other, strips, (6, 6, rows, across, inputs), *[(2, 6, rows, across, inputs)] * 2)
        self.by_columns = _before(tiled, ready.transpose(0, 1), *(x.transpose(0, 1) for x in spare))
        self.ready = ready.view(strips, 36, tiles, inputs).unbind()
        (products,) = _divided(one, strips, (36, tiles, outputs))
        self.products = products.unbind()
        self.constant = products[:, 7]  # adding to it adds to all 16 of a tile
        half_way, *spare = _divided(other, strips, (4, 6, tiles, outputs), *[(2, 6, tiles, outputs)] * 2)
        self.from_columns = _after(
            products.view(strips, 6, 6, tiles, outputs).transpose(0, 1),
            half_way.transpose(0, 1),
            *(x.transpose(0, 1) for x in spare),
        )
        done, *spare = _divided(one, strips, (rows, 4, across, 4, outputs), *[(4, 2, rows, across, outputs)] * 2)
        tiled = half_way.permute(2, 0, 1, 3, 4).view(6, strips, 4, rows, across, outputs)
        self.from_rows = _after(tiled, done.permute(2, 0, 4, 1, 3, 5), *(x.permute(2, 0, 1, 3, 4, 5) for x in spare))
        self.done = done.view(strips * 4 * rows, 4 * across, outputs)

    def read(self, x: Tensor, mask: Tensor | None, row: int) -> None:
        """Take x, (height, width, in), from the row of tiles ``row`` on, with zeros around it."""
        height, width, _ = x.shape
        self.padded[:, :, 0].zero_()
        self.padded[:, :, width + 1 :].zero_()
        for i, padded in enumerate(self.padded.unbind()):
            top = 4 * (row + i * self.rows) - 1
            start, stop = max(top, 0), max(top, min(top + len(padded), height))
            padded[: start - top].zero_()
            padded[stop - top :].zero_()
            inside = padded[start - top : stop - top, 1 : width + 1]
            if mask is None:
                inside.copy_(x[start:stop])
            else:
                torch.ops.aten.threshold_backward.grad_input(x[start:stop], mask[start:stop], 0, grad_input=inside)

    def convolve(self, filters: Tensor, bias: Tensor | None) -> None:
        _transform(self.by_rows)
        _transform(self.by_columns)
        for ready, products in zip(self.ready, self.products, strict=True):
            torch.bmm(ready, filters, out=products)
        if bias is not None:
            self.constant.add_(bias)
        _inverse(self.from_columns)
        _inverse(self.from_rows)

    def write(self, out: Tensor, row: int, *, rectify: bool) -> None:
        """Put the strips into ``out``, (height, width, out), from the row of tiles ``row`` on."""
        height, width, _ = out.shape
        start, stop = 4 * row, min(4 * (row + self.strips * self.rows), height)
        done = self.done[: stop - start, :width]
        if rectify:
            torch.clamp_min(done, 0, out=out[start:stop])
        else:
            out[start:stop].copy_(done)


_own = threading.local()


def _memory(floats: int) -> Tensor:
    kept: Tensor | None = getattr(_own, "memory", None)
    if kept is None or len(kept) < floats:
        _own.memory = kept = torch.empty(floats)
    return kept


def _divided(memory: Tensor, strips: int, *shapes: tuple[int, ...]) -> list[Tensor]:
    parts, start = [], 0
    for shape in shapes:
        stop = start + strips * math.prod(shape)
        parts.append(memory[start:stop].view(strips, *shape))
        start = stop
    return parts


def _before(d: Tensor, out: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return d[0:2], d[1:3], d[2:4], d[3:5], d[4:6], x, y, *x.unbind(), *y.unbind(), *out[1:5].unbind(), out[0::5]


def _transform(views: tuple[Tensor, ...]) -> None:
    """B^T d along the first axis, 6 to 6; in parts that several rows of B^T share."""
    d0, d1, d2, d3, d4, x, y, x0, x1, y0, y1, out1, out2, out3, out4, ends = views
    torch.sub(d3, d1, alpha=4, out=x)
    torch.sub(d3, d1, out=y)
    torch.add(x1, x0, out=out1)
    torch.sub(x1, x0, out=out2)
    torch.add(y1, y0, alpha=2, out=out3)
    torch.sub(y1, y0, alpha=2, out=out4)
    torch.sub(d4, d2, alpha=5, out=ends)
    ends.add_(d0, alpha=4)


def _after(m: Tensor, out: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    return m[0], m[5], m[1:5:2], m[2:5:2], x, y, *x.unbind(), *y.unbind(), *out.unbind()


def _inverse(views: tuple[Tensor, ...]) -> None:
    """A^T m along the first axis, 6 to 4."""
    m0, m5, odd, even, x, y, x0, x1, y0, y1, out0, out1, out2, out3 = views
    torch.add(odd, even, out=x)
    torch.sub(odd, even, out=y)
    torch.add(m0, x0, out=out0)
    out0.add_(x1)
    torch.add(y0, y1, alpha=2, out=out1)
    torch.add(x0, x1, alpha=4, out=out2)
    torch.add(y0, y1, alpha=8, out=out3)
    out3.add_(m5)
