"""Restraints between anisotropic displacement parameters (Murshudov et al. 2011, eq. 20–30).

Similarity has the pairs and weights of isotropic B (:mod:`gpurefine.restraints.adp`), so that isotropic tensors are
restrained as B are.  Rigid bonds join atoms one or two bonds apart of which at least one is anisotropic, with σ of the
relative difference along the bond :data:`RIGID_SIGMA`.  Sphericity is weak where bonds hold an atom and strong where
nothing does: σ of the relative deviation is :data:`SPHERICITY_SIGMA` by the number of its bonds (waters have none).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix
from ..backend.gaussians import full_tensors
from ..backend.ops_adp import TENSOR_KINDS, AdpOps, TensorTerms
from ..backend.ops_pairs import TensorSums
from ..errors import NumericalError
from ..model.special import SpecialPositions
from ..model.tensors import tensor_rotation
from .adp import SIGMA, AdpRestraints
from .result import RestraintResult, total

F64 = NDArray[np.float64]

RIGID_SIGMA = np.array([0.05, 0.1])
"""One bond apart, two bonds apart."""

SPHERICITY_SIGMA = np.array([0.25, 0.4, 0.6, 0.8])
"""No bond, one, two, three or more."""


class TensorRestraints:
    """Restraints on the tensors of one model; the pairs are those of ``pairs`` as of its last update."""

    def __init__(
        self, pairs: AdpRestraints, special: SpecialPositions, is_aniso: NDArray[np.bool_], backend: AdpOps
    ) -> None:
        """Plan the restraints: ``is_aniso`` (n,) atoms have tensors of their own, the others stay isotropic."""
        self._pairs, self._backend = pairs, backend
        self._is_aniso = np.ascontiguousarray(is_aniso)
        self._turn = np.array([tensor_rotation(rotation) for rotation in pairs.rotations])
        self._special = special.atom, special.tensor_projectors()
        sigma = SPHERICITY_SIGMA[np.minimum(pairs.bonded, len(SPHERICITY_SIGMA) - 1)]
        self._sphericity = np.where(is_aniso, pairs.weight / sigma**2, 0.0)
        self._rigid_weight = np.zeros(len(SIGMA))
        self._rigid_weight[: len(RIGID_SIGMA)] = pairs.weight / RIGID_SIGMA**2
        self._terms: TensorTerms | None = None

    @property
    def terms(self) -> TensorTerms:
        """The pairs as the backend takes them."""
        if self._terms is None or self._terms.pairs is not self._pairs.pairs:
            self._terms = TensorTerms(
                self._pairs.pairs, self._rigid_weight, self._turn, self._is_aniso, self._sphericity
            )
        return self._terms

    def value(self, u: F64) -> float:
        """The restraints' value at ``u`` (n, 6) Å²; infinite where a restrained tensor is not positive definite."""
        return total(self.sums(u))

    def sums(self, u: F64) -> Any:
        """The values of :meth:`value` by kind, which may still be on a device."""
        if not _all_positive(u[self._is_aniso]):
            return float("inf")
        return self._backend.tensor_restraints(self.terms, u, None, None, None)

    def evaluate(self, u: F64, curvature: bool) -> RestraintResult:
        """Values, gradient (n, 6) Å⁻² and, if asked for, curvature (side 6, Å⁻⁴) at ``u`` (n, 6) Å².

        Off-diagonal elements of a tensor move together.

        Raises:
            NumericalError: a tensor is not positive definite.
        """
        if not _all_positive(u[self._is_aniso]):
            raise NumericalError("A displacement tensor U is not positive definite where it is restrained.")
        gradient = self._backend.new_gradient((len(u), 6))
        matrices: list[BlockMatrix] = []
        diagonal = off = None
        terms, pattern = self.terms, self._pairs.pattern
        if curvature:
            diagonal, off = self._backend.new_blocks(len(u), 6), self._backend.new_blocks(len(pattern), 6)
            matrices.append(BlockMatrix(pattern, diagonal, off))
        values = self._backend.tensor_restraints(terms, u, gradient, diagonal, off)
        for matrix in matrices:
            self._backend.project_tensors(matrix, *self._special)
        return RestraintResult(TENSOR_KINDS, values, gradient, lambda: matrices)

    def deviation_sums(self, u: F64) -> Any:
        """Of the restraints of each kind (3, 4) at ``u`` (n, 6) Å²: count, Σ deviation², Σ z², Σ σ, relative.

        A similarity's deviation is √(KL/3), which for isotropic tensors is |B₁ − B₂|/√(B₁B₂).
        """
        if isinstance(self._backend, TensorSums):
            sums = self._backend.tensor_sums(self.terms, u)
            if sums is not None:
                return sums
        return np.array([
            [len(d), np.sum(d**2), np.sum((d / sigma) ** 2), np.sum(sigma)] for d, sigma in self._deviations(u)
        ])

    def _deviations(self, u: F64) -> list[tuple[F64, F64]]:
        """Relative deviation and σ (m,) of every restraint of each kind."""
        terms = self.terms
        near = np.einsum("kij,kj->ki", terms.turn[terms.op], u[terms.second])
        one, two = full_tensors(u[terms.first]), full_tensors(near)
        use = terms.weight > 0.0
        ratio = np.linalg.solve(one[use], two[use])
        trace = np.einsum("kii->k", ratio) + np.einsum("kii->k", np.linalg.inv(ratio)) - 6.0
        similarity = np.sqrt(np.maximum(trace, 0.0) / 3.0), 1.0 / np.sqrt(terms.weight[use])
        use = terms.rigid > 0.0
        line = terms.direction[use]
        p, q = (np.einsum("ki,kij,kj->k", line, full[use], line) for full in (one, two))
        rigid = (p - q) / np.sqrt(p * q), 1.0 / np.sqrt(terms.rigid[use])
        use = terms.sphericity > 0.0
        mean = u[use, :3].mean(axis=1)
        uneven = full_tensors(u[use]) / mean[:, None, None] - np.eye(3)
        size = np.sqrt(np.einsum("nij,nij->n", uneven, uneven))
        return [similarity, rigid, (size, 1.0 / np.sqrt(terms.sphericity[use]))]


def _all_positive(u: F64) -> bool:
    """Whether all tensors (m, 6) are positive definite (their leading minors are)."""
    a, b, c, d, e, f = u.T
    second = a * b - d * d
    third = second * c - a * f * f - b * e * e + 2.0 * d * e * f
    return bool(np.all((a > 0.0) & (second > 0.0) & (third > 0.0)))
