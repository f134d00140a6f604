"""Pair lists made where the contacts were found: what a backend offers beside the table.

Classifying contacts and listing the pairs of similar displacement parameters are array code of the host where the
contacts are the host's (:mod:`gpurefine.restraints.contact_classes`, :mod:`gpurefine.restraints.adp`: the definition);
a backend may do both itself, compiled or without taking all contacts to the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockPattern
from .ops_restraints import F64, I8, I32, Contacts, Flags, Repulsions, SymmetryArrays


@dataclass(frozen=True, slots=True, eq=False)
class ContactClasses:
    """What the critical distance of two atoms depends on; arrays (n,), distances Å.

    ``radius`` van der Waals; ``ion`` NaN where there is none; ``covalent``; ``shorter`` what a torsion takes off for
    each atom; ``is_metal``; ``hb_type`` 0 none, 1 donor, 2 acceptor, 3 both, 4 hydrogen that is donated.
    ``hbond_heavy``, ``hbond_hydrogen`` are added to the radii of a hydrogen bond; ``sigma`` is that of weight 1.
    """

    radius: F64
    ion: F64
    covalent: F64
    shorter: F64
    is_metal: Flags
    hb_type: I8
    hbond_heavy: float
    hbond_hydrogen: float
    sigma: float


@dataclass(frozen=True, slots=True, eq=False)
class BondedNeighbours:
    """Pairs of atoms near each other by their restraints: of atom i those in start[i]:start[i + 1].

    ``start`` (n + 1,) int32; ``second`` (k,) int32 > i, ascending for each i; ``relation`` (k,) int32, smaller is
    nearer.  ``heavy`` (n,) bool: the others have no pairs.
    """

    start: I32
    second: I32
    relation: I32
    heavy: Flags


@dataclass(frozen=True, slots=True, eq=False)
class SimilarPairs:
    """Each pair of atoms once, ordered by first and second.

    ``first``, ``second`` (k,) int32; ``relation`` (k,) int32, the nearest; ``distance`` (k,) Å, the shortest; ``op``
    (k,) int32 and ``line`` (k, 3) Å of the nearest relation, the vector being zero for contacts; ``pattern`` the pairs
    as blocks, where that was made with them.
    """

    first: I32
    second: I32
    relation: I32
    distance: F64
    op: I32
    line: F64
    pattern: BlockPattern | None = None


@runtime_checkable
class PairLister(Protocol):
    """Both work on what a contact search of this backend found, and may give None for other (or older) contacts."""

    def near_contacts(
        self, contacts: Contacts, classes: ContactClasses, margin: float, symmetry: SymmetryArrays
    ) -> tuple[Repulsions, NDArray[np.int8]] | None:
        """Contacts within ``margin`` Å of their critical distance, and the kind of each."""
        ...

    def similar_pairs(
        self, xyz: F64, contacts: Contacts, bonded: BondedNeighbours, relation: int, cutoff: float
    ) -> SimilarPairs | None:
        """Bonded pairs and contacts nearer than ``cutoff`` Å, these being related by ``relation``."""
        ...
