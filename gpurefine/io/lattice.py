"""Symmetry of the lattice beyond that of the crystal: twin laws, and orbits of reflections under all of it."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal
from .symmetry import gemmi_cell, gemmi_group

MAX_OBLIQUITY = 5.0
"""Degrees between a lattice row and the normal of the net it should be perpendicular to (Le Page, 1982)."""

I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TwinLaw:
    """An operation of the lattice that the crystal does not have.

    Attributes:
        name: indices of the related reflection, such as "-h,k,-l".
        matrix: (3, 3) int64 in 1/24; hkl @ matrix // 24 is the related reflection of a row hkl.
    """

    name: str
    matrix: I64

    def apply(self, hkl: NDArray[np.int32]) -> NDArray[np.int32]:
        """Related indices (n, 3) int32 of ``hkl`` (n, 3)."""
        return _mapped(hkl, self.matrix)


def twin_laws(crystal: Crystal, max_obliquity: float = MAX_OBLIQUITY) -> list[TwinLaw]:
    """One law for every coset of the crystal's point group in that of its lattice; none where they are the same."""
    ops = gemmi.find_twin_laws(gemmi_cell(crystal), gemmi_group(crystal), max_obliquity, False)
    return [TwinLaw(op.as_hkl().triplet(), np.array(op.rot, dtype=np.int64)) for op in ops]


def obliquity(crystal: Crystal, matrix: I64) -> float:
    """Degrees by which a lattice operation (3, 3) in 1/24 misses being a rotation of this cell.

    The operation as an affine map has singular values 1 ± tan δ to first order; of a two-fold operation δ is the angle
    between the lattice row and the normal of the net (Le Page, 1982), and for others the shear it stands for.
    """
    stretch = np.linalg.svd(crystal.orth @ (matrix / gemmi.Op.DEN) @ crystal.frac, compute_uv=False)
    return float(np.degrees(np.arctan(0.5 * (stretch[0] - stretch[2]))))


def lattice_rotations(crystal: Crystal, max_obliquity: float = MAX_OBLIQUITY) -> I64:
    """(m, 3, 3) int64 in 1/24: the rotations of the lattice, without inversions, the crystal's own among them.

    Where the cell is too distorted for its own space group, the crystal's rotations alone.
    """
    group = gemmi_group(crystal)
    found = gemmi.find_lattice_symmetry(gemmi_cell(crystal), group.centring_type(), max_obliquity)
    lattice = np.array([op.rot for op in found.sym_ops], dtype=np.int64)
    own = np.unique(np.linalg.det(crystal.rotations).round()[:, None, None] * crystal.rotations * gemmi.Op.DEN, axis=0)
    own = own.astype(np.int64)
    held = {row.tobytes() for row in lattice}
    return lattice if all(row.tobytes() in held for row in own) else own


def orbits(hkl: NDArray[np.int32], rotations: I64) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
    """Reflections that the rotations and Friedel's law make equivalent.

    Args:
        hkl: (n, 3) Miller indices; rotations: (m, 3, 3) int64 in 1/24, a group.

    Returns:
        One representative of each orbit (k, 3) int32, in lexical order, and the orbit of every reflection (n,).
    """
    best = np.zeros(len(hkl), dtype=np.int64)
    for rotation in rotations:
        best = np.maximum(best, np.abs(_key(_mapped(hkl, rotation))))
    keys, index = np.unique(best, return_inverse=True)
    return _unkey(keys), index.reshape(-1)


def _mapped(hkl: NDArray[np.int32], matrix: I64) -> NDArray[np.int32]:
    product = hkl.astype(np.int64) @ matrix
    return np.asarray(np.rint(product / gemmi.Op.DEN), dtype=np.int32)


_BASE = 1 << 20


def _key(hkl: NDArray[np.int32]) -> I64:
    """A number (n,) for each reflection (n, 3), whose sign changes with that of the indices; |index| < 2¹⁹."""
    h = hkl.astype(np.int64)
    return np.asarray((h[:, 0] * _BASE + h[:, 1]) * _BASE + h[:, 2])


def _unkey(keys: I64) -> NDArray[np.int32]:
    """Indices (n, 3) of keys (n,)."""
    half = _BASE // 2
    last = (keys + half) % _BASE - half
    rest = (keys - last) // _BASE
    middle = (rest + half) % _BASE - half
    return np.stack([(rest - middle) // _BASE, middle, last], axis=1).astype(np.int32)
