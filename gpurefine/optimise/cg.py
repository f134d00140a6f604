"""Preconditioned conjugate gradients for block-sparse normal equations (paper (32), section 4 (i)–(ix))."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, LinearSolution, inverse_blocks
from ..backend.ops import SolveOps, SystemSolver
from ..errors import Status

F64 = NDArray[np.float64]


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

    A backend that is a :class:`SystemSolver` performs the same iterations itself.
    """
    if isinstance(backend, SystemSolver):
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
