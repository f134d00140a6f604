"""SIRAS of a data set: the derivative's scale, sites placed and refined, derivatives of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crystals import ELEMENTS, make_crystal, scatter_atoms, smallest_b

from gpurefine.backend import create
from gpurefine.backend.ops_derivative import ScalePlace, site_waves
from gpurefine.forward.density import plan_transform
from gpurefine.io.anomalous import imaginary_gaussians
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import reflection_flags, unique_hkl
from gpurefine.model.anomalous import Derivative
from gpurefine.model.friedel import FriedelPairs
from gpurefine.model.reflections import Reflections
from gpurefine.target.derivative_scale import scale_columns
from gpurefine.target.heavy_sites import wave_slopes
from gpurefine.target.siras import SirasLikelihood, plan_siras
from helpers import check_gradient

SITES = np.array([[0.21, 0.13, 0.37, 25.0, 0.8], [0.62, 0.44, 0.08, 35.0, 0.5]])


@pytest.fixture(scope="module")
def case() -> tuple[SirasLikelihood, Any, Any]:
    """A small crystal with two xenon sites that are given at another origin and with wrong B and q."""
    backend = create("cpu", 2)
    crystal = make_crystal("P 21 21 21", 24.0)
    hkl = unique_hkl(crystal, 2.4)
    centric, epsilon = reflection_flags(crystal, hkl)
    rng = np.random.default_rng(5)
    atoms = scatter_atoms(crystal, 150, 4, aniso=0.0, b_range=(12.0, 50.0))
    transform = plan_transform(backend, crystal, hkl, smallest_b(atoms), atoms.kind, *xray_gaussians(ELEMENTS))
    s2, n = crystal.inv_d2(hkl), len(hkl)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    a, b = xray_gaussians(["Xe"])
    f_second = np.array([7.4, 7.4])
    given = SITES.copy()
    given[:, :3] = SITES[:, :3] + np.array([0.5, 0.0, 0.5]) + 0.004
    given[:, 3], given[:, 4] = 20.0, 1.0
    nothing = np.full(n, np.nan)
    derivative = Derivative(
        FriedelPairs(nothing, nothing, nothing, nothing, ()), given, ("Xe", "Xe"), np.repeat(a, 2, 0),
        np.repeat(b, 2, 0), f_second,
    )
    k = 2.0 * np.exp(-2.0 * s2)
    model = k * transform.structure_factors(atoms)
    error = 0.2 * np.sqrt(np.mean(np.abs(model) ** 2)) * np.exp(-s2)
    error = error * np.where(centric, rng.normal(size=n) + 0j, normal(n))
    phase = np.divide(model, np.abs(model), out=np.ones_like(model), where=np.abs(model) > 0.0)
    true = 0.95 * model + np.where(centric, error.real * phase, error)
    reflections = Reflections(
        hkl, s2, centric, epsilon, np.abs(true + 0.3 * normal(n)), np.full(n, 0.3), rng.random(n) < 0.15
    )
    likelihood = plan_siras(backend, crystal, reflections, derivative)
    heavy, second = (k * x for x in likelihood.scattering.structure_factors(SITES, np.zeros(0)))
    mates = [np.abs(true + heavy + sign * 1j * second + 0.6 * normal(n)) for sign in (1.0, -1.0)]
    # the derivative has a scale and an anisotropy of its own
    scale = 3.0 * np.exp(0.5 * s2 - 2.0 * (hkl @ crystal.frac)[:, 0] ** 2)
    plus, minus = (f * scale for f in mates)
    minus[centric] = np.nan
    sigma = 0.6 * scale
    pairs = FriedelPairs(plus, sigma, minus, np.where(centric, np.nan, sigma), ())
    likelihood = plan_siras(backend, crystal, reflections, replace(derivative, pairs=pairs))
    imaginary = plan_transform(
        backend, crystal, hkl, smallest_b(atoms), atoms.kind, *imaginary_gaussians(np.zeros(len(ELEMENTS)))
    )
    return likelihood, np.stack([model, k * imaginary.structure_factors(atoms)]), (true, scale)


@pytest.fixture(scope="module")
def fitted(case: Any) -> Any:
    likelihood, f_total, _ = case
    one = np.ones(f_total.shape[1])
    return likelihood.fit(f_total, one, None)


def test_sites_are_placed_and_refined_and_the_scale_found(case: Any, fitted: Any) -> None:
    likelihood, f_total, (true, scale) = case
    offset = fitted.sites[:, :3] - SITES[:, :3]
    # the origin may be any that P 21 21 21 permits, both sites at the same
    assert (np.abs(2.0 * offset - np.round(2.0 * offset)) < 0.02).all()
    np.testing.assert_allclose(offset[0] - np.round(offset[0]), offset[1] - np.round(offset[1]), atol=0.02)
    assert fitted.sites[0, 4] / fitted.sites[1, 4] == pytest.approx(1.6, rel=0.15)
    values = likelihood.values(fitted, np.ones(f_total.shape[1]))
    np.testing.assert_allclose(values.scale * scale, 1.0, atol=0.08)
    assert (values.variances[3] > 0.5).all() and likelihood.uses_free
    maps = likelihood.coefficients(values, f_total)
    acentric = ~likelihood.reflections.centric

    def mean_error(f: Any) -> float:
        weight = np.abs(true[acentric])
        return float((weight * np.abs(np.angle(f * true.conj()))[acentric]).sum() / weight.sum())

    best = maps.fwt - maps.delfwt
    assert mean_error(best) < 0.8 * mean_error(f_total[0])
    assert [c.labels[0] for c in maps.extra] == ["FAN", "DELFAN"]
    assert (maps.fom <= 1.0).all() and np.isfinite(maps.fwt).all()
    assert not maps.extra[0].values[~acentric].any()


def test_gradient_of_the_rows_and_of_the_sites(case: Any, fitted: Any) -> None:
    likelihood, f_total, _ = case
    one = np.ones(f_total.shape[1])
    values = likelihood.values(fitted, one)
    index = np.arange(0, f_total.shape[1], 211)
    given = likelihood.evaluate(values, f_total, index, True)
    here, g = f_total[:, index], given.gradient[:, index]

    def value(x: Any) -> float:
        moved = f_total.copy()
        moved[:, index] = x.reshape(2, -1, 2) @ np.array([1.0, 1.0j])
        return float(likelihood.evaluate(values, moved, index, False).minus_ll.sum())

    check_gradient(value, np.stack([g.real, g.imag], -1).ravel(), np.stack([here.real, here.imag], -1).ravel(), 1e-3)
    assert (given.information >= 0.0).all()
    sites = fitted.sites
    plan = likelihood.scattering.plan
    waves, by_xyz = site_waves(plan, sites), wave_slopes(plan, sites)
    shifted = sites.copy()
    shifted[0, 1] += 1e-5
    back = sites.copy()
    back[0, 1] -= 1e-5
    change = (site_waves(plan, shifted) - site_waves(plan, back)) / 2e-5
    np.testing.assert_allclose(by_xyz[0, 1], change[0], atol=1e-5 * np.abs(by_xyz[0]).max())
    assert not change[1].any() and waves.shape == (2, f_total.shape[1])


def test_scale_of_a_derivative(backend: Any) -> None:
    """Recovered with its anisotropy, with the symmetry of the crystal, whatever some outliers are."""
    crystal = make_crystal("P 4", 20.0)
    hkl = unique_hkl(crystal, 2.5)
    columns = scale_columns(crystal, hkl)
    np.testing.assert_allclose(columns[:, 1], columns[:, 2])
    np.testing.assert_allclose(columns[:, 1:4].sum(axis=1), crystal.inv_d2(hkl))
    rng = np.random.default_rng(1)
    calculated = np.exp(rng.normal(3.0, 0.4, len(hkl)))
    truth = np.array([0.7, 1.0, 1.0, -2.0, 0.0, 0.0, 0.0])
    observed = calculated * np.exp(-columns @ truth + rng.normal(0.0, 0.05, len(hkl)))
    observed[::50] *= 10.0
    index = np.flatnonzero(rng.random(len(hkl)) < 0.9)
    f_total = np.exp(2j * np.pi * rng.random((2, len(hkl)))) * calculated
    place, parts = ScalePlace(index, columns[index], observed[index]), (0.25 * f_total, 0.75 * f_total)
    found = backend.fit_derivative(place, *map(backend.keep, parts))
    defined = create("reference").fit_derivative(place, *parts)
    np.testing.assert_allclose(columns @ found, columns @ defined, atol=1e-9)
    np.testing.assert_allclose(columns @ found, columns @ truth, atol=0.06)
    scale = backend.derivative_scale(columns, found, backend.keep(f_total))
    np.testing.assert_allclose(np.asarray(scale), np.exp(columns @ found), rtol=1e-12)
