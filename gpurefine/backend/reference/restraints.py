"""Restraint operations in plain NumPy: the definition the other backends are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..geometry_plan import build_geometry_plan
from ..ops_pairs import SimilarPairs
from ..ops_restraints import (
    F64,
    I32,
    LINEAR_ANGLE,
    ContactRules,
    Contacts,
    GeometryPlan,
    GeometryResiduals,
    GeometryTerms,
    Repulsions,
    SymmetryArrays,
)
from . import bonds_angles, contacts, scatter, torsions_chirals
from .planes import planes


class RestraintOps:
    """See :class:`gpurefine.backend.ops_restraints.RestraintOps`."""

    def new_gradient(self, shape: tuple[int, ...]) -> F64:
        """Zeros."""
        return np.zeros(shape)

    def new_blocks(self, n: int, side: int) -> F64:
        """Zeros (n, side, side)."""
        return np.zeros((n, side, side))

    def host_blocks(self, blocks: F64) -> F64:
        """The blocks themselves."""
        return blocks

    def plan_geometry(self, terms: GeometryTerms, owner: I32, pairs: I32) -> GeometryPlan:
        """The plan all backends share; here only the terms, owners and pairs are used."""
        return build_geometry_plan(terms, owner, pairs)

    def geometry(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> F64:
        """Values by kind (5,), gradient and Gauss–Newton blocks."""
        values = np.zeros(5)
        for kind, atoms, z, rows in _all_rows(plan.terms, xyz):
            values[kind] += 0.5 * float(z @ z)
            owner = plan.owner[atoms]
            if gradient is not None:
                scatter.add_gradient(z, rows, owner, gradient)
            if diagonal is not None and off is not None:
                scatter.add_blocks(rows, owner, plan.pairs, diagonal, off)
        return values

    def geometry_residuals(self, plan: GeometryPlan, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term."""
        t = plan.terms
        bond = bonds_angles.bonds(xyz, t.bond_atoms, t.bond_ideal, t.bond_sigma, t.bond_op, t.bond_shift, t.symmetry)[0]
        angle = bonds_angles.angles(xyz, t.angle_atoms, t.angle_ideal, t.angle_sigma)[0]
        torsion = torsions_chirals.torsions(xyz, t.torsion_atoms, t.torsion_ideal, t.torsion_sigma, t.torsion_period)[0]
        chiral = torsions_chirals.chirals(xyz, t.chiral_atoms, t.chiral_ideal, t.chiral_sigma, t.chiral_both)[0]
        plane = np.zeros(len(t.plane_atoms))
        for which, member in _planes_by_size(t):
            z = planes(xyz, t.plane_atoms[member], t.plane_sigma[which])[0]
            plane[member] = z * t.plane_sigma[which][:, None]
        return GeometryResiduals(
            bond * t.bond_sigma, angle * t.angle_sigma, torsion * t.torsion_sigma, chiral * t.chiral_sigma, plane
        )

    def find_contacts(self, xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
        """Contacts by k-d tree over all images."""
        return contacts.find_contacts(xyz, symmetry, rules)

    def repulsion(self, pairs: Repulsions, xyz: F64, z: F64 | None) -> float:
        """Overlaps z (k,) and ½ Σ z²."""
        image = bonds_angles.place(xyz[pairs.second], pairs.op, pairs.shift, pairs.symmetry)
        distance = np.linalg.norm(xyz[pairs.first] - image, axis=1)
        overlap = np.maximum(0.0, pairs.critical - distance) / pairs.sigma
        if z is not None:
            z[:] = overlap
        return 0.5 * float(overlap @ overlap)

    def repulsion_derivatives(
        self, pairs: Repulsions, xyz: F64, active: I32, owner: I32, gradient: F64, slot: I32 | None,
        diagonal: F64 | None, off: F64 | None,
    ) -> None:
        """Gradient and Gauss–Newton blocks of overlapping pairs: bonds that are too short."""
        atoms = np.stack([pairs.first[active], pairs.second[active]], axis=1)
        z, rows = bonds_angles.bonds(
            xyz, atoms, pairs.critical[active], pairs.sigma[active], pairs.op[active], pairs.shift[active],
            pairs.symmetry,
        )
        own = owner[atoms]
        scatter.add_gradient(z, rows, own, gradient)
        if slot is None or diagonal is None or off is None:
            return
        for a in range(2):
            np.add.at(diagonal, own[:, a], rows[:, a, :, None] * rows[:, a, None, :])
        cross = rows[:, 0, :, None] * rows[:, 1, None, :]
        flipped = np.swapaxes(cross, 1, 2)
        same, up, down = own[:, 0] == own[:, 1], own[:, 0] < own[:, 1], own[:, 0] > own[:, 1]
        np.add.at(diagonal, own[same, 0], (cross + flipped)[same])
        np.add.at(off, slot[up], cross[up])
        np.add.at(off, slot[down], flipped[down])

    def adp_divergence(
        self, pairs: SimilarPairs, b_iso: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> float:
        """Kullback–Leibler restraint between isotropic B."""
        first, second, weight = pairs.first, pairs.second, pairs.weight
        p, q = b_iso[first], b_iso[second]
        delta = (p - q) / np.sqrt(p * q)
        by_p = 0.5 * (p + q) / (p * np.sqrt(p * q))
        by_q = -0.5 * (p + q) / (q * np.sqrt(p * q))
        if gradient is not None:
            np.add.at(gradient, first, weight * delta * by_p)
            np.add.at(gradient, second, weight * delta * by_q)
        if diagonal is not None and off is not None:
            np.add.at(diagonal[:, 0, 0], first, weight * by_p**2)
            np.add.at(diagonal[:, 0, 0], second, weight * by_q**2)
            off[:, 0, 0] += weight * by_p * by_q
        return 0.5 * float(np.sum(weight * delta**2))


def _planes_by_size(t: GeometryTerms) -> Iterator[tuple[I32, I32]]:
    """Planes of each size: their indices (p,) and the places (p, N) of their atoms in ``plane_atoms``."""
    counts = np.diff(t.plane_start)
    for size in np.unique(counts):
        which = np.flatnonzero(counts == size).astype(np.int32)
        yield which, t.plane_start[which][:, None] + np.arange(size, dtype=np.int32)


def _all_rows(t: GeometryTerms, xyz: F64) -> Iterator[tuple[int, I32, F64, F64]]:
    """Kind, atoms (m, k), z (m,) and J̃ (m, k, 3) of all residuals, group by group."""
    z, rows = bonds_angles.bonds(xyz, t.bond_atoms, t.bond_ideal, t.bond_sigma, t.bond_op, t.bond_shift, t.symmetry)
    yield 0, t.bond_atoms, z, rows
    linear = t.angle_ideal > LINEAR_ANGLE
    bent = ~linear
    z, rows = bonds_angles.angles(xyz, t.angle_atoms[bent], t.angle_ideal[bent], t.angle_sigma[bent])
    yield 1, t.angle_atoms[bent], z, rows
    z, rows = bonds_angles.linear_angles(xyz, t.angle_atoms[linear], t.angle_sigma[linear])
    for component in range(3):
        yield 1, t.angle_atoms[linear], z[:, component], rows[:, component]
    z, rows = torsions_chirals.torsions(xyz, t.torsion_atoms, t.torsion_ideal, t.torsion_sigma, t.torsion_period)
    yield 2, t.torsion_atoms, z, rows
    z, rows = torsions_chirals.chirals(xyz, t.chiral_atoms, t.chiral_ideal, t.chiral_sigma, t.chiral_both)
    yield 3, t.chiral_atoms, z, rows
    for which, member in _planes_by_size(t):
        z, rows = planes(xyz, t.plane_atoms[member], t.plane_sigma[which])
        for j in range(member.shape[1]):
            yield 4, t.plane_atoms[member], z[:, j], rows[:, j]
