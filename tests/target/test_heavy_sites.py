"""Structure factors of heavy-atom sites in closed form, and sites that come back from where they were moved."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
from crystals import make_crystal

from gpurefine.backend import create
from gpurefine.backend.ops_derivative import SitePlan
from gpurefine.io.symmetry import unique_hkl
from gpurefine.target.heavy_sites import LEAST_Q, STEP_B, STEP_Q, STEP_XYZ, SiteScattering

SITES = np.array([[0.21, 0.13, 0.37, 25.0, 0.8], [0.62, 0.44, 0.08, 35.0, 0.5]])
CRYSTAL = make_crystal("P 21 21 21", 24.0)


@pytest.fixture(scope="module")
def scattering() -> SiteScattering:
    hkl = unique_hkl(CRYSTAL, 3.0)
    s2 = CRYSTAL.inv_d2(hkl)
    form = np.array([54.0, 80.0])[:, None] * np.exp(-25.0 * s2)
    plan = SitePlan(hkl, s2, form, np.array([7.0, 10.0]), CRYSTAL.rotations, CRYSTAL.translations)
    return SiteScattering(create("reference"), plan, CRYSTAL.cell[:3])


def test_closed_form(scattering: SiteScattering) -> None:
    """Every symmetry mate as gemmi moves it."""
    plan = scattering.plan
    f, f_second = scattering.structure_factors(SITES, np.zeros(0))
    group = gemmi.SpaceGroup("P 21 21 21")
    expected, second = np.zeros((2, len(f)), complex)
    for k, (x, y, z, b, q) in enumerate(SITES):
        for op in group.operations():
            wave = q * np.exp(-b * plan.inv_d2 / 4 + 2j * np.pi * (plan.hkl @ op.apply_to_xyz([x, y, z])))
            expected += plan.form[k] * wave
            second += plan.f_second[k] * wave
    np.testing.assert_allclose(f, expected, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(f_second, second, atol=1e-9 * np.abs(second).max())


def data(scattering: SiteScattering, sites: Any, index: Any, v: tuple[float, float]) -> tuple[Any, Any]:
    """Gradient and information of Σ |F′ − F′_true|²/v + |F″ − F″_true|²/w of the reflections ``index``."""
    here, true = (scattering.structure_factors(s, np.zeros(0))[:, index] for s in (sites, SITES))
    weight = np.array([[1.0 / v[0]], [1.0 / v[1]]])
    return 2.0 * (here - true) * weight, np.repeat(4.0 * weight, len(index), axis=1)


@pytest.mark.parametrize("v", [(40.0, 1e12), (1e12, 10.0), (40.0, 10.0)], ids=["real", "imaginary", "both"])
def test_moved_sites_come_back(scattering: SiteScattering, v: tuple[float, float]) -> None:
    """Scoring steps of a quadratic target: quadratic convergence, from every other reflection."""
    index = np.arange(0, len(scattering.plan.hkl), 2)
    sites = SITES + np.array([[0.01, -0.008, 0.006, 6.0, -0.1], [-0.006, 0.01, 0.005, -7.0, 0.12]])
    left = []
    for _ in range(6):
        sites = scattering.refined(sites, index, *data(scattering, sites, index, v))
        left.append(float(np.abs((sites - SITES) / [0.01, 0.01, 0.01, 10.0, 0.1]).max()))
    assert left[2] < 0.05 and left[5] < 1e-4


def test_steps_are_short_and_sites_stay_possible(scattering: SiteScattering) -> None:
    index = np.arange(len(scattering.plan.hkl))
    rng = np.random.default_rng(0)
    gradient = 1e6 * (rng.normal(size=(2, len(index))) + 1j * rng.normal(size=(2, len(index))))
    for sites in (SITES, np.array([[0.2, 0.1, 0.3, 2.5, 1e-3], [0.6, 0.4, 0.1, 149.0, 1.0]])):
        moved = scattering.refined(sites, index, gradient, np.full((2, len(index)), 1e-3))
        shift = np.abs(moved - sites)
        assert (shift[:, :3] * CRYSTAL.cell[:3] <= STEP_XYZ + 1e-9).all() and (shift[:, 3] <= STEP_B + 1e-9).all()
        assert (shift[:, 4] <= STEP_Q * np.maximum(sites[:, 4], 2 * LEAST_Q * sites[:, 4].max()) + 1e-9).all()
        assert (moved[:, 3] >= 2.0).all() and (moved[:, 3] <= 150.0).all()
        assert (moved[:, 4] >= LEAST_Q * moved[:, 4].max()).all()
