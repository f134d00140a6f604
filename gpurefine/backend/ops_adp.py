"""Operations on restraints between anisotropic displacement parameters (paper 2.6.6–2.6.8).

Three kinds of restraint share one pass over the pairs, because they share the tensors:

* similarity, eq. (23): (w/6) tr(U₁⁻¹U₂ + U₂⁻¹U₁ − 2), which for isotropic tensors is ½ w (B₁ − B₂)²/(B₁B₂);
* rigid bond, eq. (27)–(29): ½ w (p₁ − p₂)²/(p₁p₂) with p = lᵀ U l along the bond;
* sphericity, eq. (30): ½ w |U − ū|²/ū², ū = tr(U)/3, relative like the others, so that one weight serves all B.

Curvature is that of the same expressions with the denominators held: with Δ = U₁ − U₂ they are
(w/6) tr(U₁⁻¹ΔU₂⁻¹Δ), ½ w (lᵀΔl)²/(p₁p₂) and ½ w |U − ū|²/ū², sums of squares of Δ or U − ū, hence never negative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .blocks import BlockMatrix
from .ops_pairs import SimilarPairs

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Flags = NDArray[np.bool_]

TENSOR_KINDS = ("similarity", "rigid bond", "sphericity")
"""Order of the values that :meth:`AdpOps.tensor_restraints` returns."""


@dataclass(frozen=True, eq=False)
class TensorTerms:
    """Pairs (k,) of atoms whose displacements resemble each other, and what holds single atoms (n,).

    Attributes:
        pairs: first < second; ``weight`` of similarity.
        rigid_weight: by relation, the weight of the rigid bond where at least one of the two atoms is anisotropic.
        turn: (n_op, 6, 6) what each operation does to the six-vector of a tensor.
        is_aniso: (n,) bool; the tensors of the others stay isotropic.
        sphericity: (n,) weight of sphericity.
    """

    pairs: SimilarPairs
    rigid_weight: F64
    turn: F64
    is_aniso: Flags
    sphericity: F64

    @property
    def first(self) -> I32:
        """(k,) int32."""
        return self.pairs.first

    @property
    def second(self) -> I32:
        """(k,) int32."""
        return self.pairs.second

    @property
    def op(self) -> I32:
        """(k,) int32, the operation that brings the second near the first."""
        return self.pairs.op

    @property
    def weight(self) -> F64:
        """(k,) of similarity."""
        return self.pairs.weight

    @cached_property
    def rigid(self) -> F64:
        """(k,) of the rigid bond, 0 for most pairs."""
        either = self.is_aniso[self.first] | self.is_aniso[self.second]
        return np.where(either, self.rigid_weight[self.pairs.relation], 0.0)

    @cached_property
    def direction(self) -> F64:
        """(k, 3) unit vector of the rigid bond."""
        return self.pairs.unit_lines()


class AdpOps(Protocol):
    """The part of the table of operations that restrains anisotropic displacement parameters."""

    def new_blocks(self, n: int, side: int) -> F64:
        """See :meth:`gpurefine.backend.ops_restraints.RestraintOps.new_blocks`."""
        ...

    def new_gradient(self, shape: tuple[int, ...]) -> Any:
        """See :meth:`gpurefine.backend.ops_restraints.RestraintOps.new_gradient`."""
        ...

    def project_tensors(self, matrix: BlockMatrix, atoms: I32, projectors: F64) -> None:
        """Take out of ``matrix`` (side 6) what symmetry forbids the tensors of ``atoms`` (m,), each named once.

        With P of ``projectors`` (m, 6, 6) the atom's diagonal block D becomes Pᵀ D P, its other blocks in the same row
        Pᵀ O and in the same column O P, in place.
        """
        ...

    def tensor_restraints(
        self, terms: TensorTerms, u: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> Any:
        """Sums (3,) of the restraints in the order of :data:`TENSOR_KINDS` at ``u`` (n, 6) Å², 11 22 33 12 13 23.

        All tensors must be positive definite.  Adds to ``gradient`` (n, 6) Å⁻², both off-diagonal elements moved
        together, and, if given, to ``diagonal`` (n, 6, 6) and ``off`` (k, 6, 6) Å⁻⁴.  Derivatives of isotropic atoms
        are projected onto the isotropic tensors: their first three components are equal, the others zero.
        """
        ...
