"""L-BFGS and Adam, on functions whose answer is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from stylecore.errors import Diverged
from stylecore.objective import Losses
from stylecore.optimise import Adam, Lbfgs

TARGET = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
SCALE = 10 ** torch.linspace(-2, 2, 192).reshape(1, 3, 8, 8)  # condition number 10,000


def bowl(x: torch.Tensor, target: torch.Tensor = TARGET) -> tuple[Losses, torch.Tensor]:
    loss = float((SCALE * (x - target).square()).sum())
    return Losses(loss, 0, loss, 0), 2 * SCALE * (x - target)


def test_lbfgs_finds_the_minimum() -> None:
    optimiser = Lbfgs(torch.full_like(TARGET, 0.5), bowl)
    start = optimiser.losses.total
    for _ in range(200):
        losses = optimiser.step()
    assert losses.total < 1e-4 * start


def two_loops(gradient: torch.Tensor, pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """The direction as Nocedal & Wright's algorithm 7.4 has it."""
    q, alphas = -gradient, []
    for s, y in reversed(pairs):
        alphas.append((s * q).sum() / (s * y).sum())
        q = q - alphas[-1] * y
    s, y = pairs[-1]
    q = q * (s * y).sum() / (y * y).sum()
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        q = q + s * (alpha - (y * q).sum() / (s * y).sum())
    return q


def test_the_direction_is_that_of_the_two_loops() -> None:
    """With three pairs, of which the oldest are replaced."""
    start = torch.full_like(TARGET, 0.5).double()
    optimiser = Lbfgs(start, lambda x: bowl(x, TARGET.double()), history=3)
    pictures = [start]
    for _ in range(8):
        optimiser.step()
        pictures.append(optimiser.picture)
        gradients = [bowl(x, TARGET.double())[1] for x in pictures]
        pairs = list(zip(pairs_of(pictures), pairs_of(gradients), strict=True))[-3:]
        expected = two_loops(gradients[-1], pairs)
        found = optimiser._direction()
        assert float((found - expected).norm() / expected.norm()) < 1e-9


def pairs_of(values: list[torch.Tensor]) -> list[torch.Tensor]:
    return [after - before for before, after in itertools.pairwise(values)]


def test_adam_goes_down() -> None:
    optimiser = Adam(torch.full_like(TARGET, 0.5), bowl)
    start = optimiser.losses.total
    for _ in range(200):
        losses = optimiser.step()
    assert losses.total < 1e-2 * start


@pytest.mark.parametrize("kind", [Lbfgs, Adam])
def test_pixels_stay_in_range_after_every_step(kind: type[Lbfgs | Adam]) -> None:
    optimiser = kind(torch.full_like(TARGET, 0.5), lambda x: bowl(x, TARGET * 4 - 1.5))
    for _ in range(60):
        optimiser.step()
        assert float(optimiser.picture.min()) >= 0
        assert float(optimiser.picture.max()) <= 1
    far = ((TARGET * 4 - 1.5 < -0.1) | (TARGET * 4 - 1.5 > 1.1)) & (SCALE > 1)
    assert bool(((optimiser.picture == 0) | (optimiser.picture == 1))[far].float().mean() > 0.9)


@pytest.mark.parametrize("kind", [Lbfgs, Adam])
@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e9])
def test_a_bad_step_is_taken_back(kind: type[Lbfgs | Adam], bad: float) -> None:
    """Every fourth evaluation goes wrong; the picture is always one whose loss is known, and the loss keeps falling."""
    calls = 0

    def faulty(x: torch.Tensor) -> tuple[Losses, torch.Tensor]:
        nonlocal calls
        calls += 1
        losses, gradient = bowl(x)
        return (Losses(bad, 0, bad, 0), gradient * bad) if calls % 4 == 0 else (losses, gradient)

    optimiser = kind(torch.full_like(TARGET, 0.5), faulty)
    start = optimiser.losses.total
    for _ in range(40):
        losses = optimiser.step()
        assert losses.total == pytest.approx(bowl(optimiser.picture)[0].total)
    assert losses.total < 0.9 * start


@pytest.mark.parametrize("kind", [Lbfgs, Adam])
def test_the_last_step_is_one_without_a_gradient(kind: type[Lbfgs | Adam]) -> None:
    one, other = (kind(torch.full_like(TARGET, 0.5), bowl) for _ in range(2))
    for optimiser in (one, other):
        for _ in range(5):
            optimiser.step()
    before = one.picture
    assert one.last_step(lambda x: Losses(math.nan, 0, 0, 0)) == other.losses
    assert torch.equal(one.picture, before), "a bad one is undone"
    whole = kind(torch.full_like(TARGET, 0.5), bowl)
    for _ in range(6):
        whole.step()
    assert other.last_step(lambda x: bowl(x)[0]) == whole.losses
    assert torch.equal(other.picture, whole.picture)


@pytest.mark.parametrize("kind", [Lbfgs, Adam])
def test_a_hopeless_objective_is_said(kind: type[Lbfgs | Adam]) -> None:
    def always(x: torch.Tensor) -> tuple[Losses, torch.Tensor]:
        return Losses(math.nan, 0, 0, 0), x

    with pytest.raises(Diverged, match="starting picture"):
        kind(TARGET, always)
    calls = 0

    def after_the_first(x: torch.Tensor) -> tuple[Losses, torch.Tensor]:
        nonlocal calls
        calls += 1
        return (bowl if calls == 1 else always)(x)

    optimiser = kind(TARGET * 0.5, after_the_first)
    with pytest.raises(Diverged, match="however small"):
        for _ in range(50):
            optimiser.step()


def test_the_average_is_the_unbiased_running_mean() -> None:
    optimiser = Adam(torch.full_like(TARGET, 0.5), bowl, average=0.8)
    total, weight = torch.zeros_like(TARGET), 0.0
    for _ in range(7):
        optimiser.step()
        total, weight = 0.8 * total + 0.2 * optimiser.iterate, 0.8 * weight + 0.2
        assert torch.allclose(optimiser.picture, total / weight, atol=1e-6)
