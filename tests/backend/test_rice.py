"""Rice's likelihood: a probability, its derivative, its expected information, its limits."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.information import TABLE_END, information_tables
from helpers import check_gradient

# (|F_c|, D, S, ε, σ): weak, strong and nearly perfect models, exact and useless measurements
REGIMES = (
    (0.0, 0.9, 100.0, 1.0, 1.0),
    (5.0, 0.9, 100.0, 1.0, 3.0),
    (40.0, 0.8, 100.0, 2.0, 2.0),
    (40.0, 0.8, 4.0, 1.0, 0.0),
    (300.0, 1.0, 25.0, 3.0, 4.0),
    (1.0, 0.2, 1e-4, 1.0, 50.0),
)


gauss_legendre = lru_cache(np.polynomial.legendre.leggauss)


def rice(backend: Any, fo: Any, fc: Any, d: Any, s: Any, epsilon: Any, sigma: Any, centric: bool) -> Any:
    """Everything broadcast to one length."""
    fo, fc, d, s, epsilon, sigma = (
        np.array(x) for x in np.broadcast_arrays(*(np.atleast_1d(x) for x in (fo, fc, d, s, epsilon, sigma)))
    )
    real = [x.astype(np.float64) for x in (fo, sigma, d, s, epsilon)]
    return backend.rice(
        real[0], real[1], fc.astype(np.complex128), real[2], real[3], real[4], np.full(len(fo), centric), True
    )


def variance(s: float, epsilon: float, sigma: float, centric: bool) -> float:
    return (1.0 if centric else 2.0) * sigma**2 + epsilon * s


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
@pytest.mark.parametrize("regime", REGIMES)
def test_probability_is_one_and_information_is_the_mean_square_slope(backend: Any, regime: Any, centric: bool) -> None:
    """By quadrature over F_o: ∫p = 1, E[∂LL/∂|F_c|] = 0 and E[(∂LL/∂|F_c|)²] is what the table gives."""
    fc, d, s, epsilon, sigma = regime
    total = variance(s, epsilon, sigma, centric)
    node, weight = gauss_legendre(2000)
    low, high = max(0.0, d * fc - 9.0 * np.sqrt(total)), d * fc + 9.0 * np.sqrt(total)
    fo = low + 0.5 * (high - low) * (node + 1.0)
    result = rice(backend, fo, fc, d, s, epsilon, sigma, centric)
    p = np.exp(-result.minus_ll) * 0.5 * (high - low) * weight
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    slope = result.gradient.real
    information = float(result.information[0])
    assert np.ptp(result.information) == 0.0
    scale = d / np.sqrt(total)
    if fc > 0.0:
        assert abs(float(p @ slope)) < 1e-6 * scale
    # past its end the table stays at its last value, which is half a per cent from ½ at most
    relative = 1e-3 if d * fc < TABLE_END * np.sqrt(total) else 5e-3
    assert float(p @ slope**2) == pytest.approx(information, rel=relative, abs=1e-4 * scale**2)
    # figure of merit: m = ⟨cos(φ − φ_c)⟩ makes ⟨m F_o⟩ = D F_c
    assert float(p @ (result.fom * fo)) == pytest.approx(d * fc, abs=1e-6 * np.sqrt(total) + 1e-6 * d * fc)


def test_information_by_simulation() -> None:
    """The tables against amplitudes drawn from the model: complex errors, nothing of the formula."""
    rng = np.random.default_rng(12)
    n = 1_500_000
    for x in (0.3, 1.0, 2.5):
        backend = create("cpu", 2)
        noise = (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(0.5)
        for centric, fo in ((False, np.abs(x + noise)), (True, np.abs(x + rng.normal(size=n)))):
            result = rice(backend, fo, x, 1.0, 1.0, 1.0, 0.0, centric)
            assert np.mean(result.gradient.real**2) == pytest.approx(result.information[0], rel=4e-3)


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
@pytest.mark.parametrize("fo", [0.01, 7.0, 60.0, 900.0])
def test_gradient_by_central_differences(backend: Any, centric: bool, fo: float) -> None:
    for k, (fc, d, s, epsilon, sigma) in enumerate(REGIMES):
        f = np.array([fc * np.cos(0.3 + k), fc * np.sin(0.3 + k)])

        def value(x: Any, s: float = s, d: float = d, epsilon: float = epsilon, sigma: float = sigma) -> float:
            return float(rice(backend, fo, x[0] + 1j * x[1], d, s, epsilon, sigma, centric).minus_ll[0])

        if fc == 0.0:
            continue
        g = rice(backend, fo, f[0] + 1j * f[1], d, s, epsilon, sigma, centric).gradient[0]
        step = 1e-3 * min(np.sqrt(variance(s, epsilon, sigma, centric)) / d, fc)
        check_gradient(value, np.array([g.real, g.imag]), f, step, 2e-6)


@pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])
def test_extremes_stay_finite(backend: Any, centric: bool) -> None:
    """X = 2 D F_o F_c/Σ from 0 to 10⁸: no overflow, no NaN, and the slope tends to that of a Gaussian."""
    for x in (0.0, 1e-12, 1e-3, 1.0, 17.99, 18.01, 700.0, 1e4, 1e8):
        f = np.sqrt(x / (1.0 if centric else 2.0))
        result = rice(backend, f, f, 1.0, 1.0, 1.0, 0.0, centric)
        for field in fields(result):
            assert np.isfinite(getattr(result, field.name)).all(), (field.name, x)
        assert 0.0 <= result.fom[0] <= 1.0 and result.information[0] >= 0.0
    big = rice(backend, 1e4 + 0.7, 1e4, 1.0, 1.0, 1.0, 0.0, centric)
    slope = -0.7 * (1.0 if centric else 2.0)
    assert big.gradient[0].real == pytest.approx(slope, abs=1e-3)
    weak = rice(backend, 1e-8, 10.0, 0.9, 5.0, 1.0, 100.0, centric)
    assert np.isfinite(weak.minus_ll[0]) and abs(weak.fom[0]) < 1e-9


def test_zero_amplitude_measured(backend: Any) -> None:
    """F_o = 0 has an infinite −LL in the acentric case; it is bounded instead, and the gradient is right."""
    result = rice(backend, 0.0, 3.0, 0.9, 4.0, 1.0, 1.0, False)
    assert np.isfinite(result.minus_ll[0])
    assert result.gradient[0].real == pytest.approx(2.0 * 0.9 / 6.0 * 2.7)


def test_the_kinds_agree_where_bessel_series_meet() -> None:
    """The compiled Bessel functions switch series at 18: both sides equal SciPy's."""
    x = np.concatenate([np.linspace(17.9, 18.1, 41), np.geomspace(1e-6, 1e6, 200)])
    f = np.sqrt(x / 2.0)
    a, b = (rice(create(name), f, f, 1.0, 1.0, 1.0, 0.0, False) for name in ("reference", "cpu"))
    np.testing.assert_allclose(b.fom, a.fom, rtol=1e-13)
    # terms of the size of x cancel
    assert (np.abs(b.minus_ll - a.minus_ll) < 1e-15 * (x + 100.0)).all()


def test_information_tables_have_the_right_ends() -> None:
    acentric, centric = information_tables()
    step = TABLE_END / (len(acentric) - 1)
    assert acentric[0] == 0.0 and centric[0] == 0.0
    # x² and 2x² at small x; ½ and 1 at large x
    assert acentric[5] == pytest.approx((5 * step) ** 2, rel=0.01)
    assert centric[5] == pytest.approx(2.0 * (5 * step) ** 2, rel=0.02)
    assert acentric[-1] == pytest.approx(0.5, rel=0.01) and centric[-1] == pytest.approx(1.0, rel=1e-6)
    assert (acentric >= 0.0).all() and (centric >= 0.0).all()


def random_data(n: int = 20_000) -> tuple[Any, ...]:
    rng = np.random.default_rng(5)
    fo, fc = np.exp(rng.normal(3.0, 1.5, n)), np.exp(rng.normal(3.0, 1.5, n))
    f = fc * np.exp(2j * np.pi * rng.random(n))
    centric = rng.random(n) < 0.2
    return fo, 0.05 * fo + rng.random(n), f, rng.uniform(0.1, 1.0, n), np.exp(rng.normal(4.0, 2.0, n)), rng.integers(
        1, 4, n
    ).astype(np.float64), centric


def test_backends_agree_on_many_reflections() -> None:
    data = random_data()
    a, b = (create(name, 2).rice(*data, True) for name in ("reference", "cpu"))
    for field in fields(a):
        np.testing.assert_allclose(getattr(b, field.name), getattr(a, field.name), rtol=1e-9, atol=1e-12)
    fo, sigma, f, d, s, epsilon, centric = data
    a, b = (
        create(name, 2).rice_sigmaa(fo, sigma, np.abs(f), d, s, epsilon, centric) for name in ("reference", "cpu")
    )
    for field in fields(a):
        np.testing.assert_allclose(getattr(b, field.name), getattr(a, field.name), rtol=1e-9, atol=1e-12)


def test_slopes_with_respect_to_the_error_model(backend: Any) -> None:
    """∂/∂D and ∂/∂ln S of each reflection by central differences."""
    fo, sigma, f, d, s, epsilon, centric = (x[:300] for x in random_data())
    fc, log_s = np.abs(f), np.log(s)

    def value(dd: Any, ls: Any) -> Any:
        return backend.rice_sigmaa(fo, sigma, fc, dd, np.exp(ls), epsilon, centric).minus_ll

    given = backend.rice_sigmaa(fo, sigma, fc, d, s, epsilon, centric)
    np.testing.assert_allclose(given.minus_ll, backend.rice(fo, sigma, f, d, s, epsilon, centric, False).minus_ll)
    def slope(at: Any, h: float = 1e-4) -> Any:
        return (8.0 * (at(h) - at(-h)) - at(2.0 * h) + at(-2.0 * h)) / (12.0 * h)

    by_d, by_s = slope(lambda h: value(d + h, log_s)), slope(lambda h: value(d, log_s + h))
    np.testing.assert_allclose(given.d_d, by_d, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(given.d_log_s, by_s, rtol=1e-6, atol=1e-6)
    assert (given.info_d >= 0.0).all() and (given.info_s >= 0.0).all()
