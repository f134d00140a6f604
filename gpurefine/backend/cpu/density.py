"""The cpu backend's density and Fourier operations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import NumericalError
from ..gaussians import anisotropic_reach
from ..plans import DensityGradient, DensityPlan, FourierPlan, Scatterers
from . import density_aniso, density_iso, direct, fourier, gather_iso, gaussians, memory, tangent_aniso, transforms
from .rows import LANES, MAX_ROW
from .slabs import shares
from .sphere import GAUSSIANS, SIZES
from .threads import WORTHWHILE, Threads

_Prepared = tuple[Any, Any, Any, Any, Any, Any]
"""What the kernels take of a plan and its atoms: cell, fractional positions, |a*|, amplitudes, exponents, radii."""

LEFT_OUT = 30.0
"""A Gaussian of an anisotropic atom is left out on rows where it is below the cut-off by this factor."""

SLAB = 8
"""Planes of the first axis that one thread owns while spreading anisotropic atoms."""


def _width(n_gauss: int) -> int:
    """The next number of Gaussians that the kernels are written for."""
    width = next((size for size in SIZES if size >= n_gauss), 0)
    if not width:
        raise NumericalError(f"A form factor has {n_gauss} Gaussians; the CPU kernels take {max(SIZES)}.")
    return width


class DensityOps(Threads):
    """Spreading, gathering and Fourier transforms with numba and SciPy."""

    def _isotropic(self, plan: DensityPlan, atoms: Scatterers) -> tuple[NDArray[np.intp], _Prepared]:
        self.use(2.5 * len(atoms.weight))
        index = np.flatnonzero(~atoms.is_aniso)
        m, width = len(index), _width(plan.gauss_a.shape[1])
        fractional, radius = np.empty((m, 3)), np.empty(m)
        # filled up with Gaussians of no weight
        amplitude, alpha = np.zeros((m, width), np.float32), np.zeros((m, width), np.float32)
        gaussians.isotropic(
            index, atoms.xyz, atoms.b_iso, atoms.weight, atoms.kind, plan.gauss_a, plan.gauss_b, plan.frac, plan.blur,
            plan.cutoff, fractional, amplitude, alpha, radius,
        )
        reciprocal = np.linalg.norm(plan.frac, axis=1)
        return index, (plan.orth, fractional, reciprocal, amplitude, alpha, radius)

    def _anisotropic(
        self, plan: DensityPlan, atoms: Scatterers
    ) -> tuple[NDArray[np.intp], _Prepared, NDArray[np.float64]]:
        """Indices, what the kernels take, and the squared reach (m, g) of each Gaussian."""
        index = np.flatnonzero(atoms.is_aniso)
        amplitude, inverse, radius, reach2 = anisotropic_reach(plan, atoms, index, LEFT_OUT)
        fractional = atoms.xyz[index] @ plan.frac.T
        fractional -= np.floor(fractional)
        reciprocal = np.linalg.norm(plan.frac, axis=1)
        self._check_rows(plan, radius)
        return index, (plan.orth, fractional, reciprocal, amplitude, inverse, radius), reach2

    @staticmethod
    def _in_grid_units(plan: DensityPlan, args: _Prepared) -> tuple[_Prepared, NDArray[np.float64]]:
        """The same with exponents in grid units, and Å a grid step (3, 3)."""
        orth, fractional, reciprocal, amplitude, inverse, radius = args
        per_step = plan.orth / np.array(plan.shape)
        form = density_aniso.grid_forms(inverse, per_step)
        return (orth, fractional, reciprocal, amplitude.astype(np.float32), form, radius), per_step

    def _scratch(self, plan: DensityPlan, args: _Prepared) -> NDArray[np.float32]:
        """Memory for the loops over isotropic atoms, a row for each share of the work."""
        step = float(np.linalg.norm(plan.orth[:, 2])) / plan.shape[2]
        width = int(2.0 * float(args[5].max()) / step) + 3 * LANES
        n_gauss = args[3].shape[1]
        return np.empty((shares(plan.shape[0], self.ready), 6 * GAUSSIANS + (3 * n_gauss + 6) * width), np.float32)

    @staticmethod
    def _check_rows(plan: DensityPlan, radius: NDArray[np.float64]) -> None:
        step = np.linalg.norm(plan.orth[:, 2]) / plan.shape[2]
        if len(radius) and 2.0 * radius.max() / step + 1 > MAX_ROW:
            raise NumericalError("An atom's density is wider than the grid kernels allow; its B value is too large.")

    def spread(self, plan: DensityPlan, atoms: Scatterers) -> NDArray[np.float32]:
        """Density of the atoms on the plan's grid (nu, nv, nw) float32, e/Å³, blur included."""
        index, args = self._isotropic(plan, atoms)
        if len(index):
            grid = memory.empty("map", plan.shape, np.float32)
            density_iso.spread(grid, *args, self._scratch(plan, args))
        else:
            grid = memory.zeros("map", plan.shape, np.float32, self.ready)
        index, args, reach2 = self._anisotropic(plan, atoms)
        if len(index):
            density_aniso.spread(grid, *self._in_grid_units(plan, args)[0], reach2, SLAB)
        return grid

    def spread_tangent(
        self,
        plan: DensityPlan,
        atoms: Scatterers,
        v_xyz: NDArray[np.float64],
        v_b: NDArray[np.float64],
        v_u: NDArray[np.float64] | None = None,
        v_weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float32]:
        """J v of the density: its change for shifts v_xyz (n, 3), v_b (n,), v_u (n, 6), v_weight (n,)."""
        grid = memory.zeros("map", plan.shape, np.float32, self.ready)
        relative = np.zeros(len(atoms.weight))
        if v_weight is not None:
            np.divide(v_weight, atoms.weight, out=relative, where=atoms.weight != 0.0)
        index, args = self._isotropic(plan, atoms)
        if len(index):
            scratch = self._scratch(plan, args)
            density_iso.spread_tangent(grid, *args, scratch, v_xyz[index], v_b[index], relative[index])
        index, args, _ = self._anisotropic(plan, atoms)
        if len(index):
            shift_u = np.zeros((len(index), 6)) if v_u is None else v_u[index]
            tangent_aniso.spread_tangent(grid, *args, SLAB, v_xyz[index], shift_u, relative[index])
        return grid

    def gather(
        self, plan: DensityPlan, atoms: Scatterers, dmap: NDArray[np.float32], want_weight: bool = False
    ) -> DensityGradient:
        """Jᵀ of the density: Σ_r dmap(r) ∂ρ(r)/∂p for every atom."""
        n = len(atoms.weight)
        xyz, b_iso, u_aniso, weight = np.zeros((n, 3)), np.zeros(n), np.zeros((n, 6)), np.zeros(n)
        index, args = self._isotropic(plan, atoms)
        if len(index):
            out = np.zeros((len(index), 3)), np.zeros(len(index)), np.zeros(len(index))
            gather_iso.gather(dmap, *args, self._scratch(plan, args), want_weight, *out)
            xyz[index], b_iso[index], weight[index] = out
        index, args, reach2 = self._anisotropic(plan, atoms)
        if len(index):
            scaled, per_step = self._in_grid_units(plan, args)
            m = len(index)
            by_x, by_u, by_q = np.zeros((m, 3)), np.zeros((m, 3, 3)), np.zeros(m)
            density_aniso.gather(dmap, *scaled, reach2, by_x, by_u, by_q)
            xyz[index], u_aniso[index] = density_aniso.to_cartesian(by_x, by_u, per_step)
            weight[index] = by_q
        np.divide(weight, atoms.weight, out=weight, where=atoms.weight != 0.0)
        return DensityGradient(xyz, b_iso, u_aniso, weight)

    def map_to_hkl(self, plan: FourierPlan, density: NDArray[np.float32]) -> NDArray[np.complex128]:
        """Structure factors (n,) of the crystal from the density of its asymmetric unit."""
        half = transforms.forward(density, transforms.columns(plan), self.ready)
        self.use(0.02 * len(plan.hkl) * len(plan.rotations))
        out = np.empty(len(plan.hkl), np.complex128)
        fourier.extract(half, plan.hkl, plan.rotations, plan.translations24, plan.factor, out)
        return out

    def hkl_to_map(self, plan: FourierPlan, gradient: NDArray[np.complex128]) -> NDArray[np.float32]:
        """Adjoint of :meth:`map_to_hkl`: dL/dρ on the grid from dL/dF (n,) = ∂L/∂Re F + i ∂L/∂Im F."""
        self.use(0.02 * len(plan.hkl) * len(plan.rotations))
        half = memory.empty("spectrum", (plan.shape[0], *transforms.columns(plan)), np.complex64)
        fourier.insert(half, plan.hkl, plan.rotations, plan.translations24, plan.factor, gradient)
        return transforms.backward(half, plan.shape, self.ready)

    def direct_summation(
        self, plan: DensityPlan, fourier_plan: FourierPlan, atoms: Scatterers, n_centring: int
    ) -> NDArray[np.complex128]:
        """The same structure factors by exact summation over atoms, float64 (slow)."""
        self.use(WORTHWHILE)
        out = np.empty(len(fourier_plan.hkl), np.complex128)
        direct.structure_factors(
            fourier_plan.hkl, plan.frac, fourier_plan.rotations, fourier_plan.translations24 / 24.0,
            atoms.xyz @ plan.frac.T, plan.gauss_a, plan.gauss_b, atoms.b_iso, atoms.u_aniso, atoms.is_aniso,
            atoms.weight, atoms.kind, out,
        )
        return out * n_centring
