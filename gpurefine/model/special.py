"""Atoms on symmetry elements (method 5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constants import SPECIAL_POSITION_DISTANCE
from .crystal import Crystal
from .tensors import tensor_rotation

MAX_SEARCHES = 100
"""Searches for the site that several elements share, each from the mean of the copies that the last one made."""


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

    def tensor_projectors(self) -> NDArray[np.float64]:
        """(m, 6, 6) what makes the six-vector of a tensor invariant under its site's group: P u = u where it is.

        P is a projection, orthogonal in the metric that counts off-diagonal elements twice.
        """
        return np.array(
            [np.mean([tensor_rotation(turn) for turn in turns], axis=0) for turns in self.rotations]
        ).reshape(-1, 6, 6)


def find_special_positions(
    crystal: Crystal, xyz: NDArray[np.float64], candidates: NDArray[np.bool_] | None = None
) -> SpecialPositions:
    """Atoms at ``xyz`` (n, 3) Å within 0.2 Å of a symmetry element; ``candidates`` (n,) restricts the search.

    The site is the mean of the copies that the operations of the elements nearby make.
    """
    fractional = xyz @ crystal.frac.T
    near = np.zeros(len(xyz), bool)
    for op in range(1, crystal.n_op):
        difference = fractional @ crystal.rotations[op].T + crystal.translations[op] - fractional
        # no rotation takes a point further than twice its distance from the axis
        distance = np.linalg.norm((difference - np.rint(difference)) @ crystal.orth.T, axis=1)
        near |= distance < 2.0 * SPECIAL_POSITION_DISTANCE
    if candidates is not None:
        near &= candidates
    atoms: list[int] = []
    projectors, rotations, snapped = [], [], []
    cartesian = crystal.cartesian_rotations()
    for a in np.flatnonzero(near).tolist():
        operations, site = _site_group(crystal, fractional[a])
        if len(operations) == 1:
            continue
        turns = cartesian[operations]
        atoms.append(a)
        rotations.append(turns)
        projectors.append(np.mean(turns, axis=0))
        snapped.append(crystal.orth @ site)
    return SpecialPositions(
        atom=np.array(atoms, np.int32),
        multiplicity=np.array([len(turns) for turns in rotations], np.int32),
        projector=np.array(projectors).reshape(-1, 3, 3),
        rotations=tuple(rotations),
        snapped=np.array(snapped).reshape(-1, 3),
    )


def _site_group(crystal: Crystal, x: NDArray[np.float64]) -> tuple[list[int], NDArray[np.float64]]:
    """Operations whose elements pass within 0.2 Å of fractional ``x`` (3,), identity first, and the site they share.

    Near a point where several elements meet, only some may be close enough at first; the search is repeated from the
    mean of the copies until it finds no more, so that what is found is a group.
    """
    site, known = x, [0]
    for _ in range(MAX_SEARCHES):
        found, copies = [0], [site]
        for op in range(1, crystal.n_op):
            rotation, translation = crystal.rotations[op], crystal.translations[op]
            translation = translation - np.rint(rotation @ site + translation - site)
            orbit, turned = [site], rotation
            while not np.array_equal(turned, np.eye(3)):
                orbit.append(rotation @ orbit[-1] + translation)
                turned = turned @ rotation
            back = rotation @ orbit[-1] + translation
            if np.abs(back - site).max() > 1e-6:
                continue  # a screw axis: no point stays where it is
            # the mean of the orbit is the nearest point of the element
            if np.linalg.norm(crystal.orth @ (np.mean(orbit, axis=0) - site)) <= SPECIAL_POSITION_DISTANCE:
                found.append(op)
                copies.append(rotation @ site + translation)
        previous, known, site = site, found, np.mean(copies, axis=0)
        if np.abs(site - previous).max() < 1e-9:
            break
    return known, site
