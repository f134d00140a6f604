"""Preconditioned conjugate gradients for block-sparse normal equations (paper (32), section 4 (i)–(ix))."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, LinearSolution
from ..backend.ops import DeviceSolver, SolveOps
from ..errors import Status

F64 = NDArray[np.float64]


def inverse_blocks(diagonal: F64) -> F64:
    """Inverses (n, s, s) of symmetric positive semidefinite blocks; directions without curvature are left out."""
    if diagonal.shape[1] == 1:
        value = diagonal[:, 0, 0]
        inverse = np.divide(1.0, value, out=np.zeros_like(value), where=value > 0.0)
        return inverse[:, None, None]
    if diagonal.shape[1] == 3:
        inverse, sound = _inverse3(diagonal)
        if not sound.all():
            inverse[~sound] = _inverse_by_eigenvalues(diagonal[~sound])
        return inverse
    return _inverse_by_eigenvalues(diagonal)


def _inverse_by_eigenvalues(diagonal: F64) -> F64:
    values, vectors = np.linalg.eigh(diagonal)
    top = np.maximum(values[:, -1:], 0.0)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 1e-8 * top)
    return np.asarray(np.einsum("nij,nj,nkj->nik", vectors, inverse, vectors))


def _inverse3(m: F64) -> tuple[F64, NDArray[np.bool_]]:
    """Inverses (n, 3, 3) by cofactors, and (n,) whether the block is positive definite and far from singular."""
    a, b, c, d, e, f = m[:, 0, 0], m[:, 1, 1], m[:, 2, 2], m[:, 0, 1], m[:, 0, 2], m[:, 1, 2]
    out = np.empty_like(m)
    out[:, 0, 0], out[:, 1, 1], out[:, 2, 2] = b * c - f * f, a * c - e * e, a * b - d * d
    out[:, 0, 1] = out[:, 1, 0] = e * f - c * d
    out[:, 0, 2] = out[:, 2, 0] = d * f - b * e
    out[:, 1, 2] = out[:, 2, 1] = d * e - a * f
    determinant = a * out[:, 0, 0] + d * out[:, 0, 1] + e * out[:, 0, 2]
    trace = a + b + c
    # eigenvalues sum to the trace and multiply to the determinant, so none is below 10⁻⁵ of the largest
    sound = (a > 0.0) & (out[:, 2, 2] > 0.0) & (determinant > 1e-5 * trace**3)
    out[sound] /= determinant[sound][:, None, None]
    return out, sound


def solve(
    backend: SolveOps,
    matrices: Sequence[BlockMatrix],
    extra_diagonal: F64,
    right: F64,
    ridge: float,
    tolerance: float,
    max_iterations: int,
) -> LinearSolution:
    """Solve (Σ matrices + extra_diagonal + ridge · blockdiag) x = right by block-Jacobi PCG.

    Args:
        matrices: symmetric block matrices over the same n atoms.
        extra_diagonal: (n, s, s) added to the diagonal blocks.
        right: (n, s).
        ridge: relative: 0.1 makes every diagonal block 10 % stiffer.
        tolerance: relative residual in the preconditioned norm at which to stop.

    A backend that is a :class:`DeviceSolver` performs the same iterations without the host.
    """
    if isinstance(backend, DeviceSolver):
        solution = backend.conjugate_gradients(matrices, extra_diagonal, right, ridge, tolerance, max_iterations)
        if solution is not None:
            return solution
    diagonal = extra_diagonal.copy()
    for matrix in matrices:
        diagonal += matrix.diagonal
    diagonal *= 1.0 + ridge
    inverse = inverse_blocks(diagonal)

    def product(x: F64) -> F64:
        if not matrices:
            return np.asarray(np.einsum("nij,nj->ni", diagonal, x))
        out, block = np.zeros_like(x), diagonal
        for m in matrices:
            p = m.pattern
            backend.block_product(p.row_start, p.column, p.slot, p.transposed, block, m.off, x, out)
            block = zeros
        return out

    zeros = np.zeros_like(diagonal)
    x = np.zeros_like(right)
    r = right.copy()
    z = np.einsum("nij,nj->ni", inverse, r)
    p = z.copy()
    rho = float(np.sum(r * z))
    first = rho
    if first <= 0.0:
        return LinearSolution(x, 0, 0.0, Status.OK)
    for iteration in range(1, max_iterations + 1):
        q = product(p)
        curvature = float(np.sum(p * q))
        if not curvature > 0.0:
            return LinearSolution(x, iteration, float(np.sqrt(rho / first)), Status.ITERATION_LIMIT)
        alpha = rho / curvature
        x += alpha * p
        r -= alpha * q
        z = np.einsum("nij,nj->ni", inverse, r)
        new = float(np.sum(r * z))
        if new <= tolerance**2 * first:
            return LinearSolution(x, iteration, float(np.sqrt(max(new, 0.0) / first)), Status.OK)
        p = z + (new / rho) * p
        rho = new
    return LinearSolution(x, max_iterations, float(np.sqrt(rho / first)), Status.ITERATION_LIMIT)
