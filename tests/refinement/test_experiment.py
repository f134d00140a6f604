"""The whole chain of one data set: atoms → F → solvent and scale → likelihood → gradient, and its bits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from crystals import ELEMENTS, make_crystal, scatter_atoms

from gpurefine.backend import create
from gpurefine.backend.plans import Scatterers
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import reflection_flags, unique_hkl
from gpurefine.model.reflections import Reflections
from gpurefine.refinement.experiment import Experiment
from gpurefine.refinement.maps import map_coefficients
from gpurefine.refinement.timing import Timer
from gpurefine.target.rice import plan_rice
from helpers import precision

N = 30


def experiment(backend: Any, hm: str = "P 21 21 21", solvent: str = "mask", length: float = 22.0) -> tuple[Any, Any]:
    """Data of slightly moved atoms with a little solvent, fitted once; atoms away from the truth."""
    crystal = make_crystal(hm, length)
    hkl = unique_hkl(crystal, 2.2)
    centric, epsilon = reflection_flags(crystal, hkl)
    rng = np.random.default_rng(3)
    atoms = scatter_atoms(crystal, N, 4, aniso=0.3, b_range=(12.0, 50.0))
    n = len(hkl)
    reflections = Reflections(
        hkl, crystal.inv_d2(hkl), centric, epsilon, np.ones(n), np.ones(n), rng.random(n) < 0.1
    )
    form_factors = xray_gaussians(ELEMENTS)
    def build(data: Reflections) -> Experiment:
        mask_atoms = (np.arange(N), np.full(N, 2.5))
        likelihood = plan_rice(backend, data)
        return Experiment(
            backend, crystal, data, likelihood, [form_factors], mask_atoms, "smooth", solvent, 0.8, Timer()
        )

    truth = replace(atoms, xyz=atoms.xyz + rng.normal(scale=0.15, size=(N, 3)))
    start = build(reflections)
    f_true = np.asarray(start.structure_factors(truth))[0]
    if start.mask is not None:
        f_mask = np.asarray(start.mask.structure_factors(truth.xyz)[0])
        f_true = f_true + 0.35 * np.exp(-12.0 * reflections.inv_d2) * f_mask
    f = 2.3 * np.exp(-3.0 * reflections.inv_d2) * np.abs(f_true)
    f = np.maximum(f * (1.0 + 0.05 * rng.normal(size=n)), 0.0)
    missing = rng.random(n) < 0.05
    f[missing] = np.nan
    data = replace(
        reflections, f=f, sigma=np.where(missing, np.nan, 0.03 * f + 0.5), free=reflections.free & ~missing
    )
    result = build(data)
    f_protein = result.structure_factors(atoms)
    result.update(atoms, f_protein)
    return result, atoms


def shifted(atoms: Scatterers, x: Any) -> Scatterers:
    """Atoms moved by the parameter vector (xyz, B)."""
    return replace(atoms, xyz=atoms.xyz + x[: 3 * N].reshape(N, 3), b_iso=atoms.b_iso + x[3 * N :])


TOLERANCE = {"double": 1e-6, "single": 2e-3}
STEP = {"double": 2e-4, "single": 4e-3}


@pytest.mark.parametrize("solvent", ["mask", "none", "both"])
def test_gradient_of_the_whole_chain(backend: Any, solvent: str) -> None:
    """Central differences of Σ(−LL) at fixed scale, mask and error model, along random directions.

    The cut-off is taken away, since the sphere of points that an atom covers would otherwise change with its B and
    make the differences noisy, which is no error of the gradient.  Single precision needs a longer step.
    """
    ex, atoms = experiment(backend, solvent=solvent)
    plain = ex.transform(atoms)
    ex._transforms = (replace(plain, density_plan=replace(plain.density_plan, cutoff=1e-12)),)
    slope, information = ex.linearise(atoms, ex.structure_factors(atoms))
    gradient = np.concatenate([slope.xyz.ravel(), slope.b_iso])
    rng = np.random.default_rng(6)
    for kind in ("xyz", "b"):
        v = np.zeros(4 * N)
        v[slice(0, 3 * N) if kind == "xyz" else slice(3 * N, 4 * N)] = rng.normal(size=3 * N if kind == "xyz" else N)
        v[3 * N :][atoms.is_aniso] = 0.0
        # steps are of the size of the quantity's own scale: B in tens of Å²
        h = STEP[precision(backend)] * (1.0 if kind == "xyz" else 10.0)

        def value(t: float, v: Any = v) -> float:
            return ex.value(ex.structure_factors(shifted(atoms, t * v)))

        expected = (8.0 * (value(h) - value(-h)) - value(2.0 * h) + value(-2.0 * h)) / (12.0 * h)
        size = float(np.linalg.norm(gradient * (v != 0.0)) * np.linalg.norm(v) / np.sqrt(np.count_nonzero(v)))
        assert abs(gradient @ v - expected) < TOLERANCE[precision(backend)] * size, kind
    assert (np.linalg.eigvalsh(information.xyz) > 0.0).all() and (information.b_iso > 0.0).all()


def test_fit_explains_the_data(backend: Any) -> None:
    ex, atoms = experiment(backend)
    r = ex.reflections
    amplitude = ex.amplitudes()
    r_work = np.abs(r.f - amplitude)[ex.work].sum() / r.f[ex.work].sum()
    assert r_work < 0.35
    work, free = ex.agreement()
    assert work.r == pytest.approx(r_work) and r_work < free.r < 0.6
    plain = amplitude / np.asarray(ex.fit.scaled.k_iso)
    assert work.r_plain == pytest.approx(np.abs(r.f - plain)[ex.work].sum() / r.f[ex.work].sum())
    total = np.asarray(ex.total(ex.structure_factors(atoms)))
    np.testing.assert_allclose(total, np.asarray(ex.fit.scaled.total), rtol=1e-9)
    assert ex.value(ex.structure_factors(atoms)) == pytest.approx(
        float(np.asarray(ex.evaluate(ex.structure_factors(atoms), ex.work, True).minus_ll).sum())
    )


def test_free_reflections_pull_on_nothing() -> None:
    """The gradient is the same whatever the free amplitudes are, at the same error model."""
    ex, atoms = experiment(create("cpu", 2))
    before, _ = ex.linearise(atoms, ex.structure_factors(atoms))
    ex.likelihood.f_obs[ex.free] *= 3.0
    after, _ = ex.linearise(atoms, ex.structure_factors(atoms))
    assert np.array_equal(before.xyz, after.xyz) and np.array_equal(before.b_iso, after.b_iso)


def test_maps_follow_the_rules() -> None:
    """2mFo−DFc for acentric, mFo for centric, DFc where nothing was measured; no difference there."""
    ex, atoms = experiment(create("cpu", 2))
    maps = map_coefficients(ex, ex.structure_factors(atoms))
    r, fit = ex.reflections, ex.fit
    calculated = fit.values.d * fit.scaled.total[0]
    missing = ~r.observed
    assert missing.any() and r.centric.any()
    np.testing.assert_allclose(maps.fwt[missing], calculated[missing])
    assert not maps.delfwt[missing].any() and not maps.fom[missing].any()
    direction = fit.scaled.total[0] / np.abs(fit.scaled.total[0])
    measured = maps.fom * np.where(missing, 0.0, r.f) * direction
    acentric, centric = r.observed & ~r.centric, r.observed & r.centric
    np.testing.assert_allclose(maps.fwt[acentric], (2.0 * measured - calculated)[acentric], rtol=1e-9)
    np.testing.assert_allclose(maps.fwt[centric], measured[centric], rtol=1e-9)
    np.testing.assert_allclose(maps.delfwt[r.observed], (measured - calculated)[r.observed], rtol=1e-9)
    assert ((maps.fom >= 0.0) & (maps.fom <= 1.0)).all()


@pytest.mark.parametrize("hm", ["I 21 3", "C 1 2 1"])
def test_same_input_same_bits(hm: str) -> None:
    """Twice from scratch: scale, error model, gradient and curvature agree to the last bit."""
    results = []
    for _ in range(2):
        ex, atoms = experiment(create("cpu", 2), hm, length=34.0)
        slope, information = ex.linearise(atoms, ex.structure_factors(atoms))
        results.append((
            ex.fit.scaled.total, ex.fit.values.d, ex.fit.values.s, slope.xyz, slope.b_iso, information.xyz,
            information.b_iso, np.array(ex.value(ex.structure_factors(atoms))),
        ))
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)


def test_falling_b_replans_the_grid() -> None:
    """An atom sharper than planned needs more blur: F stays accurate."""
    ex, atoms = experiment(create("cpu", 2))
    sharp = replace(atoms, b_iso=np.where(np.arange(N) == 2, 2.0, atoms.b_iso))
    f = ex.structure_factors(sharp)
    exact = ex.transform(sharp).direct_summation(sharp)
    assert np.linalg.norm(f - exact) < 2e-4 * np.linalg.norm(exact)
