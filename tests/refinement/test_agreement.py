"""R factors and correlations of one set of reflections, and its shells, in closed form."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.model.reflections import Reflections
from gpurefine.refinement.agreement import plan_agreement, statistics_shells
from gpurefine.refinement.statistics import correlation, r_factor


def simulated(n: int = 900) -> tuple[Reflections, Any, Any]:
    """Reflections, a tenth not observed, with intensities of which many are weak; amplitudes of a model and k_iso."""
    rng = np.random.default_rng(1)
    model = rng.gamma(2.0, 5.0, n)
    intensity = model**2 * rng.uniform(0.7, 1.3, n) + rng.normal(0.0, 20.0, n)
    f = np.sqrt(np.maximum(intensity, 1.0))
    f[rng.random(n) < 0.1] = np.nan
    r = Reflections(
        np.zeros((n, 3), np.int32), rng.uniform(0.0, 0.25, n), np.zeros(n, bool), np.ones(n), f, 0.1 * f,
        np.isfinite(f) & (rng.random(n) < 0.05), intensity, np.full(n, 20.0),
    )
    return r, model, np.exp(rng.normal(0.0, 0.1, n))


def test_against_the_formulas(backend: Any) -> None:
    r, model, k_iso = simulated()
    index = np.flatnonzero(r.work)
    found = plan_agreement(backend, r, index, int(r.free.sum())).measure(model, k_iso)
    x, y, i, sigma = r.f[index], model[index], r.intensity[index], r.sigma_intensity[index]
    assert found.r == pytest.approx(np.abs(x - y).sum() / x.sum())
    assert found.r_plain == pytest.approx(np.abs(x - y / k_iso[index]).sum() / x.sum())
    shell = statistics_shells(r.inv_d2, r.observed, int(r.free.sum()))[index]
    counts = np.bincount(shell)
    assert len(counts) == 3

    def mean(a: Any, b: Any) -> float:
        parts = [np.corrcoef(a[shell == k], b[shell == k])[0, 1] for k in range(len(counts))]
        return float(np.average(parts, weights=counts))

    assert found.cc == pytest.approx(mean(x, y)) and found.cci == pytest.approx(mean(i, y**2))
    strong = i >= 2.0 * sigma
    root = np.sqrt(i[strong])
    assert 0 < strong.sum() < len(i) and found.r1 == pytest.approx(np.abs(root - y[strong]).sum() / root.sum())
    bare = plan_agreement(backend, replace(r, intensity=None, sigma_intensity=None), index, 3).measure(model, k_iso)
    assert bare.r == pytest.approx(found.r) and bare.r1 is None and bare.cci is None


def test_of_nothing_and_of_two() -> None:
    r, model, k_iso = simulated()
    backend = create("cpu", 1)
    nothing = plan_agreement(backend, r, np.zeros(0, np.intp), 50).measure(model, k_iso)
    assert nothing.r is None and nothing.cc is None
    lowest = np.flatnonzero(r.work)[np.argsort(r.inv_d2[r.work])[:2]]
    two = plan_agreement(backend, r, lowest, 50).measure(model, k_iso)
    assert two.r is not None and two.cc is None


def test_of_one_shell() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(3.0, 1.0, 50), rng.normal(5.0, 2.0, 50)
    assert correlation(x, y) == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert correlation(x[:2], y[:2]) is None and correlation(x, np.ones(50)) is None
    assert r_factor(np.array([10.0, 20.0, 30.0]), np.array([12.0, 19.0, 33.0])) == pytest.approx(6.0 / 60.0)
    assert r_factor(x[:0], y[:0]) is None


@pytest.mark.parametrize(("n", "n_free", "expected"), [
    (9000, 450, 20), (9000, 0, 20), (9000, 77, 7), (1000, 500, 5), (1000, 3, 1), (50, 0, 1),
])
def test_shells_hold_equal_numbers_of_observed_reflections(n: int, n_free: int, expected: int) -> None:
    rng = np.random.default_rng(2)
    s2 = rng.uniform(0.0, 0.25, 2 * n)
    observed = np.zeros(2 * n, bool)
    observed[rng.permutation(2 * n)[:n]] = True
    shell = statistics_shells(s2, observed, n_free)
    counts = np.bincount(shell[observed], minlength=expected)
    assert len(counts) == expected and np.ptp(counts) <= 1
    assert all(s2[shell == k].max() < s2[shell == k + 1].min() for k in range(expected - 1))
