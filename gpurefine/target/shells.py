"""Parameters of an error model on resolution shells: interpolation, its transpose, smoothing (method 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.hats import hat_weights

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Hats:
    """Interpolation of one set of reflections (n,) from the knots (m,): left knot, weight of the right one, m."""

    left: NDArray[np.intp]
    weight: F64
    n: int

    @staticmethod
    def of(x: F64, knots: F64) -> Hats:
        """For reflections at ``x`` (n,) in the units of ``knots`` (m,)."""
        return Hats(*hat_weights(x, knots), len(knots))

    def value(self, y: F64) -> F64:
        """Interpolated values (n,) of knot values (m,)."""
        if self.n == 1:
            return np.full(len(self.left), y[0])
        return np.asarray((1.0 - self.weight) * y[self.left] + self.weight * y[self.left + 1])

    def gradient(self, g: F64) -> F64:
        """Derivatives by knot values (m,) from those by the values of the reflections (n,): the transpose."""
        out = np.bincount(self.left, (1.0 - self.weight) * g, minlength=self.n).astype(np.float64)
        if self.n > 1:
            out += np.bincount(self.left + 1, self.weight * g, minlength=self.n)
        return out

    def information(self, w: F64) -> F64:
        """Tridiagonal matrix Σ w hᵢ hⱼ as bands (3, m) for :func:`solve_bands`."""
        out = np.zeros((3, self.n))
        out[2] = np.bincount(self.left, (1.0 - self.weight) ** 2 * w, minlength=self.n)
        if self.n > 1:
            out[2] += np.bincount(self.left + 1, self.weight**2 * w, minlength=self.n)
            out[1, 1:] = np.bincount(self.left, self.weight * (1.0 - self.weight) * w, minlength=self.n)[: self.n - 1]
        return out


def smoothed(information: F64, gradient: F64, y: F64, strength: float) -> tuple[F64, F64]:
    """Add ½ strength Σ(second difference)² to a banded system."""
    n = len(y)
    if n < 3:
        return information, gradient
    second = y[:-2] - 2.0 * y[1:-1] + y[2:]
    gradient = gradient.copy()
    gradient[:-2] += strength * second
    gradient[1:-1] -= 2.0 * strength * second
    gradient[2:] += strength * second
    information = information.copy()
    information[2, :-2] += strength
    information[2, 1:-1] += 4.0 * strength
    information[2, 2:] += strength
    information[1, 1:-1] -= 2.0 * strength
    information[1, 2:] -= 2.0 * strength
    information[0, 2:] += strength
    return information, gradient


def solve_bands(bands: F64, right: F64) -> F64:
    """x (m,) of a symmetric system of which ``bands`` (3, m) are the second and first diagonal above the main one,
    each ending at the last column, and the main one.  Knots are few: the matrix is filled up.
    """
    n = len(right)
    matrix = np.diag(bands[2])
    for k in (1, 2):
        upper = np.diag(bands[2 - k, k:], k) if n > k else np.zeros((n, n))
        matrix += upper + upper.T
    return np.asarray(np.linalg.solve(matrix, right))
