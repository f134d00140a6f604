"""Restraints between isotropic B of neighbours (Murshudov et al. 2011, eq. 23–26).

The symmetrised Kullback–Leibler divergence of two isotropic Gaussians is proportional to (B₁ − B₂)²/(B₁B₂).  A
pair at the distance d is given ½ w (B₁ − B₂)²/(B₁B₂) with w = weight/σ² · 4/max(4, d²), σ by the closest relation
of the two: bond 0.1, angle 0.15, torsion 0.3, chiral 0.5, plane 0.7, contact (symmetry included) 0.7; pairs beyond
4 Å have none.  Hydrogens carry their parent's B and take no part.  Curvature is Gauss–Newton, hence positive
semidefinite.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern
from ..backend.ops_restraints import Contacts, RestraintOps
from ..errors import NumericalError
from ..model.crystal import Crystal
from ..model.topology import Topology
from .arrays import geometry_terms, symmetry_arrays, term_pairs
from .nonbonded import ADP_CUTOFF

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

SIGMA = np.array([0.1, 0.15, 0.3, 0.5, 0.7, 0.7])
"""By relation: bond, angle, torsion, chiral, plane, contact."""


@dataclass(frozen=True, slots=True, eq=False)
class AdpResult:
    """Value, gradient (n,) Å⁻² and Gauss–Newton blocks (side 1, Å⁻⁴; empty unless asked for) of B restraints."""

    value: float
    gradient: F64
    matrices: list[BlockMatrix]


class AdpRestraints:
    """B restraints of one model; the pair list is made anew by :meth:`update` once a cycle.

    Attributes:
        pattern: the pairs, which are also the blocks.
        relation: (k,) int, index into ``SIGMA``.
        distance: (k,) Å, shortest over symmetry mates.
        pair_weight: (k,), w above.
    """

    def __init__(self, topology: Topology, crystal: Crystal, backend: RestraintOps, weight: float = 1.0) -> None:
        """Plan the restraints; ``weight`` multiplies their sum."""
        self._backend, self.weight = backend, weight
        self._heavy = ~topology.is_hydrogen
        n = self._n = topology.n_atoms
        self._symmetry = symmetry_arrays(crystal)
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
        bonds = topology.bonds
        crossing = (bonds.image != 0) | bonds.shift.any(axis=1)
        crossing &= self._heavy[bonds.atoms].all(axis=1) & (bonds.atoms[:, 0] != bonds.atoms[:, 1])
        self._crossing = bonds.atoms[crossing], bonds.image[crossing], bonds.shift[crossing]
        self.pattern = BlockPattern.from_pairs(n, np.zeros(0, np.int32), np.zeros(0, np.int32))
        self._split: tuple[BlockPattern, NDArray[np.int32], NDArray[np.int32]] | None = None
        self.relation: I64 = np.zeros(0, np.int64)
        self.distance: F64 = np.zeros(0)
        self.pair_weight: F64 = np.zeros(0)

    def update(self, xyz: F64, contacts: Contacts) -> None:
        """List the pairs at ``xyz`` (n, 3) Å given the non-bonded ``contacts`` there."""
        n = self._n
        bonded = np.linalg.norm(xyz[self._key // n] - xyz[self._key % n], axis=1)
        atoms, op, shift = self._crossing
        s = self._symmetry
        image = np.einsum("mij,mj->mi", s.rotation[op], xyz[atoms[:, 1]]) + s.translation[op] + shift @ s.orth.T
        through = np.linalg.norm(xyz[atoms[:, 0]] - image, axis=1)
        use = self._heavy[contacts.first] & self._heavy[contacts.second] & (contacts.first != contacts.second)
        use &= contacts.distance < ADP_CUTOFF
        key = np.concatenate([
            self._key, atoms.min(axis=1, initial=n).astype(np.int64) * n + atoms.max(axis=1, initial=0),
            contacts.first[use].astype(np.int64) * n + contacts.second[use],
        ])
        relation = np.concatenate([
            self._relation, np.zeros(len(atoms), np.int64), np.full(int(use.sum()), 5, np.int64)
        ])
        distance = np.concatenate([bonded, through, contacts.distance[use]])
        order = np.argsort(key, kind="stable")
        key = key[order]
        start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        if len(start):
            relation = np.minimum.reduceat(relation[order], start)
            distance = np.minimum.reduceat(distance[order], start)
        near = distance <= ADP_CUTOFF
        key = key[start][near]
        self.relation, self.distance = relation[near], distance[near]
        self.pattern = BlockPattern.from_pairs(n, (key // n).astype(np.int32), (key % n).astype(np.int32))
        self.pair_weight = self.weight / SIGMA[self.relation] ** 2 / np.maximum(1.0, 0.25 * self.distance**2)

    def value(self, b_iso: F64) -> float:
        """The restraints' value at ``b_iso`` (n,) Å²."""
        self._check(b_iso)
        first, second = self._pairs()
        return self._backend.adp_divergence(first, second, self.pair_weight, b_iso, None, None, None)

    def evaluate(self, b_iso: F64, curvature: bool) -> AdpResult:
        """Value, gradient and, if asked for, Gauss–Newton blocks at ``b_iso`` (n,) Å²."""
        self._check(b_iso)
        gradient = np.zeros(self._n)
        matrices: list[BlockMatrix] = []
        diagonal = off = None
        if curvature:
            diagonal, off = self._backend.new_blocks(self._n, 1), self._backend.new_blocks(len(self.pattern.pairs), 1)
            matrices.append(BlockMatrix(self.pattern, diagonal, off))
        first, second = self._pairs()
        value = self._backend.adp_divergence(first, second, self.pair_weight, b_iso, gradient, diagonal, off)
        return AdpResult(value, gradient, matrices)

    def _pairs(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First and second atoms, the same arrays as long as the pairs are, so that a device can keep them."""
        if self._split is None or self._split[0] is not self.pattern:
            pairs = self.pattern.pairs
            self._split = self.pattern, np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
        return self._split[1:]

    def _check(self, b_iso: F64) -> None:
        if not np.all(b_iso[self._heavy] > 0.0):
            raise NumericalError("A displacement parameter B is zero or negative where it is restrained.")
