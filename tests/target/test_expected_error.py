"""The likelihood of a model whose errors are expected beforehand."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.target.expected_error import coherence, expected_gain, log_likelihood, slope_by_square


@pytest.mark.parametrize("centric", [False, True])
@pytest.mark.parametrize(("model", "variance"), [(0.0, 1.0), (0.7, 0.5), (2.0, 0.1)])
def test_probabilities_sum_to_one(centric: bool, model: float, variance: float) -> None:
    e = np.linspace(1e-6, 8.0, 4001)
    each = [
        log_likelihood(row[:, None], np.full((1, 1), model), np.full((1, 1), variance), np.array([centric]))[0]
        for row in e[:, None]
    ]
    assert np.trapezoid(np.exp(each), e) == pytest.approx(1.0, abs=1e-4)


def test_values_add_over_reflections_and_large_arguments_do_not_overflow() -> None:
    e, model, variance = np.array([[1.0], [30.0]]), np.array([[0.5, 1.0], [30.0, 20.0]]), np.array([[0.5], [1e-3]])
    centric = np.array([False, True])
    both = log_likelihood(e, model, variance, centric)
    parts = [log_likelihood(e[k : k + 1], model[k : k + 1], variance[k : k + 1], centric[k : k + 1]) for k in (0, 1)]
    assert both == pytest.approx(parts[0] + parts[1])
    assert np.isfinite(both).all() and both[0] > both[1]


@pytest.mark.parametrize("centric", [False, True])
def test_slope_is_the_derivative_by_the_square(centric: bool) -> None:
    rng = np.random.default_rng(0)
    e, model, variance = rng.uniform(0.1, 3, 20), rng.uniform(0.1, 2, 20), rng.uniform(0.1, 1, 20)
    which, h = np.full(20, centric), 1e-5

    def each(square: np.ndarray) -> np.ndarray:
        one = [[a[k : k + 1, None] for a in (e, np.sqrt(square), variance)] for k in range(20)]
        return np.array([log_likelihood(*parts, which[:1])[0] for parts in one])

    slope = (each(model**2 + h) - each(model**2 - h)) / (2 * h)
    np.testing.assert_allclose(slope_by_square(e, model, variance, which), slope, rtol=1e-6, atol=1e-8)


def test_error_of_positions_as_simulated() -> None:
    """Mean of exp(2πi s·δ) over Gaussian δ of r.m.s. length 1.5 Å, where solvent takes nothing."""
    delta = np.random.default_rng(1).normal(scale=1.5 / np.sqrt(3.0), size=(400_000, 3))
    for d in (3.0, 5.0):
        simulated = np.cos(2 * np.pi * delta / d).mean()
        solvent = coherence(0.0, np.array([d**-2]))[0]
        assert coherence(1.5, np.array([d**-2]))[0] / solvent == pytest.approx(simulated, abs=3e-3)
    low, high = coherence(0.0, np.array([1e-4, 1.0]))
    assert low < 0.06 and high == pytest.approx(1.0)


def test_gain_as_simulated() -> None:
    """Amplitudes drawn with σ_A² = 0.03: to lowest order the right model gains Σ σ_A⁴/2, a wrong one loses as much."""
    rng, n, share = np.random.default_rng(2), 1_500_000, 0.03
    model, rest, other = (rng.normal(scale=np.sqrt(0.5), size=(3, n, 2)) @ np.array([1, 1j]))
    e = np.abs(np.sqrt(share) * model + np.sqrt(1 - share) * rest)[:, None]
    centric, variance = np.zeros(n, bool), np.full((n, 1), 1 - share)
    none = log_likelihood(e, np.zeros((n, 1)), np.ones((n, 1)), centric)[0]
    right, wrong = (
        log_likelihood(e, np.sqrt(share) * np.abs(each)[:, None], variance, centric)[0] - none
        for each in (model, other)
    )
    expected = expected_gain(np.full(n, share))
    assert right == pytest.approx(expected, rel=0.15) and wrong == pytest.approx(-expected, rel=0.15)
