"""Covalent geometry: bonds, angles, torsions, chirals and planes (Murshudov et al. 2011, section 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern
from ..backend.ops_pairs import RestraintSums
from ..backend.ops_restraints import KINDS, GeometryResiduals, RestraintOps
from ..errors import ChemistryError
from ..model.crystal import Crystal
from ..model.topology import Topology
from .arrays import geometry_terms, symmetry_arrays, term_pairs
from .result import RestraintResult, total

F64 = NDArray[np.float64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]


class GeometryRestraints:
    """The covalent restraints of one model, planned once.

    Attributes:
        pattern: blocks of the Gauss–Newton matrix, on the atoms that do not ride.
    """

    def __init__(self, topology: Topology, crystal: Crystal, backend: RestraintOps, owner: I32 | None = None) -> None:
        """Plan the restraints; ``owner`` (n,) takes each atom's derivatives (default: the parent it rides on).

        Raises:
            ChemistryError: an atom rides on a riding atom.
        """
        self._backend = backend
        self.owner: I32 = np.ascontiguousarray(topology.parent if owner is None else owner, dtype=np.int32)
        if np.any(self.owner[self.owner] != self.owner):
            raise ChemistryError(
                "An atom rides on an atom that rides itself; each must ride on an atom with its own parameters."
            )
        terms = geometry_terms(topology, symmetry_arrays(crystal))
        pairs = term_pairs(terms)
        first = np.concatenate([p[0] for p in pairs])
        second = np.concatenate([p[1] for p in pairs])
        self.pattern = BlockPattern.from_pairs(topology.n_atoms, self.owner[first], self.owner[second])
        self._kinds: I8 | None = None
        self._plan = backend.plan_geometry(terms, self.owner, self.pattern.pairs)

    def value(self, xyz: F64) -> float:
        """Σ ½ z² at ``xyz`` (n, 3) Å, hydrogens included."""
        return total(self.sums(xyz))

    def sums(self, xyz: F64) -> Any:
        """The values of :meth:`value` by kind, which may still be on a device."""
        return self._backend.geometry(self._plan, xyz, None, None, None)

    def evaluate(self, xyz: F64, curvature: bool) -> RestraintResult:
        """Value, gradient and, if asked for, Gauss–Newton blocks at ``xyz`` (n, 3) Å."""
        n = len(xyz)
        gradient = self._backend.new_gradient((n, 3))
        matrices: list[BlockMatrix] = []
        diagonal = off = None
        if curvature:
            diagonal, off = self._backend.new_blocks(n, 3), self._backend.new_blocks(len(self.pattern), 3)
            matrices.append(BlockMatrix(self.pattern, diagonal, off))
        values = self._backend.geometry(self._plan, xyz, gradient, diagonal, off)
        return RestraintResult(KINDS, values, gradient, lambda: matrices)

    def residuals(self, xyz: F64) -> GeometryResiduals:
        """Observed minus ideal of every term at ``xyz`` (n, 3) Å."""
        return self._backend.geometry_residuals(self._plan, xyz)

    def deviation_sums(self, xyz: F64, kinds: Callable[[], I8], n_kind: int) -> Any | None:
        """Sums over terms by kind (n_kind, 4): count, Σ deviation², Σ z², Σ σ; None where terms are the host's.

        ``kinds`` gives the kind (m,) of every bond, angle, torsion, chiral and plane member, −1 for those left out; it
        is called once.
        """
        if not isinstance(self._backend, RestraintSums):
            return None
        if self._kinds is None:
            self._kinds = kinds()
        return self._backend.geometry_sums(self._plan, self._kinds, n_kind, xyz)
