"""The likelihoods that a plain refinement does not use, on made-up reflections: GPU beside CPU.

Each operation is called with derivatives as a cycle calls it.  Results are compared first: times of wrong results are
worth nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpurefine.backend.ops import Backend
from gpurefine.backend.ops_twin import TwinGroups

from .summary import align, short

MOST_TRIPLES = 4000
"""Reflections of SIRAS, which take the CPU a third of a millisecond each."""

AGREEMENT = 1e-6
"""Largest difference of −LL per reflection, in units of the largest."""

Call = Callable[[Backend], Any]


def _normal(rng: np.random.Generator, *shape: int) -> Any:
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)


def _twins(rng: np.random.Generator, n: int, size: int) -> Call:
    """n reflections of an acentric twin whose domains have unequal fractions, in groups of ``size``."""
    count = max(n // size, 1)
    place = np.arange(size)
    mate = np.tile((place[:, None] + place) % size, (count, 1)).astype(np.int32)
    member = np.arange(size * count, dtype=np.int32)
    groups = TwinGroups(np.arange(0, size * count + 1, size, dtype=np.int32), member, mate)
    fractions = 1.0 / (1.5 + np.arange(size))
    fractions /= fractions.sum()
    mean, variance = 30.0 * np.abs(_normal(rng, len(member))), np.full(len(member), 400.0)
    true = np.abs(mean + 20.0 * _normal(rng, len(member))) ** 2
    i = (fractions * true[groups.mates()]).sum(axis=1)
    sigma, centric = 0.05 * i + 20.0, np.zeros(len(i), bool)
    measured = i + sigma * rng.normal(size=len(i))
    return lambda backend: backend.twin(groups, fractions, measured, sigma, mean, variance, centric)


def operations(n: int) -> dict[str, tuple[int, Call]]:
    """Reflections and call of each operation, for data of about ``n`` reflections."""
    rng = np.random.default_rng(1)
    triples = min(n, MOST_TRIPLES)
    one, centric = np.ones(n), np.zeros(n, bool)
    f_calc = 40.0 * _normal(rng, n)
    f_obs = np.abs(0.9 * f_calc + 20.0 * _normal(rng, n))
    prior = np.stack([*(2.0 * _normal(rng, n) + 3.0 * f_calc / np.abs(f_calc)).view(np.float64).reshape(n, 2).T,
                      rng.normal(size=n), rng.normal(size=n)])
    d, s = 0.9 * one, 400.0 * one
    sites = np.array([5.0, 3.0])[:, None] * _normal(rng, 2, n)
    part = 0.9 * 1j * sites[1]
    error = 15.0 * _normal(rng, n)
    pair = np.abs(0.9 * f_calc + error + np.array([part, -part]) + 4.0 * _normal(rng, 2, n))
    three = np.stack([f_obs, *pair])

    def siras(backend: Backend) -> Any:
        k = slice(0, triples)
        return backend.siras(
            three[:, k].copy(), np.full((3, triples), 2.0), np.stack([f_calc, *sites])[:, k].copy(),
            np.full((3, triples), 0.9), np.tile(np.array([[400.0], [400.0], [15.0], [0.8]]), triples), one[k],
            centric[k], True,
        )

    return {
        "intensities": (n, lambda b: b.intensity(f_obs**2, 0.1 * f_obs**2 + 20.0, f_calc, d, s, one, centric, True)),
        "prior phases": (n, lambda b: b.phased(f_obs, 2.0 * one, f_calc, prior, d, s, one, centric, True)),
        "prior phases, D and Σ": (
            n, lambda b: b.phased_sigmaa(f_obs, 2.0 * one, f_calc, prior, d, s, one, centric)
        ),
        "Friedel pairs": (
            n, lambda b: b.sad(
                pair, np.full((2, n), 2.0), np.stack([f_calc, sites[1]]), np.full((2, n), 0.9),
                np.stack([s, np.full(n, 15.0)]), one, centric, True,
            ),
        ),
        "native and pair": (triples, siras),
        "twin, pairs": (n, _twins(rng, n, 2)),
        "twin, groups of four": (n, _twins(rng, n, 4)),
    }


def compared(
    cpu: Backend, gpu: Backend, n: int, timed: Callable[[Callable[[], object], Backend], float]
) -> list[dict[str, Any]]:
    """Each operation's ``reflections``, ``difference``, and seconds on the ``gpu`` and on the ``cpu``.

    Raises:
        SystemExit: the two disagree.
    """
    rows = []
    for name, (count, call) in operations(n).items():
        a, b = (np.asarray(call(backend).minus_ll) for backend in (cpu, gpu))
        difference = float(np.abs(a - b).max() / np.abs(a).max())
        if not difference < AGREEMENT:
            raise SystemExit(f"{name}: GPU and CPU differ by {difference:.1e} ({AGREEMENT:.0e} is allowed).")
        rows.append({
            "operation": name, "reflections": count, "difference": difference,
            **{side: timed(lambda call=call, b=b: call(b), b) for side, b in (("gpu", gpu), ("cpu", cpu))},
        })
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    return align([["likelihood", "reflections", "GPU, ms", "CPU, ms", "CPU ÷ GPU"]] + [
        [row["operation"], str(row["reflections"]), short(1e3 * row["gpu"]), short(1e3 * row["cpu"]),
         f"{row['cpu'] / row['gpu']:.1f}"]
        for row in rows
    ])
