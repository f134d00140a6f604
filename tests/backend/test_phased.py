"""The likelihood of amplitudes with prior phases: a probability, its derivatives, its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.reference.intensity import panel_nodes
from helpers import check_gradient

PRIORS = (
    (0.0, 0.0, 0.0, 0.0), (2.0, -1.0, 0.0, 0.0), (0.4, 0.3, 2.5, -1.0), (-30.0, 12.0, 3.0, 1.0), (1.0, 1.0, 9.0, 6.0),
)
CENTRIC = pytest.mark.parametrize("centric", [False, True], ids=["acentric", "centric"])


def phased(
    backend: Any, fo: Any, fc: Any, prior: Any, d: Any, s: Any, sigma: Any, centric: bool, op: str = "phased"
) -> Any:
    fo = np.atleast_1d(np.asarray(fo, float))
    n = len(fo)
    whole = [np.broadcast_to(np.asarray(x, float), n).copy() for x in (sigma, d, s)]
    prior = np.broadcast_to(np.asarray(prior, float).reshape(4, -1), (4, n)).copy()
    fc = np.broadcast_to(np.asarray(fc, complex), n).copy()
    last = (True,) if op == "phased" else ()
    return getattr(backend, op)(
        fo, whole[0], fc, prior, whole[1], whole[2], np.ones(n), np.full(n, centric), *last
    )


def turned(prior: Any, angle: Any) -> Any:
    """Coefficients (4, n) of the prior turned by angles (n,)."""
    first = (prior[0] + 1j * prior[1]) * np.exp(1j * angle)
    second = (prior[2] + 1j * prior[3]) * np.exp(2j * angle)
    return np.stack([first.real, first.imag, second.real, second.imag])


@pytest.mark.parametrize("prior", PRIORS)
def test_probability_of_amplitude_and_phase_measurement_is_one(backend: Any, prior: Any) -> None:
    """Where the prior's phase is a measurement that falls anywhere on the circle with the density N exp(…): its mean
    over all turns, integrated over F, is 1 (the joint density of both measurements)."""
    node, weight = panel_nodes(4 if backend.name == "reference" else 20, 10)
    fo = 90.0 * node
    angle = 2.0 * np.pi * np.arange(24 if backend.name == "reference" else 64) / (
        24 if backend.name == "reference" else 64
    )
    total = 0.0
    for a in angle:
        result = phased(backend, fo, 20.0 * np.exp(0.3j), turned(prior, a), 0.9, 150.0, 3.0, False)
        total += float((np.exp(-result.minus_ll) * weight).sum()) * 90.0 / len(angle)
    assert total == pytest.approx(1.0, abs=1e-6 if backend.name == "cpu" else 1e-5)
    # centric: either sign of the prior
    total = sum(
        float(np.exp(-phased(backend, fo, 20.0, (sign, 0.0, 0.0, 0.0), 0.9, 150.0, 3.0, True).minus_ll) @ weight)
        for sign in (1.3, -1.3)
    )
    assert total * 45.0 == pytest.approx(1.0, abs=1e-6)


@CENTRIC
def test_no_prior_is_rice(backend: Any, centric: bool) -> None:
    fo, fc = np.array([0.5, 20.0, 70.0, 300.0]), 25.0 * np.exp(0.7j)
    found = phased(backend, fo, fc, np.zeros(4), 0.9, 150.0, 3.0, centric)
    one = np.ones(4)
    rice = backend.rice(
        fo, 3.0 * one, np.full(4, fc), 0.9 * one, 150.0 * one, one, np.full(4, centric), True
    )
    np.testing.assert_allclose(found.minus_ll, rice.minus_ll, atol=1e-10)
    np.testing.assert_allclose(found.gradient, rice.gradient, atol=1e-10)
    np.testing.assert_allclose(np.abs(found.direction), rice.fom, atol=1e-10)
    np.testing.assert_allclose(found.information, rice.information, rtol=1e-9)


@pytest.mark.parametrize("prior", PRIORS[1:])
def test_gradients_by_central_differences(backend: Any, prior: Any) -> None:
    cases = ((False, 25.0 * np.exp(2.0j), 30.0), (False, 3.0 * np.exp(-1.0j), 60.0), (True, -25.0, 30.0))
    for centric, fc, fo in cases:
        phases = np.array(prior) if not centric else np.array([prior[0], 0.0, 0.0, 0.0])

        def value(x: Any, c: bool = centric, fo: float = fo, p: Any = phases) -> float:
            return float(phased(backend, fo, x[0] + (0.0 if c else 1j * x[1]), p, 0.9, 150.0, 3.0, c).minus_ll[0])

        g = phased(backend, fo, fc, phases, 0.9, 150.0, 3.0, centric).gradient[0]
        imag = 0.0 if centric else np.imag(fc)
        check_gradient(value, np.array([g.real, g.imag]), np.array([np.real(fc), imag]), 1e-2, 1e-6)

        def by_errors(x: Any, c: bool = centric, fo: float = fo, p: Any = phases, fc: Any = fc) -> float:
            return float(phased(backend, fo, fc, p, x[0], np.exp(x[1]), 3.0, c).minus_ll[0])

        found = phased(backend, fo, fc, phases, 0.9, 150.0, 3.0, centric, "phased_sigmaa")
        check_gradient(
            by_errors, np.array([found.d_d[0], found.d_log_s[0]]), np.array([0.9, np.log(150.0)]), 1e-3, 1e-6
        )


def test_centric_phases_are_two() -> None:
    """ln of the odds of the two phases is 2 (X + A cos φ_c + B sin φ_c); a prior against the model turns the sign."""
    backend = create("cpu", 1)
    result = phased(backend, 10.0, 4.0, (-3.0, 0.0, 0.0, 0.0), 1.0, 20.0, 0.0, True)
    assert result.direction[0] == pytest.approx(np.tanh(10.0 * 4.0 / 20.0 - 3.0))


def test_extremes_stay_finite_and_agree(backend: Any) -> None:
    rng = np.random.default_rng(4)
    n = 400
    fo, fc = 10.0 ** rng.uniform(-3, 3, n), 10.0 ** rng.uniform(-3, 3, n) * np.exp(1j * rng.uniform(0, 6, n))
    s = 10.0 ** rng.uniform(-2, 5, n)
    prior = rng.normal(size=(4, n)) * 10.0 ** rng.uniform(-3, 2, n)
    centric = rng.random(n) < 0.2
    data = (fo, 0.01 * fo, fc, prior, np.full(n, 0.9), s, np.ones(n), centric, True)
    slow, fast = create("reference").phased(*data), backend.phased(*data)
    np.testing.assert_allclose(fast.minus_ll, slow.minus_ll, rtol=1e-9, atol=1e-7)
    np.testing.assert_allclose(fast.direction, slow.direction, atol=1e-7)
    assert all(np.isfinite(getattr(fast, name)).all() for name in ("minus_ll", "gradient", "information", "direction"))
    assert (np.abs(fast.direction) <= 1.0 + 1e-12).all() and (fast.information >= 0.0).all()
    one = np.ones(3)
    huge = (1e4 * one, 0.0 * one, np.array([0.0, 1e-4, 5e3 + 0j]), np.full((4, 3), 50.0), one, one, one, one < 0, True)
    found = backend.phased(*huge)
    assert np.isfinite(found.minus_ll).all() and np.isfinite(found.gradient).all()


def test_information_by_simulation() -> None:
    """Amplitudes and phase measurements drawn; a von Mises prior of concentration κ about the true phase."""
    rng = np.random.default_rng(7)
    n = 200_000
    backend = create("cpu", 2)
    for x, kappa in ((0.3, 1.0), (1.0, 3.0), (3.0, 1.0), (3.0, 20.0)):
        true = x + (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(0.5)
        seen = np.angle(true) + rng.vonmises(0.0, kappa, n)
        prior = np.stack([kappa * np.cos(seen), kappa * np.sin(seen), 0.0 * seen, 0.0 * seen])
        result = phased(backend, np.abs(true), x, prior, 1.0, 1.0, 0.0, False)
        assert abs(np.mean(result.gradient)) < 0.02
        assert np.mean(np.abs(result.gradient) ** 2) == pytest.approx(result.information[0], rel=0.15)
