"""Conjugate gradients and block products of the cuda backend, executed on the CPU, against the loop on the host."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shim_device
from optimise_cases import random_system
from restraint_models import on_host
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.blocks import BlockMatrix, BlockPattern
from gpurefine.backend.cuda.restraints import RestraintOps
from gpurefine.backend.cuda.solve import BATCH, SolveOps
from gpurefine.errors import Status
from gpurefine.optimise.cg import solve

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

REFERENCE = create("reference")


def right_side(n: int, side: int) -> Any:
    return np.random.default_rng(n).normal(size=(n, side))


@pytest.mark.parametrize("side", [1, 2, 3, 6])
def test_products_with_blocks_of_any_side(side: int) -> None:
    matrices, _, full = random_system(37, side, 1)
    x, out = right_side(37, side), np.full((37, side), 0.5)
    expected = full @ x.ravel() - 0.5 * x.ravel() + 0.5
    ops = SolveOps(ShimDevice())
    for m in matrices:
        p = m.pattern
        ops.block_product(p.row_start, p.column, p.slot, p.transposed, m.diagonal, m.off, x, out)
    np.testing.assert_allclose(out.ravel(), expected, rtol=1e-12, atol=1e-11)


@pytest.mark.parametrize("side", [1, 2, 3, 6])
@pytest.mark.parametrize(("n", "ridge", "tolerance"), [(40, 0.0, 1e-6), (90, 0.5, 1e-3), (1, 0.0, 1e-6)])
def test_the_same_iterates_as_on_the_host(side: int, n: int, ridge: float, tolerance: float) -> None:
    """Side 2 has no kernels and takes the host's loop."""
    matrices, extra, _ = random_system(n, side, 2)
    right = right_side(n, side)
    for limit in (1, 2, 5, BATCH, 500):
        expected = solve(REFERENCE, matrices, extra, right, ridge, tolerance, limit)
        runs = [
            solve(SolveOps(ShimDevice(order)), matrices, extra, right, ridge, tolerance, limit) for order in (0, 1, 2)
        ]
        assert (runs[0].iterations, runs[0].status) == (expected.iterations, expected.status)
        np.testing.assert_allclose(runs[0].x, expected.x, rtol=0, atol=1e-8 * np.abs(expected.x).max())
        assert runs[0].residual == pytest.approx(expected.residual, rel=1e-6)
        for other in runs[1:]:
            assert np.array_equal(other.x, runs[0].x) and other.residual == runs[0].residual


def test_no_matrix_no_curvature_nothing_to_do() -> None:
    ops = SolveOps(ShimDevice())
    extra = np.tile(np.eye(3), (4, 1, 1))
    extra[2] = 0.0
    extra[3] = np.diag([2.0, 0.0, 1.0])
    found = solve(ops, [], extra, np.ones((4, 3)), 0.0, 1e-8, 50)
    np.testing.assert_allclose(found.x, [[1, 1, 1], [1, 1, 1], [0, 0, 0], [0.5, 0, 1]], atol=1e-12)
    nothing = solve(ops, [], extra, np.zeros((4, 3)), 0.0, 1e-3, 10)
    assert nothing.status is Status.OK and nothing.iterations == 0 and not nothing.x.any()


@pytest.mark.parametrize("value", [-4.0, np.nan])
def test_a_direction_without_positive_curvature_ends_it(value: float) -> None:
    """Two atoms whose coupling is stronger than their own curvature, or not a number."""
    pattern = BlockPattern.from_pairs(2, np.array([0], np.int32), np.array([1], np.int32))
    matrix = BlockMatrix(pattern, np.ones((2, 1, 1)), np.full((1, 1, 1), value))
    right = np.array([[1.0], [1.0]])
    results = [solve(ops, [matrix], np.zeros((2, 1, 1)), right, 0.0, 1e-6, 20) for ops in (
        REFERENCE, SolveOps(ShimDevice()))]
    assert results[0].status is results[1].status is Status.ITERATION_LIMIT
    assert results[0].iterations == results[1].iterations == 1
    np.testing.assert_array_equal(results[0].x, results[1].x)


def test_matrices_may_lie_on_the_device_and_nothing_is_allocated_anew() -> None:
    matrices, extra, _ = random_system(50, 3, 4)
    right = right_side(50, 3)
    ops = SolveOps(ShimDevice())
    send = ops.device.upload
    expected = solve(ops, matrices, extra, right, 0.1, 1e-4, 100)
    there = [BlockMatrix(m.pattern, send(m.diagonal), send(m.off)) for m in matrices]
    for _ in range(2):
        before = ops.device.allocations
        found = solve(ops, there, send(extra), send(right), 0.1, 1e-4, 100)
        assert ops.device.allocations == before + 2
        assert np.array_equal(ops.device.download(found.x), expected.x)
    assert ops.device.launches["cg_product_3"] % BATCH == 0


def test_projection_of_rows_and_columns() -> None:
    """Two of the three atoms are neighbours: the block between them is changed from either side."""
    n = 9
    matrix = random_system(n, 6, 3)[0][0]
    pattern = matrix.pattern
    atoms = np.array([*pattern.pairs[0], 7], np.int32)
    projectors = np.random.default_rng(1).normal(size=(3, 6, 6))
    whole = np.tile(np.eye(6), (n, 1, 1))
    whole[atoms] = projectors
    expected = BlockMatrix(
        pattern, np.swapaxes(whole, 1, 2) @ matrix.diagonal @ whole,
        np.swapaxes(whole[pattern.pairs[:, 0]], 1, 2) @ matrix.off @ whole[pattern.pairs[:, 1]],
    )
    for order in (0, 1, 2):
        ops = RestraintOps(ShimDevice(order))
        there = BlockMatrix(pattern, ops.device.upload(matrix.diagonal), ops.device.upload(matrix.off))
        here = BlockMatrix(pattern, matrix.diagonal.copy(), matrix.off.copy())
        for changed in (there, here):
            ops.project_tensors(changed, atoms, projectors)
            np.testing.assert_allclose(on_host(changed.diagonal), expected.diagonal, atol=1e-11)
            np.testing.assert_allclose(on_host(changed.off), expected.off, atol=1e-11)


@pytest.mark.parametrize("limit", [7, 25, 100])
def test_batches_of_iterations_as_graphs(limit: int) -> None:
    """The same bits, with other matrices behind the same graph, and after its memory has moved."""
    plain, recorded = SolveOps(ShimDevice()), SolveOps(ShimDevice())
    recorded.graphs = True
    for k, n in enumerate((40, 40, 40, 90, 40, 40, 40)):
        matrices, extra, _ = random_system(n, 3, 4 + k)
        right = right_side(n, 3)
        found, expected = (solve(ops, matrices, extra, right, 0.1, 1e-7, limit) for ops in (recorded, plain))
        np.testing.assert_array_equal(found.x, expected.x)
        assert (found.iterations, found.residual) == (expected.iterations, expected.residual)
    # the first of each place is queued as it is, the second recorded; the larger system moved the memory
    assert recorded.graphs_made == (0 if limit < BATCH else 2)
    assert recorded.device.replays >= (0 if limit < BATCH else 4) and plain.device.replays == 0
    assert recorded.device.launches == plain.device.launches


def test_a_device_that_makes_no_graphs_solves_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShimDevice, "record", lambda self, queue: None)
    ops = SolveOps(ShimDevice())
    ops.graphs = True
    matrices, extra, _ = random_system(30, 3, 4)
    found = [solve(ops, matrices, extra, right_side(30, 3), 0.1, 1e-4, 100).x for _ in range(3)]
    np.testing.assert_array_equal(found[0], found[2])
    assert ops.graphs_made == 0
