"""Preconditioned conjugate gradients on block matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimise_cases import random_system

from gpurefine.backend import create
from gpurefine.errors import Status
from gpurefine.optimise.cg import inverse_blocks, solve
from gpurefine.optimise.eigen_filter import without


@pytest.mark.parametrize("size", [1, 3, 6])
@pytest.mark.parametrize("seed", [0, 1])
def test_solution_of_random_systems(backend: Any, size: int, seed: int) -> None:
    matrices, extra, full = random_system(40, size, seed)
    right = np.random.default_rng(seed + 10).normal(size=(40, size))
    found = solve(backend, matrices, extra, right, 0.0, 1e-10, 500)
    assert found.status is Status.OK and found.residual <= 1e-10
    np.testing.assert_allclose(full @ found.x.ravel(), right.ravel(), atol=1e-7)


def test_looser_tolerance_stops_earlier(backend: Any) -> None:
    matrices, extra, _ = random_system(60, 3, 2)
    right = np.ones((60, 3))
    loose, tight = (solve(backend, matrices, extra, right, 0.0, t, 500) for t in (1e-1, 1e-8))
    assert loose.iterations < tight.iterations and 1e-8 < loose.residual <= 1e-1


def test_what_is_held_stays_and_the_rest_is_solved_without_it(backend: Any) -> None:
    matrices, extra, full = random_system(30, 3, 5)
    rng = np.random.default_rng(6)
    gradient, held = rng.normal(size=(30, 3)), rng.random(30) < 0.3
    assert without(np.zeros(30, bool), gradient, extra) == (gradient, extra)
    right, stiff = without(held, gradient, extra)
    found = solve(backend, matrices, stiff, right, 0.0, 1e-11, 500)
    assert np.abs(found.x[held]).max() < 1e-5 * np.abs(found.x).max()
    free = np.repeat(~held, 3)
    alone = np.linalg.solve(full[np.ix_(free, free)], gradient.ravel()[free])
    np.testing.assert_allclose(found.x.ravel()[free], alone, rtol=1e-4, atol=1e-6 * np.abs(alone).max())


def test_ridge_stiffens_the_diagonal_blocks(backend: Any) -> None:
    matrices, extra, full = random_system(20, 3, 3)
    right = np.random.default_rng(4).normal(size=(20, 3))
    found = solve(backend, matrices, extra, right, 0.5, 1e-11, 500)
    blocks = full.reshape(20, 3, 20, 3).copy()
    for i in range(20):
        blocks[i, :, i] *= 1.5
    np.testing.assert_allclose(blocks.reshape(60, 60) @ found.x.ravel(), right.ravel(), atol=1e-7)


def test_limit_of_iterations_and_nothing_to_do(backend: Any) -> None:
    matrices, extra, _ = random_system(60, 3, 5)
    right = np.random.default_rng(6).normal(size=(60, 3))
    short = solve(backend, matrices, extra, right, 0.0, 1e-12, 3)
    assert short.status is Status.ITERATION_LIMIT and short.iterations == 3
    nothing = solve(backend, matrices, extra, np.zeros((60, 3)), 0.0, 1e-3, 10)
    assert nothing.status is Status.OK and not nothing.x.any()


def test_directions_without_curvature_stay_put(backend: Any) -> None:
    """An atom that nothing restrains and the data do not see has a zero block: it must not move, nor spoil the rest."""
    extra = np.tile(np.eye(3), (4, 1, 1))
    extra[2] = 0.0
    extra[3] = np.diag([2.0, 0.0, 1.0])
    found = solve(backend, [], extra, np.ones((4, 3)), 0.0, 1e-8, 50)
    np.testing.assert_allclose(found.x, [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0.5, 0, 1]], atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 6])
def test_every_backend_takes_the_same_steps(backend: Any, size: int) -> None:
    matrices, extra, _ = random_system(80, size, 11)
    right = np.random.default_rng(12).normal(size=(80, size))
    found, expected = (solve(ops, matrices, extra, right, 0.1, 1e-4, 100) for ops in (backend, create("reference")))
    assert found.iterations == expected.iterations > 3
    assert found.residual == pytest.approx(expected.residual, rel=1e-6)
    np.testing.assert_allclose(found.x, expected.x, rtol=1e-8, atol=1e-10)


def test_an_atom_without_curvature_beside_others(backend: Any) -> None:
    matrices, extra, full = random_system(30, 3, 8)
    alone = np.arange(30) == 4
    for matrix in matrices:
        matrix.diagonal[alone] = 0.0
        matrix.off[(matrix.pattern.pairs == 4).any(axis=1)] = 0.0
    extra[alone] = 0.0
    right = np.random.default_rng(9).normal(size=(30, 3))
    found = solve(backend, matrices, extra, right, 0.0, 1e-10, 500)
    free = np.repeat(~alone, 3)
    expected = np.linalg.solve(full[np.ix_(free, free)], right.ravel()[free])
    np.testing.assert_allclose(found.x.ravel()[free], expected, atol=1e-7)
    assert not found.x[alone].any()


def test_inverse_blocks_are_inverses() -> None:
    rng = np.random.default_rng(7)
    a = rng.normal(size=(10, 3, 3))
    blocks = a @ np.swapaxes(a, 1, 2)
    np.testing.assert_allclose(inverse_blocks(blocks), np.linalg.inv(blocks), rtol=1e-6)
    np.testing.assert_allclose(inverse_blocks(np.array([[[4.0]], [[0.0]]])).ravel(), [0.25, 0.0])
