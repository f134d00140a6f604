"""Measured values on unique indices: Friedel mates averaged, equivalents merged, bad measurements dropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

F64 = NDArray[np.float64]

LARGEST_RATIO = 1e8
"""Values this many times the median are damage."""

LARGEST_BAD_FRACTION = 0.10
"""More measurements without a usable standard uncertainty than this are an error."""


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """``hkl`` (n, 3) int32 unique indices in lexical order; ``value``, ``sigma`` (n,) float64, finite, sigma > 0."""

    hkl: NDArray[np.int32]
    value: F64
    sigma: F64

    def __len__(self) -> int:
        return len(self.hkl)

    def select(self, keep: NDArray[np.bool_]) -> Measurements:
        """Those where ``keep`` (n,) is True."""
        return Measurements(self.hkl[keep], self.value[keep], self.sigma[keep])


def average_mates(values: F64, sigmas: F64) -> tuple[F64, F64]:
    """Mean of Friedel mates weighted by 1/σ²; a mate that stands alone is taken as it is.

    Args:
        values, sigmas: (n, 2), + and −; NaN or σ ≤ 0 marks an unusable mate.

    Returns:
        (n,) value and (n,) sigma.  Where neither σ is usable, the plain mean of the values and NaN.
    """
    usable = np.isfinite(values) & np.isfinite(sigmas) & (sigmas > 0.0)
    weight = np.where(usable, 1.0 / np.where(usable, sigmas, 1.0) ** 2, 0.0)
    total = weight.sum(axis=1)
    some = total > 0.0
    divisor = np.where(some, total, 1.0)
    present = np.isfinite(values)
    plain = np.where(present, values, 0.0).sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    plain[~present.any(axis=1)] = np.nan
    mean = np.where(some, (weight * np.where(usable, values, 0.0)).sum(axis=1) / divisor, plain)
    return mean, np.where(some, 1.0 / np.sqrt(divisor), np.nan)


def clean(
    hkl: NDArray[np.int32], value: F64, sigma: F64, amplitudes: bool, path: str
) -> tuple[Measurements, list[str]]:
    """Usable measurements on unique indices, and what was done to get them.

    A value that is not a number, and 0 with uncertainty 0, mean that nothing was measured; so does an amplitude of
    exactly 0, which old programs wrote for missing reflections.  Negative amplitudes and values without a positive
    uncertainty are dropped; equivalents are averaged with weights 1/σ².

    Args:
        hkl: (m, 3) indices in the asymmetric unit, in any order, perhaps repeated.
        value, sigma: (m,).
        amplitudes: the values are amplitudes (which cannot be negative).
        path: file named in messages.

    Raises:
        InputError: nothing was measured, or more than 10 % have no usable uncertainty.
    """
    messages = []
    measured = np.isfinite(value) & ~((value == 0.0) & ((sigma == 0.0) | ~np.isfinite(sigma)))
    n_measured = int(measured.sum())
    if n_measured == 0:
        raise InputError(f"{path} has no measured value in the chosen columns.")
    good_sigma = np.isfinite(sigma) & (sigma > 0.0)
    n_bad = int((measured & ~good_sigma).sum())
    if n_bad > LARGEST_BAD_FRACTION * n_measured:
        raise InputError(
            f"{n_bad} of {n_measured} measurements in {path} have no positive standard uncertainty; check that the "
            "column of uncertainties is the right one (--labels)."
        )
    if n_bad:
        messages.append(f"{n_bad} of {n_measured} measurements have no positive standard uncertainty and are left out.")
    keep = measured & good_sigma
    if amplitudes:
        n_negative = int((keep & (value < 0.0)).sum())
        if n_negative:
            messages.append(f"{n_negative} negative amplitudes are left out.")
        n_zero = int((keep & (value == 0.0)).sum())
        if n_zero:
            messages.append(f"{n_zero} amplitudes are exactly 0, which marks reflections that were not measured.")
        keep &= value > 0.0
    if not keep.any():
        raise InputError(f"{path} has no usable measurement in the chosen columns.")
    typical = float(np.median(np.abs(value[keep])))
    huge = keep & (np.abs(value) > LARGEST_RATIO * max(typical, float(np.median(sigma[keep]))))
    if huge.any():
        messages.append(f"{int(huge.sum())} measurements are impossibly large and left out.")
        keep &= ~huge
    kept = value[keep]
    if len(kept) > 20 and kept.min() == kept.max():
        raise InputError(
            f"Every measurement in {path} has the value {kept[0]:g}; the chosen column was never measured: choose "
            "another with --labels."
        )
    if len(kept) > 20 and sigma[keep].min() == sigma[keep].max():
        messages.append(
            f"Every standard uncertainty is {sigma[keep][0]:g}: they were made up rather than measured, and weigh all "
            "data alike."
        )
    merged, n_repeated = merge(hkl[keep], value[keep], sigma[keep])
    if n_repeated:
        messages.append(f"{n_repeated} repeated or equivalent measurements were averaged with their equivalents.")
    return merged, messages


def usable(hkl: NDArray[np.int32], value: F64, sigma: F64, amplitudes: bool) -> Measurements:
    """What :func:`clean` would keep of a companion column, without a word; perhaps nothing."""
    keep = np.isfinite(value) & np.isfinite(sigma) & (sigma > 0.0)
    if amplitudes:
        keep &= value > 0.0
    if keep.any():
        typical = max(float(np.median(np.abs(value[keep]))), float(np.median(sigma[keep])))
        keep &= ~(np.abs(value) > LARGEST_RATIO * typical)
    return merge(hkl[keep], value[keep], sigma[keep])[0]


def on_list(measured: Measurements, listed: NDArray[np.int32]) -> tuple[F64, F64]:
    """Value and σ (n,) on the ``listed`` reflections (n, 3), NaN where there is none; what is not listed is lost."""
    value, sigma = np.full(len(listed), np.nan), np.full(len(listed), np.nan)
    at = positions(measured.hkl, listed)
    value[at[at >= 0]], sigma[at[at >= 0]] = measured.value[at >= 0], measured.sigma[at >= 0]
    return value, sigma


def merge(hkl: NDArray[np.int32], value: F64, sigma: F64) -> tuple[Measurements, int]:
    """Average equal indices; also how many measurements that removes.

    Equivalents with the same value and uncertainty are copies of one measurement (data expanded to a lower symmetry):
    they keep their uncertainty.
    """
    unique, inverse, _ = unique_rows(hkl)
    if len(unique) == len(hkl):
        order = np.argsort(inverse)
        return Measurements(unique, value[order], sigma[order]), 0
    weight = np.bincount(inverse, weights=1.0 / sigma**2)
    mean = np.bincount(inverse, weights=value / sigma**2) / weight
    first = np.zeros(len(unique), dtype=np.intp)
    first[inverse[::-1]] = np.arange(len(hkl))[::-1]
    differs = (value != value[first][inverse]) | (sigma != sigma[first][inverse])
    copies = np.bincount(inverse, weights=differs) == 0.0
    merged = Measurements(
        unique, np.where(copies, value[first], mean), np.where(copies, sigma[first], 1.0 / np.sqrt(weight))
    )
    return merged, len(hkl) - len(unique)


def positions(of: NDArray[np.int32], among: NDArray[np.int32]) -> NDArray[np.int64]:
    """Where each index of ``of`` (n, 3) is in ``among`` (m, 3, unique): (n,) int64, −1 where it is not."""
    if len(among) == 0 or len(of) == 0:
        return np.full(len(of), -1, dtype=np.int64)
    keys, wanted = _keys(among, of)
    order = np.argsort(keys)
    at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    found = order[at]
    return np.where(keys[found] == wanted, found, -1)


def unique_rows(hkl: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.intp], NDArray[np.intp]]:
    """The different indices of ``hkl`` (n, 3) in ascending order (m, 3), which of them each is (n,), how often (m,)."""
    if len(hkl) == 0:
        return hkl, np.zeros(0, np.intp), np.zeros(0, np.intp)
    (key,) = _keys(hkl)
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    inverse = np.empty(len(hkl), np.intp)
    inverse[order] = np.cumsum(new) - 1
    return hkl[order[new]], inverse, np.bincount(inverse)


def _keys(*lists: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """One number for each index of lists (n, 3), in the order of h, then k, then l."""
    low = np.min([hkl.min(axis=0) for hkl in lists], axis=0).astype(np.int64)
    span = np.max([hkl.max(axis=0) for hkl in lists], axis=0).astype(np.int64) - low + 1
    keys = []
    for hkl in lists:
        h = hkl.astype(np.int64) - low
        keys.append(np.asarray((h[:, 0] * span[1] + h[:, 1]) * span[2] + h[:, 2]))
    return keys
