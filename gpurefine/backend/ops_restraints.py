"""Operations on restraints that every backend performs, and the plain arrays they work on.

All restraint targets are sums of ½ z² with z = (value − ideal)/σ (Murshudov et al. 2011, Acta Cryst. D67,
355, section 2.5), so that gradient = Σ z J̃ and Gauss–Newton curvature = Σ J̃ J̃ᵀ with J̃ = ∂z/∂x.

Riding hydrogens keep their offset from the parent, so that a derivative with respect to a hydrogen is added to
its ``owner`` (the parent; every other atom owns itself).  Rows of riding atoms stay zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .ops_pairs import SimilarPairs

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]
Flags = NDArray[np.bool_]

LINEAR_ANGLE = np.pi - 0.5 * np.pi / 180.0
"""Ideal angles (radians) above this are restrained through ½|v̂₁ + v̂₂|²/σ², which has no singular derivative."""

KINDS = ("bond", "angle", "torsion", "chiral", "plane")
"""Order of the values that :meth:`RestraintOps.geometry` returns."""


@dataclass(frozen=True, slots=True, eq=False)
class SymmetryArrays:
    """Operations of the crystal: x' = rotation x + translation + orth · shift.

    ``orth``, ``frac`` (3, 3); ``frac_rotation`` (n_op, 3, 3) int32 and ``frac_translation`` (n_op, 3) act on
    fractional, ``rotation`` (n_op, 3, 3) and ``translation`` (n_op, 3) Å on Cartesian column vectors.
    """

    orth: F64
    frac: F64
    frac_rotation: I32
    frac_translation: F64
    rotation: F64
    translation: F64


@dataclass(frozen=True, slots=True, eq=False)
class GeometryTerms:
    """Covalent restraints; atom indices int32, distances Å, angles radians, chiral volumes Å³.

    ``bond_op`` (m,) and ``bond_shift`` (m, 3) place the second atom of each bond.  ``chiral_both`` (m,) bool: either
    hand is right.  Plane p holds ``plane_atoms[plane_start[p]:plane_start[p + 1]]``.
    """

    n_atoms: int
    bond_atoms: I32
    bond_ideal: F64
    bond_sigma: F64
    bond_op: I32
    bond_shift: I32
    angle_atoms: I32
    angle_ideal: F64
    angle_sigma: F64
    torsion_atoms: I32
    torsion_ideal: F64
    torsion_sigma: F64
    torsion_period: I32
    chiral_atoms: I32
    chiral_ideal: F64
    chiral_sigma: F64
    chiral_both: Flags
    plane_start: I32
    plane_atoms: I32
    plane_sigma: F64
    symmetry: SymmetryArrays


@dataclass(frozen=True, slots=True, eq=False)
class GeometryPlan:
    """Terms with the places their derivatives go, worked out once per topology, and the working memory.

    Every residual z has one row J̃ per atom it involves.  Residuals are numbered bonds, bent angles, linear
    angles (three each), torsions, chirals; rows in the same order (2, 3, 3 × 3, 4, 4 a term).

    Attributes:
        terms: the restraints.
        owner: (n,) int32, the atom that takes the derivative of each atom; −1 for one that stands still.
        pairs: (m, 2) int32 sorted owner pairs i < j of the off-diagonal blocks.
        bent, linear: indices of the angles of either treatment.
        row_residual: (n_row,) int32, the residual of each row.
        row_start: (n + 1,) int32; rows ``row_order[row_start[i]:row_start[i + 1]]`` belong to owner i.
        row_order: int32, the rows that somebody owns.
        block_start: (n + m + 1,) int32: block k < n is diagonal k, block n + s is ``pairs[s]``; it collects
            J̃_a J̃_bᵀ over a, b = ``block_rows[block_start[k]:block_start[k + 1]]``.
        block_rows: (n_entry, 2) int32 rows.
        member_plane: (n_member,) int32, the plane of each entry of ``terms.plane_atoms``.
        member_start, member_order: the same as ``row_start`` and ``row_order`` for plane members.
        plane_block_start, plane_block_members: the same as ``block_start`` and ``block_rows`` for plane members.
        z: (n_residual,), jacobian: (n_row, 3), frame: (n_plane, 16), member: (n_member, 3): working memory.
    """

    terms: GeometryTerms
    owner: I32
    pairs: I32
    bent: I32
    linear: I32
    row_residual: I32
    row_start: I32
    row_order: I32
    block_start: I32
    block_rows: I32
    member_plane: I32
    member_start: I32
    member_order: I32
    plane_block_start: I32
    plane_block_members: I32
    z: F64
    jacobian: F64
    frame: F64
    member: F64


@dataclass(frozen=True, slots=True, eq=False)
class GeometryResiduals:
    """Observed minus ideal of every term: Å, radians, radians, Å³ and (plane members) Å."""

    bond: F64
    angle: F64
    torsion: F64
    chiral: F64
    plane: F64


@dataclass(frozen=True, slots=True, eq=False)
class ContactRules:
    """Which pairs the contact search lists.

    A pair is listed if it is nearer than ``radius[i] + radius[j] + margin`` or, both atoms being ``heavy``,
    nearer than ``heavy_cutoff`` Å.  In the same asymmetric unit (operation 0, no shift) a pair is left out if
    ``excluded`` names it with kind 0 or if its ``altloc`` (0: all conformers) differ;
    through symmetry it is left out if the occupancies add up to 1 or less.  An atom's own image nearer than
    ``self_distance`` Å is the atom itself.

    Attributes:
        radius: (n,) Å.
        heavy: (n,) bool.
        altloc: (n,) int8.
        occ: (n,).
        excluded_start: (n + 1,) int32 into the two below; atoms j > i of each atom i, sorted.
        excluded_atom: (n_excluded,) int32.
        excluded_kind: (n_excluded,) int8: 0 never listed, else the ``relation`` the pair is listed with.
    """

    radius: F64
    heavy: Flags
    altloc: I8
    occ: F64
    excluded_start: I32
    excluded_atom: I32
    excluded_kind: I8
    margin: float
    heavy_cutoff: float
    self_distance: float


LEFT_OUT, TORSION, BARE = 0, 1, 2
"""Kinds of an exclusion: never listed, listed as 1-4 pair, listed as 1-3 pair without an angle restraint; the latter
two are relations of contacts."""


@dataclass(frozen=True, slots=True, eq=False)
class Contacts:
    """Pairs of atoms near each other, first ≤ second, ordered by the first atom.

    ``first``, ``second``, ``op`` (k,) int32, ``shift`` (k, 3) int32: second atom at ``op`` then ``shift`` cells;
    ``distance`` (k,) Å at the time of the search; ``relation`` (k,) int8: 1 three bonds apart, 2 two bonds apart
    without an angle restraint, 0 farther.
    ``site_multiplicity`` (n,) int32: number of operations that leave the atom where it is.
    """

    first: I32
    second: I32
    op: I32
    shift: I32
    distance: F64
    relation: I8
    site_multiplicity: I32

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class Repulsions:
    """Pairs that repel below a critical distance: ½ ((critical − d)/σ)² for d < critical.

    Index arrays as in :class:`Contacts`; ``critical`` and ``sigma`` (k,) Å, a pair's weight being part of σ.
    """

    first: I32
    second: I32
    op: I32
    shift: I32
    critical: F64
    sigma: F64
    symmetry: SymmetryArrays

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True, slots=True, eq=False)
class HydrogenSystem:
    """How riding hydrogens are relaxed: damped Gauss–Newton, the hydrogens of one parent together.

    Attributes:
        groups: for each number k of hydrogens on one parent the hydrogens (g, k) and the rows (g, k, k) of the
            off-diagonal blocks that couple them, −1 where none does; only above the diagonal.
        damping, floor: added to the diagonal elements, relative to the largest one and absolute (Å⁻²).
        longest: Å, no hydrogen moves farther in one iteration.
        halvings: how often a shift that raises the value is halved, less one.
        converged: Å, iterations end when no hydrogen moves farther.
    """

    groups: tuple[tuple[I32, I32], ...]
    damping: float
    floor: float
    longest: float
    halvings: int
    converged: float


class RestraintOps(Protocol):
    """The restraint part of the table of operations.

    Output arrays are *added to*, so that several terms may share them.  Values of restraints may be what ``np.asarray``
    makes arrays of: a device's come down together when the first is read, so read them when all are asked for.
    """

    def new_blocks(self, n: int, side: int) -> F64:
        """Zeros (n, side, side) for the blocks of a matrix, where the backend keeps what it solves equations with.

        A NumPy array only where the backend's memory is the host's.
        """
        ...

    def new_gradient(self, shape: tuple[int, ...]) -> Any:
        """Zeros of ``shape`` for a gradient, where the backend adds to it; ``np.asarray`` reads it."""
        ...

    def host_blocks(self, blocks: F64) -> F64:
        """What :meth:`new_blocks` made, as a NumPy array."""
        ...

    def plan_geometry(self, terms: GeometryTerms, owner: I32, pairs: I32) -> GeometryPlan:
        """Work out where the derivatives of ``terms`` go; ``pairs`` (m, 2) must hold every coupled owner pair."""
        ...

    def geometry(
        self, plan: GeometryPlan, xyz: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> Any:
        """Sum of ½ z² of each kind (5,), in the order of :data:`KINDS`, at ``xyz`` (n, 3) Å.

        Adds to ``gradient`` (n, 3) Å⁻¹ and, if given, to the Gauss–Newton blocks ``diagonal`` (n, 3, 3) and
        ``off`` (m, 3, 3) Å⁻².
        """
        ...

    def geometry_residuals(self, plan: GeometryPlan, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term."""
        ...

    def find_contacts(self, xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
        """All contacts under ``rules`` among the atoms at ``xyz`` (n, 3) Å and their symmetry mates."""
        ...

    def repulsion(self, pairs: Repulsions, xyz: F64, z: F64 | None) -> Any:
        """Sum of ½ z²; ``z`` (k,), if it is wanted, is overwritten with max(0, (critical − d)/σ)."""
        ...

    def repulsion_derivatives(
        self, pairs: Repulsions, xyz: F64, active: I32, owner: I32, gradient: F64, slot: I32 | None,
        diagonal: F64 | None, off: F64 | None,
    ) -> None:
        """Add the derivatives of the pairs ``active`` (q,), which overlap.

        ``slot`` (q,) int32 is the row of ``off`` that couples the two owners (ignored where they are the same atom).
        """
        ...

    def adp_divergence(
        self, pairs: SimilarPairs, b_iso: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> Any:
        """Sum of ½ w (B₁ − B₂)²/(B₁B₂) over ``pairs`` (k,), eq. (23)–(26) of Murshudov et al. 2011 for isotropic B.

        Adds to ``gradient`` (n,) Å⁻² and to the Gauss–Newton blocks ``diagonal`` (n, 1, 1) and ``off`` (k, 1, 1) Å⁻⁴.
        """
        ...


@runtime_checkable
class HydrogenSolver(Protocol):
    """What a backend offers beside the table if it can do without the host between two iterations."""

    def relax_hydrogens(
        self, plan: GeometryPlan, system: HydrogenSystem, xyz: F64, n_iterations: int
    ) -> F64 | None:
        """See :meth:`gpurefine.restraints.riding.HydrogenIdealiser.idealise`; None where a parent has too many."""
        ...
