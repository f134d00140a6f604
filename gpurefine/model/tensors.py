"""Symmetric tensors of rank two as six-vectors, 11 22 33 12 13 23."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..constants import VOIGT

F64 = NDArray[np.float64]

TRACE = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
"""The unit tensor."""

TWICE = np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])
"""How often each element stands in the tensor: the metric of six-vectors."""


def smallest_and_largest(u: F64) -> tuple[F64, F64]:
    """Smallest and largest principal value (m,) of tensors (m, 6)."""
    if len(u) == 0:
        return np.zeros(0), np.zeros(0)
    principal: F64 = np.asarray(np.linalg.eigvalsh(full_tensors(u)), np.float64)
    return principal[:, 0], principal[:, 2]


def tensor_rotation(rotation: F64) -> F64:
    """(6, 6) matrix that turns the six-vector of a symmetric tensor T into that of R T Rᵀ."""
    out = np.zeros((6, 6))
    for row, (i, j) in enumerate(VOIGT):
        for column, (k, l) in enumerate(VOIGT):  # noqa: E741
            out[row, column] = rotation[i, k] * rotation[j, l]
            if k != l:
                out[row, column] += rotation[i, l] * rotation[j, k]
    return out
