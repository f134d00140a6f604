"""From mean phases to the likelihood of amplitudes with prior phases, for every backend (paper (6)–(7)).

Everything follows from the two numbers that a backend integrates for Hendrickson–Lattman coefficients, ln ∫exp(…)dφ/2π
and ⟨exp(iφ)⟩: with the prior's coefficients and with those of prior and model together (A + X cos φ_c, B + X sin φ_c,
C, D).  For centric reflections the integral is a sum over φ₀ and φ₀ + π.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .information import TABLE_END, TABLE_SIZE, information_tables
from .ops_phased import PhasedResult
from .plans import SigmaaResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

Circle = Callable[[F64], tuple[F64, C128]]
"""Coefficients (4, n) → ln ∫exp(…)dφ/2π (n,) and ⟨exp(iφ)⟩ (n,)."""


def _log_cosh(x: F64) -> F64:
    return np.asarray(np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))) - np.log(2.0))


def combined_prior(
    f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]
) -> F64:
    """Coefficients (4, n) of prior and model together, in the convention of centric reflections too."""
    weight = np.where(centric, 1.0, 2.0)
    pull = weight * f_obs * d / (weight * sigma**2 + epsilon * s) * f_calc
    return np.stack([prior[0] + pull.real, prior[1] + pull.imag, prior[2], prior[3]])


def _means(
    circle: Circle, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
    centric: NDArray[np.bool_],
) -> tuple[F64, C128, C128]:
    """−log likelihood, ⟨exp(iφ)⟩ and the prior's own ⟨exp(iφ)⟩."""
    fc = np.abs(f_calc)
    weight = np.where(centric, 1.0, 2.0)
    total = weight * sigma**2 + epsilon * s
    x = weight * f_obs * d * fc / total
    # direction of a centric reflection's phase: the model's, or the prior's where there is no model
    toward = np.where(fc > 0.0, f_calc, prior[0] + 1j * prior[1])
    length = np.abs(toward)
    unit = np.divide(toward, length, out=np.ones_like(toward), where=length > 0.0)
    along = np.where(centric, prior[0] * unit.real + prior[1] * unit.imag, 0.0)
    minus_ll = 0.5 * weight * (f_obs**2 + (d * fc) ** 2) / total
    minus_ll += np.where(
        centric,
        0.5 * np.log(0.5 * np.pi * total) - _log_cosh(x + along) + _log_cosh(along),
        np.log(total) - np.log(2.0 * np.maximum(f_obs, 1e-30)),
    )
    direction = np.tanh(x + along) * unit
    own = np.tanh(along) * unit
    at = np.flatnonzero(~centric)
    both = combined_prior(f_obs[at], sigma[at], f_calc[at], prior[:, at], d[at], s[at], epsilon[at], centric[at])
    log_both, direction[at] = circle(np.ascontiguousarray(both))
    log_prior, own[at] = circle(np.ascontiguousarray(prior[:, at]))
    minus_ll[at] += log_prior - log_both
    return minus_ll, direction, own


def phased_result(
    circle: Circle, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
    centric: NDArray[np.bool_], derivatives: bool,
) -> PhasedResult:
    """The likelihood, its slope and information.

    Information: between that of Rice, w(x)D²/Σ, and that of a known phase, both components together, according to how
    well the prior (mean cosine m) fixes the phase against the model's own 1 + 2x²: exact for no and for perfect prior
    phases, and for small and large x = D|F_c|/√Σ.
    """
    minus_ll, direction, own = _means(circle, f_obs, sigma, f_calc, prior, d, s, epsilon, centric)
    gradient, information = np.zeros(len(f_obs), np.complex128), np.zeros(len(f_obs))
    if derivatives:
        weight = np.where(centric, 1.0, 2.0)
        total = weight * sigma**2 + epsilon * s
        gradient = weight * d / total * (d * f_calc - f_obs * direction)
        x = d * np.abs(f_calc) / np.sqrt(total)
        grid = np.linspace(0.0, TABLE_END, TABLE_SIZE)
        acentric, single = information_tables()
        known = np.where(centric, 1.0, 4.0) * d**2 / total
        rice = np.where(centric, np.interp(x, grid, single), np.interp(x, grid, acentric)) * known
        m2 = np.minimum(np.abs(own) ** 2, 1.0 - 1e-12)
        share = m2 / (m2 + (1.0 - m2) * (1.0 + 2.0 * x * x))
        information = rice + (known - rice) * share
    return PhasedResult(minus_ll, gradient, information, direction)


def phased_sigmaa_result(
    circle: Circle, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
    centric: NDArray[np.bool_],
) -> SigmaaResult:
    """Derivatives with respect to D and ln S, with bounds of the information as for Rice."""
    minus_ll, direction, _ = _means(circle, f_obs, sigma, f_calc, prior, d, s, epsilon, centric)
    fc = np.abs(f_calc)
    half = np.where(centric, 0.5, 1.0)
    model = epsilon * s
    total = np.where(centric, 1.0, 2.0) * sigma**2 + model
    overlap = f_obs * (np.conj(direction) * f_calc).real
    misfit = f_obs**2 + (d * fc) ** 2 - 2.0 * d * overlap
    share = model / total
    return SigmaaResult(
        minus_ll=minus_ll,
        d_d=half * 2.0 * (d * fc * fc - overlap) / total,
        d_log_s=half * share * (1.0 - misfit / total),
        info_d=half * 2.0 * fc * fc / total,
        info_s=half * share**2,
    )
