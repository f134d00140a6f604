"""Harmonic restraints that hold atoms at given positions (Murshudov et al. 2011, section 2.6)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockMatrix, BlockPattern
from ..model.topology import Topology
from .result import RestraintResult

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

SIGMA_KEPT = 0.1
"""Å: how far atoms without covalent restraints may wander from where they were given."""


class PositionRestraints:
    """Σ ½ |x − x₀|²/σ² over some atoms.

    Attributes:
        atoms: (m,) int32, each once.
        target: (m, 3) Å, x₀.
        sigma: (m,) Å.
    """

    def __init__(self, n_atoms: int, atoms: I32, target: F64, sigma: F64) -> None:
        """Restrain ``atoms`` (m,) of ``n_atoms`` to ``target`` (m, 3) Å with ``sigma`` (m,) Å."""
        self.atoms, self.target, self.sigma = atoms, target, sigma
        self._n = n_atoms
        nobody = np.zeros(0, np.int32)
        self._pattern = BlockPattern.from_pairs(n_atoms, nobody, nobody)

    def __len__(self) -> int:
        return len(self.atoms)

    def value(self, xyz: F64) -> float:
        """The restraints' value at ``xyz`` (n, 3) Å."""
        if len(self) == 0:
            return 0.0
        return float(0.5 * np.sum(((xyz[self.atoms] - self.target) / self.sigma[:, None]) ** 2))

    def evaluate(self, xyz: F64, curvature: bool) -> RestraintResult:
        """Value, gradient (n, 3) and, if asked for, the exact curvature, which is diagonal, at ``xyz`` (n, 3) Å."""
        gradient = np.zeros((self._n, 3))
        gradient[self.atoms] = (xyz[self.atoms] - self.target) / self.sigma[:, None] ** 2
        matrices: list[BlockMatrix] = []
        if curvature and len(self):
            diagonal = np.zeros((self._n, 3, 3))
            diagonal[self.atoms] = np.eye(3) / self.sigma[:, None, None] ** 2
            matrices.append(BlockMatrix(self._pattern, diagonal, np.zeros((0, 3, 3))))
        return RestraintResult(("position",), self.value(xyz), gradient, lambda: matrices)


def kept_positions(topology: Topology, xyz: F64, sigma: float = SIGMA_KEPT) -> PositionRestraints:
    """Restraints that hold atoms without covalent restraints (``topology.loose``) at ``xyz`` (n, 3) Å.

    Riding hydrogens go with their parents.
    """
    atoms = topology.loose.atoms
    atoms = atoms[topology.parent[atoms] == atoms]
    return PositionRestraints(topology.n_atoms, atoms, xyz[atoms].copy(), np.full(len(atoms), sigma))


def no_positions(topology: Topology) -> PositionRestraints:
    """No atom is held."""
    return PositionRestraints(topology.n_atoms, np.zeros(0, np.int32), np.zeros((0, 3)), np.zeros(0))
