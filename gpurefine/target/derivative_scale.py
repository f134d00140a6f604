"""Scale of a derivative's amplitudes to those of a model on the native's scale: ln k = c + sᵀ T s (method 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..constants import VOIGT
from ..model.crystal import Crystal

F64 = NDArray[np.float64]


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
