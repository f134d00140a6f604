"""The grid chosen is the cheapest that keeps the error of F in bounds."""

from __future__ import annotations

import numpy as np
import pytest
from crystals import ELEMENTS, make_crystal, rms, scatter_atoms

from gpurefine.backend import create
from gpurefine.forward.density import plan_transform
from gpurefine.forward.sampling import SAMPLINGS, choose_sampling
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import unique_hkl

D_MIN = 2.0


def chosen(n: int, b: float) -> tuple[float, float]:
    """Grid points per d_min/2 and blur for ``n`` scatterers of one B and little width of their own."""
    crystal = make_crystal("P 1", 40.0)
    found = choose_sampling(
        crystal, D_MIN, np.full(n, b), np.zeros(n, np.int32), np.array([[6.0]]), np.array([[1.0]])
    )
    reciprocal = np.linalg.norm(crystal.frac, axis=1)
    return 0.5 * D_MIN * float((reciprocal * found.shape).min()), found.blur


def test_many_atoms_want_a_finer_grid_than_few() -> None:
    few, many = chosen(30, 10.0), chosen(30_000, 10.0)
    assert SAMPLINGS[0] <= few[0] < many[0]
    assert few[1] > many[1] > 0.0


def test_soft_atoms_want_a_coarse_grid_without_blur() -> None:
    assert chosen(3000, 80.0) == (pytest.approx(SAMPLINGS[0], rel=0.1), 0.0)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_grid_keeps_the_tolerance(sampling: float) -> None:
    crystal = make_crystal("P 21 21 21", 26.0)
    hkl = unique_hkl(crystal, D_MIN)
    atoms = scatter_atoms(crystal, 100, 3, aniso=0.0)
    transform = plan_transform(
        create("cpu", 1), crystal, hkl, atoms.b_iso, atoms.kind, *xray_gaussians(ELEMENTS), (sampling,)
    )
    exact = transform.direct_summation(atoms)
    difference = transform.structure_factors(atoms) - exact
    s2 = crystal.inv_d2(hkl)
    outer = s2 >= np.quantile(s2, 0.9)
    assert rms(difference) <= 1e-4 * rms(exact)
    assert rms(difference[outer]) <= 1e-3 * rms(exact[outer])
