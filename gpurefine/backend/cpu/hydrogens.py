"""Shifts of riding hydrogens: one small system for the hydrogens of each parent."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from ..ops_restraints import F64, GeometryPlan, HydrogenSystem
from .jit import njit
from .memory import empty
from .rows import Array
from .statistics import StatisticsOps

CHUNKS = 32
"""Parts in which the parents are shared out."""


@njit()
def _solve(matrix: Array, right: Array, n: int) -> bool:
    """Solve in place by Cholesky's factorisation; False where the matrix is not positive definite."""
    for i in range(n):
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                matrix[i, i] = math.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    for i in range(n):
        total = right[i]
        for k in range(i):
            total -= matrix[i, k] * right[k]
        right[i] = total / matrix[i, i]
    for i in range(n - 1, -1, -1):
        total = right[i]
        for k in range(i + 1, n):
            total -= matrix[k, i] * right[k]
        right[i] = total / matrix[i, i]
    return True


@njit(parallel=True, cache=True)
def sibling_shifts(
    members: Array, slots: Array, gradient: Array, diagonal: Array, off: Array, damping: float, floor: float,
    longest: float, shift: Array, squares: Array
) -> None:
    """Write the damped Gauss–Newton shift of the hydrogens ``members`` (g, k), k on a parent, to shift (n, 3) Å.

    ``squares`` (CHUNKS,) is raised to the square of the longest one of each part.
    """
    k, n = members.shape[1], len(members)
    for chunk in nb.prange(CHUNKS):
        matrix, right = np.zeros((3 * k, 3 * k)), np.empty(3 * k)
        for g in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            largest = 0.0
            for a in range(k):
                for x in range(3):
                    right[3 * a + x] = -gradient[members[g, a], x]
                    largest = max(largest, diagonal[members[g, a], x, x])
                    for y in range(3):
                        matrix[3 * a + x, 3 * a + y] = diagonal[members[g, a], x, y]
                for b in range(a + 1, k):
                    slot = slots[g, a, b]
                    for x in range(3):
                        for y in range(3):
                            matrix[3 * b + y, 3 * a + x] = off[slot, x, y] if slot >= 0 else 0.0
            for i in range(3 * k):
                matrix[i, i] += damping * largest + floor
            solved = _solve(matrix, right, 3 * k)
            for a in range(k):
                length = 0.0
                for x in range(3):
                    length += right[3 * a + x] ** 2
                factor = min(1.0, longest / max(math.sqrt(length), 1e-12)) if solved else 0.0
                for x in range(3):
                    shift[members[g, a], x] = factor * right[3 * a + x] if solved else 0.0
                if solved:
                    squares[chunk] = max(squares[chunk], factor * factor * length)


class HydrogenOps(StatisticsOps):
    """See :class:`gpurefine.backend.ops_restraints.HydrogenSolver`."""

    def relax_hydrogens(self, plan: GeometryPlan, system: HydrogenSystem, xyz: F64, n_iterations: int) -> F64:
        """``xyz`` (n, 3) Å with hydrogens moved downhill.

        A shift nearly always lowers the value, so derivatives are computed where it is tried, if another is to follow.
        """
        n, x = len(xyz), xyz.copy()
        gradient, shift = empty("hydrogens.gradient", (n, 3), float), empty("hydrogens.shift", (n, 3), float)
        diagonal = empty("hydrogens.diagonal", (n, 3, 3), float)
        off = empty("hydrogens.off", (max(len(plan.pairs), 1), 3, 3), float)

        def value(at: F64, derivatives: bool) -> float:
            if derivatives:
                return float(self._geometry(plan, at, gradient, diagonal, off, False).sum())
            return float(self._geometry(plan, at, None, None, None, False).sum())

        here = value(x, True) if n_iterations > 0 else 0.0
        shift.fill(0.0)
        for iteration in range(n_iterations):
            squares = np.zeros(CHUNKS)
            for members, slots in system.groups:
                self.use(0.5 * members.size)
                sibling_shifts(
                    members, slots, gradient, diagonal, off, system.damping, system.floor, system.longest, shift,
                    squares,
                )
            is_last = iteration + 1 == n_iterations or math.sqrt(squares.max()) < system.converged
            for _halving in range(system.halvings):
                tried = x + shift
                there = value(tried, not is_last)
                if there <= here:
                    x, here = tried, there
                    break
                np.multiply(shift, 0.5, out=shift)
            else:
                break
            if is_last:
                break
        return x
