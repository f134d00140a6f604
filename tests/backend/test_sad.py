"""The likelihood of Friedel pairs: a probability, its derivatives, its limits, its extremes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from helpers import check_gradient

# F′, F″, (D, D_Δ), (Σ_c, Σ_Δ), ε, (σ+, σ−): weak and strong models, small, large and very precise anomalous signal
REGIMES = (
    (3.0 + 1.0j, 0.3 - 0.1j, (0.9, 0.8), (25.0, 0.3), 1.0, (0.5, 0.6)),
    (40.0 - 9.0j, 2.0 + 2.0j, (0.8, 0.9), (60.0, 0.4), 2.0, (1.0, 1.5)),
    (5.0j, 6.0 + 1.0j, (0.9, 0.9), (25.0, 0.05), 1.0, (0.3, 0.3)),
    (0.5, 4.0, (0.7, 1.0), (1e-3, 16.0), 1.0, (1.0, 0.2)),
    (0.0, 0.0, (0.9, 0.9), (9.0, 0.1), 1.0, (0.4, 0.4)),
)


def sad(backend: Any, fo: Any, regime: Any, centric: bool = False, information: bool = False) -> Any:
    """``regime`` for every pair of amplitudes ``fo`` (2, n)."""
    main, anomalous, d, s, epsilon, sigma = regime
    fo = np.ascontiguousarray(np.asarray(fo, np.float64).reshape(2, -1))
    one = np.ones(fo.shape[1])
    return backend.sad(
        fo, np.outer(sigma, one), np.outer([main, anomalous], one).astype(np.complex128), np.outer(d, one),
        np.outer(s, one), epsilon * one, np.full(len(one), centric), information,
    )


def means(regime: Any) -> tuple[complex, complex]:
    main, anomalous, d, *_ = regime
    return d[0] * main + 1j * d[1] * anomalous, d[0] * main - 1j * d[1] * anomalous


def simulated(regime: Any, n: int) -> Any:
    """Pairs of amplitudes (2, n) drawn with complex errors: nothing of the formula."""
    _, _, _, s, epsilon, sigma = regime
    rng = np.random.default_rng(12)
    x = (rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))) * np.sqrt(0.5)
    own = np.sqrt(epsilon * s[1] + 2.0 * np.array(sigma) ** 2)
    return np.abs(np.array(means(regime))[:, None] + np.sqrt(epsilon * s[0]) * x[0] + own[:, None] * x[1:])


def grid(regime: Any, count: int) -> tuple[Any, Any]:
    """Amplitudes (2, n) and weights (n,) of a quadrature over both, fine along the difference of the two."""
    _, _, _, s, epsilon, sigma = regime
    mean = max(abs(m) for m in means(regime))
    low = max(0.0, min(abs(m) for m in means(regime)) - 8.0 * np.sqrt(epsilon * sum(s) + 2.0 * max(sigma) ** 2))
    high = mean + 8.0 * np.sqrt(epsilon * sum(s) + 2.0 * max(sigma) ** 2)
    spread = abs(means(regime)[0] - means(regime)[1]) + 8.0 * np.sqrt(2.0 * epsilon * s[1] + 2.0 * sum(
        x * x for x in sigma
    ))
    node, weight = np.polynomial.legendre.leggauss(count)
    first = low + 0.5 * (high - low) * (node + 1.0)
    left, right = np.maximum(first - spread, 0.0), first + spread
    second = left[:, None] + 0.5 * (right - left)[:, None] * (node + 1.0)
    w = 0.25 * (high - low) * weight[:, None] * (right - left)[:, None] * weight
    return np.array([np.repeat(first, count), second.ravel()]), w.ravel()


@pytest.mark.parametrize("regime", REGIMES)
def test_probability_is_one_and_matches_simulation(backend: Any, regime: Any) -> None:
    """By quadrature over both amplitudes: ∫p = 1, E[dLL] = 0, E⟨F⟩ = μ; smooth functions have the simulated mean."""
    fo, weight = grid(regime, 160 if backend.name == "cpu" else 90)
    result = sad(backend, fo, regime)
    p = np.exp(-result.minus_ll) * weight
    assert p.sum() == pytest.approx(1.0, abs=1e-6)
    size = np.sqrt(np.abs(result.gradient) ** 2 @ p) + 1e-9
    assert (np.abs(result.gradient @ p) < 1e-5 * size).all()
    assert (np.abs(result.slope @ p) < 1e-5 * (np.sqrt(result.slope**2 @ p) + 1e-9)).all()
    np.testing.assert_allclose(result.phased @ p, means(regime), atol=1e-5 * fo.max())
    drawn = simulated(regime, 600_000)
    scale, spread = drawn[0].mean(), np.std(drawn[0] - drawn[1])
    for f in (lambda a: np.exp(-a[0] / scale), lambda a: np.tanh((a[0] - a[1]) / spread)):
        assert float(f(fo) @ p) == pytest.approx(float(np.mean(f(drawn))), abs=2e-3)


@pytest.mark.parametrize("regime", REGIMES)
def test_information_is_the_mean_square_slope(regime: Any) -> None:
    """Over simulated pairs: the gradient vanishes on average, its square is the information, the bounds are bounds."""
    n = 60_000
    result = sad(create("cpu", 2), simulated(regime, n), regime, information=True)
    square = np.mean(np.abs(result.gradient) ** 2, axis=1)
    assert (np.abs(result.gradient.mean(axis=1)) < 5.0 * np.sqrt(square / n) + 1e-9).all()
    np.testing.assert_allclose(result.information.mean(axis=1), square, rtol=0.04, atol=1e-9)
    assert (np.mean(result.slope**2, axis=1) <= 1.05 * result.bound.mean(axis=1) + 1e-12).all()


def test_derivatives_by_central_differences(backend: Any) -> None:
    """With respect to F′ and F″ and the four error parameters, in all regimes and for odd pairs of amplitudes."""
    for number, regime in enumerate(REGIMES):
        main, anomalous, d, s, epsilon, sigma = regime
        drawn = simulated(regime, 3)
        for k, pair in enumerate([*drawn.T, (drawn[0, 0], np.nan), (0.2, 9.0), (np.nan, drawn[1, 1])]):
            for centric in (False, True):
                fo = np.array(pair)[:, None]
                x = np.array([
                    np.real(main), np.imag(main), np.real(anomalous), np.imag(anomalous), *d, *np.log(s)
                ]) + 0.01 * (k + 1)

                def at(x: Any, fo: Any = fo, eps: Any = epsilon, sigma: Any = sigma, cen: bool = centric) -> Any:
                    changed = (x[0] + 1j * x[1], x[2] + 1j * x[3], x[4:6], np.exp(x[6:]), eps, sigma)
                    return sad(backend, fo, changed, cen)

                r = at(x)
                g = np.concatenate([r.gradient.view(np.float64).reshape(2, 2).ravel(), r.slope[:, 0]])
                check_gradient(lambda x, at=at: float(at(x).minus_ll[0]), g, x, 2e-4, 2e-7)
                assert (r.bound >= 0.0).all(), number


def test_one_mate_is_rice(backend: Any) -> None:
    rng = np.random.default_rng(2)
    n = 500
    fo, sigma = np.exp(rng.normal(3.0, 1.0, (2, n))), rng.uniform(0.1, 5.0, (2, n))
    f = np.exp(rng.normal(3.0, 1.0, (2, n))) * np.exp(2j * np.pi * rng.random((2, n)))
    d, s, epsilon = rng.uniform(0.1, 1.0, (2, n)), np.exp(rng.normal(3.0, 2.0, (2, n))), rng.integers(1, 4, n) * 1.0
    centric = rng.random(n) < 0.3
    gone = rng.integers(0, 2, n)
    fo[gone, np.arange(n)] = np.nan
    kept = 1 - gone
    sign = np.where(kept == 0, 1.0, -1.0)
    mu = d[0] * f[0] + sign * 1j * d[1] * f[1]
    a = backend.sad(fo, sigma, f, d, s, epsilon, centric, True)
    at = kept, np.arange(n)
    b = backend.rice(fo[at], sigma[at], mu, np.ones(n), s.sum(axis=0), epsilon, centric, True)
    np.testing.assert_allclose(a.minus_ll, b.minus_ll, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a.gradient, [d[0] * b.gradient, -1j * sign * d[1] * b.gradient], rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(a.phased[at], b.fom * fo[at] * mu / np.abs(mu), rtol=1e-11)
    np.testing.assert_allclose(a.information[0][~centric], (d[0] ** 2 * b.information)[~centric], rtol=1e-12)
    nothing = backend.sad(np.full((2, n), np.nan), sigma, f, d, s, epsilon, centric, True)
    assert all(not getattr(nothing, field.name).any() for field in fields(nothing))


def test_limits(backend: Any) -> None:
    """No F″ and equal mates: Rice up to a constant.  No common error: two independent Rice likelihoods."""
    fo = 30.0
    values, slopes = [], []
    for fc in (1.0, 12.0, 27.0, 40.0):
        f = fc * np.exp(0.7j)
        pair = sad(backend, [fo, fo], (f, 0.0, (0.8, 0.8), (50.0, 1e-11), 2.0, (1e-6, 1e-6)))
        rice = backend.rice(
            np.array([fo]), np.zeros(1), np.array([f]), np.array([0.8]), np.array([50.0]), np.array([2.0]),
            np.zeros(1, bool), True,
        )
        values.append(float(pair.minus_ll[0] - rice.minus_ll[0]))
        slopes.append(abs(pair.gradient[0, 0] - rice.gradient[0]) / abs(rice.gradient[0]))
    assert np.ptp(values) < 1e-6 and max(slopes) < 1e-6
    regime = (20.0 + 3.0j, 4.0 - 2.0j, (0.8, 0.9), (0.0, 40.0), 2.0, (2.0, 3.0))
    amplitudes = (25.0, 14.0)
    pair = sad(backend, amplitudes, regime)
    alone = [
        backend.rice(
            np.array([a]), np.array([sigma]), np.array([mu]), np.ones(1), np.array([40.0]), np.array([2.0]),
            np.zeros(1, bool), True,
        )
        for a, sigma, mu in zip(amplitudes, regime[5], means(regime), strict=True)
    ]
    assert pair.minus_ll[0] == pytest.approx(sum(r.minus_ll[0] for r in alone), abs=1e-9)
    np.testing.assert_allclose(pair.gradient[0], 0.8 * (alone[0].gradient + alone[1].gradient), rtol=1e-8)


def test_extremes_stay_finite(backend: Any) -> None:
    """X from 0 to 10⁸ for the model, the pair and the anomalous part in all combinations."""
    for x in (0.0, 1e-8, 1.0, 1e4, 1e8) if backend.name == "cpu" else (0.0, 1.0, 1e4):
        f = np.sqrt(0.5 * x)
        for share in (1e-6, 1e-2, 1.0) if backend.name == "cpu" else (1e-2, 1.0):
            for anomalous in (0.0, 1e-3 * f, f):
                regime = (f, anomalous * (0.6 + 0.8j), (1.0, 1.0), (1.0, share), 1.0, (0.0, 0.0))
                for fo in ((f, f), (f, 1.001 * f), (0.0, f), (f, 0.0), (f, np.nan), (3.0 * f, f)):
                    for centric in (False, True):
                        result = sad(backend, fo, regime, centric, True)
                        for field in fields(result):
                            assert np.isfinite(getattr(result, field.name)).all(), (field.name, x, regime, fo)
                        assert (result.information >= 0.0).all()
                        assert np.nanmax(np.abs(result.phased[:, 0]) - np.array(fo)) < 1e-9 * (1.0 + f)


def random_data(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(1)
    f = np.exp(np.array([rng.normal(3.0, 1.2, n), rng.normal(0.5, 1.5, n)])) * np.exp(2j * np.pi * rng.random((2, n)))
    d = rng.uniform(0.2, 1.0, (2, n))
    s = np.exp(np.array([rng.normal(4.0, 2.0, n), rng.normal(0.0, 3.0, n)]))
    epsilon, centric = rng.integers(1, 4, n).astype(np.float64), rng.random(n) < 0.1
    sigma = np.exp(rng.normal(0.0, 1.5, (2, n)))
    x = (rng.normal(size=(3, n)) + 1j * rng.normal(size=(3, n))) * np.sqrt(0.5)
    part = np.array([d[0] * f[0], 1j * d[1] * f[1]])
    fo = np.abs(part[0] + np.array([part[1], -part[1]]) + np.sqrt(epsilon * s[0]) * x[0] + np.sqrt(
        epsilon * s[1] + 2.0 * sigma**2
    ) * x[1:])
    fo[:, rng.random(n) < 0.05] *= 30.0
    fo[0, rng.random(n) < 0.1] = np.nan
    return fo, sigma, f, d, s, epsilon, centric


def test_backends_agree_on_many_reflections() -> None:
    data = random_data(4_000)
    a, b = (create(name, 2).sad(*data, True) for name in ("reference", "cpu"))
    for field in fields(a):
        name = field.name
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=1e-8, atol=1e-9, err_msg=name)


def test_tabulated_bessel_functions() -> None:
    """Against the series, on both sides of every seam; 1 − I₁/I₀, which large x multiplies, to a relative error."""
    from gpurefine.backend.cpu.bessel import log_i0e_and_ratio
    from gpurefine.backend.cpu.bessel_table import END, PIECES, quick_log_i0e_and_ratio

    seams = np.arange(PIECES + 1) * END / PIECES
    within = seams[:-1] + 0.3 * END / PIECES
    x = np.concatenate([seams, np.nextafter(seams[1:], 0.0), within, np.logspace(1.5, 6.0, 99)])
    quick = np.array([quick_log_i0e_and_ratio(value) for value in x])
    series = np.array([log_i0e_and_ratio(value) for value in x])
    np.testing.assert_allclose(quick, series, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(1.0 - quick[:, 1], 1.0 - series[:, 1], rtol=1e-9)
    assert quick_log_i0e_and_ratio(1e16)[1] == 1.0
