"""Rows of a data file as indices of the crystal: on its axes, in its asymmetric unit, of its symmetry."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .crystal_choice import CrystalChoice
from .measurements import unique_rows
from .settings import HIGHER, LOWER, SAME, reindexed
from .symmetry import AsuRows, asu_hkl, asu_rows, crystal_from_gemmi

F64 = NDArray[np.float64]

MOST_BETWEEN_CENTRING = 0.05
"""Part of the rows that may contradict the centring of the crystal (and are left out)."""
LARGEST_R_INTENSITIES, LARGEST_R_AMPLITUDES = 0.35, 0.20
"""R_merge of equivalents beyond which a symmetry is refuted (unrelated acentric intensities: 0.5, amplitudes: 0.27)."""


def crystal_indices(
    mtz: gemmi.Mtz, choice: CrystalChoice, path: str
) -> tuple[AsuRows, NDArray[np.bool_], list[str]]:
    """Indices of the file's rows on the crystal's axes and in its asymmetric unit.

    Returns:
        k rows in the asymmetric unit; (m,) bool, which of the m rows they are (those that the centring allows);
        messages.

    Raises:
        InputError: many rows contradict the centring of the crystal.
    """
    crystal, told = choice.crystal, []
    rows = np.asarray(mtz.make_miller_array(), dtype=np.int32).reshape(-1, 3)
    hkl, whole = reindexed(rows, choice.setting)
    phases = hkl @ crystal.translations[:: crystal.n_primitive].T
    whole = whole & (np.abs(phases - np.rint(phases)) < 1e-3).all(axis=1)
    n_other = int((~whole).sum())
    if n_other > MOST_BETWEEN_CENTRING * len(rows):
        header = "no space group" if choice.file_group is None else choice.file_group.xhm()
        raise InputError(
            f"{n_other} of {len(rows)} reflections in {path} ({header}) are forbidden by the centring of space group "
            f"{crystal.hm}; correct the space group of the model or merge the data again."
        )
    if n_other:
        told.append(f"{n_other} reflections that the centring of {crystal.hm} forbids are left out.")
    inside = asu_rows(crystal, hkl[whole])
    n_moved = int((inside.hkl != hkl[whole]).any(axis=1).sum())
    if n_moved and choice.setting.is_identity and choice.setting.relation == SAME:
        told.append(f"{n_moved} of {len(whole)} reflections were outside CCP4's asymmetric unit and moved into it.")
    return inside, whole, told


def check_symmetry(
    choice: CrystalChoice, hkl: NDArray[np.int32], values: F64, sigmas: F64, amplitudes: bool, path: str
) -> list[str]:
    """Find out whether data of lower or higher symmetry than the crystal's can be used; what is to be told.

    Args:
        hkl: (m, 3) in the crystal's asymmetric unit; values, sigmas: (m,); amplitudes: the values are amplitudes.

    Raises:
        InputError: equivalents disagree, or the file holds no more than the asymmetric unit of the higher symmetry.
    """
    group = choice.file_group
    usable = np.isfinite(values) & np.isfinite(sigmas) & (sigmas > 0.0)
    hkl, values = hkl[usable], values[usable]
    unique, index, counts = unique_rows(hkl)
    if choice.setting.relation == HIGHER and group is not None:
        cell = gemmi.UnitCell(*choice.crystal.cell)
        header = crystal_from_gemmi(cell, group) if choice.setting.is_identity else None
        wider = len(unique) if header is None else len(unique_rows(asu_hkl(header, unique))[0])
        if len(unique) < 1.3 * wider or header is None:
            raise InputError(
                f"{path} was merged in {group.xhm()}, a higher symmetry than {choice.crystal.hm} of the model, so that "
                f"reflections are missing; merge it again in {choice.crystal.hm}, or correct the model."
            )
        return [f"{path} holds more reflections than {group.xhm()} has; they are those of {choice.crystal.hm}."]
    if choice.setting.relation != LOWER:
        return []
    several = counts > 1
    mean = np.bincount(index, weights=values) / counts
    at = several[index]
    total = float(np.abs(values[at]).sum())
    if at.sum() < 50 or total == 0.0:
        return []
    r_merge = float(np.abs(values - mean[index])[at].sum()) / total
    if r_merge > (LARGEST_R_AMPLITUDES if amplitudes else LARGEST_R_INTENSITIES):
        raise InputError(
            f"Reflections in {path} that are equivalent in {choice.crystal.hm} of the model disagree (R_merge "
            f"{r_merge:.2f}); the data do not have this symmetry: correct the space group of the model."
        )
    return [f"Reflections equivalent in {choice.crystal.hm} were merged with R_merge {r_merge:.3f}."]
