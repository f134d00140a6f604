"""Rows of structure factors of pairs and derivatives, and parameters on shells: closed forms on every backend."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gpurefine.backend import create
from gpurefine.backend.ops_derivative import SitePlan
from gpurefine.target.shells import Hats

N = 1201


def numbers(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).normal(size=shape or N)


def spectrum(seed: int, *shape: int) -> Any:
    return numbers(seed, *shape) + 1j * numbers(seed + 100, *shape)


def close(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    expected = np.asarray(expected)
    size = np.nanmax(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=tolerance, atol=tolerance * size)


INDEX = np.random.default_rng(0).permutation(N)[:500]
SINGLE = np.random.default_rng(1).random(N) < 0.2


def test_rows_are_taken_and_put(backend: Any) -> None:
    for values in (numbers(2, 3, N), spectrum(3, 3, N)):
        some = backend.take(backend.keep(values), INDEX)
        close(some, values[:, INDEX])
        expected = np.zeros_like(values)
        expected[:, INDEX] = values[:, INDEX]
        close(backend.put(some, INDEX, N), expected)


@pytest.mark.parametrize("m", [1, 2, 30])
def test_parameters_between_knots_and_their_sums(backend: Any, m: int) -> None:
    inv_d2, knots = np.random.default_rng(4).uniform(0.0, 0.3, N), np.linspace(0.02, 0.27, m)
    hats, k = Hats.of(inv_d2, knots), np.exp(0.1 * numbers(5))
    factors, logs = numbers(6, 3, m), numbers(7, 4, m)
    d, s = backend.curves(hats, factors, logs, backend.keep(k), 1)
    close(d, [np.interp(inv_d2, knots, row) for row in factors])
    at = np.array([np.interp(inv_d2, knots, row) for row in logs])
    close(s, [*(np.exp(at[:3]) * k**2), 1.0 / (1.0 + np.exp(-at[3]))])
    close(backend.curves(hats, factors, logs, backend.keep(k), 0)[1], np.exp(at) * k**2)
    slope, bound = numbers(8, 5, N), numbers(9, 5, N) ** 2
    sums = backend.curve_sums(hats, backend.keep(slope), backend.keep(bound), 2, 3)
    by_hats = np.stack([hats.value(row) for row in np.eye(m)], axis=1)
    close(sums.gradient, slope[2:] @ by_hats)  # the transpose of the interpolation
    for bands, weight in ((sums.square, slope**2), (sums.bound, bound)):
        for found, row in zip(bands, weight[2:], strict=True):
            full = by_hats.T @ (row[:, None] * by_hats)
            close(found[2], np.diag(full))
            close(found[1, 1:], np.diag(full, 1))
    close(backend.merged(backend.keep(slope)), [slope[0] + slope[1], *slope[2:]])


@pytest.mark.parametrize("p", [0, 1, 3])
def test_friedel_pairs_and_their_adjoint(backend: Any, p: int) -> None:
    f_total, multiplier = spectrum(10, 1 + p, N), numbers(11, p)
    on = backend.keep(f_total)
    anomalous = np.where(SINGLE, 0.0, (multiplier[:, None] * f_total[1:]).sum(axis=0))
    pair = backend.friedel_pair(on, multiplier, SINGLE, INDEX)
    close(pair, [f_total[0, INDEX], anomalous[INDEX]])
    whole = backend.friedel_pair(on, multiplier, SINGLE, None)
    close(whole, [f_total[0], anomalous])
    mates = np.abs(f_total[0] + 1j * anomalous), np.abs(f_total[0] - 1j * anomalous)
    close(backend.mean_mate(whole), 0.5 * (mates[0] + mates[1]))
    gradient, information = spectrum(12, 2, len(INDEX)), numbers(13, 2, len(INDEX)) ** 2
    result = SimpleNamespace(gradient=backend.keep(gradient), information=backend.keep(information))
    by_row, known = (np.asarray(x) for x in backend.friedel_slopes(result, multiplier, SINGLE, INDEX))
    assert np.vdot(gradient, np.asarray(pair)).real == pytest.approx(np.vdot(by_row, f_total).real, rel=1e-11)
    some = np.where(SINGLE[INDEX], 0.0, information[1])
    close(known[:, INDEX], [information[0], *(multiplier[:, None] ** 2 * some)])
    others = np.setdiff1d(np.arange(N), INDEX)
    assert not by_row[:, others].any() and not known[:, others].any()


def test_rows_of_a_derivative_and_their_adjoint(backend: Any) -> None:
    f_total, heavy = spectrum(14, 2, N), spectrum(15, 2, N)
    rows = backend.derivative_rows(backend.keep(f_total), backend.keep(heavy), INDEX)
    close(rows, np.stack([f_total[0], heavy[0], f_total[1] + heavy[1]])[:, INDEX])
    gradient, information = spectrum(16, 3, len(INDEX)), numbers(17, 3, len(INDEX)) ** 2
    result = SimpleNamespace(gradient=backend.keep(gradient), information=backend.keep(information))
    found = backend.derivative_slopes(result, INDEX, N)
    for values, wanted in zip(found, (gradient, information), strict=True):
        expected = np.zeros((2, N), wanted.dtype)
        expected[:, INDEX] = wanted[[0, 2]]
        close(values, expected)


def test_sites_by_their_definition(backend: Any) -> None:
    rng = np.random.default_rng(18)
    plan = SitePlan(
        rng.integers(-9, 10, (N, 3)).astype(np.int32), rng.uniform(0.0, 0.2, N), rng.uniform(10.0, 50.0, (2, N)),
        np.array([7.0, 4.0]),
        np.array([np.eye(3), [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]], np.int32), np.array([[0, 0, 0], [0.5, 0, 0.25]]),
    )
    sites = np.column_stack([rng.random((2, 3)), [20.0, 40.0], [0.8, 0.3]])
    expected = np.zeros((2, N), np.complex128)
    for k, (x, y, z, b, q) in enumerate(sites):
        for turn, shift in zip(plan.rotations, plan.translations, strict=True):
            wave = q * np.exp(-0.25 * b * plan.inv_d2 + 2j * np.pi * (plan.hkl @ (turn @ [x, y, z] + shift)))
            expected += np.stack([plan.form[k] * wave, plan.f_second[k] * wave])
    close(backend.site_factors(plan, sites, backend.keep(numbers(19))), expected, 1e-11)


@pytest.mark.parametrize("everything", [False, True])
def test_natives_with_pairs_where_the_structure_factors_lie(backend: Any, everything: bool) -> None:
    """Measured or not, with a scale: the same as from the host's arrays, scaled beforehand."""
    rng, n = np.random.default_rng(20), 40
    f = np.array([100.0, 15.0, 5.0])[:, None] * spectrum(21, 3, n)
    fo = np.abs(f[[0, 0, 0]] + 20.0 * spectrum(22, 3, n))
    if not everything:
        for row in range(3):
            fo[row, rng.random(n) < 0.3] = np.nan
    s = np.array([*rng.uniform(10.0, 900.0, (3, n)), rng.uniform(0.0, 0.9, n)])
    sigma, d, scale = np.full((3, n), 2.0), np.full((3, n), 0.9), rng.uniform(0.5, 2.0, n)
    epsilon, centric = rng.integers(1, 3, n).astype(float), np.zeros(n, bool)
    by = np.stack([np.ones(n), scale, scale])
    wanted = create("cpu", 1).siras(fo * by, sigma * by, f, d, s, epsilon, centric, True)
    keep = backend.keep
    for _ in range(2):
        found = backend.siras(fo, sigma, keep(f), keep(d), keep(s), epsilon, centric, True, keep(scale))
        for field in fields(wanted):
            exact = backend.name == "cpu" or "g++" in backend.name  # a GPU multiplies and adds at once
            tolerance = 1e-8 if exact else 1e-7
            close(getattr(found, field.name), getattr(wanted, field.name), tolerance)
