"""Bonds that distances show, for residues of which no dictionary tells."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

MARGIN = 0.45
"""Å by which a bond may exceed the sum of covalent radii: coordinates may be poor; second neighbours are farther."""

HYDROGEN_MARGIN = 0.15
SHORTEST = 0.4
"""Å: atoms nearer than this are two names of one place, not bonded."""


def longest_bond(first: gemmi.Element, second: gemmi.Element) -> float:
    """Å up to which two atoms count as bonded; two hydrogens never are."""
    if first.is_hydrogen and second.is_hydrogen:
        return 0.0
    margin = HYDROGEN_MARGIN if first.is_hydrogen or second.is_hydrogen else MARGIN
    return float(first.covalent_r + second.covalent_r) + margin


def distance_bonds(atoms: Sequence[gemmi.Atom]) -> list[tuple[int, int]]:
    """Pairs i < j of ``atoms`` that are bonded by their distance and can be present at the same time."""
    xyz = np.array([atom.pos.tolist() for atom in atoms], dtype=np.float64).reshape(-1, 3)
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=2)
    found = []
    for i, j in zip(*np.nonzero(np.triu((distance > SHORTEST) & (distance < 3.5), 1)), strict=True):
        first, second = atoms[i], atoms[j]
        alternatives = first.has_altloc() and second.has_altloc() and first.altloc != second.altloc
        if not alternatives and distance[i, j] < longest_bond(first.element, second.element):
            found.append((int(i), int(j)))
    return found


def neighbours(n: int, bonds: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Bonded atoms of each of ``n`` atoms, ascending."""
    lists: list[list[int]] = [[] for _ in range(n)]
    for i, j in bonds:
        lists[i].append(j)
        lists[j].append(i)
    return [sorted(partners) for partners in lists]
