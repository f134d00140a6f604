"""Every likelihood on every backend: X from 1e-8 to 1e8, σ_I/I from 1e-3 to 1e3, I down to −10σ; nothing overflows."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from typing import Any

import numpy as np
import pytest

from gpurefine.backend.ops_twin import TwinGroups

X = (1e-8, 1e-4, 1.0, 1e4, 1e8)
NOISE = (1e-3, 1.0, 1e3)


def grid() -> dict[str, Any]:
    """Amplitudes in units of √Σ: the model by X = 2 F D F_c/Σ, data that agree with it or do not, σ weak and strong."""
    rows = []
    for x, noise, misfit, centric in product(X, NOISE, (1.0, 0.1, 3.0), (False, True)):
        fc = np.sqrt(0.5 * x)
        fo = misfit * fc
        for i in (fo**2, -10.0 * noise * fo**2, 0.0):
            rows.append((fo, 0.5 * noise * fo, fc, i, noise * fo**2, centric))
    table = np.array(rows, dtype=np.float64)
    one = np.ones(len(table))
    return {
        "fo": table[:, 0].copy(), "sigma_f": table[:, 1].copy(), "fc": table[:, 2] * np.exp(1.1j),
        "i": table[:, 3].copy(), "sigma_i": table[:, 4].copy(), "centric": table[:, 5] > 0.5, "one": one,
    }  # fmt: skip


def finite(result: Any) -> None:
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, np.ndarray):
            assert np.isfinite(value).all(), field.name


def test_amplitudes(backend: Any) -> None:
    g = grid()
    finite(backend.rice(g["fo"], g["sigma_f"], g["fc"], g["one"], g["one"], g["one"], g["centric"], True))
    finite(backend.rice_sigmaa(g["fo"], g["sigma_f"], abs(g["fc"]), g["one"], g["one"], g["one"], g["centric"]))


def test_prior_phases(backend: Any) -> None:
    g = grid()
    for strength in (0.0, 1.0, 300.0):
        prior = strength * np.outer([1.0, -0.5, 0.3, 0.2], g["one"])
        parts = (prior, g["one"], g["one"], g["one"], g["centric"])
        finite(backend.phased(g["fo"], g["sigma_f"], g["fc"], *parts, True))


def test_intensities(backend: Any) -> None:
    g = grid()
    finite(backend.intensity(g["i"], g["sigma_i"], g["fc"], g["one"], g["one"], g["one"], g["centric"], True))
    finite(backend.intensity_sigmaa(g["i"], g["sigma_i"], abs(g["fc"]), g["one"], g["one"], g["one"], g["centric"]))


def test_friedel_pairs(backend: Any) -> None:
    g = grid()
    f = np.array([g["fo"], 1.2 * g["fo"]])
    f[1, ::3] = np.nan
    f[0, 1::6] = np.nan
    sigma = np.array([g["sigma_f"], g["sigma_f"]])
    for share in (1e-6, 1.0):
        calc = np.array([g["fc"], 0.1 * g["fc"]])
        s = np.array([g["one"], share * g["one"]])
        finite(backend.sad(f, sigma, calc, np.ones_like(s), s, g["one"], g["centric"], True))


def test_derivatives(backend: Any) -> None:
    if backend.name == "reference":
        pytest.skip("its fixed number of points is meant for ordinary data, and takes minutes here")
    g = grid()
    f = np.array([g["fo"], 1.1 * g["fo"], 0.9 * g["fo"]])
    f[2, ::3] = np.nan
    sigma = np.array([g["sigma_f"]] * 3)
    for share, r in ((1e-4, 0.9), (1.0, 0.0)):
        calc = np.array([g["fc"], 1.1 * g["fc"], 0.1j * g["fc"]])
        s = np.array([g["one"], g["one"], share * g["one"], r * g["one"]])
        finite(backend.siras(f, sigma, calc, np.ones((3, len(g["one"]))), s, g["one"], g["centric"], True))


def test_twins(backend: Any) -> None:
    """Groups of one, two, three and four; a perfect twin and a small domain; some members not measured."""
    g = grid()
    sizes = (1, 2, 3) if backend.name == "reference" else (1, 2, 3, 4, 7)
    for size in sizes:
        keep = 24 if backend.name == "reference" and size == 3 else len(g["one"])
        order = np.random.default_rng(size).permutation(len(g["one"]))[:keep]
        order = order[: len(order) // size * size]
        count = len(order) // size
        place = np.arange(size)
        mate = np.tile((place[:, None] + place) % size, (count, 1)).astype(np.int32)
        groups = TwinGroups(np.arange(0, len(order) + 1, size).astype(np.int32), order.astype(np.int32), mate)
        sigma = np.maximum(g["sigma_i"], 1e-300)[order]
        sigma[2::5] = 0.0
        centric = np.repeat(g["centric"][order][::size], size)
        for fractions in (np.full(size, 1.0 / size), np.append(1.0 - 1e-4 * (size - 1), np.full(size - 1, 1e-4))):
            variance = 10.0 ** np.random.default_rng(7).uniform(-4, 4, count).repeat(size)
            mean = abs(g["fc"][order]) * np.sqrt(variance)
            i, error = g["i"][order] * variance, sigma * variance
            finite(backend.twin(groups, fractions, i, error, mean, variance, centric))
