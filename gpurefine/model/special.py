"""Atoms on symmetry elements (method 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constants import SPECIAL_POSITION_DISTANCE
from .crystal import Crystal


@dataclass(frozen=True, slots=True, eq=False)
class SpecialPositions:
    """Atoms whose site is its own symmetry copy.

    Attributes:
        atom: (m,) int32 indices.
        multiplicity: (m,) int32 number of operations that leave the site where it is (2 on a twofold axis).
        projector: (m, 3, 3) Cartesian projection onto the directions in which the site may move.
        rotations: for each atom the (k, 3, 3) Cartesian rotations of its site group.
        snapped: (m, 3) the sites, moved exactly onto the element.
    """

    atom: NDArray[np.int32]
    multiplicity: NDArray[np.int32]
    projector: NDArray[np.float64]
    rotations: tuple[NDArray[np.float64], ...]
    snapped: NDArray[np.float64]

    def project_vectors(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors (n_atoms, 3) with the forbidden components of special atoms removed."""
        if len(self.atom) == 0:
            return vectors
        out = vectors.copy()
        out[self.atom] = np.einsum("mij,mj->mi", self.projector, vectors[self.atom])
        return out

    def project_blocks(self, blocks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Diagonal blocks (n_atoms, 3, 3) P H P + (1 − P) tr(H)/3: stiff where the site must not move."""
        if len(self.atom) == 0:
            return blocks
        out = blocks.copy()
        inside = np.einsum("mij,mjk,mkl->mil", self.projector, blocks[self.atom], self.projector)
        scale = np.trace(blocks[self.atom], axis1=1, axis2=2)[:, None, None] / 3.0
        out[self.atom] = inside + (np.eye(3) - self.projector) * scale
        return out


def find_special_positions(
    crystal: Crystal, xyz: NDArray[np.float64], candidates: NDArray[np.bool_] | None = None
) -> SpecialPositions:
    """Atoms at ``xyz`` (n, 3) Å within 0.2 Å of a symmetry element; ``candidates`` (n,) restricts the search.

    An atom x is near an element when some operation brings a copy within twice that distance of x; the site is the mean of the
    copies that coincide.
    """
    n = len(xyz)
    fractional = xyz @ crystal.frac.T
    allowed = np.ones(n, bool) if candidates is None else candidates
    same: list[list[int]] = [[] for _ in range(n)]
    offsets: dict[tuple[int, int], NDArray[np.float64]] = {}
    for op in range(1, crystal.n_op):
        difference = fractional @ crystal.rotations[op].T + crystal.translations[op] - fractional
        shift = np.rint(difference)
        distance = np.linalg.norm((difference - shift) @ crystal.orth.T, axis=1)
        for a in np.flatnonzero((distance < 2.0 * SPECIAL_POSITION_DISTANCE) & allowed):
            same[a].append(op)
            offsets[int(a), op] = shift[a]
    atoms, multiplicity, projectors, rotations, snapped = [], [], [], [], []
    cartesian = crystal.cartesian_rotations()
    for a in range(n):
        if not same[a]:
            continue
        copies = [fractional[a]]
        turns = [np.eye(3)]
        for op in same[a]:
            copies.append(crystal.rotations[op] @ fractional[a] + crystal.translations[op] - offsets[a, op])
            turns.append(cartesian[op])
        atoms.append(a)
        multiplicity.append(len(copies))
        rotations.append(np.array(turns))
        projectors.append(np.mean(turns, axis=0))
        snapped.append(crystal.orth @ np.mean(copies, axis=0))
    return SpecialPositions(
        atom=np.array(atoms, np.int32),
        multiplicity=np.array(multiplicity, np.int32),
        projector=np.array(projectors).reshape(-1, 3, 3),
        rotations=tuple(rotations),
        snapped=np.array(snapped).reshape(-1, 3),
    )
