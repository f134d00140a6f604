"""A twin's reflections and their groups: closed forms, derivatives of the likelihood, the same on every backend."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from device_backends import shim_backend

from gpurefine.backend import create
from gpurefine.backend.ops_twin import TwinGroups, TwinPosterior
from gpurefine.backend.ops_twin_members import TwinMeasured
from helpers import check_gradient

FRACTIONS = {2: np.array([0.7, 0.3]), 4: np.array([0.4, 0.3, 0.2, 0.1])}


def spectrum(rng: Any, n: int) -> Any:
    return (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(0.5)


def twin(size: int, count: int) -> tuple[TwinMeasured, Any, Any, Any]:
    """Groups of up to ``size`` among reflections of which some are in none; F_c, D and S of all reflections."""
    rng = np.random.default_rng(size)
    sizes = np.where(np.arange(count) % 5 == 0, 1, size)
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    m, n = int(start[-1]), int(start[-1]) + 50
    place = np.arange(m) - np.repeat(start[:-1], sizes)
    mate = ((place[:, None] + np.arange(size)) % np.repeat(sizes, sizes)[:, None]).astype(np.int32)
    mate[rng.random(mate.shape) < 0.05] = -1
    mate[:, 0] = place
    member = rng.permutation(n)[:m].astype(np.int32)
    f, d, s = 30.0 * spectrum(rng, n), rng.uniform(0.7, 1.0, n), rng.uniform(200.0, 600.0, n)
    i = (np.abs(f[member]) + 10.0 * rng.normal(size=m)) ** 2
    sigma = np.where((rng.random(m) < 0.1) & (place > 0), 0.0, 0.1 * i + 20.0)  # something is, of every group
    centric = np.repeat(rng.random(count) < 0.3, sizes)
    measured = TwinMeasured(
        TwinGroups(start, member, mate), i, sigma, rng.integers(1, 3, m).astype(float), centric, n
    )
    return measured, f, d, s


def integrated(backend: Any, measured: TwinMeasured, fractions: Any, f: Any, d: Any, s: Any) -> tuple[Any, Any]:
    model = backend.twin_model(measured, f, d, s)
    found = backend.twin(
        measured.groups, fractions, measured.intensity, measured.sigma, model.mean, model.variance, measured.centric
    )
    return model, found


def test_amplitudes_of_a_twin_and_their_shares(backend: Any) -> None:
    rng, n, fractions = np.random.default_rng(0), 700, np.array([0.6, 0.3, 0.1])
    f, mates = spectrum(rng, n), rng.integers(-2, n, (3, n))
    mates[0], mates[:, 0], f_obs = np.arange(n), -1, rng.uniform(1.0, 2.0, n)
    whole = np.sqrt([sum(a * abs(f[k]) ** 2 for a, k in zip(fractions, row, strict=True) if k >= 0) for row in mates.T])
    np.testing.assert_allclose(np.asarray(backend.twinned(mates, fractions, backend.keep(f), None)), whole, rtol=1e-12)
    share = np.where(whole > 0.0, f_obs * np.abs(f) / np.maximum(whole, 1e-300), f_obs)
    found = backend.twinned(mates, fractions, backend.keep(f), f_obs)
    np.testing.assert_allclose(np.asarray(found), share, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 4])
def test_slopes_as_on_the_reference_backend(backend: Any, size: int) -> None:
    """From the same posterior means."""
    measured, f, d, s = twin(size, 40)
    fractions, results = FRACTIONS[size], []
    _, posterior = integrated(create("reference"), measured, fractions, f, d, s)
    for used in (create("reference"), backend):
        on = [used.keep(x) for x in (f, d, s)]
        model, at = used.twin_model(measured, *on), measured.groups.member
        found = TwinPosterior(*(used.keep(getattr(posterior, field.name)) for field in fields(posterior)))
        np.testing.assert_allclose(np.asarray(model.mean), d[at] * np.abs(f[at]), rtol=1e-12)
        np.testing.assert_allclose(np.asarray(model.variance), s[at] * measured.epsilon, rtol=1e-12)
        slopes = used.twin_slopes(measured, fractions, found, model, on[0], on[1], True)
        plain = used.twin_slopes(measured, fractions, found, model, on[0], on[1], False)
        np.testing.assert_array_equal(np.asarray(plain.minus_ll), np.asarray(slopes.minus_ll))
        assert plain.gradient is None and plain.information is None
        assert np.asarray(slopes.minus_ll).sum() == pytest.approx(np.asarray(found.minus_ll).sum(), rel=1e-10)
        results.append([
            slopes.minus_ll, slopes.gradient, slopes.information,
            used.twin_errors(measured, fractions, found, model, on[0], on[1]),
            *used.centred_products(found.fraction_slope),
        ])
        each = np.asarray(found.fraction_slope)
        each = each - each.mean(axis=1, keepdims=True)
        np.testing.assert_allclose(results[-1][-1], each.T @ each, rtol=1e-9)
    others = np.setdiff1d(np.arange(measured.n), measured.groups.member)
    for a, b in zip(*results, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-11 * np.abs(a).max())
        assert a.shape[-1] < measured.n or not b[..., others].any()


@pytest.mark.parametrize("name", ["cpu", "shim"])
def test_gradients_of_pairs_are_those_of_the_likelihood(name: str) -> None:
    """By F_c, and by D and ln S, by central differences; the reference backend integrates too slowly for these."""
    backend = shim_backend() if name == "shim" else create("cpu", 1)
    measured, f, d, s = twin(2, 4)
    fractions, at = FRACTIONS[2], measured.groups.member

    def value(f: Any, d: Any, s: Any) -> float:
        _, found = integrated(backend, measured, fractions, backend.keep(f), backend.keep(d), backend.keep(s))
        return float(np.asarray(found.minus_ll).sum())

    on = [backend.keep(x) for x in (f, d, s)]
    model, found = integrated(backend, measured, fractions, *on)
    slopes = backend.twin_slopes(measured, fractions, found, model, on[0], on[1], True)
    g = np.asarray(slopes.gradient)[at]

    def moved(x: Any, whole: Any) -> Any:
        whole = whole.copy()
        whole[at] = x
        return whole

    check_gradient(
        lambda x: value(moved(x.reshape(-1, 2) @ np.array([1.0, 1.0j]), f), d, s),
        np.stack([g.real, g.imag], -1).ravel(), np.stack([f[at].real, f[at].imag], -1).ravel(), 1e-3,
        count=4,
    )
    errors = np.asarray(backend.twin_errors(measured, fractions, found, model, on[0], on[1]))
    check_gradient(lambda x: value(f, moved(x, d), s), errors[0, at], d[at], 1e-4, count=3)
    check_gradient(lambda x: value(f, d, moved(np.exp(x), s)), errors[2, at], np.log(s[at]), 1e-4, count=3)
    assert (errors[[1, 3]] >= 0.0).all() and errors[1, at].all()
