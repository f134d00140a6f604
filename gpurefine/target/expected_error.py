"""Likelihood of a model whose errors are expected beforehand, because nothing can be estimated from a model that is not
yet in its place (Read 2001, Acta Cryst. D57, 1373–1382; McCoy et al. 2007, J. Appl. Cryst. 40, 658–674)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

SOLVENT_SHARE, SOLVENT_B = 0.95, 300.0
"""What bulk solvent takes off the contrast of a model at low resolution, and the B (Å²) with which that fades."""


def coherence(rms: float, inv_d2: F64) -> F64:
    """D (n,) of a model with r.m.s. error ``rms`` Å at reflections of 1/d² ``inv_d2`` (n,) Å⁻².

    exp(−2π² rms² s²/3), the mean phase factor of a Gaussian error (Luzzati 1952), less the solvent's share.
    """
    return np.asarray(
        (1.0 - SOLVENT_SHARE * np.exp(-0.25 * SOLVENT_B * inv_d2)) * np.exp(-2.0 / 3.0 * np.pi**2 * rms**2 * inv_d2)
    )


def log_likelihood(e_obs: F64, e_calc: F64, variance: F64, centric: NDArray[np.bool_]) -> F64:
    """ln P of normalised amplitudes ``e_obs`` (n, 1) given the expected ones ``e_calc`` (n, m), summed over n: (m,).

    Rice's distribution, the normal one of a signed amplitude for centric reflections (paper (4)–(5)), with
    ``variance`` (n, 1) of what the model leaves open.
    """
    from scipy.special import i0e  # loaded only where a body is searched for

    out = np.zeros(e_calc.shape[1])
    for which, half in ((~centric, 1.0), (centric, 0.5)):
        e, model, v = e_obs[which], e_calc[which], variance[which]
        x = 2.0 * half * e * model / v
        inner = np.log(i0e(x)) if half == 1.0 else np.log1p(np.exp(-2.0 * x)) - np.log(2.0)
        before = np.log(2.0 * e / v) if half == 1.0 else 0.5 * np.log(2.0 / (np.pi * v))
        out += np.sum(before - half * (e - model) ** 2 / v + inner, axis=0)
    return out


def slope_by_square(e_obs: F64, e_calc: F64, variance: F64, centric: NDArray[np.bool_]) -> F64:
    """d ln P/d(e_calc²) (n,) at ``e_calc`` (n,) > 0, with ``e_obs`` and ``variance`` (n,).

    With it the likelihood is linear in intensities around what is expected of them, good enough to rank many models
    (Storoni et al. 2004, Acta Cryst. D60, 432–438).
    """
    from scipy.special import i0e, i1e

    half = np.where(centric, 0.5, 1.0)
    x = 2.0 * half * e_obs * e_calc / variance
    fom = np.where(centric, np.tanh(x), i1e(x) / i0e(x))
    return np.asarray(half * (fom * e_obs / e_calc - 1.0) / variance)


def expected_gain(share: F64) -> float:
    """Log-likelihood that a right model is expected to gain over none: Σ σ_A⁴/2 (McCoy et al. 2017, PNAS 114,
    3637–3641), with ``share`` σ_A² (n,) of each reflection.  A wrong model loses as much."""
    return 0.5 * float(np.sum(share**2))
