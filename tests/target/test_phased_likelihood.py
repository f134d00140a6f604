"""Amplitudes with prior phases on a list of reflections: without them Rice, with sharp ones their phases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.model.reflections import Reflections
from gpurefine.target.phase_information import phase_summary
from gpurefine.target.phased import PhasedLikelihood, plan_phased
from gpurefine.target.rice import plan_rice

D = 0.85


def true_s(inv_d2: Any) -> Any:
    return 500.0 * np.exp(-4.0 * inv_d2)


def simulated(n: int = 6000, seed: int = 0) -> tuple[Reflections, Any, Any, Any]:
    """Reflections, F_total (1, n), the true F and the phase (n,) that centric ones may have; 3 was not measured."""
    rng = np.random.default_rng(seed)
    inv_d2 = np.sort(rng.random(n) ** (2.0 / 3.0) * 0.2 + 0.002)
    centric = rng.random(n) < 0.1
    axis = np.where(rng.random(n) < 0.5, 0.0, 0.5 * np.pi)

    def normal() -> Any:
        z = rng.normal(size=n) + 1j * rng.normal(size=n)
        return np.where(centric, z.real * np.exp(1j * axis), z * np.sqrt(0.5))

    fc = 40.0 * np.exp(-inv_d2) * normal()
    true = D * fc + np.sqrt(true_s(inv_d2)) * normal()
    f, sigma = np.abs(true + 2.0 * normal()), np.full(n, 1.5)
    f[3] = sigma[3] = np.nan
    free = rng.random(n) < 0.2
    free[:4] = False
    r = Reflections(np.zeros((n, 3), np.int32), inv_d2, centric, np.ones(n), f, sigma, free)
    return r, fc[None], true, np.where(centric, axis, np.nan)


def prior_of(phase: Any, strength: float, centric: Any) -> Any:
    """(n, 4) coefficients of a distribution about ``phase`` (n,)."""
    x = np.where(centric, 0.5, 1.0) * strength
    return np.stack([x * np.cos(phase), x * np.sin(phase), 0.0 * x, 0.0 * x], axis=1)


@pytest.fixture(scope="module")
def case() -> Any:
    r, f_total, true, allowed = simulated()
    noisy = np.angle(true) + np.where(r.centric, 0.0, 0.4 * np.random.default_rng(9).normal(size=len(r)))
    likelihood = plan_phased(create("cpu", 2), r, prior_of(noisy, 6.0, r.centric))
    return likelihood, f_total, true, allowed, likelihood.fit(f_total, np.ones(len(r)), None)


def test_without_prior_phases_it_is_rice() -> None:
    r, f_total, _, _ = simulated(2000, 1)
    ones = np.ones(len(r))
    phased, rice = plan_phased(create("cpu", 2), r, np.zeros((len(r), 4))), plan_rice(create("cpu", 2), r)
    assert phased.uses_free == rice.uses_free and phased.scale_target(None, None) is phased.f_obs
    errors, expected = phased.fit(f_total, ones, None), rice.fit(f_total, ones, None)
    np.testing.assert_allclose(errors.d, expected.d, atol=1e-5)
    np.testing.assert_allclose(errors.log_s, expected.log_s, atol=1e-4)
    values = rice.values(expected, ones)
    index = np.flatnonzero(r.work)[::2].copy()
    one, other = (x.evaluate(values, f_total, index, True) for x in (phased, rice))
    np.testing.assert_allclose(one.gradient, other.gradient, atol=1e-6)
    np.testing.assert_allclose(np.ptp(np.asarray(one.minus_ll - other.minus_ll)[~r.centric[index]]), 0.0, atol=1e-6)
    maps, same = phased.coefficients(values, f_total), rice.coefficients(values, f_total)
    np.testing.assert_allclose(maps.fwt, same.fwt, atol=1e-4)
    np.testing.assert_allclose(maps.delfwt, same.delfwt, atol=1e-4)
    np.testing.assert_allclose(maps.fom, same.fom, atol=1e-5)


def test_error_model_is_recovered_with_phases(case: Any) -> None:
    likelihood, f_total, _, _, errors = case
    inv_d2 = likelihood.reflections.inv_d2
    values = likelihood.values(errors, np.full(len(inv_d2), 0.5))
    assert np.abs(np.asarray(values.d) - D).mean() < 0.03
    assert np.abs(np.log(np.asarray(values.s) / 0.25 / true_s(inv_d2))).mean() < 0.15  # fifty a shell
    # a model of the same amplitudes and wrong phases is refuted by the prior alone
    wrong = likelihood.fit(f_total * np.exp(2j), np.ones(len(inv_d2)), None)
    assert wrong.d.mean() < 0.6 * errors.d.mean()


def test_derivatives(case: Any) -> None:
    likelihood, f_total, _, _, errors = case
    values = likelihood.values(errors, np.ones(len(likelihood.reflections)))
    index = np.array([7, 20, 21, 500, 900, 2000])
    gradient, h = np.asarray(likelihood.evaluate(values, f_total, index, True).gradient)[0], 1e-3
    assert gradient[8] == 0.0

    def value(f: Any) -> float:
        return float(np.asarray(likelihood.evaluate(values, f, index, False).minus_ll).sum())

    for k in index.tolist():
        for direction in (1.0, 1j):
            if likelihood.reflections.centric[k]:
                continue
            step = np.zeros_like(f_total)
            step[0, k] = h * direction
            slope = (value(f_total + step) - value(f_total - step)) / (2.0 * h)
            assert float((np.conj(gradient[k]) * direction).real) == pytest.approx(slope, abs=1e-5, rel=1e-3)


def test_maps_and_combined_phases(case: Any) -> None:
    likelihood, f_total, true, allowed, errors = case
    r = likelihood.reflections
    values = likelihood.values(errors, np.ones(len(r)))
    found = likelihood.coefficients(values, f_total)
    model = np.asarray(values.d) * f_total[0]
    combined, phase = found.extra
    assert combined.labels == ("HLACOMB", "HLBCOMB", "HLCCOMB", "HLDCOMB") and combined.types == "AAAA"
    assert phase.labels == ("PHCOMB",) and phase.types == "P"
    # nothing was measured of 3
    assert found.fom[3] == 0.0 and found.delfwt[3] == 0.0 and found.fwt[3] == model[3]
    assert np.isnan(combined.values[3]).all() and np.isnan(phase.values[3])
    at = r.observed & ~r.centric
    told = phase_summary(np.nan_to_num(combined.values), allowed)
    np.testing.assert_allclose(told.fom[at], found.fom[at], atol=2e-3)
    best = 0.5 * (found.fwt + model)
    np.testing.assert_allclose(np.abs(best[at]), (found.fom * r.f)[at], rtol=1e-6)
    np.testing.assert_allclose(np.angle(best * np.exp(-1j * np.radians(phase.values)))[at], 0.0, atol=1e-6)
    centric = r.observed & r.centric
    np.testing.assert_allclose(found.delfwt[centric], (found.fwt - model)[centric], atol=1e-9)
    # the figure of merit is what it claims, and better than either source alone
    error = np.angle(best * np.conj(true))[at]
    assert np.cos(error).mean() == pytest.approx(found.fom[at].mean(), abs=0.02)
    assert np.cos(error).mean() > np.cos(np.angle(f_total[0] * np.conj(true)))[at].mean() + 0.03


def test_sharp_phases_win(case: Any) -> None:
    likelihood, f_total, true, _, errors = case
    r = likelihood.reflections
    sharp: PhasedLikelihood = plan_phased(likelihood.backend, r, prior_of(np.angle(true) + 1.0, 1e3, r.centric))
    found = sharp.coefficients(sharp.values(errors, np.ones(len(r))), f_total)
    at = r.observed & ~r.centric
    assert found.fom[at].min() > 0.9
    off = np.angle(np.exp(1j * (np.radians(found.extra[1].values) - np.angle(true) - 1.0)))[at]
    assert np.abs(off).max() < 0.3 and np.abs(off).mean() < 0.02
