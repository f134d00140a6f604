"""Steps of TLS tensors that keep L a tensor which a motion can have.

The mean square ⟨(v·λ)²⟩ = vᵀ L v of the libration about any axis v is not negative: L is positive semidefinite.  Of all
shifts that keep this the one is taken at which the quadratic model of the target is lowest, so that T and S take over
what L must give up.  Cutting an eigenvalue off afterwards would leave them where they fit the other L.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..constants import VOIGT

F64 = NDArray[np.float64]

LIBRATION = slice(6, 12)
"""Columns of L among the parameters of a group."""

CUTS = 60
SWEEPS = 500
TOLERANCE = 1e-6
"""Of an eigenvalue, relative to the sum of the absolute ones."""


def valid_shift(values: F64, unit: F64, gradient: F64, curvature: F64) -> F64:
    """The shift x (20,) that minimises g·x + ½ xᵀHx while L + ΔL has no negative eigenvalue.

    Every direction in which L is found to be negative adds one plane that x may not cross, and the planes together
    close in on the allowed shifts.

    Args:
        values: (20,) the group's parameters; unit: (20,) what one unit of a shift is; gradient: (20,) g, without
            directions that the curvature (20, 20) H leaves out.
    """
    back = _unscaling(curvature)
    free = -back.T @ gradient  # in coordinates in which H is the identity
    planes, bounds = np.zeros((0, len(free))), np.zeros(0)
    y = free
    for _ in range(CUTS):
        x = back @ y
        low, vectors = np.linalg.eigh(full_tensors((values + unit * x)[None, LIBRATION])[0])
        negative = low < -TOLERANCE * np.abs(low).sum()
        if not negative.any():
            break
        for v in vectors[:, negative].T:
            row = np.zeros(len(values))
            row[LIBRATION] = _square(v)
            planes = np.vstack([planes, (row * unit) @ back])
            bounds = np.append(bounds, -row @ values)
        y = _nearest(free, planes, bounds)
    return np.asarray(back @ y)


def _square(v: F64) -> F64:
    """(6,) coefficients of vᵀ L v in L 11 22 33 12 13 23."""
    return np.array([v[i] * v[j] * (1.0 if i == j else 2.0) for i, j in VOIGT])


def _unscaling(curvature: F64) -> F64:
    """(20, k) from coordinates in which the curvature is the identity, without directions that have none."""
    values, vectors = np.linalg.eigh(curvature)
    keep = values > 1e-8 * max(float(values[-1]), 0.0)
    return np.asarray(vectors[:, keep] / np.sqrt(values[keep]))


def _nearest(point: F64, planes: F64, bounds: F64) -> F64:
    """The point y nearest to ``point`` (k,) with ``planes`` (m, k) y ≥ ``bounds`` (m,) (Hildreth 1957, Naval Res.
    Logist. Q. 4, 79–85: one plane after the other, each with a multiplier that is not negative)."""
    square = np.maximum((planes**2).sum(axis=1), 1e-300)
    force = np.zeros(len(bounds))
    y = point.copy()
    for _ in range(SWEEPS):
        largest = 0.0
        for m, row in enumerate(planes):
            more = max((bounds[m] - row @ y) / square[m], -force[m])
            force[m] += more
            y += more * row
            largest = max(largest, abs(more) * square[m] ** 0.5)
        if largest < 1e-9 * (1.0 + float(np.linalg.norm(y))):
            break
    return y
