"""The atoms of one copy as the parameters of all that strict non-crystallographic symmetry makes (method 6).

Every copy k is x_k = R_k x + t_k with U_k = R_k U R_kᵀ and the same B and occupancy, so that by the chain rule what the
parameters of the one copy see is the sum over copies of gradients turned back, Σ R_kᵀ g_k, and of curvature, Σ R_kᵀ H_k
R_k; for U the same with the 6×6 matrices that turn six-vectors.  Whatever the kind of parameter, it is given the
sums and knows of one copy only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, coupled
from ..backend.ops_restraints import RestraintOps
from ..backend.plans import AtomInformation, DensityGradient, Scatterers
from ..model.strict_ncs import StrictNcs
from .values import AtomValues

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """All copies of ``n`` atoms by the operators of ``ncs``, (k n) atoms in the order of the copies."""

    ncs: StrictNcs
    n: int

    def values(self, values: AtomValues) -> AtomValues:
        """The atoms of all copies; motion of TLS groups stays with the one copy."""
        ncs = self.ncs
        return replace(
            values, xyz=ncs.positions(values.xyz), b_iso=ncs.each(values.b_iso), u_aniso=ncs.tensors(values.u_aniso),
            occ=ncs.each(values.occ),
        )

    def scatterers(self, atoms: Scatterers) -> Scatterers:
        """All copies as the density operations take them."""
        ncs = self.ncs
        return Scatterers(
            ncs.positions(atoms.xyz), ncs.each(atoms.b_iso), ncs.tensors(atoms.u_aniso), ncs.each(atoms.is_aniso),
            ncs.each(atoms.weight), ncs.each(atoms.kind),
        )

    def gradient(self, slope: DensityGradient) -> DensityGradient:
        """Derivatives with respect to the one copy from those with respect to all."""
        return DensityGradient(
            self.vectors(slope.xyz), self.vectors(slope.b_iso), self.vectors(slope.u_aniso), self.vectors(slope.weight)
        )

    def information(self, information: AtomInformation) -> AtomInformation:
        """Diagonal blocks about the one copy from those about all."""
        u = information.u_aniso
        return AtomInformation(
            self.blocks(information.xyz), self.vectors(information.b_iso), self.vectors(information.weight),
            None if u is None else self.blocks(u),
        )

    def vectors(self, per_atom: F64) -> F64:
        """Σ Eᵀ g (n, s) of gradients (k n, s) by positions (s = 3), U (6) or what all copies share (1, or (k n,))."""
        each = per_atom.reshape(len(self.ncs), self.n, -1)
        if each.shape[2] == 1:
            return np.asarray(each.sum(axis=0).reshape(self.n, *per_atom.shape[1:]))
        return np.asarray(np.einsum("kij,kni->nj", self._turns(each.shape[2]), each))

    def blocks(self, per_atom: F64) -> F64:
        """Σ Eᵀ H E (n, s, s) of diagonal blocks (k n, s, s)."""
        side = per_atom.shape[1]
        each = per_atom.reshape(len(self.ncs), self.n, side, side)
        turns = self._turns(side)[:, None]
        return np.asarray((np.swapaxes(turns, -1, -2) @ each @ turns).sum(axis=0))

    def matrix(self, matrix: BlockMatrix, backend: RestraintOps) -> BlockMatrix:
        """Eᵀ M E of a block matrix over all copies' atoms: pairs of whichever copies are pairs of the one copy."""
        diagonal = self.blocks(backend.host_blocks(matrix.diagonal))
        off, side = backend.host_blocks(matrix.off), diagonal.shape[1]
        copy, atom = np.divmod(matrix.pattern.pairs, self.n)
        turns = self._turns(side)
        turned = np.swapaxes(turns[copy[:, 0]], 1, 2) @ off @ turns[copy[:, 1]]
        return coupled(diagonal, atom, turned)

    def _turns(self, side: int) -> F64:
        """(k, s, s) ∂(copy)/∂(the one copy)."""
        if side == 3:
            return self.ncs.rotations
        return self.ncs.tensor_rotations if side == 6 else np.ones((len(self.ncs), 1, 1))
