"""Form factors with fewer Gaussians: as many as the resolution needs, no more.

Tables have five Gaussians an element so as to serve to 0.25 Å.  Up to the resolution of a data set two or three
describe the same curve to a few parts in 10⁵, and every Gaussian saved is an exponential saved at every grid point of
every atom.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

TOLERANCE = 2e-5
"""r.m.s. error over 0…s_max as a share of f(0) that a shortened form factor may have."""

_STARTS = {
    2: ((2.0, 20.0), (8.0, 40.0), (0.5, 60.0)),
    3: ((1.0, 8.0, 40.0), (0.5, 15.0, 50.0), (3.0, 25.0, 100.0), (0.5, 5.0, 20.0)),
}
_B_MAX = 250.0


def shortened(gauss_a: F64, gauss_b: F64, s_max: float, tolerance: float = TOLERANCE) -> tuple[F64, F64]:
    """Gaussians a, b (n_scatterer, k) that equal ``gauss_a``, ``gauss_b`` (n_scatterer, n_gauss) for s ≤ ``s_max``.

    k is the smallest number that serves every scatterer; the input itself comes back where that is no fewer.
    """
    for k in sorted(_STARTS):
        if k >= gauss_a.shape[1]:
            break
        fits = []
        for a, b in zip(gauss_a, gauss_b, strict=True):
            fits.append(_fit(tuple(a), tuple(b), round(s_max, 4), k))
            if fits[-1][2] > tolerance:
                break
        else:
            return np.array([fit[0] for fit in fits]), np.array([fit[1] for fit in fits])
    return gauss_a, gauss_b


@lru_cache(maxsize=256)
def _fit(a: tuple[float, ...], b: tuple[float, ...], s_max: float, k: int) -> tuple[F64, F64, float]:
    """Best k Gaussians and their relative r.m.s. error; the amplitudes are eliminated (variable projection)."""
    quarter = 0.25 * np.linspace(0.0, s_max, 60) ** 2
    wanted = np.exp(-np.outer(quarter, b)) @ np.array(a)
    size = float(np.max(np.abs(wanted)))

    best: tuple[F64, F64, float] = (np.zeros(k), np.zeros(k), np.inf)
    for start in _STARTS[k]:
        widths = _adjusted(quarter, wanted / size, np.array(start))
        amplitude, misfit, _ = _solved(quarter, wanted, widths)
        error = float(np.sqrt(np.mean(misfit**2))) / size
        # huge amplitudes of opposite sign would cost the grid its single precision
        if error < best[2] and float(np.abs(amplitude).sum()) < 20.0 * size:
            best = (amplitude, widths, error)
        if best[2] < 0.2 * TOLERANCE:
            break
    return best


def _solved(quarter: F64, wanted: F64, widths: F64) -> tuple[F64, F64, F64]:
    """Best amplitudes (k,) for given exponents, what they leave (m,), and the Gaussians themselves (m, k)."""
    basis = np.exp(-np.outer(quarter, widths))
    amplitude, *_ = np.linalg.lstsq(basis, wanted, rcond=1e-12)
    return np.asarray(amplitude), np.asarray(basis @ amplitude - wanted), np.asarray(basis)


def _adjusted(quarter: F64, wanted: F64, widths: F64) -> F64:
    """Exponents (k,) at a minimum of the misfit, from ``widths`` by Levenberg's and Marquardt's steps.

    The derivative of the misfit leaves out what lies in the space of the Gaussians, where the amplitudes take it up
    (Kaufman, 1975, BIT 15, 49–57).
    """
    amplitude, misfit, basis = _solved(quarter, wanted, widths)
    value, ridge = float(misfit @ misfit), 1e-2
    for _ in range(40):
        space, _ = np.linalg.qr(basis)
        slopes = -quarter[:, None] * basis * amplitude
        slopes -= space @ (space.T @ slopes)
        normal, gradient = slopes.T @ slopes, slopes.T @ misfit
        lowered = False
        while not lowered and ridge < 1e8:
            damped = normal + ridge * np.diag(np.diag(normal)) + 1e-30 * np.eye(len(widths))
            trial = np.clip(widths - np.linalg.solve(damped, gradient), 0.0, _B_MAX)
            amplitude, misfit, basis = _solved(quarter, wanted, trial)
            lowered = float(misfit @ misfit) < value
            ridge *= 0.2 if lowered else 5.0
        gain = value - float(misfit @ misfit)
        if not lowered:
            break
        widths, value = trial, value - gain
        if gain < 1e-4 * value or value < 1e-14 * len(quarter):
            break
    return widths
