"""Small crystals with random atoms, for tests that need no chemistry."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from gpurefine.backend.ops import Backend
from gpurefine.backend.plans import Scatterers
from gpurefine.constants import EIGHT_PI2
from gpurefine.forward.density import AtomicTransform, plan_transform
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import crystal_from_gemmi, reflection_flags, unique_hkl
from gpurefine.model.crystal import Crystal

ELEMENTS = ("C", "N", "O", "S", "H", "Zn")

SHAPES = {
    "triclinic": (1.0, 1.13, 1.27, 83.0, 97.0, 105.0),
    "monoclinic": (1.0, 1.17, 1.31, 90.0, 103.0, 90.0),
    "orthorhombic": (1.0, 1.21, 1.37, 90.0, 90.0, 90.0),
    "tetragonal": (1.0, 1.0, 1.43, 90.0, 90.0, 90.0),
    "trigonal": (1.0, 1.0, 1.43, 90.0, 90.0, 120.0),
    "hexagonal": (1.0, 1.0, 1.43, 90.0, 90.0, 120.0),
    "cubic": (1.0, 1.0, 1.0, 90.0, 90.0, 90.0),
}


def make_crystal(hm: str, length: float) -> Crystal:
    """The space group in a cell of its system whose shortest edge is ``length`` Å."""
    group = gemmi.SpaceGroup(hm)
    shape = np.array(SHAPES[group.crystal_system_str()])
    shape[:3] *= length
    return crystal_from_gemmi(gemmi.UnitCell(*shape), group)


def scatter_atoms(
    crystal: Crystal, n: int, seed: int = 0, aniso: float = 0.5, b_range: tuple[float, float] = (2.0, 200.0)
) -> Scatterers:
    """Atoms anywhere in the cell, B log-uniform in ``b_range``, the share ``aniso`` of them anisotropic."""
    rng = np.random.default_rng(seed)
    b = np.exp(rng.uniform(*np.log(b_range), n))
    is_aniso = rng.random(n) < aniso
    u = np.zeros((n, 6))
    for a in np.flatnonzero(is_aniso):
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        # principal values up to 1.6 times the mean, and never below the range's lower end
        full = turn @ np.diag(np.maximum(b[a] * rng.uniform(0.5, 1.6, 3), b_range[0])) @ turn.T / EIGHT_PI2
        u[a] = full[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    return Scatterers(
        xyz=rng.random((n, 3)) @ crystal.orth.T,
        b_iso=b,
        u_aniso=u,
        is_aniso=is_aniso,
        weight=rng.uniform(0.3, 1.0, n),
        kind=rng.integers(0, len(ELEMENTS), n).astype(np.int32),
    )


def smallest_b(atoms: Scatterers) -> NDArray[np.float64]:
    """B (n,) along each atom's least mobile direction."""
    index = ((0, 3, 4), (3, 1, 5), (4, 5, 2))
    return np.where(atoms.is_aniso, EIGHT_PI2 * np.linalg.eigvalsh(atoms.u_aniso[:, index])[:, 0], atoms.b_iso)


@dataclass(frozen=True, eq=False)
class Small:
    """A crystal, atoms, reflections (n, 3) with their centric flags and ε, and the transform between them."""

    crystal: Crystal
    atoms: Scatterers
    hkl: NDArray[np.int32]
    centric: NDArray[np.bool_]
    epsilon: NDArray[np.float64]
    transform: AtomicTransform


def small(
    backend: Backend, hm: str, length: float, d_min: float, n: int, seed: int = 0, aniso: float = 0.5,
    b_range: tuple[float, float] = (2.0, 200.0), factors: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
) -> Small:
    """Random atoms in the space group ``hm`` with all reflections to ``d_min`` Å; ``factors``: X-rays by default."""
    crystal = make_crystal(hm, length)
    atoms = scatter_atoms(crystal, n, seed, aniso, b_range)
    hkl = unique_hkl(crystal, d_min)
    a, b = factors or xray_gaussians(ELEMENTS)
    transform = plan_transform(backend, crystal, hkl, smallest_b(atoms), atoms.kind, a, b)
    return Small(crystal, atoms, hkl, *reflection_flags(crystal, hkl), transform)


def rms(values: NDArray[np.complex128] | NDArray[np.float64]) -> float:
    """Root mean square of the absolute values."""
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))
