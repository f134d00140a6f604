"""Restraints between isotropic B of neighbours (Murshudov et al. 2011, eq. 23–26).

The symmetrised Kullback–Leibler divergence of two isotropic Gaussians is proportional to (B₁ − B₂)²/(B₁B₂).  A
pair at the distance d is given ½ w (B₁ − B₂)²/(B₁B₂) with w = weight/σ² · 4/max(4, d²), σ by the closest relation
of the two: bond 0.1, angle 0.15, torsion 0.3, chiral 0.5, plane 0.7, contact (symmetry included) 0.7; pairs beyond
4 Å have none.  Hydrogens carry their parent's B and take no part.  Curvature is Gauss–Newton, hence positive
semidefinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern
from ..backend.ops_pairs import BondedNeighbours, PairLister, RestraintSums, SimilarPairs, similar_weight
from ..backend.ops_restraints import Contacts, RestraintOps
from ..errors import NumericalError
from ..model.crystal import Crystal
from ..model.topology import Topology
from .arrays import geometry_terms, symmetry_arrays, term_pairs
from .nonbonded import ADP_CUTOFF
from .result import RestraintResult, total

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SIGMA = np.array([0.1, 0.15, 0.3, 0.5, 0.7, 0.7])
"""By relation: bond, angle, torsion, chiral, plane, contact."""

CONTACT = 5
"""The relation of contacts."""


class AdpRestraints:
    """B restraints of one model; the pair list is made anew by :meth:`update` once a cycle.

    Attributes:
        pairs: the pairs with their weights w above, as of the last update; they need not be on the host.
        bonded: (n,) number of bonds of each atom, those to hydrogen not counted.
        rotations: (n_op, 3, 3) Cartesian, what ``op`` counts.
        motion: (n,) Å², B that the motion of TLS groups adds to the atoms' own; it is the sum that is alike for
            neighbours, and it stays as it is within a cycle.
    """

    def __init__(self, topology: Topology, crystal: Crystal, backend: RestraintOps, weight: float = 1.0) -> None:
        """Plan the restraints; ``weight`` multiplies their sum."""
        self._backend, self.weight = backend, weight
        self._heavy = ~topology.is_hydrogen
        n = self._n = topology.n_atoms
        self._symmetry = symmetry_arrays(crystal)
        self.rotations = self._symmetry.rotation
        turns = self._symmetry.frac_rotation
        self._inverse = np.array([
            int(np.argmax([np.array_equal(a @ b, turns[0]) for b in turns])) for a in turns
        ], np.int32)
        terms = geometry_terms(topology, self._symmetry)
        keys, kinds = [], []
        loose = topology.loose.bonds
        pairs = [(0, (loose[:, 0], loose[:, 1])), *enumerate(term_pairs(terms))]
        for kind, (first, second) in pairs:
            use = self._heavy[first] & self._heavy[second] & (first != second)
            low, high = np.minimum(first, second)[use], np.maximum(first, second)[use]
            keys.append(low.astype(np.int64) * n + high)
            kinds.append(np.full(int(use.sum()), kind, np.int64))
        key, kind_of = np.concatenate(keys), np.concatenate(kinds)
        self._key, first_seen = np.unique(key, return_index=True)
        self._relation = kind_of[first_seen]
        self._bonded_neighbours = BondedNeighbours(
            np.searchsorted(self._key, np.arange(n + 1, dtype=np.int64) * n).astype(np.int32),
            (self._key % n).astype(np.int32), self._relation.astype(np.int32), self._heavy,
        )
        ends = self._key[self._relation == 0]
        self.bonded = np.bincount(ends // n, minlength=n) + np.bincount(ends % n, minlength=n)
        bonds = topology.bonds
        crossing = (bonds.image != 0) | bonds.shift.any(axis=1)
        crossing &= self._heavy[bonds.atoms].all(axis=1) & (bonds.atoms[:, 0] != bonds.atoms[:, 1])
        self._crossing = bonds.atoms[crossing], bonds.image[crossing], bonds.shift[crossing]
        self._strength = self.weight / SIGMA**2
        self.pairs = SimilarPairs.none(n)
        self.motion: F64 = np.zeros(n)

    @property
    def pattern(self) -> BlockPattern:
        """The pairs, which are also the blocks."""
        return self.pairs.pattern

    @property
    def relation(self) -> NDArray[np.int32]:
        """(k,) int32, index into ``SIGMA``."""
        return self.pairs.relation

    @property
    def distance(self) -> F64:
        """(k,) Å, shortest over symmetry mates."""
        return self.pairs.distance

    @property
    def op(self) -> NDArray[np.int32]:
        """(k,) int32, operation that brings the second atom of the closest relation near the first."""
        return self.pairs.op

    @property
    def line(self) -> F64:
        """(k, 3) unit vector between the two, zero for contacts."""
        return self.pairs.unit_lines()

    @property
    def pair_weight(self) -> F64:
        """(k,), w above."""
        return self.pairs.weight

    def update(self, xyz: F64, contacts: Contacts) -> None:
        """List the pairs at ``xyz`` (n, 3) Å given the non-bonded ``contacts`` there."""
        self.pairs = SimilarPairs.none(self._n)  # a device uses their memory again
        pairs = None
        if isinstance(self._backend, PairLister) and len(self._crossing[0]) == 0:
            pairs = self._backend.similar_pairs(
                xyz, contacts, self._bonded_neighbours, CONTACT, ADP_CUTOFF, self._strength
            )
        self.pairs = self._pairs_of(xyz, contacts) if pairs is None else pairs

    def _pairs_of(self, xyz: F64, contacts: Contacts) -> SimilarPairs:
        """The pairs at ``xyz`` (n, 3) Å, each once, ordered by first and second."""
        n = self._n
        bonded = xyz[self._key % n] - xyz[self._key // n]
        crossing_key, crossing_op, through = self._through_symmetry(xyz)
        use = self._heavy[contacts.first] & self._heavy[contacts.second] & (contacts.first != contacts.second)
        use &= contacts.distance < ADP_CUTOFF
        n_contact = int(use.sum())
        key = np.concatenate([
            self._key, crossing_key, contacts.first[use].astype(np.int64) * n + contacts.second[use]
        ])
        relation = np.concatenate([
            self._relation, np.zeros(len(crossing_key), np.int64), np.full(n_contact, CONTACT, np.int64)
        ])
        line = np.concatenate([bonded, through, np.zeros((n_contact, 3))])
        distance = np.linalg.norm(line, axis=1)
        distance[len(distance) - n_contact :] = contacts.distance[use]
        op = np.concatenate([np.zeros(len(self._key), np.int32), crossing_op, contacts.op[use]])
        order = _ordered(key * len(SIGMA) + relation, distance)
        key = key[order]
        start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        relation, op, line = relation[order][start], op[order][start], line[order][start]
        if len(start):
            distance = np.minimum.reduceat(distance[order], start)
        near = distance <= ADP_CUTOFF
        key, relation, distance = key[start][near], relation[near].astype(np.int32), distance[near]
        first, second = (key // n).astype(np.int32), (key % n).astype(np.int32)
        return SimilarPairs(
            first, second, relation, distance, op[near], line[near], similar_weight(self._strength, relation, distance),
            BlockPattern.from_pairs(n, first, second),
        )

    def _through_symmetry(self, xyz: F64) -> tuple[I64, NDArray[np.int32], F64]:
        """Bonds to symmetry copies: key, operation on the atom of the higher index, vector from the lower to it."""
        atoms, op, shift = self._crossing
        s = self._symmetry
        image = np.einsum("mij,mj->mi", s.rotation[op], xyz[atoms[:, 1]]) + s.translation[op] + shift @ s.orth.T
        line = image - xyz[atoms[:, 0]]
        # seen from the other atom the operation is the inverse, and the vector turns with it
        swap = atoms[:, 0] > atoms[:, 1]
        line[swap] = -np.einsum("mji,mj->mi", s.rotation[op[swap]], line[swap])
        op = np.where(swap, self._inverse[op], op).astype(np.int32)
        low, high = atoms.min(axis=1, initial=self._n), atoms.max(axis=1, initial=0)
        return low.astype(np.int64) * self._n + high, op, line

    def value(self, b_iso: F64) -> float:
        """The restraints' value at ``b_iso`` (n,) Å²."""
        return total(self.sums(b_iso))

    def sums(self, b_iso: F64) -> Any:
        """What :meth:`value` sums to, which may still be on a device."""
        b_iso = self._total(b_iso)
        self._check(b_iso)
        return self._backend.adp_divergence(self.pairs, b_iso, None, None, None)

    def _total(self, b_iso: F64) -> F64:
        """The sum that is alike for neighbours; the same array where nothing is added, so that a device knows it."""
        return b_iso + self.motion if self.motion.any() else b_iso

    def evaluate(self, b_iso: F64, curvature: bool) -> RestraintResult:
        """Value, gradient (n,) Å⁻² and, if asked for, Gauss–Newton blocks (Å⁻⁴) at ``b_iso`` (n,) Å²."""
        b_iso = self._total(b_iso)
        self._check(b_iso)
        gradient = self._backend.new_gradient((self._n,))
        matrices: list[BlockMatrix] = []
        diagonal = off = None
        if curvature:
            diagonal, off = self._backend.new_blocks(self._n, 1), self._backend.new_blocks(len(self.pattern), 1)
            matrices.append(BlockMatrix(self.pattern, diagonal, off))
        value = self._backend.adp_divergence(self.pairs, b_iso, gradient, diagonal, off)
        return RestraintResult(("adp",), value, gradient, lambda: matrices)

    def deviation_sums(self, b_iso: F64) -> Any:
        """Of pairs with a weight (1, 4) at ``b_iso`` (n,) Å²: count, Σ (B₁ − B₂)², Σ z², Σ σ."""
        both = self._total(b_iso)
        if isinstance(self._backend, RestraintSums):
            sums = self._backend.similarity_sums(self.pairs, both)
            if sums is not None:
                return sums
        use = self.pairs.weight > 0.0
        p, q, weight = both[self.pairs.first[use]], both[self.pairs.second[use]], self.pairs.weight[use]
        sigma = np.sqrt(p * q / weight)
        return np.array([[len(p), np.sum((p - q) ** 2), np.sum(((p - q) / sigma) ** 2), np.sum(sigma)]])

    def _check(self, b_iso: F64) -> None:
        if not np.all(b_iso[self._heavy] > 0.0):
            raise NumericalError("A displacement parameter B is zero or negative where it is restrained.")


def _ordered(key: I64, second: F64) -> NDArray[np.intp]:
    """Order by ``key`` and, where keys are equal, which is rare, by ``second``."""
    order = np.argsort(key)
    ordered = key[order]
    same = np.zeros(len(key) + 1, bool)
    same[1:-1] = ordered[1:] == ordered[:-1]
    at = np.flatnonzero(same[1:] | same[:-1])
    tied = order[at]
    order[at] = tied[np.lexsort((tied, second[tied], key[tied]))]
    return order
