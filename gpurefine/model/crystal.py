"""Unit cell and symmetry as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Crystal:
    """A unit cell with its space-group operations.

    ``rotations``/``translations`` hold *all* operations of the group, the identity first and the
    ``n_primitive`` operations without centring translations before the centred copies.  They act on
    fractional column vectors: x' = R x + t.

    Attributes:
        cell: (6,) float64; a, b, c in Å, α, β, γ in degrees.
        orth: (3, 3) float64; fractional to Cartesian (PDB convention: a along x).
        frac: (3, 3) float64; the inverse of ``orth``.
        rotations: (n_op, 3, 3) int32.
        translations: (n_op, 3) float64, fractions of cell edges.
        n_primitive: number of operations without centring (``n_op`` = ``n_primitive`` × centring).
        hall: Hall symbol; hm: Hermann-Mauguin symbol with extension ("R 3 :H").
    """

    cell: NDArray[np.float64]
    orth: NDArray[np.float64]
    frac: NDArray[np.float64]
    rotations: NDArray[np.int32]
    translations: NDArray[np.float64]
    n_primitive: int
    hall: str
    hm: str

    @property
    def n_op(self) -> int:
        """Number of all operations, centring included."""
        return len(self.rotations)

    @property
    def n_centring(self) -> int:
        """1 for P, 2 for A B C I, 3 for R in the hexagonal setting, 4 for F."""
        return self.n_op // self.n_primitive

    @property
    def volume(self) -> float:
        """Cell volume in Å³."""
        return float(abs(np.linalg.det(self.orth)))

    def inv_d2(self, hkl: NDArray[np.int32]) -> NDArray[np.float64]:
        """1/d² in Å⁻² of Miller indices ``hkl`` (n, 3)."""
        s = hkl @ self.frac
        return np.asarray(np.einsum("ij,ij->i", s, s))

    def cartesian_rotations(self) -> NDArray[np.float64]:
        """(n_op, 3, 3) rotation matrices acting on Cartesian vectors."""
        return np.asarray(self.orth @ self.rotations @ self.frac)
