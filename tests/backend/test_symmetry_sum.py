"""The symmetry sum in reciprocal space: phases of equivalent reflections, absences, adjoint."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
from crystals import make_crystal, rms, small

from gpurefine.backend import create
from gpurefine.forward.density import fourier_plan
from gpurefine.io.symmetry import gemmi_group
from gpurefine.model.grid import choose_grid
from helpers import check_adjoint, precision

TOLERANCE = {"single": 1e-5, "double": 1e-10}


@pytest.mark.parametrize("hm", ["P 1 21 1", "P 43 21 2", "P 31 2 1", "P 65", "I 21 3", "R 3 2:H", "F 2 3", "I 41 2 2"])
def test_equivalent_reflections_differ_by_the_phase_of_the_translation(backend: Any, hm: str) -> None:
    """F(hR) = F(h) exp(−2πi h·t) for every operation x' = Rx + t, centred copies included."""
    crystal = make_crystal(hm, 16.0)
    grid = choose_grid(crystal, 1.0)
    rng = np.random.default_rng(0)
    density = rng.random(grid.shape)
    hkl = rng.integers(-5, 6, (40, 3)).astype(np.int32)

    def transform(h: Any) -> Any:
        plan = fourier_plan(crystal, grid.shape, np.ascontiguousarray(h, np.int32), 0.0)
        copy = density.astype(np.float32) if precision(backend) == "single" else density
        return np.asarray(backend.map_to_hkl(plan, copy.copy()))

    absent = np.asarray(gemmi_group(crystal).operations().systematic_absences(hkl), bool)
    f = transform(hkl)
    size = rms(f[~absent])
    # centring absences are no matter of this sum: such reflections are not listed
    centred = np.abs(np.exp(2j * np.pi * hkl @ crystal.translations[:: crystal.n_primitive].T).mean(axis=1)) < 0.5
    assert np.abs(f[absent & ~centred]).max(initial=0.0) < 1e-5 * size
    for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
        expected = f[~centred] * np.exp(-2j * np.pi * hkl[~centred] @ translation)
        assert rms(transform(hkl[~centred] @ rotation) - expected) < 1e-5 * size


def test_screw_axis_extinguishes(backend: Any) -> None:
    """0k0 with odd k in P 21, 00l with l not a multiple of 6 in P 65: there are no such reflections."""
    for hm, hkl in (("P 1 21 1", [[0, 3, 0]]), ("P 65", [[0, 0, 1], [0, 0, 3], [0, 0, 4]]), ("P 43 21 2", [[5, 0, 0]])):
        case = small(backend, hm, 20.0, 2.5, 20, seed=1)
        shape = case.transform.density_plan.shape
        absent = fourier_plan(case.crystal, shape, np.array(hkl, np.int32), case.transform.density_plan.blur)
        size = rms(case.transform.structure_factors(case.atoms))
        density = backend.spread(case.transform.density_plan, case.atoms)
        assert np.abs(np.asarray(backend.map_to_hkl(absent, density))).max() < 1e-6 * size
        assert np.asarray(gemmi.SpaceGroup(hm).operations().systematic_absences(np.array(hkl))).all()


@pytest.mark.parametrize("hm", ["P 1", "P 43 21 2", "C 1 2 1", "I 21 3"])
def test_adjoint_of_the_fourier_sum(backend: Any, hm: str) -> None:
    case = small(backend, hm, 14.0, 2.5, 5, seed=2)
    plan = case.transform.fourier_plan
    kind = np.float32 if precision(backend) == "single" else np.float64
    rng = np.random.default_rng(3)
    density = rng.normal(size=plan.shape).astype(kind)
    w = rng.normal(size=len(case.hkl)) + 1j * rng.normal(size=len(case.hkl))
    check_adjoint(
        lambda x: np.asarray(backend.map_to_hkl(plan, x.copy())), lambda y: backend.hkl_to_map(plan, y), density, w,
        TOLERANCE[precision(backend)],
    )


def test_the_gradient_of_a_real_sum_is_what_the_convention_says(backend: Any) -> None:
    """L = Σ Re(F)·a + Im(F)·b has ∂L/∂ρ = hkl_to_map(a + ib): one grid point against the definition."""
    case = small(backend, "P 21 21 21", 12.0, 2.5, 5, seed=3)
    plan = case.transform.fourier_plan
    kind = np.float32 if precision(backend) == "single" else np.float64
    rng = np.random.default_rng(4)
    g = rng.normal(size=len(case.hkl)) + 1j * rng.normal(size=len(case.hkl))
    point = np.zeros(plan.shape, kind)
    point[3, 5, 2] = 1.0
    f = np.asarray(backend.map_to_hkl(plan, point))
    expected = float(np.sum(f.real * g.real + f.imag * g.imag))
    assert np.asarray(backend.hkl_to_map(plan, g))[3, 5, 2] == pytest.approx(expected, rel=1e-4)


def test_backends_agree_on_the_fourier_sum() -> None:
    reference, cpu = create("reference"), create("cpu", 2)
    case = small(cpu, "R 3 2:H", 30.0, 2.0, 5, seed=5)
    plan = case.transform.fourier_plan
    rng = np.random.default_rng(6)
    density = rng.random(plan.shape)
    f = reference.map_to_hkl(plan, density)
    assert rms(cpu.map_to_hkl(plan, density.astype(np.float32)) - f) < 2e-6 * rms(f)
    back = reference.hkl_to_map(plan, f)
    assert rms(cpu.hkl_to_map(plan, f) - back) < 2e-6 * rms(back)
