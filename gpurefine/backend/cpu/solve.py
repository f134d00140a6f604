"""Block-sparse symmetric systems in row-owned storage: products, and conjugate gradients (method 7).

Products of no diagonal blocks are those of the others alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ...errors import Status
from ..blocks import BlockMatrix, LinearSolution, inverse_blocks
from .jit import njit
from .rows import Array
from .threads import Threads

CHUNKS = 32
"""Partial sums: their number is fixed, so that the result has the same bits for any number of threads."""


@njit(parallel=True, cache=True)
def _product3(
    row_start: Array, column: Array, slot: Array, transposed: Array, diagonal: Array, off: Array, x: Array, out: Array
) -> None:
    for i in nb.prange(len(x)):
        a, b, c = 0.0, 0.0, 0.0
        if len(diagonal) > 0:
            d = diagonal[i]
            a = d[0, 0] * x[i, 0] + d[0, 1] * x[i, 1] + d[0, 2] * x[i, 2]
            b = d[1, 0] * x[i, 0] + d[1, 1] * x[i, 1] + d[1, 2] * x[i, 2]
            c = d[2, 0] * x[i, 0] + d[2, 1] * x[i, 1] + d[2, 2] * x[i, 2]
        for entry in range(row_start[i], row_start[i + 1]):
            j = column[entry]
            m = off[slot[entry]]
            x0, x1, x2 = x[j, 0], x[j, 1], x[j, 2]
            if transposed[entry]:
                a += m[0, 0] * x0 + m[1, 0] * x1 + m[2, 0] * x2
                b += m[0, 1] * x0 + m[1, 1] * x1 + m[2, 1] * x2
                c += m[0, 2] * x0 + m[1, 2] * x1 + m[2, 2] * x2
            else:
                a += m[0, 0] * x0 + m[0, 1] * x1 + m[0, 2] * x2
                b += m[1, 0] * x0 + m[1, 1] * x1 + m[1, 2] * x2
                c += m[2, 0] * x0 + m[2, 1] * x1 + m[2, 2] * x2
        out[i, 0] += a
        out[i, 1] += b
        out[i, 2] += c


@njit(parallel=True, cache=True)
def _product1(row_start: Array, column: Array, slot: Array, diagonal: Array, off: Array, x: Array, out: Array) -> None:
    for i in nb.prange(len(x)):
        total = diagonal[i, 0, 0] * x[i, 0] if len(diagonal) > 0 else 0.0
        for entry in range(row_start[i], row_start[i + 1]):
            total += off[slot[entry], 0, 0] * x[column[entry], 0]
        out[i, 0] += total


@njit(parallel=True, cache=True)
def _product6(
    row_start: Array, column: Array, slot: Array, transposed: Array, diagonal: Array, off: Array, x: Array, out: Array
) -> None:
    for i in nb.prange(len(x)):
        total = np.zeros(6)
        if len(diagonal) > 0:
            for p in range(6):
                for q in range(6):
                    total[p] += diagonal[i, p, q] * x[i, q]
        for entry in range(row_start[i], row_start[i + 1]):
            m, y = off[slot[entry]], x[column[entry]]
            if transposed[entry]:
                for q in range(6):
                    for p in range(6):
                        total[p] += m[q, p] * y[q]
            else:
                for p in range(6):
                    part = 0.0
                    for q in range(6):
                        part += m[p, q] * y[q]
                    total[p] += part
        out[i] += total


@njit(parallel=True, cache=True)
def _invert3(diagonal: Array, inverse: Array, sound: Array) -> None:
    """Inverses of blocks (n, 3, 3) by cofactors, where they are positive definite and far from singular."""
    for i in nb.prange(len(diagonal)):
        m, out = diagonal[i], inverse[i]
        a, b, c, d, e, f = m[0, 0], m[1, 1], m[2, 2], m[0, 1], m[0, 2], m[1, 2]
        aa, bb, cc = b * c - f * f, a * c - e * e, a * b - d * d
        dd, ee, ff = e * f - c * d, d * f - b * e, d * e - a * f
        determinant = a * aa + d * dd + e * ee
        trace = a + b + c
        # eigenvalues sum to the trace and multiply to the determinant, so none is below 10⁻⁵ of the largest
        sound[i] = a > 0.0 and cc > 0.0 and determinant > 1e-5 * trace * trace * trace
        scale = 0.0
        if sound[i]:
            scale = 1.0 / determinant
        elif a == 0.0 and b == 0.0 and c == 0.0:  # riding hydrogens
            sound[i] = True
        out[0, 0], out[1, 1], out[2, 2] = scale * aa, scale * bb, scale * cc
        out[0, 1] = out[1, 0] = scale * dd
        out[0, 2] = out[2, 0] = scale * ee
        out[1, 2] = out[2, 1] = scale * ff


@njit(parallel=True, cache=True)
def _advance(alpha: float, inverse: Array, p: Array, q: Array, x: Array, r: Array, z: Array, sums: Array) -> None:
    """x += α p, r −= α q, z = M⁻¹ r; ``sums`` (CHUNKS,): r · z."""
    n, side = x.shape
    for chunk in nb.prange(CHUNKS):
        total = 0.0
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            for a in range(side):
                x[i, a] += alpha * p[i, a]
                r[i, a] -= alpha * q[i, a]
            for a in range(side):
                value = 0.0
                for b in range(side):
                    value += inverse[i, a, b] * r[i, b]
                z[i, a] = value
                total += r[i, a] * value
        sums[chunk] = total


@njit(parallel=True, cache=True)
def _turn(beta: float, z: Array, p: Array, q: Array) -> None:
    """p = z + β p and q = 0."""
    for i in nb.prange(len(p)):
        for a in range(p.shape[1]):
            p[i, a] = z[i, a] + beta * p[i, a]
            q[i, a] = 0.0


@njit(parallel=True, cache=True)
def _dot(p: Array, q: Array, sums: Array) -> None:
    """``sums`` (CHUNKS,): p · q."""
    n, side = p.shape
    for chunk in nb.prange(CHUNKS):
        total = 0.0
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            for a in range(side):
                total += p[i, a] * q[i, a]
        sums[chunk] = total


class SolveOps(Threads):
    """Matrix products compiled by numba; one thread owns a row, so there are no races and the bits repeat."""

    def conjugate_gradients(
        self, matrices: Sequence[BlockMatrix], extra_diagonal: NDArray[np.float64], right: NDArray[np.float64],
        ridge: float, tolerance: float, max_iterations: int,
    ) -> LinearSolution | None:
        """See :class:`gpurefine.backend.ops.SystemSolver`."""
        n, side = right.shape
        if side not in (1, 3) or not matrices:
            return None
        diagonal = extra_diagonal.copy()
        for matrix in matrices:
            diagonal += matrix.diagonal
        diagonal *= 1.0 + ridge
        inverse = self._inverse(diagonal)
        none, sums = np.zeros((0, side, side)), np.zeros(CHUNKS)
        x, r, z, p, q = np.zeros((n, side)), right.copy(), np.zeros((n, side)), np.zeros((n, side)), np.zeros((n, side))
        self.use(0.02 * right.size)
        _advance(0.0, inverse, p, q, x, r, z, sums)
        first = rho = float(sums.sum())
        if first <= 0.0:
            return LinearSolution(x, 0, 0.0, Status.OK)
        beta = 0.0
        for iteration in range(1, max_iterations + 1):
            self.use(0.02 * right.size)
            _turn(beta, z, p, q)
            block = diagonal
            for m in matrices:
                pattern = m.pattern
                self.block_product(
                    pattern.row_start, pattern.column, pattern.slot, pattern.transposed, block, m.off, p, q
                )
                block = none  # the diagonal is that of all together
            self.use(0.02 * right.size)
            _dot(p, q, sums)
            curvature = float(sums.sum())
            if not curvature > 0.0:
                return LinearSolution(x, iteration, float(np.sqrt(rho / first)), Status.ITERATION_LIMIT)
            _advance(rho / curvature, inverse, p, q, x, r, z, sums)
            new = float(sums.sum())
            if new <= tolerance**2 * first:
                return LinearSolution(x, iteration, float(np.sqrt(max(new, 0.0) / first)), Status.OK)
            beta, rho = new / rho, new
        return LinearSolution(x, max_iterations, float(np.sqrt(rho / first)), Status.ITERATION_LIMIT)

    def _inverse(self, diagonal: NDArray[np.float64]) -> NDArray[np.float64]:
        """:func:`gpurefine.backend.blocks.inverse_blocks`."""
        if diagonal.shape[1] == 1:
            return inverse_blocks(diagonal)
        inverse, sound = np.empty_like(diagonal), np.empty(len(diagonal), np.bool_)
        self.use(0.05 * len(diagonal))
        _invert3(diagonal, inverse, sound)
        if not sound.all():
            inverse[~sound] = inverse_blocks(diagonal[~sound])
        return inverse

    def block_product(
        self,
        row_start: NDArray[np.int32],
        column: NDArray[np.int32],
        slot: NDArray[np.int32],
        transposed: NDArray[np.bool_],
        diagonal: NDArray[np.float64],
        off: NDArray[np.float64],
        x: NDArray[np.float64],
        out: NDArray[np.float64],
    ) -> None:
        """See :class:`gpurefine.backend.ops.SolveOps`."""
        self.use(0.01 * x.shape[1] * len(column))
        if x.shape[1] == 3:
            _product3(row_start, column, slot, transposed, diagonal, off, x, out)
        elif x.shape[1] == 6:
            _product6(row_start, column, slot, transposed, diagonal, off, x, out)
        else:
            _product1(row_start, column, slot, diagonal, off, x, out)
