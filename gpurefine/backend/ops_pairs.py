"""Pair lists made where the contacts were found: what a backend offers beside the table.

Classifying contacts and listing the pairs of similar displacement parameters are array code of the host where the
contacts are the host's (:mod:`gpurefine.restraints.contact_classes`, :mod:`gpurefine.restraints.adp`: the definition);
a backend may do both itself, compiled or without taking all contacts to the host.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockMatrix, BlockPattern
from .ops_restraints import F64, I8, I32, Contacts, Flags, GeometryPlan, Repulsions, SymmetryArrays

if TYPE_CHECKING:
    from .ops_adp import TensorTerms


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
    (k,) int32 and ``line`` (k, 3) Å of the nearest relation, the vector being zero for contacts; ``weight`` (k,) of
    similarity; ``pattern`` the pairs as blocks.
    """

    first: I32
    second: I32
    relation: I32
    distance: F64
    op: I32
    line: F64
    weight: F64
    pattern: BlockPattern

    def __len__(self) -> int:
        return len(self.first)

    @staticmethod
    def none(n: int) -> SimilarPairs:
        """No pairs of ``n`` atoms."""
        nobody, nothing = np.zeros(0, np.int32), np.zeros(0)
        pattern = BlockPattern.from_pairs(n, nobody, nobody)
        return SimilarPairs(nobody, nobody, nobody, nothing, nobody, np.zeros((0, 3)), nothing, pattern)

    def unit_lines(self) -> F64:
        """``line`` (k, 3) as unit vectors, zero for contacts."""
        length = np.sqrt(np.einsum("ki,ki->k", self.line, self.line))
        return np.asarray(self.line / np.maximum(length, 1e-9)[:, None])


def similar_weight(strength: F64, relation: I32, distance: F64) -> F64:
    """Weights (k,) of pairs ``distance`` Å apart: ``strength`` of their relation · 4/max(4, d²)."""
    return np.asarray(strength[relation] / np.maximum(1.0, 0.25 * distance**2))


@runtime_checkable
class PairLister(Protocol):
    """Both work on what a contact search of this backend found, and may give None for other (or older) contacts.

    What they return need not be on the host before it is read there.
    """

    def near_contacts(
        self, contacts: Contacts, classes: ContactClasses, margin: float, symmetry: SymmetryArrays
    ) -> tuple[Repulsions, NDArray[np.int8]] | None:
        """Contacts within ``margin`` Å of their critical distance, and the kind of each."""
        ...

    def similar_pairs(
        self, xyz: F64, contacts: Contacts, bonded: BondedNeighbours, relation: int, cutoff: float, strength: F64
    ) -> SimilarPairs | None:
        """Bonded pairs and contacts nearer than ``cutoff`` Å, these being related by ``relation``.

        ``strength`` of each relation is the weight of near pairs, see :func:`similar_weight`.
        """
        ...


@runtime_checkable
class PairRestrainer(Protocol):
    """What a backend offers beside the table where lists of pairs need not come to the host."""

    def overlap_derivatives(
        self, pairs: Repulsions, xyz: F64, owner: I32, gradient: F64, curvature: bool
    ) -> tuple[Any, Callable[[], BlockMatrix]] | None:
        """Σ ½ z² of ``pairs`` (1,), their gradient added to ``gradient`` (n, 3), and what gives Gauss–Newton blocks.

        These may be asked for only with ``curvature``; their pattern is that of the owners of pairs that overlap.
        None for lists that are not this backend's.
        """
        ...


@runtime_checkable
class RestraintSums(Protocol):
    """What a backend offers beside the table for statistics.

    Sums over lists are None where these are not the backend's; all are read by ``np.asarray``.
    """

    def overlap_sums(self, pairs: Repulsions, xyz: F64, kind: NDArray[np.int8], heavy: Flags) -> Any | None:
        """Of pairs of ``heavy`` atoms that overlap by kind (5, 4): count, Σ overlap², Σ z², Σ σ.

        Kinds 0 to 3 are those of contacts within the asymmetric unit, 4 (bare) counted as 0; 4: through symmetry.
        """
        ...

    def similarity_sums(self, pairs: SimilarPairs, b_iso: F64) -> Any | None:
        """Of pairs with a weight (1, 4): count, Σ (B₁ − B₂)², Σ z², Σ σ."""
        ...

    def geometry_sums(self, plan: GeometryPlan, kinds: I8, n_kind: int, xyz: F64) -> Any:
        """Of covalent restraints by kind (n_kind, 4): count, Σ deviation², Σ z², Σ σ, at ``xyz`` (n, 3) Å.

        ``kinds`` (m,) of bonds, angles, torsions, chirals and plane members, −1 for those left out.
        """
        ...


@runtime_checkable
class TensorSums(Protocol):
    """The same for restraints on tensors."""

    def tensor_sums(self, terms: TensorTerms, u: F64) -> Any | None:
        """Of restraints with a weight by kind of tensor restraint (3, 4): count, Σ deviation², Σ z², Σ σ."""
        ...
