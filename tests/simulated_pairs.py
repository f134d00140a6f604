"""Friedel pairs drawn from the model of their likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpurefine.backend import create
from gpurefine.model.friedel import FriedelPairs
from gpurefine.model.reflections import Reflections
from gpurefine.target.sad import plan_sad

D, D_DELTA = 0.9, 0.8
TRUE = [np.zeros(0, np.complex128)]


def s_shared(s2: Any) -> Any:
    return 400.0 * np.exp(-5.0 * s2)


def s_delta(s2: Any) -> Any:
    return 6.0 * np.exp(-2.0 * s2)


def simulated(n: int = 20_000, refined: tuple[bool, ...] = (False,), error: float = 1.0) -> tuple[Any, Any, Any]:
    """Likelihood of pairs drawn with complex errors, F_total of the model (n_model, n), k_aniso.

    ``error`` multiplies the common error; F′ of the truth is left in ``TRUE``.
    """
    rng = np.random.default_rng(7)

    def normal(*shape: int) -> Any:
        return (rng.normal(size=shape) + 1j * rng.normal(size=shape)) * np.sqrt(0.5)

    s2 = np.sort(rng.random(n) ** (2.0 / 3.0) * 0.25 + 0.002)
    epsilon, centric = np.where(rng.random(n) < 0.05, 2.0, 1.0), rng.random(n) < 0.1
    k = np.exp(rng.normal(0.0, 0.2, n))
    main = 50.0 * np.exp(-2.0 * s2) * normal(n) * k
    parts = np.array([7.0, 4.0][: len(refined)])[:, None] * np.exp(-2.0 * s2) * normal(len(refined), n) * k
    # along and across one line where the phase is restricted
    main = np.where(centric, np.abs(main), main)
    parts = np.where(centric, np.abs(parts), parts)
    anomalous = parts.sum(axis=0)
    shared = error * np.sqrt(epsilon * s_shared(s2)) * k * np.where(centric, rng.normal(size=n), normal(n))
    own = np.sqrt(epsilon * s_delta(s2)) * k * normal(2, n)
    own = np.where(centric, np.sqrt(2.0) * own.real, own)
    sigma = np.full((2, n), 1.2)
    noise = sigma * np.where(centric, rng.normal(size=(2, n)), np.sqrt(2.0) * normal(2, n))
    TRUE[0] = D * main + shared
    f = np.abs(D * main + np.array([1j, -1j])[:, None] * D_DELTA * anomalous + shared + own + noise)
    f[1, centric] = np.nan
    lost = rng.random(n)
    f[0, ~centric & (lost < 0.04)] = np.nan
    f[1, ~centric & (lost > 0.96)] = np.nan
    mean = np.nanmean(f, axis=0)
    only_mean = ~centric & (lost > 0.5) & (lost < 0.52)
    f[:, only_mean] = np.nan
    free = rng.random(n) < 0.3
    reflections = Reflections(np.zeros((n, 3), np.int32), s2, centric, epsilon, mean, np.full(n, 1.0), free)
    at = np.where(np.isfinite(f), sigma, np.nan)
    likelihood = plan_sad(
        create("cpu", 2), reflections, FriedelPairs(f[0], at[0], f[1], at[1], ()), np.array(refined)
    )
    return likelihood, np.vstack([main[None], parts]), k
