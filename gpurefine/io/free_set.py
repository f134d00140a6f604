"""The test set: which value of which column marks it, told in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

MISSING = int(np.iinfo(np.int32).min)
"""Stands in an int32 free column for a reflection that has no value."""

LARGEST_MINORITY = 0.4
"""Of two values, the rarer one is taken as the test set only if it marks no more than this fraction."""


@dataclass(frozen=True, slots=True, eq=False)
class FreeSet:
    """Test set of observed reflections: ``free`` (n,) bool; ``value`` None where there is no test set."""

    free: NDArray[np.bool_]
    value: int | None
    messages: tuple[str, ...]


def choose_free_set(
    raw: NDArray[np.int32], observed: NDArray[np.bool_], column: str, path: str, asked: int | None
) -> FreeSet:
    """Find the test set.

    CCP4 numbers its sets 0 … n and tests with 0; Phenix and the PDB write 0 and 1, the rarer value being the test set.

    Args:
        raw: (n,) int32 values of the free column, ``MISSING`` where there is none.
        observed: (n,) bool.
        column: name of the column; path: file it is in.
        asked: value given with --free-flag, or None.

    Raises:
        InputError: the value asked for does not occur, or the column does not tell which value is the test set.
    """
    known = observed & (raw != MISSING)
    values, counts = np.unique(raw[known], return_counts=True)
    none = np.zeros(len(raw), dtype=bool)
    if asked is None and len(values) < 2:
        what = "has no value for any reflection" if len(values) == 0 else f"is {values[0]} for every reflection"
        return FreeSet(
            none, None, (f"Free set: column {column} {what}: there is no test set, all data are used for refinement.",)
        )
    value = _asked(values, column, path, asked) if asked is not None else _guess(values, counts, column, path)
    free = known & (raw == value)
    n_free, n_observed = int(free.sum()), int(observed.sum())
    messages = [
        f"Free set: column {column}, value {value}, {n_free} of {n_observed} reflections "
        f"({100.0 * n_free / max(n_observed, 1):.1f} %)."
    ]
    unknown = n_observed - int(known.sum())
    if unknown:
        messages.append(f"{unknown} observed reflections have no value in column {column} and are used for refinement.")
    if n_free == n_observed:
        raise InputError(f"Value {value} of column {column} in {path} marks every reflection; none is left to refine.")
    return FreeSet(free, value, tuple(messages))


def _asked(values: NDArray[np.int32], column: str, path: str, asked: int) -> int:
    if asked not in values:
        raise InputError(
            f"--free-flag {asked}: this value does not occur in column {column} of {path}, which has "
            f"{', '.join(str(v) for v in values[:25])}{' …' if len(values) > 25 else ''}."
        )
    return asked


def _guess(values: NDArray[np.int32], counts: NDArray[np.int64], column: str, path: str) -> int:
    fractions = counts / counts.sum()
    if len(values) > 2:
        if 0 in values and fractions[list(values).index(0)] <= LARGEST_MINORITY:
            return 0
    elif fractions.min() <= LARGEST_MINORITY:
        return int(values[np.argmin(counts)])
    shown = ", ".join(f"{v} ({100 * f:.1f} %)" for v, f in list(zip(values, fractions, strict=True))[:25])
    raise InputError(
        f"Column {column} of {path} does not tell which value marks the test set: it has {shown}; choose with "
        "--free-flag."
    )
