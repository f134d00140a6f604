"""Repulsion of atoms that come too near, symmetry mates included (Murshudov et al. 2011, section 2.5)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern
from ..backend.ops_pairs import PairLister, PairRestrainer, RestraintSums
from ..backend.ops_restraints import ContactRules, Contacts, Repulsions, RestraintOps
from ..errors import ChemistryError, NumericalError
from ..model.crystal import Crystal
from ..model.topology import Topology
from .arrays import symmetry_arrays
from .contact_classes import SIGMA, classify, contact_classes, reach
from .exclusions import find_exclusions
from .result import RestraintResult, total

F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]

ADP_CUTOFF = 4.0
"""Å: pairs of non-hydrogen atoms up to here couple their displacement parameters."""

SELF_DISTANCE = 0.5
"""Å: an image of an atom nearer than this is the atom itself on a special position."""


class NonbondedRestraints:
    """Contacts of one model; the list is made anew by :meth:`update` once a cycle and kept within it.

    The energy is that of one asymmetric unit: a contact of an atom with its own mate is found once under each of the
    two operations that are each other's inverse (once, if it is its own inverse), and a contact of an atom on a special
    position once for every operation that leaves the atom in place; each finding counts ½ and 1/multiplicity.

    Attributes:
        contacts: the listed pairs (after :meth:`update`).
        repulsions: pairs within ``margin`` of their critical distance at the last update.
    """

    def __init__(self, topology: Topology, crystal: Crystal, backend: RestraintOps, margin: float = 0.6) -> None:
        """Plan the search; pairs up to ``margin`` Å above their critical distance are listed.

        Raises:
            ChemistryError: an atom has no van der Waals radius.
        """
        types = topology.nonbonded
        if not np.all(np.isfinite(types.vdw_radius)):
            missing = int(np.sum(~np.isfinite(types.vdw_radius)))
            raise ChemistryError(f"{missing} atoms have no van der Waals radius in the monomer library.")
        self._backend, self._types, self._margin = backend, types, margin
        self._symmetry = symmetry_arrays(crystal)
        self._classes = contact_classes(types)
        self.owner: I32 = np.ascontiguousarray(topology.parent, dtype=np.int32)
        exclusions = find_exclusions(topology, crystal)
        self._crossing = exclusions.through_symmetry
        self._rules = ContactRules(
            radius=reach(types), heavy=~topology.is_hydrogen, altloc=types.altloc, occ=types.occ,
            excluded_start=exclusions.start, excluded_atom=exclusions.atom, excluded_kind=exclusions.kind,
            margin=margin, heavy_cutoff=ADP_CUTOFF, self_distance=SELF_DISTANCE,
        )
        self._z = np.zeros(0)
        self.contacts: Contacts | None = None
        self.repulsions: Repulsions | None = None
        self._kind: I8 = np.zeros(0, np.int8)

    @property
    def kind(self) -> I8:
        """(k,) int8 for each repulsion, index into ``CONTACT_KINDS``."""
        return np.asarray(self._kind)

    def update(self, xyz: F64) -> Contacts:
        """List the contacts at ``xyz`` (n, 3) Å."""
        self.contacts = self.repulsions = None  # a device uses their memory again
        contacts = self._without_crossing_bonds(self._backend.find_contacts(xyz, self._symmetry, self._rules))
        if isinstance(self._backend, PairLister):
            near_ones = self._backend.near_contacts(contacts, self._classes, self._margin, self._symmetry)
            if near_ones is not None:
                self.repulsions, self._kind = near_ones
                self.contacts = contacts
                return contacts
        kind, critical = classify(contacts, self._types)
        near = np.flatnonzero(contacts.distance < critical + self._margin)
        first, second = contacts.first[near], contacts.second[near]
        multiplicity = contacts.site_multiplicity
        weight = np.where(first == second, 0.5, 1.0) / (multiplicity[first] * multiplicity[second])
        self.repulsions = Repulsions(
            first, second, contacts.op[near], contacts.shift[near], critical[near],
            SIGMA / np.sqrt(weight), self._symmetry,
        )
        self._kind = kind[near]
        self.contacts = contacts
        return contacts

    def value(self, xyz: F64) -> float:
        """Σ ½ z² of the listed pairs at ``xyz`` (n, 3) Å."""
        return total(self.sums(xyz))

    def sums(self, xyz: F64) -> Any:
        """What :meth:`value` sums to, which may still be on a device."""
        return self._backend.repulsion(self._listed(), xyz, None)

    def overlaps(self, xyz: F64) -> F64:
        """Critical distance minus distance (k,) Å of the listed pairs, 0 where they do not overlap."""
        pairs = self._listed()
        z = np.zeros(len(pairs))
        self._backend.repulsion(pairs, xyz, z)
        return z * pairs.sigma

    def overlap_sums(self, xyz: F64) -> Any | None:
        """See :class:`gpurefine.backend.ops_pairs.RestraintSums`; None where the pairs are the host's."""
        if not isinstance(self._backend, RestraintSums):
            return None
        return self._backend.overlap_sums(self._listed(), xyz, self._kind, self._rules.heavy)

    def evaluate(self, xyz: F64, curvature: bool, gradient: Any | None = None) -> RestraintResult:
        """Value, gradient and, if asked for, Gauss–Newton blocks of the pairs that overlap at ``xyz`` (n, 3) Å.

        The gradient is added to ``gradient`` (n, 3), if that is given.
        """
        pairs = self._listed()
        n = len(xyz)
        if gradient is None:
            gradient = self._backend.new_gradient((n, 3))
        if isinstance(self._backend, PairRestrainer):
            made = self._backend.overlap_derivatives(pairs, xyz, self.owner, gradient, curvature)
            if made is not None:
                sums, matrix = made
                return RestraintResult(("vdw",), sums, gradient, lambda: [matrix()] if curvature else [])
        z = self._z if len(self._z) == len(pairs) else np.zeros(len(pairs))
        self._z = z
        value = self._backend.repulsion(pairs, xyz, z)
        active = np.flatnonzero(z > 0.0).astype(np.int32)
        matrices: list[BlockMatrix] = []
        slot = diagonal = off = None
        if curvature:
            a, b = self.owner[pairs.first[active]], self.owner[pairs.second[active]]
            pattern = BlockPattern.from_pairs(n, a, b)
            slot = np.zeros(len(active), np.int32)
            apart = a != b
            slot[apart] = pattern.find(np.minimum(a, b)[apart], np.maximum(a, b)[apart])
            diagonal, off = self._backend.new_blocks(n, 3), self._backend.new_blocks(len(pattern), 3)
            matrices.append(BlockMatrix(pattern, diagonal, off))
        self._backend.repulsion_derivatives(pairs, xyz, active, self.owner, gradient, slot, diagonal, off)
        return RestraintResult(("vdw",), value, gradient, lambda: matrices)

    def _listed(self) -> Repulsions:
        if self.repulsions is None:
            raise NumericalError("The list of non-bonded contacts has not been made yet: call update first.")
        return self.repulsions

    def _without_crossing_bonds(self, contacts: Contacts) -> Contacts:
        """Take out (or mark) pairs that are joined by bonds to symmetry copies."""
        if len(self._crossing) == 0 or len(contacts) == 0:
            return contacts
        known = {tuple(int(v) for v in row[:6]): int(row[6]) for row in self._crossing}
        n = len(self.owner)
        key = contacts.first.astype(np.int64) * n + contacts.second
        wanted = self._crossing[:, 0].astype(np.int64) * n + self._crossing[:, 1]
        keep = np.ones(len(contacts), bool)
        relation = contacts.relation.copy()
        for k in np.flatnonzero(np.isin(key, wanted)):
            image = (int(contacts.first[k]), int(contacts.second[k]), int(contacts.op[k]), *map(int, contacts.shift[k]))
            kind = known.get(image, -1)
            if kind == 0:
                keep[k] = False
            elif kind > 0:
                relation[k] = kind
        return Contacts(
            contacts.first[keep], contacts.second[keep], contacts.op[keep], contacts.shift[keep],
            contacts.distance[keep], relation[keep], contacts.site_multiplicity,
        )
