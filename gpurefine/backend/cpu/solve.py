"""Products with block-sparse symmetric matrices in row-owned storage (method 7)."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from .jit import njit
from .rows import Array
from .threads import Threads


@njit(parallel=True, cache=True)
def _product3(
    row_start: Array, column: Array, slot: Array, transposed: Array, diagonal: Array, off: Array, x: Array, out: Array
) -> None:
    for i in nb.prange(len(x)):
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
        total = diagonal[i, 0, 0] * x[i, 0]
        for entry in range(row_start[i], row_start[i + 1]):
            total += off[slot[entry], 0, 0] * x[column[entry], 0]
        out[i, 0] += total


@njit(parallel=True, cache=True)
def _product6(
    row_start: Array, column: Array, slot: Array, transposed: Array, diagonal: Array, off: Array, x: Array, out: Array
) -> None:
    for i in nb.prange(len(x)):
        total = np.zeros(6)
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


class SolveOps(Threads):
    """Matrix products compiled by numba; one thread owns a row, so there are no races and the bits repeat."""

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
