"""Native with the Friedel pair of a derivative: a probability, its derivatives, its limits, its extremes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from helpers import check_gradient

# F_N, F_H, F″; D_N, D, D_Δ; Σ_N, Σ_c, Σ_Δ, r; ε; σ
PLAIN = ((30.0 + 5.0j, -4.0 + 4.0j, 3.0 - 1.0j), (0.9, 0.85, 0.8), (300.0, 350.0, 20.0, 0.8), 1.0, (3.0, 2.5, 3.5))
REGIMES = (
    PLAIN,
    ((3.0j, 1.0 + 1.0j, 5.0), (0.8, 0.9, 1.0), (90.0, 120.0, 0.5, 0.95), 2.0, (0.5, 0.7, 0.7)),
    ((60.0, -5.0 - 20.0j, 2.0j), (0.7, 0.9, 1.0), (40.0, 900.0, 3.0, 0.3), 1.0, (1.0, 2.0, 1.0)),
)


def siras(backend: Any, fo: Any, regime: Any, centric: bool = False, information: bool = False) -> Any:
    """``regime`` for every triple of amplitudes ``fo`` (3, n)."""
    f, d, s, epsilon, sigma = regime
    fo = np.ascontiguousarray(np.asarray(fo, np.float64).reshape(3, -1))
    one = np.ones(fo.shape[1])
    return backend.siras(
        fo, np.outer(sigma, one), np.outer(f, one).astype(np.complex128), np.outer(d, one), np.outer(s, one),
        epsilon * one, np.full(len(one), centric), information,
    )


def means(regime: Any) -> Any:
    (native, heavy, anomalous), d, *_ = regime
    main, part = d[1] * (native + heavy), 1j * d[2] * anomalous
    return np.array([d[0] * native, main + part, main - part])


def simulated(regime: Any, n: int, seed: int = 3) -> Any:
    """Amplitudes (3, n) drawn with complex errors."""
    _, _, s, epsilon, sigma = regime
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    x, r = normal(n), s[3]
    y = r * x + np.sqrt(1.0 - r * r) * normal(n)
    e = np.sqrt(epsilon) * np.array([np.sqrt(s[0]) * x, np.sqrt(s[1]) * y, np.sqrt(s[1]) * y])
    e[1:] += np.sqrt(epsilon * s[2]) * normal(2, n)
    return np.abs(means(regime)[:, None] + e + np.sqrt(2.0) * np.array(sigma)[:, None] * normal(3, n))


def test_probability_is_one() -> None:
    """By quadrature over three amplitudes, whose sum and differences are nodes: ∫p = 1, E[dLL] = 0, E⟨F⟩ = μ."""
    regime = PLAIN
    node, weight = np.polynomial.legendre.leggauss(30)
    sd = np.sqrt(320.0 + 2.0 * 3.0**2)
    a, b, c = (x.ravel() for x in np.meshgrid(node, node, node, indexing="ij"))
    w = np.einsum("i,j,k->ijk", weight, weight, weight).ravel()
    top = float(np.abs(means(regime)).max()) + 6.0 * sd
    first = 0.5 * top * (a + 1.0)
    reach_n, reach_m = 65.0, 45.0
    low, high = np.maximum(first - reach_m, 0.0), first + reach_m
    second = low + 0.5 * (high - low) * (b + 1.0)
    low_n, high_n = np.maximum(first - reach_n, 0.0), first + reach_n
    native = low_n + 0.5 * (high_n - low_n) * (c + 1.0)
    result = siras(create("cpu", 2), [native, first, second], regime)
    p = np.exp(-result.minus_ll) * w * 0.125 * top * (high - low) * (high_n - low_n)
    assert p.sum() == pytest.approx(1.0, abs=2e-6)
    assert (np.abs(result.gradient @ p) < 1e-4 * np.sqrt(np.abs(result.gradient) ** 2 @ p)).all()
    np.testing.assert_allclose(result.phased @ p, means(regime), atol=1e-3)
    drawn = simulated(regime, 3_000_000)
    for f in (
        lambda x: np.exp(-x[0] / 30.0), lambda x: np.tanh((x[0] - x[1]) / 9.0), lambda x: np.tanh((x[1] - x[2]) / 9.0)
    ):
        assert float(f([native, first, second]) @ p) == pytest.approx(float(np.mean(f(drawn))), abs=2e-3)


@pytest.mark.parametrize("regime", REGIMES)
def test_information_is_the_mean_square_slope(regime: Any) -> None:
    n = 6_000
    for hidden in ((), (2,)):
        fo = simulated(regime, n)
        fo[list(hidden)] = np.nan
        result = siras(create("cpu", 2), fo, regime, information=True)
        square = np.mean(np.abs(result.gradient) ** 2, axis=1)
        assert (np.abs(result.gradient.mean(axis=1)) < 5.0 * np.sqrt(square / n)).all()
        np.testing.assert_allclose(result.information.mean(axis=1), square, rtol=0.12)
        slope2 = np.mean(result.slope**2, axis=1)
        assert (np.abs(result.slope.mean(axis=1)) < 5.0 * np.sqrt(slope2 / n)).all()
        assert (slope2 <= 1.1 * result.bound.mean(axis=1)).all()


@pytest.mark.parametrize("centric", [False, True])
def test_derivatives_by_central_differences(backend: Any, centric: bool) -> None:
    """With respect to three structure factors and seven error parameters, whatever was measured."""
    for number, regime in enumerate(REGIMES if backend.name == "cpu" else REGIMES[:1]):
        f, d, s, epsilon, sigma = regime
        drawn = simulated(regime, 1)[:, 0]
        nan = np.nan
        for hidden in ((1, 1, 1), (1, 1, nan), (1, nan, 1), (nan, 1, 1), (1, nan, nan), (nan, nan, 1)):
            fo = drawn * np.array(hidden)
            f0 = np.array(f)
            if centric:  # both on one line, F″ across it
                f0 = np.array([f0[0], f0[0] * -0.2, f0[0] * 0.1])
            logit = np.log(s[3] / (1.0 - s[3]))
            x = np.concatenate([f0.view(np.float64) if f0.dtype == complex else f0, d, np.log(s[:3]), [logit]])

            def at(x: Any, fo: Any = fo, epsilon: Any = epsilon, sigma: Any = sigma) -> Any:
                r = 1.0 / (1.0 + np.exp(-x[12]))
                changed = (x[:6].view(np.complex128), x[6:9], (*np.exp(x[9:12]), r), epsilon, sigma)
                return siras(backend, fo, changed, centric)

            r = at(x)
            g = np.concatenate([r.gradient.T.copy().view(np.float64).ravel(), r.slope[:, 0]])
            check_gradient(lambda x, at=at: float(at(x).minus_ll[0]), g, x, 1e-3, 2e-6)
            assert (r.bound >= -1e-12).all(), number


@pytest.mark.parametrize("centric", [False, True])
def test_limits(backend: Any, centric: bool) -> None:
    """Without native/derivative covariance SAD × Rice; what is missing leaves the smaller likelihood exactly."""
    f, d, s, epsilon, sigma = (np.atleast_1d(np.array(x))[:, None] for x in PLAIN)
    fo, flags = np.array([31.0, 25.0, 33.0])[:, None], np.array([centric])
    rice = backend.rice(fo[0], sigma[0], f[0], d[0], s[0], epsilon[0], flags, True)
    mates = np.array([f[0] + f[1], f[2]])
    sad = backend.sad(fo[1:], sigma[1:], mates, d[1:], s[1:3], epsilon[0], flags, True)
    whole = siras(backend, fo, (*PLAIN[:2], (*PLAIN[2][:3], 0.0), *PLAIN[3:]), centric, True)
    assert whole.minus_ll[0] == pytest.approx(float(rice.minus_ll[0] + sad.minus_ll[0]), abs=1e-8)
    np.testing.assert_allclose(whole.gradient[0], rice.gradient + sad.gradient[0], rtol=1e-6)
    np.testing.assert_allclose(whole.gradient[1:], sad.gradient, rtol=1e-6, atol=1e-9)
    native = siras(backend, [fo[0, 0], np.nan, np.nan], PLAIN, centric, True)
    assert native.minus_ll[0] == pytest.approx(float(rice.minus_ll[0]), abs=1e-12)
    np.testing.assert_allclose(native.gradient[0], rice.gradient, rtol=1e-11)
    assert not native.gradient[1:].any() and not native.slope[[1, 2, 4, 5, 6]].any()
    derivative = siras(backend, [np.nan, *fo[1:, 0]], PLAIN, centric, True)
    assert derivative.minus_ll[0] == pytest.approx(float(sad.minus_ll[0]), abs=1e-12)
    # to rounding: the two may come from different implementations (a GPU has a kernel for one of them only)
    np.testing.assert_allclose(derivative.gradient[1:], sad.gradient, rtol=1e-12)
    np.testing.assert_allclose(derivative.information[1:], sad.information, rtol=1e-12)


def test_extremes_stay_finite() -> None:
    """X from 0 to 10⁸, perfect and no isomorphism (the reference has a fixed number of points)."""
    backend = create("cpu", 2)
    for x in (0.0, 1e-8, 1.0, 1e4, 1e8):
        f = np.sqrt(0.5 * x)
        for r in (0.0, 0.9, 1.0 - 1e-9):
            for share in (1e-4, 1.0):
                regime = ((f, 0.05 * f, 0.1j * f), (1.0, 1.0, 1.0), (1.0, 1.0, share, r), 1.0, (0.01, 0.01, 0.01))
                for fo in ((f, f, f), (f, 1.2 * f, f), (0.0, f, f), (f, 0.0, np.nan), (2.0 * f, f, 1.1 * f)):
                    for centric in (False, True):
                        result = siras(backend, fo, regime, centric, True)
                        for field in fields(result):
                            assert np.isfinite(getattr(result, field.name)).all(), (field.name, regime, fo)
                        assert (result.information >= 0.0).all()
                        assert np.nanmax(np.abs(result.phased[:, 0]) - np.array(fo)) < 1e-9 * (1.0 + f)


def random_data(n: int) -> tuple[Any, ...]:
    rng = np.random.default_rng(1)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    centric = rng.random(n) < 0.2
    main = 100.0 * normal(n)
    heavy = 15.0 * normal(n)
    f = np.array([main - heavy, heavy, 5.0 * normal(n)])
    f = np.where(centric, f.real, f)
    d = rng.uniform(0.7, 1.0, (3, n))
    s = np.array([*rng.uniform(100.0, 6000.0, (2, n)), np.exp(rng.normal(0.0, 2.0, n)), rng.uniform(0.0, 0.98, n)])
    epsilon, sigma = rng.integers(1, 3, n).astype(np.float64), np.exp(rng.normal(0.5, 0.7, (3, n)))
    main = f[0] + f[1]
    fo = np.abs(d[[0, 1, 1]] * np.array([f[0], main, main]) + np.sqrt(s[[0, 1, 1]]) * normal(n) + 3.0 * normal(3, n))
    fo[2, centric] = np.nan
    lost = rng.integers(0, 10, n)
    fo[0, lost == 0], fo[1, lost == 1], fo[2, lost == 2] = np.nan, np.nan, np.nan
    fo[1:, lost == 3] = np.nan
    return fo, sigma, f, d, s, epsilon, centric


def test_backends_agree_on_many_reflections() -> None:
    data = random_data(80)
    a, b = (create(name, 2).siras(*data, True) for name in ("reference", "cpu"))
    for field in fields(a):
        name = field.name
        np.testing.assert_allclose(getattr(b, name), getattr(a, name), rtol=3e-6, atol=1e-7, err_msg=name)


def test_a_derivative_that_tells_nothing_leaves_rice(backend: Any) -> None:
    """Ever less isomorphism, or ever larger uncertainties of the mates: gradient and information of F_N are Rice's."""
    fo, sigma, f, d, s, epsilon, centric = random_data(400)
    keep = np.isfinite(fo[0])
    keep[8 if backend.name == "reference" else 400 :] = False
    fo, sigma, f, d, s = (np.ascontiguousarray(x[:, keep]) for x in (fo, sigma, f, d, s))
    epsilon, centric = epsilon[keep], centric[keep]
    rice = backend.rice(fo[0], sigma[0], f[0], d[0], s[0], epsilon, centric, True)
    unlike = s.copy()
    unlike[1], unlike[3] = 1e13, 0.0
    vague = sigma.copy()
    vague[1:] = 1e7
    for changed in ((sigma, unlike), (vague, s)):
        whole = backend.siras(fo, changed[0], f, d, changed[1], epsilon, centric, True)
        size = np.abs(rice.gradient).max()
        np.testing.assert_allclose(whole.gradient[0], rice.gradient, rtol=1e-5, atol=1e-5 * size)
        if len(epsilon) > 100:  # it is a mean over simulated measurements
            np.testing.assert_allclose(whole.information[0].sum(), rice.information.sum(), rtol=0.2)
        assert (whole.information[1] < 1e-5 * rice.information.max()).all()


def test_information_about_the_native_is_not_counted_twice() -> None:
    """Where native and derivative err alike (r → 1) a second crystal tells of F_N little more than the first."""
    f, (native, _, each, _), epsilon = PLAIN[0], PLAIN[2], PLAIN[3]
    sigma = (0.5, 0.5, 0.5)
    told = {}
    for r in (0.0, 0.999):
        regime = ((f[0], 0.01 + 0j, 0j), (0.9, 0.9, 0.9), (native, native, each, r), epsilon, sigma)
        found = siras(create("cpu", 2), simulated(regime, 4000), regime, information=True)
        told[r] = float(found.information[0].mean())
        fo = simulated(regime, 4000)
        fo[1:] = np.nan
        told["rice"] = float(siras(create("cpu", 2), fo, regime, information=True).information[0].mean())
    assert told[0.0] == pytest.approx(2.0 * told["rice"], rel=0.25)
    assert told[0.999] == pytest.approx(told["rice"], rel=0.25)
