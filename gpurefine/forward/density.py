"""From atoms to structure factors: the choice of grid, blur and cut-off, and the transform itself (method 1)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..backend.ops import Backend
from ..backend.ops_reflections import Array
from ..backend.plans import DensityGradient, DensityPlan, FourierPlan, Scatterers
from ..constants import EIGHT_PI2
from ..model.crystal import Crystal
from .form_factors import shortened
from .sampling import CUTOFF, POINT_SHARPNESS, SAMPLINGS, SHARPNESS, choose_sampling


@dataclass(frozen=True, slots=True, eq=False)
class AtomicTransform:
    """Structure factors of a model by FFT, and everything that is transposed or differentiated from that.

    ``density_plan`` and ``fourier_plan`` say how; ``exact_plan`` has the full form factors; ``backend`` performs it.
    """

    backend: Backend
    density_plan: DensityPlan
    exact_plan: DensityPlan
    fourier_plan: FourierPlan
    n_centring: int

    def structure_factors(self, atoms: Scatterers) -> NDArray[np.complex128]:
        """F (n_refl,) of the atoms, in electrons, on the host."""
        return np.asarray(self.own_structure_factors(atoms))

    def own_structure_factors(self, atoms: Scatterers) -> Array:
        """The same where the backend works."""
        return self.backend.map_to_hkl(self.fourier_plan, self.backend.spread(self.density_plan, atoms))

    def tangent(
        self, atoms: Scatterers, v_xyz: NDArray[np.float64], v_b: NDArray[np.float64],
        v_u: NDArray[np.float64] | None = None, v_weight: NDArray[np.float64] | None = None,
    ) -> NDArray[np.complex128]:
        """J v (n_refl,): the change of F for shifts of positions (n, 3), B (n,), U (n, 6), weights (n,)."""
        density = self.backend.spread_tangent(self.density_plan, atoms, v_xyz, v_b, v_u, v_weight)
        return np.asarray(self.backend.map_to_hkl(self.fourier_plan, density))

    def adjoint(
        self, atoms: Scatterers, gradient: Array, want_weight: bool = False
    ) -> DensityGradient:
        """Jᵀ g: dL/dp of every atom from dL/dF (n_refl,) = ∂L/∂Re F + i ∂L/∂Im F."""
        dmap = self.backend.hkl_to_map(self.fourier_plan, gradient)
        return self.backend.gather(self.density_plan, atoms, dmap, want_weight)

    def normal_product(
        self, atoms: Scatterers, weight: NDArray[np.float64], v_xyz: NDArray[np.float64], v_b: NDArray[np.float64]
    ) -> DensityGradient:
        """Jᵀ W J v with W (n_refl,) ≥ 0 acting on real and imaginary parts alike; nothing is stored."""
        return self.adjoint(atoms, weight * self.tangent(atoms, v_xyz, v_b))

    def direct_summation(self, atoms: Scatterers) -> NDArray[np.complex128]:
        """The same F (n_refl,) by exact summation, float64; slow."""
        return self.backend.direct_summation(self.exact_plan, self.fourier_plan, atoms, self.n_centring)


def fourier_plan(crystal: Crystal, shape: tuple[int, int, int], hkl: NDArray[np.int32], blur: float) -> FourierPlan:
    """Plan of the symmetry sum for reflections ``hkl`` (n, 3) on a grid of ``shape``."""
    primitive = slice(0, crystal.n_primitive)
    element = crystal.volume / float(np.prod(shape))
    return FourierPlan(
        shape=shape,
        hkl=np.ascontiguousarray(hkl, np.int32),
        rotations=np.ascontiguousarray(crystal.rotations[primitive], np.int32),
        translations24=np.rint(crystal.translations[primitive] * 24.0).astype(np.int32),
        factor=element * crystal.n_centring * np.exp(0.25 * blur * crystal.inv_d2(hkl)),
    )


def plan_transform(
    backend: Backend,
    crystal: Crystal,
    hkl: NDArray[np.int32],
    b_iso: NDArray[np.float64],
    kind: NDArray[np.int32],
    gauss_a: NDArray[np.float64],
    gauss_b: NDArray[np.float64],
    samplings: tuple[float, ...] = SAMPLINGS,
    sharpness: float = SHARPNESS,
    cutoff: float = CUTOFF,
) -> AtomicTransform:
    """Choose grid, blur and cut-off for reflections ``hkl`` (n, 3) and atoms of B ``b_iso`` (n_atom,) Å².

    ``kind`` (n_atom,) are the atoms' rows of the form factors ``gauss_a``/``gauss_b`` (n_scatterer, n_gauss), in any
    unit and of any sign; atoms whose amplitudes are all 0 (f″ of carbon, say) cost nothing.  Of anisotropic atoms
    ``b_iso`` is 8π² times the smallest eigenvalue of U.
    """
    d_min = float(1.0 / np.sqrt(crystal.inv_d2(hkl).max()))
    if not gauss_b.any():
        sharpness *= POINT_SHARPNESS
    short_a, short_b = shortened(gauss_a, gauss_b, 1.0 / d_min)
    chosen = choose_sampling(crystal, d_min, b_iso, kind, short_a, short_b, samplings, sharpness, cutoff)
    exact = DensityPlan(chosen.shape, crystal.orth, gauss_a, gauss_b, chosen.blur, chosen.cutoff)
    plan = replace(exact, gauss_a=short_a, gauss_b=short_b)
    fourier = fourier_plan(crystal, chosen.shape, hkl, chosen.blur)
    return AtomicTransform(backend, plan, exact, fourier, crystal.n_centring)


def smallest_b(atoms: Scatterers) -> NDArray[np.float64]:
    """B (n,) Å² of each atom along its least mobile direction: what a grid is planned for."""
    b = atoms.b_iso.copy()
    if atoms.is_aniso.any():
        full = full_tensors(atoms.u_aniso[atoms.is_aniso])
        b[atoms.is_aniso] = EIGHT_PI2 * np.linalg.eigvalsh(full)[:, 0]
    return b
