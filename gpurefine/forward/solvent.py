"""Bulk solvent as a flat mask (paper 2.4): where no atom is, and not in cavities too small for bulk water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend, Map
from ..backend.ops_reflections import Array
from ..backend.plans import FourierPlan
from ..model.crystal import Crystal
from ..model.grid import Grid, choose_grid
from .density import fourier_plan

MIN_CAVITY_VOLUME = 50.0
"""Å³: solvent regions smaller than this hold an ordered water or two, not bulk solvent."""

MASK_SPACING = 0.6
"""Å: the shrink radius must span grid points; on a 0.9 Å grid a shrink of 0.8 Å does nothing and costs points of R."""


@dataclass(frozen=True, slots=True, eq=False)
class SolventMask:
    """Makes masks and their structure factors for one crystal.

    Attributes:
        grid: the mask's own grid; plan: its Fourier plan for the reflections.
        radius: (n,) Å, van der Waals or ionic radius plus probe of each atom that excludes solvent.
        atom: (n,) indices of those atoms (not hydrogens, occupancy > 0).
    """

    backend: Backend
    crystal: Crystal
    grid: Grid
    plan: FourierPlan
    atom: NDArray[np.intp]
    radius: NDArray[np.float64]
    shrink_radius: float

    def compute(self, xyz: NDArray[np.float64]) -> Map:
        """The mask (nu, nv, nw): 1 in bulk solvent, 0 elsewhere, for atoms at ``xyz`` (n_atoms, 3)."""
        fractional = xyz[self.atom] @ self.crystal.frac.T
        copies = np.einsum("oij,nj->oni", self.crystal.rotations.astype(float), fractional)
        copies += self.crystal.translations[:, None, :]
        return self.backend.solvent_mask(
            self.grid.shape, self.grid.orth, copies.reshape(-1, 3),
            np.tile(self.radius, self.crystal.n_op), self.shrink_radius, MIN_CAVITY_VOLUME,
        )

    def structure_factors(self, xyz: NDArray[np.float64]) -> tuple[Array, float]:
        """F_mask (n_refl,) in electrons per unit density, and the solvent fraction of the cell."""
        mask = self.compute(xyz)
        fraction = self.backend.map_mean(mask)
        return self.backend.map_to_hkl(self.plan, mask), fraction


def plan_mask(
    backend: Backend,
    crystal: Crystal,
    hkl: NDArray[np.int32],
    atom: NDArray[np.intp],
    radius: NDArray[np.float64],
    shrink_radius: float,
) -> SolventMask:
    """A mask for reflections ``hkl`` (n, 3); ``atom`` and ``radius`` as in :class:`SolventMask`."""
    d_min = float(1.0 / np.sqrt(crystal.inv_d2(hkl).max()))
    grid = choose_grid(crystal, min(d_min / 2.0, MASK_SPACING))
    identity = Crystal(
        crystal.cell, crystal.orth, crystal.frac, crystal.rotations[:1], crystal.translations[:1], 1, "P 1", "P 1"
    )
    plan = fourier_plan(identity, grid.shape, hkl, 0.0)
    return SolventMask(backend, crystal, grid, plan, atom, radius, shrink_radius)
