"""D and Σ_mod by maximum likelihood: recovered from simulated data, from the free set, smooth, and at a maximum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.target.sigmaa import MIN_FREE, SigmaA, SigmaAEstimator, plan_sigmaa


def true_d(s2: Any) -> Any:
    return 0.98 - 1.5 * s2


def true_s(s2: Any) -> Any:
    return 900.0 * np.exp(-6.0 * s2)


def simulated(n: int = 24_000, seed: int = 0, free_share: float = 0.06, overfit: float = 1.0) -> dict[str, Any]:
    """Amplitudes drawn from F = D F_c + error; ``overfit`` scales the error of the working reflections."""
    rng = np.random.default_rng(seed)
    inv_d2 = np.sort(rng.random(n) ** (2.0 / 3.0) * 0.25 + 0.002)
    epsilon = np.where(rng.random(n) < 0.05, 2.0, 1.0)
    centric = rng.random(n) < 0.1
    k_aniso = np.exp(rng.normal(0.0, 0.2, n))
    fc = 40.0 * np.sqrt(epsilon) * np.exp(-2.0 * inv_d2) * np.sqrt(rng.exponential(size=n)) * k_aniso
    free = rng.random(n) < free_share
    variance = epsilon * true_s(inv_d2) * k_aniso**2 * np.where(free, 1.0, overfit)
    noise = rng.normal(size=n) + 1j * rng.normal(size=n)
    noise = np.where(centric, noise.real, noise * np.sqrt(0.5)) * np.sqrt(variance)
    sigma = np.full(n, 2.0)
    error = rng.normal(size=n) + 1j * np.where(centric, 0.0, rng.normal(size=n))
    # 2σ² of the measurement enters the acentric variance, σ² the centric one
    f_obs = np.abs(true_d(inv_d2) * fc + noise + error * sigma)
    return {
        "f_obs": f_obs, "sigma": sigma, "epsilon": epsilon, "centric": centric, "inv_d2": inv_d2, "work": ~free,
        "free": free, "fc": fc, "k_aniso": k_aniso,
    }


def estimator(data: dict[str, Any], backend: Any = None) -> SigmaAEstimator:
    names = ("f_obs", "sigma", "epsilon", "centric", "inv_d2", "work", "free")
    return plan_sigmaa(backend or create("cpu", 2), *(data[name] for name in names))


@pytest.mark.parametrize(("free_share", "accuracy"), [(0.5, 0.07), (0.06, 0.1)])
def test_known_error_model_is_recovered(backend: Any, free_share: float, accuracy: float) -> None:
    """Many free reflections determine Σ_mod well; fifty a shell know it to 1/√50, and D follows its error."""
    data = simulated(free_share=free_share)
    found = estimator(data, backend).fit(data["fc"], data["k_aniso"], None)
    d, s = found.on(data["inv_d2"])
    np.testing.assert_allclose(d, true_d(data["inv_d2"]), atol=accuracy)
    assert np.abs(np.mean(d - true_d(data["inv_d2"]))) < 0.02
    ratio = np.log(s / true_s(data["inv_d2"]))
    assert np.abs(ratio).max() < 6.0 * accuracy
    assert np.abs(np.mean(ratio)) < 0.08


def test_variance_comes_from_the_free_set() -> None:
    """Working reflections whose error was fitted away do not make Σ small; without a free set they do, and it says so.

    D is then a little low and Σ a little high, since the D of the working set is sought at the Σ of the free set.
    """
    data = simulated(overfit=0.25)
    plan = estimator(data)
    assert plan.uses_free
    _, s = plan.fit(data["fc"], data["k_aniso"], None).on(data["inv_d2"])
    assert -0.05 < np.mean(np.log(s / true_s(data["inv_d2"]))) < 0.5
    blind = estimator({**data, "work": np.ones_like(data["work"]), "free": np.zeros_like(data["free"])})
    assert not blind.uses_free
    _, s = blind.fit(data["fc"], data["k_aniso"], None).on(data["inv_d2"])
    assert np.mean(np.log(s / true_s(data["inv_d2"]))) < -0.8
    few = np.zeros_like(data["free"])
    few[np.flatnonzero(data["free"])[: MIN_FREE - 1]] = True
    assert not estimator({**data, "free": few, "work": ~few}).uses_free


def total(plan: SigmaAEstimator, data: dict[str, Any], index: Any, at: SigmaA) -> float:
    d, s = at.on(data["inv_d2"][index])
    return float(
        plan.backend.rice_sigmaa(
            data["f_obs"][index], data["sigma"][index], data["fc"][index], d, s * data["k_aniso"][index] ** 2,
            data["epsilon"][index], data["centric"][index],
        ).minus_ll.sum()
    )


def test_result_is_a_maximum_of_the_likelihood() -> None:
    """Moving any D (work) or ln Σ (free) away lowers the likelihood, but for the little that smoothing holds it."""
    data = simulated(n=8000, free_share=0.1)
    plan = estimator(data)
    best = plan.fit(data["fc"], data["k_aniso"], None)
    for k in range(len(best.knots)):
        for name, index, step in (("d", plan.work, 0.06), ("log_s", plan.estimate, 0.6)):
            base = total(plan, data, index, best)
            for sign in (-1.0, 1.0):
                moved = getattr(best, name).copy()
                moved[k] += sign * step
                assert total(plan, data, index, replace(best, **{name: moved})) > base


def test_gradient_of_the_knots_by_central_differences() -> None:
    """The step's gradient through the interpolation: hats carry it to the knots."""
    from gpurefine.target.shells import Hats

    data = simulated(n=4000, free_share=0.1)
    plan = estimator(data)
    at = plan.start(data["fc"], data["k_aniso"])
    index = plan.estimate
    hats = Hats.of(data["inv_d2"][index], plan.knots)
    d, s = at.on(data["inv_d2"][index])
    np.testing.assert_allclose(hats.value(at.d), d)
    result = plan.backend.rice_sigmaa(
        data["f_obs"][index], data["sigma"][index], data["fc"][index], d, s * data["k_aniso"][index] ** 2,
        data["epsilon"][index], data["centric"][index],
    )
    for name, slopes in (("d", result.d_d), ("log_s", result.d_log_s)):
        gradient = hats.gradient(slopes)
        h = 1e-4
        for k in (0, 3, len(plan.knots) - 1):
            values = []
            for sign in (-1.0, 1.0):
                moved = getattr(at, name).copy()
                moved[k] += sign * h
                values.append(total(plan, data, index, replace(at, **{name: moved})))
            assert gradient[k] == pytest.approx((values[1] - values[0]) / (2.0 * h), rel=1e-5, abs=1e-3)


def test_warm_start_ends_where_a_cold_one_does() -> None:
    data = simulated()
    plan = estimator(data)
    cold = plan.fit(data["fc"], data["k_aniso"], None)
    warm = plan.fit(data["fc"], data["k_aniso"], cold)
    np.testing.assert_allclose(warm.d, cold.d, atol=0.01)
    np.testing.assert_allclose(warm.log_s, cold.log_s, atol=0.05)


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e6])
def test_any_scale_of_the_data(scale: float) -> None:
    data = simulated(n=6000)
    at = {**data, **{name: scale * data[name] for name in ("f_obs", "sigma", "fc")}}
    a = estimator(data).fit(data["fc"], data["k_aniso"], None)
    b = estimator(at).fit(at["fc"], at["k_aniso"], None)
    np.testing.assert_allclose(b.d, a.d, atol=0.01)
    np.testing.assert_allclose(b.log_s, a.log_s + 2.0 * np.log(scale), atol=0.02)


@pytest.mark.parametrize("n", [1, 2, 30, 120])
def test_hardly_any_reflections(n: int) -> None:
    """One knot or two: no crash, finite numbers, D between 0 and its ceiling."""
    data = simulated(n=n, free_share=0.0)
    found = estimator(data).fit(data["fc"], data["k_aniso"], None)
    assert np.isfinite(found.d).all() and np.isfinite(found.log_s).all() and (found.d > 0.0).all()


def test_perfect_and_worthless_models() -> None:
    data = simulated(n=6000)
    perfect = {**data, "f_obs": data["fc"] + 1e-6}
    found = estimator(perfect).fit(data["fc"], data["k_aniso"], None)
    assert np.isfinite(found.log_s).all() and np.abs(found.d - 1.0).max() < 0.05
    rng = np.random.default_rng(3)
    random = {**data, "f_obs": 30.0 * np.sqrt(rng.exponential(size=6000))}
    found = estimator(random).fit(data["fc"], data["k_aniso"], None)
    assert found.d.max() < 0.35
