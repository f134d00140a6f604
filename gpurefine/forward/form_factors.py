"""Form factors with fewer Gaussians: as many as the resolution needs, no more.

Tables have five Gaussians an element so as to serve to 0.25 Å.  Up to the resolution of a data set two or three
describe the same curve to a few parts in 10⁵, and every Gaussian saved is an exponential saved at every grid point of
every atom.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

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
        fits = [_fit(tuple(a), tuple(b), round(s_max, 4), k) for a, b in zip(gauss_a, gauss_b, strict=True)]
        if all(fit[2] <= tolerance for fit in fits):
            return np.array([fit[0] for fit in fits]), np.array([fit[1] for fit in fits])
    return gauss_a, gauss_b


@lru_cache(maxsize=256)
def _fit(a: tuple[float, ...], b: tuple[float, ...], s_max: float, k: int) -> tuple[F64, F64, float]:
    """Best k Gaussians and their relative r.m.s. error; the amplitudes are eliminated (variable projection)."""
    quarter = 0.25 * np.linspace(0.0, s_max, 60) ** 2
    wanted = np.exp(-np.outer(quarter, b)) @ np.array(a)
    size = float(np.max(np.abs(wanted)))

    def solved(widths: F64) -> tuple[F64, F64]:
        basis = np.exp(-np.outer(quarter, widths))
        amplitude, *_ = np.linalg.lstsq(basis, wanted, rcond=1e-12)
        return amplitude, basis @ amplitude - wanted

    def relative(widths: F64) -> F64:
        return np.asarray(solved(widths)[1] / size)

    best: tuple[F64, F64, float] = (np.zeros(k), np.zeros(k), np.inf)
    for start in _STARTS[k]:
        found = least_squares(relative, np.array(start), bounds=(0.0, _B_MAX), max_nfev=40)
        amplitude, misfit = solved(found.x)
        error = float(np.sqrt(np.mean(misfit**2))) / size
        # huge amplitudes of opposite sign would cost the grid its single precision
        if error < best[2] and float(np.abs(amplitude).sum()) < 20.0 * size:
            best = (amplitude, found.x, error)
        if best[2] < 0.2 * TOLERANCE:
            break
    return best
