"""Scale of a derivative's amplitudes to those of a model on the native's scale: ln k = c + sᵀ T s (method 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..constants import VOIGT
from ..model.crystal import Crystal

F64 = NDArray[np.float64]

CLIP = 0.7
"""Larger deviations of ln(F_model/F) than this count no more."""
ROUNDS = 5


def scale_columns(crystal: Crystal, hkl: NDArray[np.int32]) -> F64:
    """(n, 7): 1 and s⊗s (Å⁻², 11 22 33 12 13 23) averaged over the Laue group, so that any T obeys the symmetry."""
    s = hkl @ crystal.frac
    out = np.zeros((len(hkl), 7))
    out[:, 0] = 1.0
    orth, frac = crystal.orth, crystal.frac
    rotations = crystal.rotations[: crystal.n_primitive]
    for rotation in rotations:
        turned = s @ (orth @ rotation @ frac)
        for k, (i, j) in enumerate(VOIGT):
            out[:, 1 + k] += turned[:, i] * turned[:, j] / len(rotations)
    return out


def fit_scale(columns: F64, observed: F64, calculated: F64, use: NDArray[np.bool_]) -> F64:
    """Coefficients (7,) of ln k, k × ``observed`` (n,) being like ``calculated`` (n,), from reflections ``use`` (n,).

    Weighted by the calculated amplitudes, since errors are a share of the mean amplitude, not of each one; deviations
    are clipped.
    """
    a, b = observed[use], calculated[use]
    good = (a > 0.0) & (b > 0.0)
    x, y = columns[use][good], np.log(b[good] / a[good])
    weight = np.minimum(b[good] / np.median(b[good]), 2.0) ** 2
    y0 = float(np.median(y))
    fitted = np.full(len(y), y0)
    coefficients: F64 = np.zeros(0)
    for _ in range(ROUNDS):
        target = fitted + np.clip(y - fitted, -CLIP, CLIP)
        normal = (x * weight[:, None]).T @ x
        coefficients = np.linalg.lstsq(normal, (x * weight[:, None]).T @ target, rcond=1e-10)[0].astype(np.float64)
        fitted = x @ coefficients
    return np.asarray(coefficients, np.float64)
