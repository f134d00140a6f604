"""Several parameters on resolution shells at once: their values at reflections, and sums of derivatives by them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_reflections import Array, Hats

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CurveSums:
    """Sums over reflections for r parameters with values at m knots.

    ``gradient`` (r, m) derivatives by the knot values; ``square`` and ``bound`` (r, 3, m): bands (as for
    :func:`gpurefine.target.shells.solve_bands`) of Σ v hᵢhⱼ, v being the square of each slope and a bound on the
    information, h the weights of the interpolation.
    """

    gradient: F64
    square: F64
    bound: F64


class CurveOps(Protocol):
    """Operations on several parameters that are linear between knots."""

    def curves(self, hats: Hats, factors: F64, logs: F64, k_aniso: Array, logits: int) -> tuple[Array, Array]:
        """Parameters at the reflections (k,) of ``hats``, whose anisotropic scale factors are ``k_aniso`` (k,).

        Of ``factors`` (p, m) the values (p, k); of ``logs`` (q, m) the values (q, k) of k_aniso² exp(log), and for the
        last ``logits`` rows, which are ln(r/(1 − r)), of r.
        """
        ...

    def curve_sums(self, hats: Hats, slope: Array, bound: Array, first: int, count: int) -> CurveSums:
        """Sums of the ``count`` rows from row ``first`` on of ``slope`` and ``bound`` (r, k)."""
        ...

    def merged(self, values: Array) -> Array:
        """(r − 1, k): the first two rows of ``values`` (r, k) added up."""
        ...


class HostCurves:
    """The definition, in NumPy."""

    def curves(self, hats: Hats, factors: F64, logs: F64, k_aniso: Array, logits: int) -> tuple[Array, Array]:
        """See :class:`CurveOps`."""
        values = np.stack([hats.value(row) for row in logs])
        plain = len(logs) - logits
        values[:plain] = np.exp(values[:plain]) * k_aniso**2
        values[plain:] = 1.0 / (1.0 + np.exp(-values[plain:]))
        return np.stack([hats.value(row) for row in factors]), values

    def curve_sums(self, hats: Hats, slope: Array, bound: Array, first: int, count: int) -> CurveSums:
        """See :class:`CurveOps`."""
        rows = range(first, first + count)
        return CurveSums(
            np.stack([hats.gradient(slope[row]) for row in rows]),
            np.stack([hats.information(slope[row] ** 2) for row in rows]),
            np.stack([hats.information(bound[row]) for row in rows]),
        )

    def merged(self, values: Array) -> Array:
        """See :class:`CurveOps`."""
        return np.concatenate([values[:2].sum(axis=0, keepdims=True), values[2:]])
