"""Unit cells, space groups and reflection lists from gemmi, handed down as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal


def crystal_from_gemmi(cell: gemmi.UnitCell, spacegroup: gemmi.SpaceGroup) -> Crystal:
    """Plain-array crystal of a gemmi cell and space group, primitive operations first."""
    group = spacegroup.operations()
    ops = list(group.sym_ops)
    rotations = np.array([op.rot for op in ops], dtype=np.int64) // gemmi.Op.DEN
    translations = np.array([op.tran for op in ops], dtype=np.float64) / gemmi.Op.DEN
    centring = np.array(list(group.cen_ops), dtype=np.float64) / gemmi.Op.DEN
    identity = next(k for k in range(len(ops)) if np.array_equal(rotations[k], np.eye(3)))
    order = [identity, *(k for k in range(len(ops)) if k != identity)]
    all_rotations = np.concatenate([rotations[order]] * len(centring)).astype(np.int32)
    all_translations = np.concatenate([(translations[order] + c) % 1.0 for c in centring])
    orth = np.array(cell.orth.mat.tolist())
    return Crystal(
        cell=np.array(cell.parameters),
        orth=orth,
        frac=np.linalg.inv(orth),
        rotations=all_rotations,
        translations=all_translations,
        n_primitive=len(ops),
        hall=spacegroup.hall,
        hm=spacegroup.xhm(),
    )


def gemmi_cell(crystal: Crystal) -> gemmi.UnitCell:
    """The crystal's cell as gemmi has it."""
    return gemmi.UnitCell(*crystal.cell)


def gemmi_group(crystal: Crystal) -> gemmi.SpaceGroup:
    """The crystal's space group as gemmi has it."""
    return gemmi.SpaceGroup(crystal.hm)


def unique_hkl(crystal: Crystal, d_min: float, d_max: float = 0.0) -> NDArray[np.int32]:
    """All unique reflections (n, 3) int32 between the limits (Å; d_max 0: no limit), absences left out.

    Sorted by (h, k, l) in gemmi's (CCP4's) asymmetric unit.
    """
    hkl = gemmi.make_miller_array(gemmi_cell(crystal), gemmi_group(crystal), d_min, d_max)
    hkl = np.asarray(hkl, dtype=np.int32).reshape(-1, 3)
    return hkl[np.lexsort((hkl[:, 2], hkl[:, 1], hkl[:, 0]))]


def reflection_flags(crystal: Crystal, hkl: NDArray[np.int32]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Centric flags (n,) and ε factors without centring (n,) of Miller indices (n, 3)."""
    group = gemmi_group(crystal).operations()
    centric = np.asarray(group.centric_flag_array(hkl), dtype=bool)
    epsilon = np.asarray(group.epsilon_factor_without_centering_array(hkl), dtype=np.float64)
    return centric, epsilon


def asu_hkl(crystal: Crystal, hkl: NDArray[np.int32]) -> NDArray[np.int32]:
    """Indices (n, 3) int32 moved into gemmi's (CCP4's) asymmetric unit; Friedel mates count as equivalent."""
    bare = gemmi.Mtz(with_base=True)
    bare.spacegroup = gemmi_group(crystal)
    bare.set_cell_for_all(gemmi_cell(crystal))
    bare.set_data(np.ascontiguousarray(hkl, dtype=np.float32).reshape(-1, 3))
    bare.ensure_asu()
    return np.asarray(bare.make_miller_array(), dtype=np.int32).reshape(-1, 3)


@dataclass(frozen=True, slots=True, eq=False)
class AsuRows:
    """Rows of a file in the asymmetric unit.

    Attributes:
        hkl: (n, 3) int32 indices there, s (h R) of an operation x' = R x + t and s = ±1.
        mate: (n,) bool, s = −1: the row is the Friedel mate of the listed reflection (never so of a centric one).
        shift: (n,) float64, h·t in turns: the phase of the listed reflection is s (φ − 2π shift).
    """

    hkl: NDArray[np.int32]
    mate: NDArray[np.bool_]
    shift: NDArray[np.float64]

    def select(self, keep: NDArray[np.bool_]) -> AsuRows:
        """The rows where ``keep`` (n,) is True."""
        return AsuRows(self.hkl[keep], self.mate[keep], self.shift[keep])


def asu_rows(crystal: Crystal, hkl: NDArray[np.int32]) -> AsuRows:
    """Indices (n, 3) moved into the asymmetric unit, with the Friedel mate and phase shift that the move implies."""
    inside = asu_hkl(crystal, hkl)
    mate = np.ones(len(hkl), dtype=bool)
    shift = np.zeros(len(hkl))
    open_rows = np.ones(len(hkl), dtype=bool)
    for sign in (1, -1):
        for rotation, translation in zip(
            crystal.rotations[: crystal.n_primitive], crystal.translations[: crystal.n_primitive], strict=True
        ):
            rows = np.flatnonzero(open_rows)
            if len(rows) == 0:
                break
            rows = rows[(sign * (hkl[rows] @ rotation) == inside[rows]).all(axis=1)]
            mate[rows], shift[rows], open_rows[rows] = sign < 0, hkl[rows] @ translation, False
    return AsuRows(inside, mate, shift)
