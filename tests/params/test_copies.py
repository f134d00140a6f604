"""Parameters of one copy, atoms of all: closed form and the chain rule of every quantity."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gpurefine.backend.blocks import BlockMatrix, BlockPattern
from gpurefine.backend.gaussians import full_tensors
from gpurefine.backend.plans import AtomInformation, DensityGradient
from gpurefine.model.strict_ncs import StrictNcs
from gpurefine.params.copies import Copies
from gpurefine.params.values import AtomValues
from helpers import check_adjoint

N = 5


@pytest.fixture
def copies() -> Copies:
    turns = Rotation.from_rotvec([[0, 0, 0], [0.3, 1.0, -0.4], [2.0, -0.3, 0.8]]).as_matrix()
    return Copies(StrictNcs(("1", "2", "3"), turns, np.array([[0.0, 0, 0], [20, 3, -5], [-7, 30, 9]])), N)


def random_values(rng: np.random.Generator, n: int) -> AtomValues:
    return AtomValues(rng.normal(size=(n, 3)), rng.uniform(10, 40, n), rng.normal(size=(n, 6)), rng.uniform(0.3, 1, n))


def test_every_copy_is_the_first_turned_and_moved(copies: Copies) -> None:
    one = random_values(np.random.default_rng(0), N)
    whole, ncs = copies.values(one), copies.ncs
    assert np.array_equal(whole.xyz[:N], one.xyz) and np.array_equal(whole.u_aniso[:N], one.u_aniso)
    for k in range(3):
        own = slice(k * N, (k + 1) * N)
        assert whole.xyz[own] == pytest.approx(one.xyz @ ncs.rotations[k].T + ncs.translations[k])
        turned = ncs.rotations[k] @ full_tensors(one.u_aniso) @ ncs.rotations[k].T
        assert full_tensors(whole.u_aniso[own]) == pytest.approx(turned)
        assert np.array_equal(whole.b_iso[own], one.b_iso) and np.array_equal(whole.occ[own], one.occ)


def test_gradient_is_the_transpose_of_making_copies(copies: Copies) -> None:
    rng = np.random.default_rng(1)
    zero = np.zeros((N, 3))
    for side, made in ((3, lambda v: copies.ncs.positions(v) - copies.ncs.positions(zero)), (6, copies.ncs.tensors)):
        check_adjoint(made, copies.vectors, rng.normal(size=(N, side)), rng.normal(size=(3 * N, side)))
    check_adjoint(copies.ncs.each, copies.vectors, rng.normal(size=N), rng.normal(size=3 * N))
    slope = DensityGradient(*(rng.normal(size=(3 * N, *s)) for s in ((3,), (), (6,), ())))
    folded = copies.gradient(slope)
    assert folded.b_iso.shape == folded.weight.shape == (N,)
    assert folded.weight == pytest.approx(slope.weight.reshape(3, N).sum(axis=0))


def jacobian(copies: Copies, side: int) -> Any:
    """(k n s, n s) of making copies."""
    rows = []
    for unit in np.eye(N * side):
        each = unit.reshape(N, side)
        if side == 3:
            rows.append(copies.ncs.positions(each) - copies.ncs.positions(np.zeros((N, 3))))
        else:
            rows.append(copies.ncs.tensors(each) if side == 6 else copies.ncs.each(each))
    return np.array([row.ravel() for row in rows]).T


def full(pattern: BlockPattern, diagonal: Any, off: Any) -> Any:
    n, side = pattern.n, diagonal.shape[1]
    out = np.zeros((n, side, n, side))
    for i in range(n):
        out[i, :, i, :] += diagonal[i]
    for (i, j), block in zip(pattern.pairs, off, strict=True):
        out[i, :, j, :] += block
        out[j, :, i, :] += block.T
    return out.reshape(n * side, n * side)


@pytest.mark.parametrize("side", [1, 3, 6])
def test_curvature_is_that_of_the_full_matrices(copies: Copies, backend: Any, side: int) -> None:
    """Pairs within copies, between copies, and of an atom with its own copies."""
    rng = np.random.default_rng(side)
    first, second = rng.integers(0, 3 * N, (2, 60)).astype(np.int32)
    pattern = BlockPattern.from_pairs(3 * N, first, second)
    assert any(i % N == j % N for i, j in pattern.pairs) and any(i % N > j % N for i, j in pattern.pairs)
    diagonal = rng.normal(size=(3 * N, side, side))
    diagonal += np.swapaxes(diagonal, 1, 2)
    off = rng.normal(size=(len(pattern.pairs), side, side))
    matrix = BlockMatrix(pattern, diagonal, off)
    made = copies.matrix(matrix, backend)
    e = jacobian(copies, side)
    assert full(made.pattern, made.diagonal, made.off) == pytest.approx(e.T @ full(pattern, diagonal, off) @ e)
    alone = full(pattern, diagonal, np.zeros_like(off))
    want = (e.T @ alone @ e).reshape(N, side, N, side)
    assert copies.blocks(diagonal) == pytest.approx(np.array([want[a, :, a, :] for a in range(N)]))


def test_blocks_that_a_device_holds_are_fetched(copies: Copies, backend: Any) -> None:
    made = backend.host_blocks(backend.new_blocks(4, 3))
    assert isinstance(made, np.ndarray) and made.shape == (4, 3, 3) and not made.any()
    assert backend.host_blocks(backend.new_blocks(0, 6)).shape == (0, 6, 6)


def test_information_without_tensors(copies: Copies) -> None:
    about = AtomInformation(np.zeros((3 * N, 3, 3)), np.arange(3.0 * N), np.ones(3 * N))
    folded = copies.information(about)
    assert folded.u_aniso is None and folded.b_iso[1] == 1 + 6 + 11 and folded.weight[0] == 3.0
