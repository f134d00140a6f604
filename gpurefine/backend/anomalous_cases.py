"""What is measured of a native with the Friedel pair of a derivative: which integral serves which reflection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ops_anomalous import AnomalousResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Operation = Callable[..., AnomalousResult]


def empty_result(n: int, e: int, m: int, k: int) -> AnomalousResult:
    """Zeros for n indices with e observations, m model structure factors and k error parameters."""
    return AnomalousResult(
        np.zeros(n), np.zeros((m, n), np.complex128), np.zeros((m, n)), np.zeros((e, n), np.complex128),
        np.zeros((k, n)), np.zeros((k, n)),
    )


def siras_by_cases(
    joint: Operation, sad: Operation, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64,
    centric: NDArray[np.bool_], want_information: bool, scale: F64 | None = None,
) -> AnomalousResult:
    """Arguments and result of the operation ``siras``.

    ``joint`` performs it where the native and at least one mate were measured; ``sad`` serves derivatives alone, and
    natives alone as single mates without F″.
    """
    if scale is not None:
        by = np.stack([np.ones(len(scale)), scale, scale])
        f_obs, sigma = f_obs * by, sigma * by
    out = empty_result(f_obs.shape[1], 3, 3, 7)
    native, derivative = np.isfinite(f_obs[0]), np.isfinite(f_obs[1:]).any(axis=0)
    index = np.flatnonzero(native & derivative)
    if len(index):
        found = joint(*_at(index, f_obs, sigma, f_calc, d, s), epsilon[index], centric[index], want_information)
        for field in fields(found):
            getattr(out, field.name)[..., index] = getattr(found, field.name)
    index = np.flatnonzero(derivative & ~native)
    if len(index):
        mates = np.stack([f_calc[0] + f_calc[1], f_calc[2]])
        found = sad(
            *_at(index, f_obs[1:], sigma[1:], mates, d[1:], s[1:3]), epsilon[index], centric[index],
            want_information,
        )
        _put(out, found, index, np.array([1, 2]), np.array([1, 2]), np.array([1, 2, 4, 5]), np.arange(4))
        for x in (out.gradient, out.information):
            x[0, index] = x[1, index]
    index = np.flatnonzero(native & ~derivative)
    if len(index):
        nothing = np.zeros(len(index))
        found = sad(
            np.stack([f_obs[0, index], np.full(len(index), np.nan)]), np.stack([sigma[0, index], nothing]),
            np.stack([f_calc[0, index], nothing]), np.stack([d[0, index], nothing]), np.stack([s[0, index], nothing]),
            epsilon[index], centric[index], want_information,
        )
        _put(out, found, index, np.array([0]), np.array([0]), np.array([0, 3]), np.array([0, 2]))
    return out


def _at(index: NDArray[np.intp], *arrays: NDArray[Any]) -> list[NDArray[Any]]:
    return [np.ascontiguousarray(array[:, index]) for array in arrays]


def _put(
    out: AnomalousResult, found: AnomalousResult, index: NDArray[np.intp], rows: NDArray[np.intp],
    seen: NDArray[np.intp], parameters: NDArray[np.intp], own: NDArray[np.intp],
) -> None:
    """Rows ``rows`` of the model, ``seen`` of the observations and ``parameters`` (from ``own``) of a sub-problem."""
    out.minus_ll[index] = found.minus_ll
    for place, row in enumerate(rows):
        out.gradient[row, index] = found.gradient[place]
        out.information[row, index] = found.information[place]
    for place, row in enumerate(seen):
        out.phased[row, index] = found.phased[place]
    for place, row in zip(own, parameters, strict=True):
        out.slope[row, index], out.bound[row, index] = found.slope[place], found.bound[place]
