"""A native with the Friedel pair of an isomorphous derivative: heavy-atom sites, and the derivative's scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_anomalous import AnomalousResult
from .ops_reflections import Array, Index

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

CLIP = 0.7
"""Larger deviations of ln(F_model/F) than this count no more."""
ROUNDS = 5
"""Of clipping and fitting again."""


@dataclass(frozen=True, slots=True, eq=False)
class SitePlan:
    """Reflections and scatterers of heavy-atom sites.

    ``hkl`` (n, 3) int32, ``inv_d2`` (n,) Å⁻²; ``form`` (k, n) f₀ + f′ and ``f_second`` (k,) f″ of every site, in
    electrons; ``rotations`` (g, 3, 3) int32 and ``translations`` (g, 3) of fractions, all operations of the group.
    """

    hkl: NDArray[np.int32]
    inv_d2: F64
    form: F64
    f_second: F64
    rotations: NDArray[np.int32]
    translations: F64


@dataclass(frozen=True, slots=True, eq=False)
class ScalePlace:
    """The reflections that a derivative's scale is fitted to: ``index`` (m,) of n; ``columns`` (m, 7) of ln k;
    ``observed`` (m,) > 0, the derivative's amplitudes."""

    index: Index
    columns: F64
    observed: F64


class DerivativeOps(Protocol):
    """What a likelihood of three measurements needs besides its integral; results lie where ``near`` or the structure
    factors lie."""

    def site_factors(self, plan: SitePlan, sites: F64, near: Array) -> Array:
        """F_H and F″_H (2, n) of ``sites`` (k, 5): x, y, z (fractions of the cell), B (Å²), q.

        F_H = Σ q f(s) E and F″_H = Σ q f″ E with E = exp(−B s²/4) Σ_ops exp(2πi h·(R x + t)).
        """
        ...

    def derivative_rows(self, f_total: Array, heavy: Array, index: Index) -> Array:
        """F_N, F_H and F″ (3, k) of the reflections ``index`` (k,), from F_N and the atoms' F″ (2, n) and F_H and F″_H
        (2, n)."""
        ...

    def derivative_slopes(self, result: AnomalousResult, index: Index, n: int) -> tuple[Array, Array]:
        """Gradient and information (2, n) by F_N and F″ from those (3, k) by F_N, F_H, F″ of the reflections ``index``;
        zero elsewhere."""
        ...

    def fit_derivative(self, place: ScalePlace, f_total: Array, heavy: Array) -> F64:
        """Coefficients (7,) of ln k = columns · coefficients, k × observed being like |F_N + F_H|.

        Weighted by the calculated amplitudes, since errors are a share of the mean amplitude, not of each one;
        deviations are clipped.
        """
        ...

    def derivative_scale(self, columns: F64, coefficients: F64, near: Array) -> Array:
        """k (n,) = exp(``columns`` (n, 7) · ``coefficients`` (7,))."""
        ...


class HostDerivative:
    """The definition, in NumPy."""

    def site_factors(self, plan: SitePlan, sites: F64, near: Array) -> Array:
        """See :class:`DerivativeOps`."""
        waves = site_waves(plan, sites)
        return np.stack([(sites[:, 4:5] * plan.form * waves).sum(axis=0), (sites[:, 4] * plan.f_second) @ waves])

    def derivative_rows(self, f_total: Array, heavy: Array, index: Index) -> Array:
        """See :class:`DerivativeOps`."""
        f_total, heavy = np.take(f_total, index, axis=1), np.take(heavy, index, axis=1)
        return np.stack([f_total[0], heavy[0], f_total[1] + heavy[1]])

    def derivative_slopes(self, result: AnomalousResult, index: Index, n: int) -> tuple[Array, Array]:
        """See :class:`DerivativeOps`."""
        gradient, information = np.zeros((2, n), np.complex128), np.zeros((2, n))
        gradient[:, index], information[:, index] = result.gradient[[0, 2]], result.information[[0, 2]]
        return gradient, information

    def fit_derivative(self, place: ScalePlace, f_total: Array, heavy: Array) -> F64:
        """See :class:`DerivativeOps`."""
        b = np.abs(f_total[0, place.index] + heavy[0, place.index])
        good = b > 0.0
        b, x, ratio = b[good], place.columns[good], b[good] / place.observed[good]
        y, weight = np.log(ratio), np.minimum(b / np.median(b), 2.0) ** 2
        normal = (x * weight[:, None]).T @ x
        fitted, found = np.full(len(y), np.log(np.median(ratio))), np.zeros(x.shape[1])
        for _ in range(ROUNDS):
            found = solved(normal, (x * weight[:, None]).T @ (fitted + np.clip(y - fitted, -CLIP, CLIP)))
            fitted = x @ found
        return found

    def derivative_scale(self, columns: F64, coefficients: F64, near: Array) -> Array:
        """See :class:`DerivativeOps`."""
        return np.exp(columns @ coefficients)


def site_waves(plan: SitePlan, sites: F64) -> C128:
    """E (k, n) of ``sites`` (k, 5)."""
    waves = np.zeros((len(sites), len(plan.hkl)), np.complex128)
    for rotation, translation in zip(plan.rotations, plan.translations, strict=True):
        phase = (plan.hkl @ rotation) @ sites[:, :3].T + (plan.hkl @ translation)[:, None]
        waves += np.exp(2j * np.pi * phase).T
    return waves * np.exp(-0.25 * sites[:, 3:4] * plan.inv_d2)


def solved(normal: F64, right: F64) -> F64:
    """Coefficients by least squares: directions that the columns lack get none."""
    return np.asarray(np.linalg.lstsq(normal, right, rcond=1e-10)[0], np.float64)
