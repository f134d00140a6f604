"""The likelihood of a twin on a list of reflections: what is found of simulated data, its derivatives, its maps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.model.measured import TwinInput
from gpurefine.model.reflections import Reflections
from gpurefine.target.twin import TwinLikelihood, TwinValues, plan_twin
from gpurefine.target.twin_groups import plan_groups

ALPHA, D = 0.3, 0.9


def true_s(inv_d2: Any) -> Any:
    return 400.0 * np.exp(-4.0 * inv_d2)


def simulated(n_pair: int = 3000, seed: int = 0, alpha: float = ALPHA) -> tuple[Reflections, TwinInput, Any, Any]:
    """Reflections, laws, F_total (1, n) and the true F (n,): pairs of mates 2k and 2k + 1, every tenth centric."""
    rng = np.random.default_rng(seed)
    n = 2 * n_pair
    inv_d2 = np.repeat(np.sort(rng.random(n_pair) ** (2.0 / 3.0) * 0.2 + 0.002), 2)
    centric = np.repeat(rng.random(n_pair) < 0.1, 2)

    def normal() -> Any:
        z = rng.normal(size=n) + 1j * rng.normal(size=n)
        return np.where(centric, z.real, z * np.sqrt(0.5))

    fc = 40.0 * np.exp(-inv_d2) * normal()
    true = D * fc + np.sqrt(true_s(inv_d2)) * normal()
    square = np.abs(true) ** 2
    pure = (1.0 - alpha) * square + alpha * square.reshape(-1, 2)[:, ::-1].ravel()
    sigma = 0.05 * pure + 20.0
    intensity = pure + sigma * rng.normal(size=n)
    free = np.repeat(rng.random(n_pair) < 0.2, 2)
    f = np.sqrt(np.maximum(intensity, 0.2 * sigma))
    r = Reflections(
        np.zeros((n, 3), np.int32), inv_d2, centric, np.ones(n), f, 0.5 * sigma / f, free, intensity, sigma
    )
    index = np.arange(n)
    twin = TwinInput(("law",), np.stack([index, index ^ 1]), index // 2, np.array([0.6, 0.4]))
    return r, twin, fc[None], true


def with_gaps(r: Reflections, twin: TwinInput) -> tuple[Reflections, TwinInput]:
    """0 was not measured; the mate of 2 is not in the list; that of 4 is absent by symmetry; 6 maps onto itself."""
    names = {name: getattr(r, name).copy() for name in ("f", "sigma", "intensity", "sigma_intensity")}
    for values in names.values():
        values[0] = np.nan
    mates = twin.mates.copy()
    mates[1, 2], mates[1, 4], mates[1, 6] = -2, -1, 6
    free = r.free.copy()
    free[:8] = False
    orbit = twin.orbit.copy()
    orbit[[3, 5, 7]] = orbit.max() + 1 + np.arange(3)
    mates[1, [3, 5, 7]] = [3, 5, 7]
    return replace(r, free=free, **names), replace(twin, mates=mates, orbit=orbit)


@pytest.fixture(scope="module")
def case() -> Any:
    r, twin, f_total, true = simulated()
    likelihood = plan_twin(create("cpu", 2), r, twin)
    return likelihood, f_total, true, likelihood.fit(f_total, np.ones(len(r)), None)


def test_error_model_and_fractions_are_recovered(case: Any) -> None:
    likelihood, f_total, _, errors = case
    inv_d2 = likelihood.reflections.inv_d2
    assert likelihood.uses_free
    np.testing.assert_allclose(errors.fractions, [1.0 - ALPHA, ALPHA], atol=0.01)
    values = likelihood.values(errors, np.full(len(inv_d2), 0.5))
    assert np.abs(np.asarray(values.d) - D).mean() < 0.05
    assert np.abs(np.log(np.asarray(values.s) / 0.25 / true_s(inv_d2))).mean() < 0.15
    # later fits leave the fractions to the cycles of the atoms
    moved = replace(errors, fractions=np.array([0.55, 0.45]))
    again = likelihood.fit(f_total, np.ones(len(inv_d2)), moved)
    np.testing.assert_array_equal(again.fractions, moved.fractions)
    np.testing.assert_array_equal(moved.d, errors.d)


def test_sigma_comes_from_the_free_set_and_d_from_the_others() -> None:
    """Test reflections of a model without error make Σ small, and leave D as the working ones have it."""
    r, twin, f_total, _ = simulated(seed=3)
    exact = D * np.abs(f_total[0]) ** 1.0
    square = exact**2
    pure = (1.0 - ALPHA) * square + ALPHA * square.reshape(-1, 2)[:, ::-1].ravel()
    assert r.intensity is not None
    changed = replace(r, intensity=np.where(r.free, pure, r.intensity))
    errors = plan_twin(create("cpu", 2), changed, twin).fit(f_total, np.ones(len(r)), None)
    s = np.exp(np.interp(r.inv_d2, errors.knots, errors.log_s))
    assert np.log(s / true_s(r.inv_d2)).mean() < -1.5 and np.abs(errors.d - D).mean() < 0.08


def test_the_model_may_be_of_the_smaller_domain() -> None:
    r, twin, f_total, _ = simulated(seed=1)
    other = f_total.reshape(1, -1, 2)[:, :, ::-1].reshape(1, -1)
    errors = plan_twin(create("cpu", 2), r, twin).fit(np.ascontiguousarray(other), np.ones(len(r)), None)
    np.testing.assert_allclose(errors.fractions, [ALPHA, 1.0 - ALPHA], atol=0.015)


def test_an_untwinned_crystal_has_the_least_fraction() -> None:
    r, twin, f_total, _ = simulated(seed=2, alpha=0.0)
    errors = plan_twin(create("cpu", 2), r, twin).fit(f_total, np.ones(len(r)), None)
    assert 0.0 < errors.fractions[1] < 0.02 and errors.fractions.sum() == pytest.approx(1.0, abs=1e-12)


def values_of(n: int, fractions: Any = (0.7, 0.3)) -> TwinValues:
    return TwinValues(np.full(n, D), true_s(np.linspace(0.0, 0.2, n)), np.array(fractions))


def test_amplitudes_are_shared_out_among_the_domains() -> None:
    r, twin, f_total, _ = simulated(n_pair=20)
    r, twin = with_gaps(r, twin)
    likelihood, values = plan_twin(create("cpu", 1), r, twin), values_of(40)
    square = np.abs(f_total[0]) ** 2
    whole = 0.7 * square + 0.3 * square[np.maximum(twin.mates[1], 0)] * (twin.mates[1] >= 0)
    np.testing.assert_allclose(likelihood.amplitudes(values, f_total), np.sqrt(whole), rtol=1e-10)
    expected = likelihood.f_obs * np.sqrt(square / whole)
    np.testing.assert_allclose(likelihood.scale_target(f_total, values), expected, rtol=1e-10)
    assert likelihood.f_obs[0] == 0.0 and likelihood.scale_target(None, values) is likelihood.f_obs
    assert likelihood.scale_target(f_total, None) is likelihood.f_obs


def test_groups_share_their_value_and_what_was_not_measured_has_none() -> None:
    r, twin, f_total, _ = simulated(n_pair=20)
    r, twin = with_gaps(r, twin)
    likelihood, values = plan_twin(create("cpu", 1), r, twin), values_of(40)
    index = np.flatnonzero(r.observed)
    found = np.asarray(likelihood.evaluate(values, f_total, index, False).minus_ll)
    at = {int(k): value for k, value in zip(index, found, strict=True)}
    assert at[2] == 0.0 and at[1] != 0.0 and at[4] != 0.0 and 0 not in at
    assert at[8] == pytest.approx(at[9]) and at[10] == pytest.approx(at[11]) and at[8] != pytest.approx(at[10])
    # of one mate alone the other is integrated out, and its value stands at it
    alone = np.asarray(likelihood.evaluate(values, f_total, np.array([8]), False).minus_ll)
    assert alone.shape == (1,) and alone[0] != pytest.approx(at[8])
    # in the order asked for
    backwards = np.asarray(likelihood.evaluate(values, f_total, index[::-1].copy(), False).minus_ll)
    np.testing.assert_allclose(backwards[::-1], found)


def test_derivatives() -> None:
    """By the structure factors, also of mates that are not among those asked for, and by the fractions."""
    r, twin, f_total, _ = simulated(n_pair=20)
    r, twin = with_gaps(r, twin)
    likelihood, values = plan_twin(create("cpu", 1), r, twin), values_of(40)
    index = np.flatnonzero(r.observed & (np.arange(40) != 13))

    def value(f: Any, v: TwinValues = values) -> float:
        return float(np.asarray(likelihood.evaluate(v, f, index, False).minus_ll).sum())

    result = likelihood.evaluate(values, f_total, index, True)
    gradient, h = np.asarray(result.gradient)[0], 1e-3
    for k in (0, 1, 2, 4, 6, 8, 12, 13, 20, 21):
        for direction in (1.0, 1j):
            step = np.zeros_like(f_total)
            step[0, k] = h * direction
            slope = (value(f_total + step) - value(f_total - step)) / (2.0 * h)
            along = float((np.conj(gradient[k]) * direction).real)
            assert along == pytest.approx(slope, abs=2e-5 + 1e-3 * abs(slope)), (k, direction)
    assert gradient[2] == 0.0 and (np.asarray(result.information) >= 0.0).all()
    slopes = np.asarray(likelihood.fraction_slopes(values, f_total, index)).sum(axis=0)
    for d in range(2):
        shift = 1e-4 * np.eye(2)[d]
        up, down = (value(f_total, replace(values, fractions=values.fractions + s * shift)) for s in (1, -1))
        assert slopes[d] == pytest.approx((up - down) / 2e-4, rel=2e-3)


def test_maps_are_of_the_crystals_own_domain(case: Any) -> None:
    likelihood, f_total, true, errors = case
    r = likelihood.reflections
    r = replace(r, f=np.where(np.arange(len(r)) == 5, np.nan, r.f))
    twin = plan_twin(likelihood.backend, r, likelihood.twin)
    values = twin.values(errors, np.ones(len(r)))
    found = twin.coefficients(values, f_total)
    model = np.asarray(values.d) * f_total[0]
    assert found.fom[5] == 0.0 and found.delfwt[5] == 0.0 and found.fwt[5] == model[5]
    acentric = ~r.centric & r.observed
    best = 0.5 * (found.fwt + model)[acentric]
    np.testing.assert_allclose(found.delfwt[acentric], best - model[acentric], atol=1e-9)
    np.testing.assert_allclose(np.angle(best / f_total[0][acentric]), 0.0, atol=1e-9)
    assert ((found.fom >= 0.0) & (found.fom <= 1.0)).all() and 0.5 < found.fom[acentric].mean() < 0.99
    # nearer to the truth than the twinned amplitudes with the model's phases are
    unit = f_total[0] / np.abs(f_total[0])
    error = np.abs(best - true[acentric])
    twinned = np.abs(found.fom * r.f * unit - true)[acentric]
    assert np.sqrt((error**2).mean()) < 0.95 * np.sqrt((twinned**2).mean())


def test_what_changes_is_integrated_anew(case: Any) -> None:
    likelihood, f_total, _, errors = case
    n = len(likelihood.reflections)
    index = likelihood.plain.work
    first, second = (
        likelihood.values(replace(errors, fractions=np.array([1.0 - a, a])), np.ones(n)) for a in (0.3, 0.2)
    )

    def total(values: Any, f: Any) -> float:
        return float(np.asarray(likelihood.evaluate(values, f, index, False).minus_ll).sum())

    a, b, c = total(first, f_total), total(second, f_total), total(first, 0.9 * f_total)
    assert len({a, b, c}) == 3 and total(first, f_total) == a and a < b


@pytest.mark.parametrize("other", [False, True])
def test_first_fractions_lie_between_intensities_and_model(case: Any, other: bool) -> None:
    """Half way from what intensities alone say (0.6, 0.4; which domain, the model tells) to what fits |F|²."""
    likelihood, _, true, _ = case
    swapped = true.reshape(-1, 2)[:, ::-1].ravel() if other else true
    found = likelihood._least_squares(swapped)
    np.testing.assert_allclose(found, [0.35, 0.65] if other else [0.65, 0.35], atol=0.01)


def test_first_step_of_the_fractions_goes_downhill() -> None:
    """Against the slope, by it over the mean square of the groups' slopes; what all fractions share changes nothing."""
    rng, start = np.random.default_rng(1), np.array([0.6, 0.4])
    each = np.stack([rng.normal(size=400), rng.normal(size=400) + 0.15], axis=1)
    moved, slope = TwinLikelihood._moved(start, each, None)
    difference = each[:, 1] - each[:, 0]
    expected = -difference.sum() / (difference**2).sum()
    assert -0.1 < expected < -0.03
    np.testing.assert_allclose(moved - start, [-expected, expected], rtol=1e-4)
    assert slope[0] == pytest.approx(difference.sum())
    same, _ = TwinLikelihood._moved(start, each[:, :1].repeat(2, axis=1), None)
    np.testing.assert_allclose(same, start, atol=1e-12)


def test_groups_with_absent_mates() -> None:
    """Members of each group stand together, groups of a kind too; what is absent is no member."""
    mates = np.array([[0, 1, 2, 3, 4], [3, -1, 4, 0, 2]])
    twin = TwinInput(("law",), mates, np.array([0, 1, 2, 0, 2]), np.array([0.6, 0.4]))
    groups = plan_groups(twin, np.array([True, True, False, False, True]))
    np.testing.assert_array_equal(groups.member, [1, 0, 3, 2, 4])
    np.testing.assert_array_equal(groups.start, [0, 1, 3, 5])
    np.testing.assert_array_equal(groups.mate, [[0, -1], [0, 1], [1, 0], [0, 1], [1, 0]])
    none = plan_groups(twin, np.zeros(5, bool))
    assert len(none.member) == 0 and len(plan_groups(twin, np.arange(5) == 4).member) == 2
