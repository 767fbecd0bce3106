"""L-BFGS and Adam on the pixels, clamped into 0..1 after every step.

Both have ``step()``, which evaluates loss and gradient once and returns the losses of ``picture``, shape (1, 3, height,
width), after the step; and ``last_step(losses)``, which needs no gradient. A step that gives NaN, infinity or a much
larger loss is undone, and the rate is lowered: the picture is always one whose loss is known and finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from stylecore.errors import Diverged
from stylecore.objective import Losses

Evaluate = Callable[[Tensor], tuple[Losses, Tensor]]
LossesOf = Callable[[Tensor], Losses]

LARGEST_RISE = 1.2  # of the total loss in one step; without a line search, L-BFGS rises now and then
NOTHING = 1e-6  # a loss below which a rise is only rounding
LOWEST_SHARE = 1e-6  # of the full rate; below it, give up
LBFGS_RATE, ADAM_RATE = 1.0, 0.02  # Adam's in units of the pixel range: 5 of 255
FIRST_STEP = 0.02  # mean change of a pixel in L-BFGS's first step, before it knows any curvature


class Lbfgs:
    """Limited-memory BFGS (Nocedal & Wright, algorithm 7.4) without a line search, one evaluation per step.

    The pairs (s, y) come from the clamped pictures, so that the curvature is right at the bounds. The direction is a
    combination of the pairs and the gradient, whose coefficients need only the products of these (Chen, Wang & Zhou,
    "Large-scale L-BFGS using MapReduce", 2014): a few passes over the memory, however many pairs there are.
    """

    def __init__(self, picture: Tensor, evaluate: Evaluate, rate: float = LBFGS_RATE, history: int = 20) -> None:
        self.picture = picture
        self.evaluate = evaluate
        self.rate = self.full_rate = rate
        self.history = history
        self.vectors = picture.new_empty(1 + 2 * history, picture.numel())  # the gradient, then s, y of each pair
        self.products = np.zeros(2 * (len(self.vectors),))  # of all with all
        self.pairs: list[int] = []  # the rows of s, oldest first
        self.losses, gradient = _start(picture, evaluate)
        self.vectors[0] = gradient.flatten()

    def step(self) -> Losses:
        candidate = self._candidate()
        losses, gradient = self.evaluate(candidate)
        if not (_sound(losses, self.losses.total) and _finite(gradient)):
            self.pairs.clear()
            self.rate = _lower(self.rate, self.full_rate)
            return self.losses
        self._add_pair(candidate, gradient)
        self.picture, self.losses = candidate, losses
        self.rate = min(self.full_rate, self.rate * 2)
        return losses

    def last_step(self, losses_of: LossesOf) -> Losses:
        candidate = self._candidate()
        losses = losses_of(candidate)
        if _sound(losses, self.losses.total):
            self.picture, self.losses = candidate, losses
        return self.losses

    def _candidate(self) -> Tensor:
        return (self.picture + self.rate * self._direction()).clamp_(0, 1)

    def _add_pair(self, candidate: Tensor, gradient: Tensor) -> None:
        row = self._free_row()
        before, s, y = self.vectors[0], self.vectors[row], self.vectors[row + 1]
        torch.sub(candidate.flatten(), self.picture.flatten(), out=s)
        torch.sub(gradient.flatten(), before, out=y)
        before.copy_(gradient.flatten())
        used = self.vectors[: max([row, *self.pairs]) + 2]
        for i in (0, row, row + 1):
            found = (used @ self.vectors[i]).cpu().numpy()
            self.products[i, : len(found)] = self.products[: len(found), i] = found
        p = self.products
        if p[row, row + 1] > 1e-10 * math.sqrt(p[row, row] * p[row + 1, row + 1]):
            self.pairs.append(row)

    def _free_row(self) -> int:
        if len(self.pairs) == self.history:
            return self.pairs.pop(0)
        return next(row for row in range(1, 2 * self.history, 2) if row not in self.pairs)

    def _direction(self) -> Tensor:
        """Has the picture's shape."""
        gradient = self.vectors[0]
        if not self.pairs:
            return -(gradient * (FIRST_STEP / gradient.abs().mean().clamp_min(1e-30))).view_as(self.picture)
        p = self.products
        share = np.zeros(len(p))  # of each vector in the direction
        share[0] = -1
        alphas = {}
        for s in reversed(self.pairs):
            alphas[s] = p[s] @ share / p[s, s + 1]
            share[s + 1] -= alphas[s]
        last = self.pairs[-1]
        share *= p[last, last + 1] / p[last + 1, last + 1]
        for s in self.pairs:
            share[s] += alphas[s] - p[s + 1] @ share / p[s, s + 1]
        used = max(self.pairs) + 2
        return (torch.from_numpy(share[:used]).to(gradient) @ self.vectors[:used]).view_as(self.picture)


class Adam:
    """Adam (Kingma & Ba 2015). With an ``average`` above 0, ``picture`` is the running mean of the iterates with that
    decay, bias-corrected like Adam's moments (Polyak & Juditsky 1992). The losses are the iterate's."""

    def __init__(self, picture: Tensor, evaluate: Evaluate, rate: float = ADAM_RATE, average: float = 0.0) -> None:
        self.evaluate = evaluate
        self.picture = self.iterate = picture
        self.full_rate = rate
        self.average = average
        self.averaged = 0
        self._restart(rate)
        self.losses, self.gradient = _start(picture, evaluate)

    def _restart(self, rate: float) -> None:
        self.rate = rate
        self.parameter = self.iterate.clone()
        self.adam = torch.optim.Adam([self.parameter], lr=rate)

    def step(self) -> Losses:
        candidate = self._candidate()
        losses, gradient = self.evaluate(candidate)
        if not (self._sound(losses) and _finite(gradient)):
            self._restart(_lower(self.rate, self.full_rate))
            return self.losses
        self._take(candidate, losses)
        self.gradient = gradient
        self.rate = self.adam.param_groups[0]["lr"] = min(self.full_rate, self.rate * 2)
        return losses

    def last_step(self, losses_of: LossesOf) -> Losses:
        candidate = self._candidate()
        losses = losses_of(candidate)
        if self._sound(losses):
            self._take(candidate, losses)
        return self.losses

    def _candidate(self) -> Tensor:
        self.parameter.grad = self.gradient
        self.adam.step()
        return self.parameter.clamp_(0, 1).clone()

    def _sound(self, losses: Losses) -> bool:
        return _sound(losses, self.losses.total * 2)  # its first steps rise more than L-BFGS's

    def _take(self, candidate: Tensor, losses: Losses) -> None:
        self.iterate, self.losses = candidate, losses
        self.averaged += 1
        self.picture = torch.lerp(self.picture, candidate, (1 - self.average) / (1 - self.average**self.averaged))


def _start(picture: Tensor, evaluate: Evaluate) -> tuple[Losses, Tensor]:
    losses, gradient = evaluate(picture)
    if not (_sound(losses, math.inf) and _finite(gradient)):
        raise Diverged(
            "The loss of the starting picture is not a number: check the preset's weights and the weights file."
        )
    return losses, gradient


def _sound(losses: Losses, before: float) -> bool:
    return math.isfinite(losses.total) and losses.total <= LARGEST_RISE * before + NOTHING


def _finite(gradient: Tensor) -> bool:
    return bool(gradient.isfinite().all())


def _lower(rate: float, full: float) -> float:
    if rate < LOWEST_SHARE * full:
        raise Diverged("No step, however small, lowers the loss: the preset's weights are too large.")
    return rate / 4
