"""SAD of a data set: error model, derivatives of every model row, refined f″, maps that show what lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_pairs import D_DELTA, TRUE, D, s_delta, s_shared, simulated

from gpurefine.backend import create
from gpurefine.model.friedel import FriedelPairs
from gpurefine.target.sad import SadLikelihood, plan_sad
from helpers import check_gradient


def test_known_error_model_is_recovered() -> None:
    likelihood, f_total, k = simulated()
    assert likelihood.uses_free and likelihood.n_model == 2
    errors = likelihood.fit(f_total, k, None)
    values = likelihood.values(errors, k)
    s2 = likelihood.reflections.inv_d2
    assert abs(values.d - D).max() < 0.05 and abs(np.mean(values.factors[1]) - D_DELTA) < 0.03
    assert abs(np.mean(np.log(values.s / (s_shared(s2) * k**2)))) < 0.03
    assert abs(np.mean(np.log(values.variances[1] / (s_delta(s2) * k**2)))) < 0.15
    assert abs(np.log(values.variances[1] / (s_delta(s2) * k**2))).max() < 0.6
    again = likelihood.fit(f_total, k, errors)
    np.testing.assert_allclose(again.factors, errors.factors, atol=0.02)


def test_derivatives_of_every_row() -> None:
    """Σ(−LL) against F_total of all rows, at fixed errors: pairs, single mates, centric ones, bare means."""
    likelihood, f_total, k = simulated(n=1_000, refined=(True, False))
    errors = replace(likelihood.fit(f_total, k, None), multiplier=np.array([0.7, 1.0]))
    values = likelihood.values(errors, k)
    bare = np.flatnonzero(likelihood.unpaired)[:3]
    index = np.unique(np.concatenate([np.arange(0, 1_000, 97), bare]))

    def value(x: Any) -> float:
        moved = f_total.copy()
        moved[:, index] = x.reshape(3, -1, 2) @ np.array([1.0, 1.0j])
        return float(likelihood.evaluate(values, moved, index, False).minus_ll.sum())

    given = likelihood.evaluate(values, f_total, index, True)
    here = f_total[:, index]
    g = given.gradient[:, index]
    check_gradient(value, np.stack([g.real, g.imag], -1).ravel(), np.stack([here.real, here.imag], -1).ravel(), 1e-3)
    others = np.setdiff1d(np.arange(1_000), index)
    assert not given.gradient[:, others].any() and (given.information >= 0.0).all()
    assert not given.gradient[1:, bare].any() and not given.information[1:, bare].any()
    np.testing.assert_allclose(given.information[1], 0.7**2 * given.information[2])


def test_maps() -> None:
    """The anomalous difference map has the phases of F″; the gradient map those of the part that the model lacks."""
    likelihood, f_total, k = simulated(n=6_000, refined=(False, False))
    lacking = f_total.copy()
    lacking[2] = 0.0
    values = likelihood.values(likelihood.fit(lacking, k, None), k)
    maps = likelihood.coefficients(values, lacking)
    assert [c.labels for c in maps.extra] == [("FAN", "PHAN"), ("DELFAN", "PHDELAN")]

    def correlation(a: Any, b: Any) -> float:
        return float(np.vdot(a, b).real / np.sqrt(np.vdot(a, a).real * np.vdot(b, b).real))

    paired = np.isfinite(likelihood.f_obs).all(axis=0)
    fan, lack = (np.where(paired, c.values, 0.0) for c in maps.extra)
    whole = np.where(paired, f_total[1] + f_total[2], 0.0)
    assert correlation(fan, whole) > 0.4
    assert correlation(lack, f_total[2]) > 0.3 and abs(correlation(lack, f_total[1])) < 0.1
    assert not fan[~paired].any()
    assert (maps.fom >= 0.0).all() and (maps.fom <= 1.0).all() and 0.5 < maps.fom.mean() < 1.0
    r = likelihood.reflections
    times = np.where(r.centric, 1.0, 2.0)[r.observed]
    np.testing.assert_allclose(
        maps.fwt[r.observed] - times * maps.delfwt[r.observed], (values.d * lacking[0])[r.observed]
    )
    half = np.arange(6_000) < 3_000
    r = replace(likelihood.reflections, f=np.where(half, likelihood.f_mean, np.nan))
    f, sigma = np.where(half, likelihood.f_obs, np.nan), np.where(half, likelihood.sigma, np.nan)
    pairs = FriedelPairs(f[0], sigma[0], f[1], sigma[1], ())
    seen = plan_sad(create("cpu", 1), r, pairs, np.array([False, False])).coefficients(values, lacking)
    np.testing.assert_allclose(seen.fwt[~half], (values.d * lacking[0])[~half])
    assert not seen.delfwt[~half].any() and not seen.extra[0].values[~half].any()
    np.testing.assert_allclose(seen.fwt[half & paired], maps.fwt[half & paired])


def test_phases_are_better_than_the_model_s() -> None:
    """With a poor model of F′ and a good one of F″, the centroid phases lie nearer to the truth than the model's."""
    likelihood, f_total, k = simulated(n=6_000, error=1.5)
    values = likelihood.values(likelihood.fit(f_total, k, None), k)
    maps = likelihood.coefficients(values, f_total)
    weight = maps.fom * likelihood.f_mean * ~likelihood.reflections.centric

    def mean_error(f: Any) -> float:
        return float((weight * np.abs(np.angle(f * TRUE[0].conj()))).sum() / weight.sum())

    best = maps.delfwt + values.d * f_total[0]
    assert mean_error(best) < 0.85 * mean_error(f_total[0])
    # and the figure of merit is the mean cosine of the error
    at = maps.fom > 0.0
    assert np.mean(np.cos(np.angle(best * TRUE[0].conj())[at])) == pytest.approx(np.mean(maps.fom[at]), abs=0.03)
    assert isinstance(likelihood, SadLikelihood)
    second = np.where(likelihood.unpaired, 0.0, 1j * f_total[1])
    mates = np.abs(f_total[0] + second), np.abs(f_total[0] - second)
    np.testing.assert_allclose(likelihood.amplitudes(values, f_total), 0.5 * (mates[0] + mates[1]))


def test_a_single_mate_gives_f_without_its_anomalous_part() -> None:
    """What stays of F″ in the best F′ of reflections of which one mate was measured is nothing on average."""
    likelihood, f_total, k = simulated(n=6_000, error=0.2)
    values = likelihood.values(likelihood.fit(f_total, k, None), k)
    maps = likelihood.coefficients(values, f_total)
    measured = np.isfinite(likelihood.f_obs)
    one = (measured.sum(axis=0) == 1) & ~likelihood.unpaired & ~likelihood.reflections.centric
    sign = np.where(measured[0], 1.0, -1.0)[one]
    best = (maps.delfwt + values.d * f_total[0])[one]
    part = 1j * sign * f_total[1, one]
    left = np.vdot(part, best - TRUE[0][one]).real / np.vdot(part, part).real
    assert one.sum() > 300 and abs(left) < 0.08
