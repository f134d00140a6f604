"""Add derivative rows to atoms and to blocks."""

from __future__ import annotations

import numpy as np

from ...errors import NumericalError
from ..ops_restraints import F64, I32


def add_gradient(z: F64, rows: F64, owner: I32, gradient: F64) -> None:
    """Add Σ z J̃ to ``gradient`` (n, 3): z (m,), rows (m, k, 3), owner (m, k), −1 where nobody takes it."""
    owned = owner >= 0
    np.add.at(gradient, owner[owned], (z[:, None, None] * rows)[owned])


def add_blocks(rows: F64, owner: I32, pairs: I32, diagonal: F64, off: F64) -> None:
    """Add J̃_a J̃_bᵀ over all ordered pairs of atoms of every term to the blocks of their owners."""
    n = len(diagonal)
    key = pairs[:, 0].astype(np.int64) * n + pairs[:, 1]
    for a in range(owner.shape[1]):
        for b in range(owner.shape[1]):
            i, j = owner[:, a], owner[:, b]
            block = rows[:, a, :, None] * rows[:, b, None, :]
            same = (i == j) & (i >= 0)
            np.add.at(diagonal, i[same], block[same])
            upper = (i < j) & (i >= 0)
            wanted = i[upper].astype(np.int64) * n + j[upper]
            slot = np.searchsorted(key, wanted)
            if len(wanted) and (slot.max() >= len(key) or np.any(key[slot] != wanted)):
                raise NumericalError("A restraint couples two atoms that the normal matrix has no block for.")
            np.add.at(off, slot, block[upper])
