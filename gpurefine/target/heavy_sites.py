"""Structure factors of a few heavy-atom sites by direct summation, and their derivatives.

A site is a row x, y, z (fractions of the cell), B (Å²), q.  F_H = Σ q f(s) E and F″_H = Σ q f″ E with
E = exp(−B s²/4) Σ_ops exp(2πi h·(R x + t)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal

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
    """Reflections and scatterers.

    ``hkl`` (n, 3), ``inv_d2`` (n,); ``form`` (k, n) f₀ + f′ and ``f_second`` (k,) f″ of every site, electrons.
    """

    crystal: Crystal
    hkl: NDArray[np.int32]
    inv_d2: F64
    form: F64
    f_second: F64

    def waves(self, sites: F64, slopes: bool) -> tuple[C128, C128]:
        """E (k, n) of ``sites`` (k, 5), and its derivatives with respect to x, y, z (k, 3, n; empty unless asked)."""
        waves = np.zeros((len(sites), len(self.hkl)), np.complex128)
        by_xyz = np.zeros((len(sites), 3, len(self.hkl) if slopes else 0), np.complex128)
        for rotation, translation in zip(self.crystal.rotations, self.crystal.translations, strict=True):
            turned = self.hkl @ rotation
            wave = np.exp(2j * np.pi * (turned @ sites[:, :3].T + (self.hkl @ translation)[:, None])).T
            waves += wave
            if slopes:
                by_xyz += 2j * np.pi * turned.T[None] * wave[:, None, :]
        fall = np.exp(-0.25 * sites[:, 3:4] * self.inv_d2)
        return waves * fall, by_xyz * fall[:, None, :] if slopes else by_xyz

    def structure_factors(self, sites: F64) -> tuple[C128, C128]:
        """F_H and F″_H (n,)."""
        waves, _ = self.waves(sites, False)
        return (sites[:, 4:5] * self.form * waves).sum(axis=0), (sites[:, 4] * self.f_second) @ waves

    def refined(self, sites: F64, index: NDArray[np.intp], gradient: C128, information: F64) -> F64:
        """Sites after one scoring step.

        Args:
            sites: (k, 5); index: (m,) reflections; gradient: (2, m) of −LL by F′ and F″, as ∂/∂Re + i ∂/∂Im;
                information: (2, m) its expected square.
        """
        part = SiteScattering(
            self.crystal, self.hkl[index], self.inv_d2[index], self.form[:, index], self.f_second
        )
        waves, by_xyz = part.waves(sites, True)
        columns = np.concatenate(
            [by_xyz * sites[:, 4, None, None], (-0.25 * part.inv_d2 * waves * sites[:, 4:5])[:, None], waves[:, None]],
            axis=1,
        )
        k = len(sites)
        real = (columns * part.form[:, None, :]).reshape(5 * k, -1)
        imaginary = (columns * self.f_second[:, None, None]).reshape(5 * k, -1)
        slope = (real.conj() * gradient[0]).real.sum(axis=1) + (imaginary.conj() * gradient[1]).real.sum(axis=1)
        matrix = 0.5 * (
            (real * information[0]) @ real.conj().T + (imaginary * information[1]) @ imaginary.conj().T
        ).real
        # a site of hardly any occupancy is held where it is by the tie to its place, 0.2 Å, 8 Å², a third of q
        limits = np.tile([*(STEP_XYZ / self.crystal.cell[:3]), STEP_B, 0.0], (k, 1))
        limits[:, 4] = STEP_Q * np.maximum(sites[:, 4], LEAST_Q * sites[:, 4].max())
        flat = limits.ravel()
        matrix += np.diag(1.0 / flat**2)
        shift = np.clip(-np.linalg.solve(matrix, slope), -flat, flat).reshape(k, 5)
        moved = sites + shift
        moved[:, 3] = np.clip(moved[:, 3], *B_RANGE)
        moved[:, 4] = np.maximum(moved[:, 4], LEAST_Q * moved[:, 4].max())
        return np.asarray(moved, np.float64)
