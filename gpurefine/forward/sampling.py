"""Choice of grid, blur and cut-off of the density: the cheapest that keeps the error of F in bounds (method 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constants import FOUR_PI2
from ..model.crystal import Crystal
from ..model.grid import choose_grid

F64 = NDArray[np.float64]

SAMPLINGS = (1.4, 1.5, 1.6, 1.7, 1.8)
"""Grid points per d_min/2 among which is chosen: a finer grid needs less blur, so atoms cover fewer points, but has
more points itself; coarser ones need so much blur that single precision shows."""

SHARPNESS = 6.6
"""With s points per d_min/2 the grid folds the spectrum at 2s − 1 times the data's limit back onto that limit.  An
atom's falls by exp(−B s (s − 1)/d_min²) in between; SHARPNESS is what that exponent must be to keep the copies below
the tolerance (perf/sweep_sampling.py)."""

POINT_SHARPNESS = 1.2
"""By this more where every scatterer is a point (neutrons, f″): electrons have a width of their own."""

CUTOFF = 7e-6
"""Level at which densities are cut, as a fraction of the model's root-mean-square peak density; from 1.6 Å on it falls
with d_min, since sharp models have a larger share of their signal at high resolution (perf/sweep_sampling.py)."""

SPHERE_POINT, GRID_POINT = 3.6, 5.0
"""ns of a point in an atom's sphere and of one in the Fourier transform, on a CPU of 2023; only their ratio matters."""

SAMPLE = 2000
"""Atoms that the cost of all is estimated from."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """``shape`` of the grid, ``blur`` Å², ``cutoff`` in units of the form factors per Å³."""

    shape: tuple[int, int, int]
    blur: float
    cutoff: float


def choose_sampling(
    crystal: Crystal,
    d_min: float,
    b_iso: F64,
    kind: NDArray[np.int32],
    gauss_a: F64,
    gauss_b: F64,
    samplings: tuple[float, ...] = SAMPLINGS,
    sharpness: float = SHARPNESS,
    cutoff: float = CUTOFF,
) -> Sampling:
    """The cheapest of the grids for data to ``d_min`` Å of atoms of B ``b_iso`` (n,) Å².

    ``kind`` (n,) are the atoms' rows of the form factors ``gauss_a``/``gauss_b`` (n_scatterer, n_gauss).
    """
    lowest = float(b_iso.min())
    cutoff *= min(1.0, d_min / 1.6)
    every = max(1, len(b_iso) // SAMPLE)
    reciprocal = np.linalg.norm(crystal.frac, axis=1)
    best, least = Sampling((0, 0, 0), 0.0, 0.0), np.inf
    for wanted in samplings:
        shape = choose_grid(crystal, d_min / (2.0 * wanted)).shape
        s = 0.5 * d_min * float((reciprocal * shape).min())
        blur = max(0.0, sharpness / (s * (s - 1.0)) * d_min**2 - lowest)
        peaks = _peaks(b_iso + blur, kind, gauss_a, gauss_b).sum(axis=1)
        level = cutoff * (float(np.sqrt(np.mean(peaks[peaks != 0.0] ** 2))) if (peaks != 0.0).any() else 1.0)
        volumes = _volumes(b_iso[::every] + blur, kind[::every], gauss_a, gauss_b, level)
        n_grid = float(np.prod(shape))
        in_spheres = float(volumes.mean()) * len(b_iso) * n_grid / crystal.volume
        cost = SPHERE_POINT * in_spheres + GRID_POINT * n_grid
        if cost < least:
            best, least = Sampling(shape, blur, level), cost
    return best


def _peaks(b: F64, kind: NDArray[np.int32], gauss_a: F64, gauss_b: F64) -> F64:
    """(n, n_gauss) density of each Gaussian at the atom's place."""
    return np.asarray(gauss_a[kind] * (4.0 * np.pi / (gauss_b[kind] + b[:, None])) ** 1.5)


def _volumes(b: F64, kind: NDArray[np.int32], gauss_a: F64, gauss_b: F64, level: float) -> F64:
    """(n,) Å³ of the spheres outside which every Gaussian is below ``level``."""
    peaks = np.abs(_peaks(b, kind, gauss_a, gauss_b))
    radius2 = np.log(np.maximum(peaks / level, 1.0)) * (gauss_b[kind] + b[:, None]) / FOUR_PI2
    return np.asarray(4.0 / 3.0 * np.pi * radius2.max(axis=1) ** 1.5)
