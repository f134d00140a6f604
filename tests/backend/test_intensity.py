"""The likelihood of intensities: a probability, its derivatives, its information, its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.reference.intensity import panel_nodes
from helpers import central_gradient

# (D|F_c|, S, ε, σ): weak, strong and nearly perfect models; precise, middling and useless measurements
REGIMES = (
    (0.0, 100.0, 1.0, 1.0),
    (5.0, 100.0, 1.0, 300.0),
    (40.0, 100.0, 2.0, 80.0),
    (40.0, 4.0, 1.0, 1500.0),
    (300.0, 25.0, 3.0, 90.0),
    (0.2, 1e-2, 1.0, 20.0),
    (12.0, 60.0, 1.0, 0.05),
)
CENTRIC = pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])


def arrays(*values: Any) -> list[Any]:
    return [np.array(x, np.float64) for x in np.broadcast_arrays(*(np.atleast_1d(v) for v in values))]


def intensity(backend: Any, i: Any, fc: Any, d: Any, s: Any, epsilon: Any, sigma: Any, centric: bool) -> Any:
    """Everything broadcast to one length; F_c may be complex."""
    real = arrays(i, sigma, np.real(fc), np.imag(fc), d, s, epsilon)
    return backend.intensity(
        real[0], real[1], real[2] + 1j * real[3], real[4], real[5], real[6], np.full(len(real[0]), centric), True
    )


def axis_of_intensities(regime: Any, centric: bool, panels: int = 150) -> tuple[Any, Any]:
    """Nodes and weights over every I that has a noticeable probability, the density's kinks resolved."""
    dfc, s, epsilon, sigma = regime
    spread = np.sqrt(s * epsilon * (2.0 if centric else 1.0))
    top = (dfc + 6.5 * spread) ** 2
    # steps of σ about 0 and of the spread of F² elsewhere: nodes equally spaced in asinh
    node, weight = panel_nodes(panels, 12)
    scale = sigma + min(0.05 * s * epsilon, sigma)
    low, high = np.arcsinh(-8.0 * sigma / scale), np.arcsinh((top + 8.0 * sigma) / scale)
    u = low + (high - low) * node
    return scale * np.sinh(u), weight * (high - low) * scale * np.cosh(u)


@CENTRIC
@pytest.mark.parametrize("regime", REGIMES)
def test_probability_is_one_and_information_is_bounded(backend: Any, regime: Any, centric: bool) -> None:
    """By quadrature over I: ∫p = 1, mean slopes vanish, and what is returned as information bounds it."""
    dfc, s, epsilon, sigma = regime
    d = 0.8
    panels = 600 if sigma < 1e-3 * (dfc**2 + s) else 150
    if panels > 150 and backend.name == "reference":
        panels = 300
    i, weight = axis_of_intensities(regime, centric, panels)
    fc = dfc / d
    result = intensity(backend, i, fc, d, s, epsilon, sigma, centric)
    p = np.exp(-result.minus_ll) * weight
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    slope = result.gradient.real
    if dfc > 0.0:
        assert abs(float(p @ slope)) < 2e-6 * d / np.sqrt(s)
    exact = float(p @ slope**2)
    lower = float(result.information[0])
    floor = 1e-9 * d * d / s
    assert lower <= exact * (1.0 + 1e-6) + floor and exact <= (1.5 if centric else 1.27) * lower + floor
    # ⟨best⟩ over all data is D F_c, ⟨|F|²⟩ what the model says
    assert float(p @ result.best.real) == pytest.approx(dfc, abs=2e-6 * np.sqrt(s * epsilon) + 1e-6 * dfc)
    one = arrays(i, sigma, fc, d, s, epsilon)
    sigmaa = backend.intensity_sigmaa(*one, np.full(len(i), centric))
    for slope, bound, most in ((sigmaa.d_d, sigmaa.info_d[0], 1.4), (sigmaa.d_log_s, sigmaa.info_s[0], 2.5)):
        exact = float(p @ slope**2)
        assert abs(float(p @ slope)) < 1e-5 * max(1.0, np.sqrt(exact))
        assert exact <= 1.5 * bound + 1e-9
        assert bound <= most * exact + 1e-6 or dfc * dfc < 0.3 * s * epsilon


def test_against_simulation() -> None:
    """Complex errors and normal noise drawn, nothing of the formula: shares of I in bins to 2e-3."""
    rng = np.random.default_rng(5)
    n = 1_000_000
    backend = create("cpu", 2)
    for centric in (False, True):
        for x, sigma in ((0.4, 0.3), (1.5, 2.0), (3.0, 0.5)):
            error = rng.normal(size=n) if centric else (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(0.5)
            drawn = np.abs(x + error) ** 2 + sigma * rng.normal(size=n)
            edge = np.quantile(drawn, np.linspace(0.02, 0.98, 13))
            node, weight = panel_nodes(1, 24)
            i = edge[:-1, None] + np.diff(edge)[:, None] * node
            p = np.exp(-intensity(backend, i.ravel(), x, 1.0, 1.0, 1.0, sigma, centric).minus_ll).reshape(i.shape)
            share = (p * weight).sum(axis=1) * np.diff(edge)
            found = np.histogram(drawn, edge)[0] / n
            np.testing.assert_allclose(share, found, atol=2e-3)


@CENTRIC
@pytest.mark.parametrize("i", [-30.0, 0.0, 0.3, 40.0, 900.0])
def test_gradients_by_central_differences(backend: Any, centric: bool, i: float) -> None:
    for k, (dfc, s, epsilon, sigma) in enumerate(REGIMES[1:]):
        sigma = max(sigma, 0.1 * abs(i))
        d, fc = 0.8, dfc / 0.8
        f = np.array([fc * np.cos(0.3 + k), fc * np.sin(0.3 + k)])

        def value(x: Any, s: float = s, e: float = epsilon, sigma: float = sigma, d: float = d) -> float:
            return float(intensity(backend, i, x[0] + 1j * x[1], d, s, e, sigma, centric).minus_ll[0])

        g = intensity(backend, i, f[0] + 1j * f[1], d, s, epsilon, sigma, centric).gradient[0]
        step = 3e-3 * min(np.sqrt(s * epsilon) / d, fc)
        # where the data say next to nothing the value's rounding shows: 1e-6 of a well-measured slope
        slack = 1e-6 * d / np.sqrt(s * epsilon)
        expected = central_gradient(value, f, step)
        np.testing.assert_allclose([g.real, g.imag], expected, rtol=2e-5, atol=slack + 2e-5 * abs(g))

        def by_errors(x: Any, e: float = epsilon, sigma: float = sigma, fc: float = fc) -> float:
            return float(intensity(backend, i, fc, x[0], np.exp(x[1]), e, sigma, centric).minus_ll[0])

        found = backend.intensity_sigmaa(*arrays(i, sigma, fc, d, s, epsilon), np.array([centric]))
        step = 3e-3 * min(1.0, np.sqrt(s * epsilon) / fc)
        expected = central_gradient(by_errors, np.array([d, np.log(s)]), step)
        np.testing.assert_allclose([found.d_d[0], found.d_log_s[0]], expected, rtol=3e-5, atol=slack * fc / d + 1e-6)


@CENTRIC
def test_precise_intensities_are_amplitudes(backend: Any, centric: bool) -> None:
    """σ → 0: −LL is Rice's plus ln 2F (the change of variable), with the same slope and figure of merit."""
    fo, fc = np.array([3.0, 25.0, 60.0]), np.array([20.0, 25.0, 30.0])
    one = np.ones(3)
    found = intensity(backend, fo**2, fc, 0.9, 150.0, 1.0, 1e-4 * fo**2, centric)
    rice = backend.rice(
        fo, 0.0 * one, fc.astype(complex), 0.9 * one, 150.0 * one, one, np.full(3, centric), True
    )
    np.testing.assert_allclose(found.minus_ll, rice.minus_ll + np.log(2.0 * fo), atol=1e-6)
    np.testing.assert_allclose(found.gradient, rice.gradient, atol=1e-6)
    np.testing.assert_allclose(found.fom, rice.fom, atol=1e-6)
    np.testing.assert_allclose(found.best, rice.fom * fo, rtol=1e-6)
    # the linear estimate's information against the table of Rice's
    assert (found.information <= rice.information * 1.002).all()
    assert (found.information >= rice.information / 1.13).all()


def wide_grid(rng: Any, n: int, outliers: float) -> tuple[Any, ...]:
    """X from 1e-8 to 1e8, σ/I from 1e-3 to 1e3, negative I down to −10σ; ``outliers`` is the share of absurd F."""
    s = 10.0 ** rng.uniform(-3, 5, n)
    x = 10.0 ** rng.uniform(-4, 4, n)
    absurd = rng.random(n) < outliers
    f = np.sqrt(s) * np.where(absurd, 10.0 ** rng.uniform(-4, 4, n), x + rng.normal(size=n) * rng.choice([1, 10], n))
    sigma = f * f * 10.0 ** rng.uniform(-3, 3, n)
    i = f * f + sigma * rng.normal(size=n)
    negative = rng.random(n) < 0.15
    i = np.where(negative, -10.0 * sigma * rng.random(n), i)
    d = rng.uniform(0.05, 1.1, n)
    fc = np.sqrt(s) * x / d * np.exp(1j * rng.uniform(0.0, 6.0, n))
    return i, sigma, fc, d, s, rng.choice([1.0, 2.0, 4.0], n), rng.random(n) < 0.3


def test_extremes_stay_finite_and_agree() -> None:
    """Compiled loop against dense quadrature over all that data and models can be."""
    data = wide_grid(np.random.default_rng(1), 1500, 0.0)
    slow, fast = create("reference").intensity(*data, True), create("cpu", 2).intensity(*data, True)
    for name in ("minus_ll", "gradient", "information", "fom", "amplitude", "best"):
        assert np.isfinite(getattr(fast, name)).all(), name
    np.testing.assert_allclose(fast.minus_ll, slow.minus_ll, rtol=1e-9, atol=1e-6)
    unit = data[3] / np.sqrt(data[4] * data[5])
    slack = unit * (1e-6 + 1e-9 * np.abs(data[2]) * unit)
    assert (np.abs(fast.gradient - slow.gradient) <= slack).all()
    np.testing.assert_allclose(fast.fom, slow.fom, atol=1e-6)
    np.testing.assert_allclose(fast.amplitude, slow.amplitude, rtol=1e-6)
    np.testing.assert_allclose(fast.best, slow.best, atol=1e-6 * np.abs(slow.amplitude).max())
    more = wide_grid(np.random.default_rng(2), 100_000, 0.3)
    result = create("cpu", 2).intensity(*more, True)
    assert all(np.isfinite(getattr(result, name)).all() for name in ("minus_ll", "gradient", "fom", "amplitude"))
    assert (result.information >= 0.0).all() and (np.abs(result.fom) <= 1.0 + 1e-12).all()


def test_absent_model(backend: Any) -> None:
    """F_c = 0: no slope, no direction, amplitudes as French and Wilson have them."""
    result = intensity(backend, np.array([-5.0, 0.0, 30.0]), 0.0, 0.5, 50.0, 1.0, 4.0, False)
    assert np.all(result.gradient == 0.0) and np.all(result.fom < 1e-12)
    from gpurefine.target.french_wilson import posterior_amplitude

    f, _ = posterior_amplitude(
        np.array([-5.0, 0.0, 30.0]), np.full(3, 4.0), np.zeros(3, bool), np.full(3, 50.0)
    )
    np.testing.assert_allclose(result.amplitude, f, rtol=1e-6)
