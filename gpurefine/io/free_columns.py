"""The free column of a data file, or of a file of its own, on a list of reflections."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.crystal import Crystal
from .crystal_choice import setting_for
from .data_file import open_data
from .free_set import MISSING
from .labels import describe_columns, find_free_column
from .lattice import twin_laws
from .measurements import positions
from .settings import reindexed
from .symmetry import asu_hkl

OBLIQUITY = 1.0
"""Degrees; lattices further from a higher symmetry than this seldom twin by it."""
CONSISTENT = 0.9
"""A test set is called consistent with a twin law where at least this part of it is related to test reflections."""


@dataclass(frozen=True, slots=True, eq=False)
class FreeColumn:
    """``label`` of the column; ``raw`` (n,) int32 values, MISSING where there is none."""

    label: str
    raw: NDArray[np.int32]


def spread_free(
    hkl: NDArray[np.int32], values: NDArray[np.float64], listed: NDArray[np.int32]
) -> NDArray[np.int32]:
    """Free column (m,) of file rows on the listed reflections (n,) int32; of equivalents the first row counts."""
    known = np.isfinite(values) & (np.abs(values) < 1e6)
    unique, first = np.unique(hkl[known], axis=0, return_index=True)
    raw = np.full(len(listed), MISSING, dtype=np.int32)
    if len(unique) and len(listed):
        at = positions(listed, unique)
        raw[at >= 0] = np.rint(values[known][first][at[at >= 0]]).astype(np.int32)
    return raw


def read_free_file(path: str, crystal: Crystal, listed: NDArray[np.int32], option: str = "--free-file") -> FreeColumn:
    """The one free column of another file on the ``listed`` reflections (n, 3) of ``crystal``.

    Raises:
        InputError: there is no such column, or the file is of another crystal.
    """
    mtz = open_data(path).mtz
    integers = [c for c in mtz.columns if c.type == "I"]
    index = integers[0].idx if len(integers) == 1 else find_free_column(mtz)[0]
    if index is None:
        what = "several integer columns" if integers else "no integer column"
        raise InputError(
            f"{option} {path} has {what} and none with a usual name (FREE, FreeR_flag, R-free-flags); its columns "
            f"are {describe_columns(mtz)}."
        )
    setting = setting_for(mtz, crystal)
    if setting is None:
        raise InputError(
            f"{option} {path} has a cell that differs from the data's by more than 3 % or 3° on any axes, or another "
            "symmetry; give the test set of the same crystal form."
        )
    column = mtz.columns[index]
    hkl, whole = reindexed(np.asarray(mtz.make_miller_array(), dtype=np.int32).reshape(-1, 3), setting)
    values = np.array(column.array, dtype=np.float64)[whole]
    raw = spread_free(asu_hkl(crystal, hkl[whole]), values, listed)
    if (raw == MISSING).all():
        raise InputError(f"{option} {path} has a value in column {column.label} for none of the reflections.")
    return FreeColumn(column.label, raw)


def no_free_column(mtz: gemmi.Mtz, path: str) -> str:
    """The sentence on a data file without test set."""
    others = find_free_column(mtz)[1]
    hint = f"; if {' or '.join(others)} is one, name it last in --labels" if others else ""
    return f"Free set: {path} has no free column, so all data are used for refinement{hint}."


def free_consistency(
    crystal: Crystal, hkl: NDArray[np.int32], free: NDArray[np.bool_], observed: NDArray[np.bool_]
) -> list[str]:
    """One line where reflections that the lattice relates are on both sides of the test set.

    Args:
        hkl: (n, 3) all unique reflections; free, observed: (n,) bool.
    """
    for law in twin_laws(crystal, OBLIQUITY):
        partner = positions(asu_hkl(crystal, law.apply(hkl)), hkl)
        related = free & (partner >= 0) & (partner != np.arange(len(hkl)))
        related &= observed[partner]
        both = int((related & free[partner]).sum())
        if related.sum() >= 20 and both < CONSISTENT * related.sum():
            return [
                f"Free set: the lattice relates reflections by {law.name}, and only {both} of {int(related.sum())} "
                "test reflections go with a test reflection; if the crystal is twinned or has NCS along that axis, "
                "R_free is too low (gpurefine freer makes consistent sets)."
            ]
    return []
