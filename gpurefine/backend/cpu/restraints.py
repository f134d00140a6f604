"""Restraint operations on the CPU: numba kernels over the tables of a plan."""

from __future__ import annotations

import numpy as np

from ..geometry_plan import build_geometry_plan
from ..ops_pairs import SimilarPairs
from ..ops_restraints import (
    F64,
    I32,
    ContactRules,
    Contacts,
    GeometryPlan,
    GeometryResiduals,
    GeometryTerms,
    Repulsions,
    SymmetryArrays,
)
from . import contacts, covalent, gather
from . import pairs as _pairs
from .threads import Threads

_BLOCKS = np.zeros((0, 3, 3))
_NUMBERS = np.zeros(0)
_SLOTS = np.zeros(0, np.int32)


class RestraintOps(Threads):
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
        """Index tables and working memory of ``terms``."""
        return build_geometry_plan(terms, owner, pairs)

    def geometry(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> F64:
        """Values by kind (5,), gradient and Gauss–Newton blocks."""
        return self._geometry(plan, xyz, gradient, diagonal, off, True)

    def _geometry(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None, add: bool
    ) -> F64:
        """The same, added to what the arrays hold or not."""
        self.use(0.02 * len(plan.jacobian))
        values = self._fill(plan, xyz, gradient is not None)
        if gradient is not None:
            gather.gather_gradient(
                plan.row_start, plan.row_order, plan.row_residual, plan.z, plan.jacobian, plan.member_start,
                plan.member_order, plan.member_plane, plan.frame, plan.member, add, gradient,
            )
        if diagonal is not None and off is not None:
            gather.gather_blocks(
                plan.block_start, plan.block_rows, plan.jacobian, plan.plane_block_start, plan.plane_block_members,
                plan.member_plane, plan.frame, plan.member, plan.terms.n_atoms, add, diagonal, off,
            )
        return values

    def geometry_residuals(self, plan: GeometryPlan, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term."""
        t = plan.terms
        bond, angle, torsion, chiral = self._covalent_residuals(plan, xyz)
        return GeometryResiduals(
            bond=bond * t.bond_sigma, angle=angle * t.angle_sigma, torsion=torsion * t.torsion_sigma,
            chiral=chiral * t.chiral_sigma, plane=plan.member[:, 0].copy(),
        )

    def _covalent_residuals(self, plan: GeometryPlan, xyz: F64) -> tuple[F64, F64, F64, F64]:
        """z of bonds, angles, torsions and chirals; distances from planes are left in ``plan.member``."""
        t = plan.terms
        self.use(0.02 * len(plan.jacobian))
        self._fill(plan, xyz, False)
        n_bond, n_bent = len(t.bond_ideal), len(plan.bent)
        n_torsion, n_chiral = len(t.torsion_ideal), len(t.chiral_ideal)
        angle, straight = np.empty(len(t.angle_ideal)), np.empty(len(plan.linear))
        covalent.straight_angles(
            xyz, t.angle_atoms, t.angle_ideal, t.angle_sigma, plan.linear, straight, plan.jacobian
        )
        angle[plan.bent], angle[plan.linear] = plan.z[n_bond : n_bond + n_bent], straight
        end = len(plan.z)
        return (
            plan.z[:n_bond], angle, plan.z[end - n_chiral - n_torsion : end - n_chiral], plan.z[end - n_chiral :]
        )

    def _fill(self, plan: GeometryPlan, xyz: F64, derivative: bool) -> F64:
        """Compute z (and J̃) of all terms; ½ Σ z² of each kind (5,)."""
        t, s, sums = plan.terms, plan.terms.symmetry, np.empty((covalent.CHUNKS, 5))
        covalent.covalent_terms(
            xyz, t.bond_atoms, t.bond_ideal, t.bond_sigma, t.bond_op, t.bond_shift, s.rotation, s.translation, s.orth,
            t.angle_atoms, t.angle_ideal, t.angle_sigma, plan.bent, plan.linear, t.torsion_atoms, t.torsion_ideal,
            t.torsion_sigma, t.torsion_period, t.chiral_atoms, t.chiral_ideal, t.chiral_sigma, t.chiral_both,
            t.plane_start, t.plane_atoms, t.plane_sigma, plan.z, plan.jacobian, plan.frame, plan.member, derivative,
            sums,
        )
        return np.asarray(sums.sum(axis=0))

    def find_contacts(self, xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
        """Contacts by cell list."""
        self.use(3.0 * len(xyz))
        return contacts.find_contacts(xyz, symmetry, rules)

    def repulsion(self, pairs: Repulsions, xyz: F64, z: F64 | None) -> float:
        """Overlaps z (k,) and ½ Σ z²."""
        p, s = pairs, pairs.symmetry
        z = np.empty(len(p)) if z is None else z
        self.use(0.02 * len(p))
        _pairs.overlaps(
            xyz, p.first, p.second, p.op, p.shift, p.critical, p.sigma, s.rotation, s.translation, s.orth, z
        )
        return float(gather.half_squares(z, 0, len(z)))

    def repulsion_derivatives(
        self, pairs: Repulsions, xyz: F64, active: I32, owner: I32, gradient: F64, slot: I32 | None,
        diagonal: F64 | None, off: F64 | None,
    ) -> None:
        """Gradient and Gauss–Newton blocks of overlapping pairs."""
        p, s = pairs, pairs.symmetry
        self.use(0.1 * len(active))
        curvature = slot is not None and diagonal is not None and off is not None
        _pairs.overlap_derivatives(
            xyz, p.first, p.second, p.op, p.shift, p.critical, p.sigma, s.rotation, s.translation, s.orth, active,
            owner, gradient, curvature, slot if slot is not None else _SLOTS,
            diagonal if diagonal is not None else _BLOCKS, off if off is not None else _BLOCKS,
        )

    def adp_divergence(
        self, pairs: SimilarPairs, b_iso: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> float:
        """Kullback–Leibler restraint between isotropic B."""
        self.use(0.02 * len(pairs))
        return float(_pairs.divergence(
            pairs.first, pairs.second, pairs.weight, b_iso,
            gradient is not None, gradient if gradient is not None else _NUMBERS,
            diagonal is not None and off is not None, diagonal if diagonal is not None else _BLOCKS,
            off if off is not None else _BLOCKS,
        ))
