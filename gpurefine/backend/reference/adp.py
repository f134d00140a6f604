"""Restraints on anisotropic displacement parameters in plain NumPy: the definition."""

from __future__ import annotations

import numpy as np

from ...constants import VOIGT
from ..blocks import BlockMatrix, project_blocks
from ..gaussians import full_tensors
from ..ops_adp import F64, I32, Flags, TensorTerms

MOVED = np.zeros((6, 3, 3))
"""∂U/∂u: what one component of the six-vector changes."""

for _k, (_i, _j) in enumerate(VOIGT):
    MOVED[_k, _i, _j] = MOVED[_k, _j, _i] = 1.0

ISOTROPIC = np.zeros((6, 6))
"""Projection onto the isotropic tensors."""

ISOTROPIC[:3, :3] = 1.0 / 3.0


class AdpOps:
    """See :class:`gpurefine.backend.ops_adp.AdpOps`."""

    def project_tensors(self, matrix: BlockMatrix, atoms: I32, projectors: F64) -> None:
        """Few atoms lie on special positions."""
        project_blocks(matrix, atoms, projectors)

    def tensor_restraints(
        self, terms: TensorTerms, u: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> F64:
        """Values (3,), gradient and curvature."""
        turn = terms.turn[terms.op]
        one, two = full_tensors(u[terms.first]), full_tensors(np.einsum("kij,kj->ki", turn, u[terms.second]))
        a, b = np.linalg.inv(one), np.linalg.inv(two)
        divergence = np.einsum("kij,kji->k", a, two) + np.einsum("kij,kji->k", b, one) - 6.0
        line = terms.direction[:, :, None] * terms.direction[:, None, :]
        stiff = terms.rigid > 0.0
        p = np.where(stiff, np.einsum("kij,kij->k", line, one), 1.0)
        q = np.where(stiff, np.einsum("kij,kij->k", line, two), 1.0)
        mean = u[:, :3].mean(axis=1)
        shape = full_tensors(u) / mean[:, None, None] - np.eye(3)
        square = np.einsum("nij,nij->n", shape, shape)
        values = np.array([
            np.sum(terms.weight * divergence) / 6.0,
            0.5 * np.sum(terms.rigid * (p - q) ** 2 / (p * q)),
            0.5 * np.sum(terms.sphericity * square),
        ])
        along = np.einsum("aij,kij->ka", MOVED, line)
        if gradient is not None:
            w, r = terms.weight[:, None] / 6.0, 0.5 * terms.rigid[:, None]
            by_one = w * np.einsum("aij,kij->ka", MOVED, b - a @ two @ a) + r * (1 / q - q / p**2)[:, None] * along
            by_two = w * np.einsum("aij,kij->ka", MOVED, a - b @ one @ b) + r * (1 / p - p / q**2)[:, None] * along
            by_two = np.einsum("kji,kj->ki", turn, by_two)
            np.add.at(gradient, terms.first, _projected(by_one, terms.is_aniso[terms.first]))
            np.add.at(gradient, terms.second, _projected(by_two, terms.is_aniso[terms.second]))
            total = full_tensors(u)
            squared = np.einsum("nij,nij->n", total, total)
            slope = np.einsum("aij,nij->na", MOVED, total) / mean[:, None] ** 2
            slope[:, :3] -= (squared / (3.0 * mean**3))[:, None]
            gradient += terms.sphericity[:, None] * _projected(slope, terms.is_aniso)
        if diagonal is not None and off is not None:
            block = np.einsum("aij,kjl,blm,kmi->kab", MOVED, a, MOVED, b, optimize=True)
            block *= terms.weight[:, None, None] / 3.0
            block += (terms.rigid / (p * q))[:, None, None] * along[:, :, None] * along[:, None, :]
            left, right = _projectors(terms.is_aniso[terms.first]), _projectors(terms.is_aniso[terms.second])
            turned = turn @ right
            np.add.at(diagonal, terms.first, left @ block @ left)
            np.add.at(diagonal, terms.second, np.swapaxes(turned, 1, 2) @ block @ turned)
            off -= left @ block @ turned
            uneven = np.diag([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]) - ISOTROPIC
            weight = np.where(terms.is_aniso, terms.sphericity / mean**2, 0.0)
            diagonal += weight[:, None, None] * uneven
        return values


def _projectors(is_aniso: Flags) -> F64:
    """(k, 6, 6): nothing for anisotropic atoms, onto the isotropic tensors for the others."""
    return np.where(is_aniso[:, None, None], np.eye(6), ISOTROPIC)


def _projected(six: F64, is_aniso: Flags) -> F64:
    return np.where(is_aniso[:, None], six, six @ ISOTROPIC)
