"""The reference backend's density and Fourier operations: plain NumPy in float64, one atom at a time.

These define what the fast backends must return: same cut-off sphere, same Gaussians, no approximation of
the exponential, FFT in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...constants import VOIGT
from ..gaussians import anisotropic_gaussians, isotropic_gaussians
from ..plans import DensityGradient, DensityPlan, FourierPlan, Scatterers

F64 = NDArray[np.float64]


def _sphere(plan: DensityPlan, centre: F64, radius: float) -> tuple[tuple[NDArray[np.int64], ...], F64]:
    """Grid indices (wrapped) and Cartesian vectors r − centre (k, 3) of the points within ``radius``."""
    shape = np.array(plan.shape)
    frac = plan.frac @ centre
    extent = radius * np.linalg.norm(plan.frac, axis=1)
    axes = [
        np.arange(np.ceil((frac[i] - extent[i]) * shape[i]), np.floor((frac[i] + extent[i]) * shape[i]) + 1)
        for i in range(3)
    ]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    vector = (index / shape - frac) @ plan.orth.T
    inside = np.einsum("ij,ij->i", vector, vector) <= radius**2
    wrapped = np.mod(index[inside].astype(np.int64), shape)
    return (wrapped[:, 0], wrapped[:, 1], wrapped[:, 2]), vector[inside]


def _tensor(six: F64) -> F64:
    full = np.empty((3, 3))
    for k, (i, j) in enumerate(VOIGT):
        full[i, j] = full[j, i] = six[k]
    return full


class DensityOps:
    """Spreading, gathering and Fourier transforms in vectorised NumPy."""

    def _atoms(self, plan: DensityPlan, atoms: Scatterers):  # type: ignore[no-untyped-def]
        """Yield (atom, points, vectors, per-Gaussian densities (g, k), per-Gaussian Σ⁻¹ (g, 3, 3))."""
        for aniso in (False, True):
            index = np.flatnonzero(atoms.is_aniso == aniso)
            if len(index) == 0:
                continue
            if aniso:
                amplitude, inverse, radius = anisotropic_gaussians(plan, atoms, index)
            else:
                amplitude, alpha, radius = isotropic_gaussians(plan, atoms, index)
                inverse = 2.0 * alpha[:, :, None, None] * np.eye(3)
            for row, atom in enumerate(index):
                points, vector = _sphere(plan, atoms.xyz[atom], radius[row])
                exponent = 0.5 * np.einsum("ki,gij,kj->gk", vector, inverse[row], vector)
                yield atom, points, vector, amplitude[row][:, None] * np.exp(-exponent), inverse[row]

    def spread(self, plan: DensityPlan, atoms: Scatterers) -> F64:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        grid = np.zeros(plan.shape)
        for _, points, _, density, _ in self._atoms(plan, atoms):
            np.add.at(grid, points, density.sum(axis=0))
        return grid

    def _tangents(self, atoms: Scatterers, atom: int, vector: F64, density: F64, inverse: F64):  # type: ignore[no-untyped-def]
        """∂ρ/∂x (k, 3), ∂ρ/∂B (k,), ∂ρ/∂U (k, 6) with both off-diagonal elements moved, ρ/q (k,)."""
        pulled = np.einsum("gij,kj->gki", inverse, vector)
        by_xyz = np.einsum("gk,gki->ki", density, pulled)
        outer = 0.5 * np.einsum("gk,gki,gkj->kij", density, pulled, pulled)
        by_tensor = outer - 0.5 * np.einsum("gk,gij->kij", density, inverse)
        by_b = np.trace(by_tensor, axis1=1, axis2=2) / (8.0 * np.pi**2)
        by_u = np.stack([by_tensor[:, i, j] * (1.0 if i == j else 2.0) for i, j in VOIGT], axis=1)
        weight = atoms.weight[atom]
        return by_xyz, by_b, by_u, density.sum(axis=0) / weight if weight != 0.0 else np.zeros(len(vector))

    def spread_tangent(
        self, plan: DensityPlan, atoms: Scatterers, v_xyz: F64, v_b: F64, v_u: F64 | None = None,
        v_weight: F64 | None = None,
    ) -> F64:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        grid = np.zeros(plan.shape)
        for atom, points, vector, density, inverse in self._atoms(plan, atoms):
            by_xyz, by_b, by_u, by_weight = self._tangents(atoms, atom, vector, density, inverse)
            change = by_xyz @ v_xyz[atom]
            if not atoms.is_aniso[atom]:
                change = change + by_b * v_b[atom]
            elif v_u is not None:
                change = change + by_u @ v_u[atom]
            if v_weight is not None:
                change = change + by_weight * v_weight[atom]
            np.add.at(grid, points, change)
        return grid

    def gather(
        self, plan: DensityPlan, atoms: Scatterers, dmap: F64, want_weight: bool = False
    ) -> DensityGradient:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        n = len(atoms.weight)
        xyz, b_iso, u_aniso, weight = np.zeros((n, 3)), np.zeros(n), np.zeros((n, 6)), np.zeros(n)
        for atom, points, vector, density, inverse in self._atoms(plan, atoms):
            by_xyz, by_b, by_u, by_weight = self._tangents(atoms, atom, vector, density, inverse)
            d = np.asarray(dmap[points], np.float64)
            xyz[atom] = d @ by_xyz
            if atoms.is_aniso[atom]:
                u_aniso[atom] = d @ by_u
            else:
                b_iso[atom] = d @ by_b
            weight[atom] = d @ by_weight
        return DensityGradient(xyz, b_iso, u_aniso, weight)

    def _positions(self, plan: FourierPlan):  # type: ignore[no-untyped-def]
        """For each operation the grid index of hR and its phase factor exp(2πi h·t)."""
        shape = np.array(plan.shape)
        for rotation, translation in zip(plan.rotations, plan.translations24, strict=True):
            index = np.mod(plan.hkl @ rotation, shape)
            phase = np.exp(2j * np.pi * (plan.hkl @ translation) / 24.0)
            yield (index[:, 0], index[:, 1], index[:, 2]), phase

    def map_to_hkl(self, plan: FourierPlan, density: F64) -> NDArray[np.complex128]:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        full = np.conj(np.fft.fftn(density))
        total = np.zeros(len(plan.hkl), np.complex128)
        for index, phase in self._positions(plan):
            total += full[index] * phase
        return total * plan.factor

    def hkl_to_map(self, plan: FourierPlan, gradient: NDArray[np.complex128]) -> F64:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        full = np.zeros(plan.shape, np.complex128)
        for index, phase in self._positions(plan):
            np.add.at(full, index, np.conj(gradient) * plan.factor * phase)
        return np.asarray(np.fft.ifftn(full, norm="forward").real)

    def direct_summation(
        self, plan: DensityPlan, fourier_plan: FourierPlan, atoms: Scatterers, n_centring: int
    ) -> NDArray[np.complex128]:
        """See :class:`gpurefine.backend.ops.DensityOps`."""
        frac = plan.frac
        s2 = np.einsum("ij,ij->i", fourier_plan.hkl @ frac, fourier_plan.hkl @ frac)
        form = np.einsum("cg,cgn->cn", plan.gauss_a, np.exp(-0.25 * plan.gauss_b[:, :, None] * s2))
        out = np.zeros(len(fourier_plan.hkl), np.complex128)
        for rotation, translation in zip(fourier_plan.rotations, fourier_plan.translations24, strict=True):
            turned = fourier_plan.hkl @ rotation
            s = turned @ frac
            for k in range(len(atoms.weight)):
                if atoms.is_aniso[k]:
                    damping = np.exp(-2.0 * np.pi**2 * np.einsum("ni,ij,nj->n", s, _tensor(atoms.u_aniso[k]), s))
                else:
                    damping = np.exp(-0.25 * atoms.b_iso[k] * s2)
                phase = turned @ (frac @ atoms.xyz[k]) + (fourier_plan.hkl @ translation) / 24.0
                out += atoms.weight[k] * form[atoms.kind[k]] * damping * np.exp(2j * np.pi * phase)
        return out * n_centring
