"""Steps of TLS tensors end at the lowest point of the quadratic model where L has no negative principal value."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from gpurefine.backend.gaussians import full_tensors
from gpurefine.model.tensors import smallest_and_largest
from gpurefine.params.tls import UNIT
from gpurefine.params.tls_valid import LIBRATION, valid_shift


def model(seed: int, rank: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Curvature, unconstrained optimum and values of a group."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(20, rank))
    start = np.zeros(20)
    axes = rng.normal(size=(3, 3))
    full = axes @ axes.T
    start[LIBRATION] = full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]] * UNIT[6]
    return root @ root.T, rng.normal(size=20) * 2.0, start


def test_valid_steps_are_newton_steps() -> None:
    h, best, start = model(0)
    start[LIBRATION] += np.array([50.0, 50.0, 50.0, 0.0, 0.0, 0.0]) * UNIT[6]
    np.testing.assert_allclose(valid_shift(start, UNIT, -h @ best, h), best, atol=1e-8)


@pytest.mark.parametrize("seed", range(1, 7))
def test_lowest_valid_point(seed: int) -> None:
    """Nowhere lower than with L written as a product C Cᵀ, over which a general minimiser looks."""
    h, best, start = model(seed)
    best[6:9] -= 4.0
    x = valid_shift(start, UNIT, -h @ best, h)
    end = start + UNIT * x
    low = smallest_and_largest(end[None, LIBRATION])[0][0]
    assert low > -1e-5 * np.abs(end[LIBRATION]).sum()
    assert smallest_and_largest((start + UNIT * best)[None, LIBRATION])[0][0] < 0.0

    def value(p: np.ndarray) -> float:
        return float(0.5 * (p - best) @ h @ (p - best))

    def made(q: np.ndarray) -> np.ndarray:
        p = np.empty(20)
        p[:6], p[12:] = q[:6], q[6:14]
        c = np.zeros((3, 3))
        c[np.tril_indices(3)] = q[14:]
        full = c @ c.T
        p[LIBRATION] = full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]] - start[LIBRATION] / UNIT[LIBRATION]
        return p

    rng = np.random.default_rng(seed)
    found = min(
        minimize(lambda q: value(made(q)), rng.normal(size=20), method="BFGS", options={"gtol": 1e-7}).fun
        for _ in range(4)
    )
    assert value(x) == pytest.approx(found, rel=1e-3)


def test_negative_tensors_are_left_and_empty_directions_stay() -> None:
    """A group that starts at a negative L is led out of it; a direction without curvature takes no step."""
    h, best, start = model(9, rank=12)
    start[LIBRATION] = np.array([-1.0, 2.0, 2.0, 0.0, 0.0, 0.0]) * UNIT[6]
    x = valid_shift(start, UNIT, -h @ best, h)
    end = full_tensors((start + UNIT * x)[None, LIBRATION])[0]
    assert np.linalg.eigvalsh(end)[0] > -1e-5 * np.abs(end).sum()
    vectors = np.linalg.eigh(h)[1]
    assert np.abs(vectors[:, :8].T @ x).max() < 1e-6
