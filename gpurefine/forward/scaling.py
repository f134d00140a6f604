"""Overall scale, anisotropy and bulk solvent (paper (9)–(12)) with smooth k_mask(s) and k_iso(s).

F_total(h) = k(h) (1 − k_b exp(−B_b s²/4)) [F_protein + k_mask(s) F_mask],
ln k = c − B s²/4 − 2π² sᵀU s + ln k_iso(s).

U is traceless and has the Laue symmetry.  ``simple``: k_mask = k_sol exp(−B_sol s²/4), k_iso = 1.  ``smooth``:
k_mask is piecewise linear in s and ln k_iso is piecewise linear in s and weakly tied to 0; both start from the simple
form, because a cold start can fall into a wrong minimum.  All parameters are fitted together by Gauss–Newton with
eigenvalue filtering on working reflections under a robust loss close to Σ|F_o − |F_total||, which is what R measures.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.hats import hat_weights
from ..backend.ops import Backend
from ..backend.ops_reflections import Array, ScaleCurve
from ..constants import EIGHT_PI2
from ..model.crystal import Crystal
from ..model.thinning import thinned
from .anisotropy import anisotropy_columns, invariant_tensors

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

N_KNOT_MASK = 7
N_KNOT_ISO = 8
S_END_MASK = 0.4
"""1/Å (2.5 Å): beyond, a flat mask says nothing about solvent."""

TIE_ISO = 0.02
TIE_MASK = 0.02
"""Ties of ln k_iso to 0 and of k_mask to its exponential form, in units of the data's own information per knot."""

ENOUGH = 150_000
"""Reflections from which the two dozen parameters of a scale are known far better than R can tell."""


@dataclass(frozen=True, slots=True, eq=False)
class Scale:
    """Fitted scale of one data set.

    Attributes:
        log_k: c; b_overall: B in Å²; tensor: (m,) coefficients of the invariant tensors (U in Å²).
        k_sol, b_sol: exponential form of k_mask (0: no mask).
        mask_knots: (2, n) s and value of k_mask, or None; iso_knots: (2, n) s and ln k_iso, or None.
        babinet_k, babinet_b: Babinet's principle (0: off).
    """

    log_k: float = 0.0
    b_overall: float = 0.0
    tensor: F64 = field(default_factory=lambda: np.zeros(0))
    k_sol: float = 0.0
    b_sol: float = 50.0
    mask_knots: F64 | None = None
    iso_knots: F64 | None = None
    babinet_k: float = 0.0
    babinet_b: float = 200.0


@dataclass(frozen=True, slots=True, eq=False)
class ScaledModel:
    """What a scale makes of F_protein and F_mask on all reflections (n,), where F_protein lies.

    ``total`` F_total (n_model, n); ``factor`` ∂F_total/∂F_protein (real); ``k_aniso`` the anisotropic factor alone;
    ``k_iso`` and ``k_mask``.
    """

    total: Array
    factor: Array
    k_aniso: Array
    k_iso: Array
    k_mask: Array


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Fits and applies scales on one list of reflections.

    Attributes:
        s: (n,) 1/d in 1/Å; columns: (n, m) of −2π² sᵀE s for each invariant traceless tensor E.
        kind: "smooth" or "simple"; mask, babinet: which solvent terms are fitted.
        mask_s, iso_s: knot positions (1/Å) of the smooth functions.
    """

    s: F64
    columns: F64
    tensors: F64
    kind: str
    mask: bool
    babinet: bool
    mask_s: F64
    iso_s: F64
    backend: Backend
    _places: list[FitPlace] = field(init=False, default_factory=list)

    def curve(self, scale: Scale) -> ScaleCurve:
        """The scale as the backend takes it."""
        return ScaleCurve(
            s=self.s, columns=self.columns, log_k=scale.log_k, b_overall=scale.b_overall, tensor=scale.tensor,
            k_sol=scale.k_sol if self.mask else 0.0, b_sol=scale.b_sol,
            mask_knots=scale.mask_knots if self.mask else None, iso_knots=scale.iso_knots,
            babinet_k=scale.babinet_k if self.babinet else 0.0, babinet_b=scale.babinet_b,
        )

    def apply(self, scale: Scale, f_calc: Array, f_mask: Array | None) -> ScaledModel:
        """F_total (n_model, n) of ``f_calc`` (n_model, n) with ``f_mask`` (n,) in its first row, and its factors."""
        k = self.backend.scale_factors(self.curve(scale), f_calc, True)
        total = self.backend.scaled_total(f_calc, k.factor, k.k_mask, f_mask if self.mask else None)
        return ScaledModel(total, k.factor, k.k_aniso, k.k_iso, k.k_mask)

    def _place(self, work: NDArray[np.bool_]) -> FitPlace:
        """Where a fit to ``work`` (n,) reads; made once, so that a device keeps its copies."""
        if not self._places or not np.array_equal(self._places[0].work, work):
            self._places[:] = [self.place(work.copy(), thinned(np.flatnonzero(work), ENOUGH))]
        return self._places[0]

    def place(self, work: NDArray[np.bool_], index: NDArray[np.intp]) -> FitPlace:
        """The reflections ``index`` (k,) as a fit reads them."""
        s, columns = self.s[index], self.columns[index]
        common = np.ascontiguousarray(np.stack([np.ones(len(s)), -0.25 * s**2, *columns.T], axis=1))
        return FitPlace(
            work, index, replace(self, s=s, columns=columns), hat_weights(s, self.mask_s), hat_weights(s, self.iso_s),
            common, np.zeros(len(s), np.complex128),
        )

    def anisotropic_b(self, scale: Scale) -> F64:
        """Traceless overall B tensor (6,), Å², Cartesian 11 22 33 12 13 23."""
        if len(scale.tensor) == 0:
            return np.zeros(6)
        return EIGHT_PI2 * np.asarray(scale.tensor @ self.tensors)

    def fit(
        self, f_obs: Array, f_protein: Array, f_mask: Array | None, work: NDArray[np.bool_], start: Scale | None,
        iterations: int = 8, hold_mask: bool = False,
    ) -> Scale:
        """Fit to the working reflections, :data:`ENOUGH` of them if there are more.

        ``start`` (the last cycle's scale) saves most of the iterations.

        Args:
            f_obs: (n,) amplitudes; f_protein, f_mask: (n,) model; work: (n,) which reflections to fit.
            hold_mask: k_mask stays as ``start`` has it.
        """
        from .scale_fit import ScaleFit  # the fit needs this module's classes

        scale = start
        fit = ScaleFit(self, self._place(work), f_obs, f_protein, f_mask, hold_mask)
        if scale is None:
            scale = fit.wilson_start()
            scale = fit.thinned().simple_grid(scale)
            scale = fit.iterate(scale, iterations)
        elif self.kind == "simple":
            scale = fit.iterate(scale, max(2, iterations // 3))
        if self.kind == "smooth":
            warm = scale.iso_knots is not None
            if not warm:
                knots = scale.k_sol * np.exp(-0.25 * scale.b_sol * self.mask_s**2)
                scale = replace(
                    scale,
                    mask_knots=np.stack([self.mask_s, knots]) if self.mask else None,
                    iso_knots=np.stack([self.iso_s, np.zeros(len(self.iso_s))]),
                )
            scale = fit.iterate(scale, max(2, iterations // 3) if warm else iterations)
        return scale


@dataclass(slots=True, eq=False)
class FitPlace:
    """The reflections (k,) that a scale is fitted to.

    Attributes:
        work: (n,) those that were asked for; index: (k,) those that are taken.
        local: the scaling on them; mask_hats, iso_hats: their weights of the knots.
        common: (k, 2 + m) derivatives of ln k by c, B and the tensors; no_mask: zeros.
        f_obs: the amplitudes last fitted to (n,), and those of them that are taken.
    """

    work: NDArray[np.bool_]
    index: NDArray[np.intp]
    local: Scaling
    mask_hats: tuple[NDArray[np.intp], F64]
    iso_hats: tuple[NDArray[np.intp], F64]
    common: F64
    no_mask: C128
    f_obs: tuple[Array, Array] | None = None

    def chosen(self, f_obs: Array) -> Array:
        """``f_obs`` (n,) at the reflections (k,), the same array as long as it is."""
        if self.f_obs is None or self.f_obs[0] is not f_obs:
            self.f_obs = f_obs, self.local.backend.take(f_obs, self.index)
        return self.f_obs[1]


def plan_scaling(
    crystal: Crystal, hkl: NDArray[np.int32], kind: str, solvent: str, backend: Backend
) -> Scaling:
    """Prepare scaling on reflections ``hkl`` (n, 3).

    Args:
        kind: "smooth" or "simple"; solvent: "mask", "babinet", "both" or "none".
    """
    s = np.sqrt(crystal.inv_d2(hkl))
    tensors = invariant_tensors(crystal)
    low, high = float(s.min()), float(s.max())
    end = min(S_END_MASK, high)
    mask_s = np.linspace(low, end, N_KNOT_MASK)
    if high > S_END_MASK:
        mask_s = np.append(mask_s, min(high, S_END_MASK * 1.15))
    return Scaling(
        s=s,
        columns=anisotropy_columns(crystal, hkl, tensors),
        tensors=tensors,
        kind=kind,
        mask=solvent in ("mask", "both"),
        babinet=solvent in ("babinet", "both"),
        mask_s=mask_s,
        iso_s=np.linspace(low, high, N_KNOT_ISO),
        backend=backend,
    )
