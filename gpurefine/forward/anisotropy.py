"""Symmetric tensors that the Laue group leaves unchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..constants import TWO_PI2, VOIGT
from ..model.crystal import Crystal
from ..model.tensors import TWICE, tensor_rotation


def invariant_tensors(crystal: Crystal) -> NDArray[np.float64]:
    """Orthogonal basis (m, 6) of the traceless symmetric Cartesian tensors with the crystal's Laue symmetry.

    m is 5 in triclinic, 3 in monoclinic, 2 in orthorhombic, 1 in uniaxial and 0 in cubic crystals.
    """
    average = np.mean([tensor_rotation(r) for r in crystal.cartesian_rotations()[: crystal.n_primitive]], axis=0)
    # work in a metric where the six-vector's length is the tensor's (off-diagonal elements count twice)
    metric = np.sqrt(TWICE)
    projector = metric[:, None] * average / metric
    trace = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0]) / np.sqrt(3.0)
    projector = projector - np.outer(trace, trace)
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))
    return np.asarray((vectors[:, values > 0.5] / metric[:, None]).T)


def anisotropy_columns(
    crystal: Crystal, hkl: NDArray[np.int32], tensors: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n, m): −2π² sᵀE s of each reflection for each tensor E (m, 6)."""
    s = hkl @ crystal.frac
    products = np.stack([s[:, i] * s[:, j] * (1.0 if i == j else 2.0) for i, j in VOIGT], axis=1)
    return np.asarray(-TWO_PI2 * products @ tensors.T)
