"""The damped step: full length, halving, ridge, no descent, values that are no numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from optimise_cases import random_system

from gpurefine.backend import create
from gpurefine.errors import Status
from gpurefine.optimise.gauss_newton import MAX_HALVINGS, RIDGE, LinearBlock, parabola_minimum, step


class Parameters:
    """A vector, what it was, and how often the target was asked for."""

    def __init__(self, start: Any, value: Callable[[Any], float]) -> None:
        self.start = np.array(start, float)
        self.now = self.start.copy()
        self.value = value
        self.calls: list[float] = []

    def __call__(self, shifts: Sequence[Any]) -> float:
        self.now = self.start + np.concatenate([shift.ravel() for shift in shifts])
        self.calls.append(float(np.linalg.norm(self.now - self.start)))
        return self.value(self.now)


def diagonal_block(gradient: Any, curvature: Any, limit: float = 1e9) -> LinearBlock:
    """One block row per parameter."""
    return LinearBlock(np.array(gradient, float)[:, None], [], np.array(curvature, float)[:, None, None], limit)


def test_quadratic_is_solved_in_one_step() -> None:
    matrices, extra, full = random_system(15, 3, 0)
    rng = np.random.default_rng(1)
    target = rng.normal(size=45)

    def value(x: Any) -> float:
        return float(0.5 * (x - target) @ full @ (x - target))

    x = Parameters(np.zeros(45), value)
    gradient = (full @ (x.start - target)).reshape(15, 3)
    found = step(create("cpu", 2), [LinearBlock(gradient, matrices, extra, 1e9)], value(x.start), x, 1e-10, 500)
    assert found.status is Status.OK and found.halvings == 0 and found.ridge == 0.0 and found.iterations > 0
    assert len(x.calls) == 1
    np.testing.assert_allclose(x.now, target, atol=1e-6)
    assert found.value == value(x.now)


def test_two_kinds_of_parameters_move_together() -> None:
    x = Parameters([3.0, -2.0, 5.0], lambda v: float(0.5 * v @ (v * [1.0, 1.0, 4.0])))
    blocks = [diagonal_block([3.0, -2.0], [1.0, 1.0]), diagonal_block([20.0], [4.0])]
    found = step(create("reference"), blocks, x.value(x.start), x)
    assert found.status is Status.OK
    np.testing.assert_allclose(x.now, 0.0, atol=1e-12)


@pytest.mark.parametrize(("too_soft", "halvings"), [(3.0, 1), (7.0, 2), (30.0, 4)])
def test_overshoot_is_halved(too_soft: float, halvings: int) -> None:
    """With a curvature too small by a factor f the step is f times too long; it helps once it is under twice."""
    x = Parameters([1.0], lambda v: float(v @ v))
    found = step(create("cpu", 1), [diagonal_block([2.0], [2.0 / too_soft])], 1.0, x)
    assert found.status is Status.REDUCED and found.halvings == halvings
    assert found.value == pytest.approx((1.0 - too_soft / 2**halvings) ** 2) and found.value < 1.0


def test_shift_limit_holds() -> None:
    x = Parameters([100.0], lambda v: float(v @ v))
    step(create("cpu", 1), [diagonal_block([200.0], [2.0], limit=1.5)], 1e4, x)
    assert x.now[0] == 98.5


def test_ridge_turns_the_direction() -> None:
    """A direction that leads nowhere at any length, until the stiffer diagonal turns it."""
    matrices, extra, full = random_system(10, 1, 3)
    x = Parameters(np.zeros(10), lambda v: 0.0)
    gradient = np.random.default_rng(5).normal(size=(10, 1))
    plain = np.linalg.solve(full, -gradient.ravel())

    def value(v: Any) -> float:
        """Only off the line of the first direction is it lower."""
        length = float(np.linalg.norm(v))
        along = abs(float(v @ plain)) / (length * float(np.linalg.norm(plain)) + 1e-300)
        return -1.0 if length > 0.0 and along < 0.999 else 1.0

    x.value = value
    found = step(create("cpu", 1), [LinearBlock(gradient, matrices, extra, 1e9)], 0.0, x, 1e-10, 500)
    assert found.status is Status.RIDGE and found.ridge == RIDGE and found.halvings == 0
    assert len(x.calls) == MAX_HALVINGS + 2


def test_no_descent_leaves_everything_as_it_was() -> None:
    x = Parameters([1.0, 2.0], lambda v: 5.0 + float(np.abs(v - [1.0, 2.0]).sum()))
    found = step(create("cpu", 1), [diagonal_block([1.0, -1.0], [1.0, 1.0])], 5.0, x)
    assert found.status is Status.NO_DESCENT and found.value == 5.0
    assert len(x.calls) == 2 * (MAX_HALVINGS + 1) + 1 and x.calls[-1] == 0.0
    np.testing.assert_array_equal(x.now, x.start)


def test_values_that_are_no_numbers() -> None:
    x = Parameters([1.0], lambda v: float(v @ v))
    found = step(create("cpu", 1), [diagonal_block([2.0], [2.0])], float("nan"), x)
    assert found.status is Status.NOT_FINITE and x.calls == []
    # a trial that is not finite is just too long a step
    x = Parameters([1.0], lambda v: float(v @ v) if v[0] > 0.2 else float("nan"))
    found = step(create("cpu", 1), [diagonal_block([2.0], [2.0])], 1.0, x)
    assert found.status is Status.REDUCED and x.now[0] == 0.5
    x = Parameters([1.0], lambda v: float("inf"))
    assert step(create("cpu", 1), [diagonal_block([2.0], [2.0])], 1.0, x).status is Status.NO_DESCENT


def test_first_length_and_the_best_one() -> None:
    """Curvature that is half of the true one: the best length is ½, and is found whatever length was tried."""
    for length in (0.75, 0.5, 0.3):
        x = Parameters([2.0, -1.0], lambda v: float(v @ v))
        found = step(create("reference"), [diagonal_block([4.0, -2.0], [1.0, 1.0])], x.value(x.start), x, length=length)
        assert found.length == length and found.halvings == 0 and len(x.calls) == 1
        assert found.best == pytest.approx(0.5)
        np.testing.assert_allclose(x.now, x.start * (1.0 - 2.0 * length), atol=1e-12)
    # the full step changes nothing, which is not enough
    x = Parameters([2.0, -1.0], lambda v: float(v @ v))
    found = step(create("reference"), [diagonal_block([4.0, -2.0], [1.0, 1.0])], x.value(x.start), x)
    assert (found.length, found.halvings) == (0.5, 1) and found.best == pytest.approx(0.5)


def test_minimum_of_a_parabola() -> None:
    assert parabola_minimum(-2.0, -1.0, 1.0) == pytest.approx(1.0)
    assert parabola_minimum(-2.0, 0.0, 1.0) == pytest.approx(0.5)
    assert parabola_minimum(-2.0, -3.0, 1.0) == float("inf")
