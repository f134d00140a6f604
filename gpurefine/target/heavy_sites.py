"""Structure factors of a few heavy-atom sites by direct summation, and their derivatives.

Sites and what they scatter are those of :meth:`gpurefine.backend.ops_derivative.DerivativeOps.site_factors`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_derivative import DerivativeOps, SitePlan, site_waves
from ..backend.ops_reflections import Array

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

STEP_XYZ, STEP_B = 0.2, 8.0
"""Å and Å²: longest shifts of one step."""
STEP_Q = 0.3
"""Share of an occupancy by which one step may change it."""
B_RANGE = (2.0, 150.0)
LEAST_Q = 1e-3
"""Share of the largest occupancy that none falls below."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteScattering:
    """Reflections and scatterers: ``plan`` of all reflections, ``cell`` (3,) Å, lengths of the cell's edges."""

    backend: DerivativeOps
    plan: SitePlan
    cell: F64

    def structure_factors(self, sites: F64, near: Array) -> Array:
        """F_H and F″_H (2, n), where ``near`` lies."""
        return self.backend.site_factors(self.plan, sites, near)

    def refined(self, sites: F64, index: NDArray[np.intp], gradient: C128, information: F64) -> F64:
        """Sites after one scoring step.

        Args:
            sites: (k, 5); index: (m,) reflections; gradient: (2, m) of −LL by F′ and F″, as ∂/∂Re + i ∂/∂Im;
                information: (2, m) its expected square.
        """
        part = replace(
            self.plan, hkl=self.plan.hkl[index], inv_d2=self.plan.inv_d2[index], form=self.plan.form[:, index]
        )
        waves, by_xyz = site_waves(part, sites), wave_slopes(part, sites)
        columns = np.concatenate(
            [by_xyz * sites[:, 4, None, None], (-0.25 * part.inv_d2 * waves * sites[:, 4:5])[:, None], waves[:, None]],
            axis=1,
        )
        k = len(sites)
        real = (columns * part.form[:, None, :]).reshape(5 * k, -1)
        imaginary = (columns * part.f_second[:, None, None]).reshape(5 * k, -1)
        slope = (real.conj() * gradient[0]).real.sum(axis=1) + (imaginary.conj() * gradient[1]).real.sum(axis=1)
        matrix = 0.5 * (
            (real * information[0]) @ real.conj().T + (imaginary * information[1]) @ imaginary.conj().T
        ).real
        # a site of hardly any occupancy is held where it is by the tie to its place, 0.2 Å, 8 Å², a third of q
        limits = np.tile([*(STEP_XYZ / self.cell), STEP_B, 0.0], (k, 1))
        limits[:, 4] = STEP_Q * np.maximum(sites[:, 4], LEAST_Q * sites[:, 4].max())
        flat = limits.ravel()
        matrix += np.diag(1.0 / flat**2)
        shift = np.clip(-np.linalg.solve(matrix, slope), -flat, flat).reshape(k, 5)
        moved = sites + shift
        moved[:, 3] = np.clip(moved[:, 3], *B_RANGE)
        moved[:, 4] = np.maximum(moved[:, 4], LEAST_Q * moved[:, 4].max())
        return np.asarray(moved, np.float64)


def wave_slopes(plan: SitePlan, sites: F64) -> C128:
    """∂E/∂x (k, 3, n) by the fractions of ``sites`` (k, 5)."""
    slopes = np.zeros((len(sites), 3, len(plan.hkl)), np.complex128)
    for rotation, translation in zip(plan.rotations, plan.translations, strict=True):
        turned = plan.hkl @ rotation
        wave = np.exp(2j * np.pi * (turned @ sites[:, :3].T + (plan.hkl @ translation)[:, None])).T
        slopes += 2j * np.pi * turned.T[None] * wave[:, None, :]
    return slopes * np.exp(-0.25 * sites[:, 3:4] * plan.inv_d2)[:, None, :]
