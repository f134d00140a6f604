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
from . import contacts, gather, geometry_terms, planes
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
        ends = self._fill(plan, xyz, gradient is not None)
        z = plan.z
        values = np.array([
            gather.half_squares(z, 0, ends[0]), gather.half_squares(z, ends[0], ends[2]),
            gather.half_squares(z, ends[2], ends[3]), gather.half_squares(z, ends[3], ends[4]), plan.frame[:, 15].sum(),
        ])
        if gradient is not None:
            gather.gather_gradient(
                plan.row_start, plan.row_order, plan.row_residual, z, plan.jacobian, add, gradient
            )
            planes.gather_plane_gradient(
                plan.member_start, plan.member_order, plan.member_plane, plan.frame, plan.member, gradient
            )
        if diagonal is not None and off is not None:
            n = plan.terms.n_atoms
            gather.gather_blocks(plan.block_start, plan.block_rows, plan.jacobian, n, add, diagonal, off)
            planes.gather_plane_blocks(
                plan.plane_block_start, plan.plane_block_members, plan.member_plane, plan.frame, plan.member, n,
                diagonal, off,
            )
        return values

    def geometry_residuals(self, plan: GeometryPlan, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term."""
        self.use(0.02 * len(plan.jacobian))
        t = plan.terms
        ends = self._fill(plan, xyz, False)
        z = plan.z
        everything = np.arange(len(t.angle_ideal), dtype=np.int32)
        angle = np.empty(len(everything))
        geometry_terms.bent_terms(
            xyz, t.angle_atoms, t.angle_ideal, t.angle_sigma, everything, angle, plan.jacobian, 0, False
        )
        return GeometryResiduals(
            bond=z[: ends[0]] * t.bond_sigma, angle=angle * t.angle_sigma,
            torsion=z[ends[2] : ends[3]] * t.torsion_sigma, chiral=z[ends[3] : ends[4]] * t.chiral_sigma,
            plane=plan.member[:, 0].copy(),
        )

    def _fill(self, plan: GeometryPlan, xyz: F64, derivative: bool) -> tuple[int, int, int, int, int]:
        """Compute z (and J̃) of all terms; where each kind's residuals end."""
        t, s, z, jac = plan.terms, plan.terms.symmetry, plan.z, plan.jacobian
        n_bond, n_bent, n_linear = len(t.bond_ideal), len(plan.bent), len(plan.linear)
        n_torsion, n_chiral = len(t.torsion_ideal), len(t.chiral_ideal)
        e0 = n_bond
        e1 = e0 + n_bent
        e2 = e1 + 3 * n_linear
        e3 = e2 + n_torsion
        e4 = e3 + n_chiral
        r1 = 2 * n_bond
        r2 = r1 + 3 * n_bent
        r3 = r2 + 9 * n_linear
        r4 = r3 + 4 * n_torsion
        geometry_terms.bond_terms(
            xyz, t.bond_atoms, t.bond_ideal, t.bond_sigma, t.bond_op, t.bond_shift, s.rotation, s.translation, s.orth,
            z[:e0], jac, 0, derivative,
        )
        geometry_terms.bent_terms(
            xyz, t.angle_atoms, t.angle_ideal, t.angle_sigma, plan.bent, z[e0:e1], jac, r1, derivative
        )
        geometry_terms.linear_terms(xyz, t.angle_atoms, t.angle_sigma, plan.linear, z[e1:e2], jac, r2, derivative)
        geometry_terms.torsion_terms(
            xyz, t.torsion_atoms, t.torsion_ideal, t.torsion_sigma, t.torsion_period, z[e2:e3], jac, r3, derivative
        )
        geometry_terms.chiral_terms(
            xyz, t.chiral_atoms, t.chiral_ideal, t.chiral_sigma, t.chiral_both, z[e3:e4], jac, r4, derivative
        )
        planes.plane_frames(xyz, t.plane_start, t.plane_atoms, t.plane_sigma, plan.frame, plan.member)
        return e0, e1, e2, e3, e4

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
