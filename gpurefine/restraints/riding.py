"""Positions of riding hydrogens, regenerated between cycles.

Within a cycle a hydrogen keeps its offset from the parent; between cycles the offsets are relaxed in the dictionary's
own terms (every bond, angle, torsion, chiral and plane that involves a hydrogen), heavy atoms standing still.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..backend.blocks import BlockPattern
from ..backend.ops_restraints import HydrogenSolver, HydrogenSystem, RestraintOps
from ..model.topology import Angles, Bonds, Chirals, Planes, Topology, Torsions
from .arrays import geometry_terms, no_symmetry, term_pairs
from .result import total

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Flags = NDArray[np.bool_]

SHIFT_MAX = 0.3
"""Å: longest move of a hydrogen in one iteration."""

CONVERGED = 0.005
"""Å: iterations end when no hydrogen moves farther."""

DAMPING = 1e-4
"""Ridge on the normal matrix of each parent's hydrogens, relative to its largest diagonal element."""

FLOOR = 1e-3
"""Å⁻²: the same, absolute."""

HALVINGS = 6
"""Lengths of a shift that are tried, each half of the one before."""


def idealise_hydrogens(xyz: F64, topology: Topology, backend: RestraintOps, n_iterations: int = 20) -> F64:
    """``xyz`` (n, 3) Å with the hydrogens relaxed; see :class:`HydrogenIdealiser`, which can be kept and used again."""
    return HydrogenIdealiser(topology, backend).idealise(xyz, n_iterations)


class HydrogenIdealiser:
    """Damped Gauss–Newton for hydrogens, all hydrogens of one parent being solved for together."""

    def __init__(self, topology: Topology, backend: RestraintOps) -> None:
        self._backend = backend
        n = topology.n_atoms
        terms = geometry_terms(with_hydrogens(topology), no_symmetry())
        first, second = (np.concatenate(part) for part in zip(*term_pairs(terms), strict=True))
        moves = riding(topology)
        both = moves[first] & moves[second]
        pattern = BlockPattern.from_pairs(n, first[both], second[both])
        self._n_off = len(pattern.pairs)
        owner = np.where(moves, np.arange(n), -1).astype(np.int32)
        self._plan = backend.plan_geometry(terms, owner, pattern.pairs)
        self._system = HydrogenSystem(
            tuple(_sibling_groups(topology, pattern)), DAMPING, FLOOR, SHIFT_MAX, HALVINGS, CONVERGED
        )
        self._any = bool(moves.any())

    def idealise(self, xyz: F64, n_iterations: int = 20) -> F64:
        """``xyz`` (n, 3) Å with hydrogens moved downhill until shifts are below 0.005 Å or iterations run out."""
        if not self._any:
            return xyz
        if isinstance(self._backend, HydrogenSolver):
            relaxed = self._backend.relax_hydrogens(self._plan, self._system, xyz, n_iterations)
            if relaxed is not None:
                return relaxed
        x = xyz.copy()
        for _ in range(n_iterations):
            shift, value = self._shift(x)
            largest = float(np.sqrt((shift**2).sum(axis=1)).max())
            for _halving in range(HALVINGS):
                if self._value(x + shift) <= value:
                    x = x + shift
                    break
                shift = 0.5 * shift
            else:
                break
            if largest < CONVERGED:
                break
        return x

    def _value(self, x: F64) -> float:
        return total(self._backend.geometry(self._plan, x, None, None, None))

    def _shift(self, x: F64) -> tuple[F64, float]:
        """Shifts (n, 3) Å of the hydrogens, and the value before."""
        gradient, diagonal, off = np.zeros_like(x), np.zeros((len(x), 3, 3)), np.zeros((max(self._n_off, 1), 3, 3))
        value = total(self._backend.geometry(self._plan, x, gradient, diagonal, off))
        shift = np.zeros_like(x)
        for members, slots in self._system.groups:
            count, k = members.shape
            blocks = np.zeros((count, k, 3, k, 3))
            for a in range(k):
                blocks[:, a, :, a, :] = diagonal[members[:, a]]
                for b in range(a + 1, k):
                    slot = slots[:, a, b]
                    block = np.where((slot >= 0)[:, None, None], off[slot], 0.0)
                    blocks[:, a, :, b, :] = block
                    blocks[:, b, :, a, :] = np.swapaxes(block, 1, 2)
            matrix = blocks.reshape(count, 3 * k, 3 * k)
            largest = np.einsum("gii->gi", matrix).max(axis=1)
            matrix = matrix + (DAMPING * largest + FLOOR)[:, None, None] * np.eye(3 * k)
            step = -np.linalg.solve(matrix, gradient[members].reshape(count, 3 * k, 1)).reshape(count, k, 3)
            step[~np.isfinite(step).all(axis=(1, 2))] = 0.0
            length = np.linalg.norm(step, axis=2, keepdims=True)
            shift[members] = step * np.minimum(1.0, SHIFT_MAX / np.maximum(length, 1e-12))
        return shift, value


def _sibling_groups(topology: Topology, pattern: BlockPattern) -> list[tuple[I32, I32]]:
    """For each number k of hydrogens on one parent: the hydrogens (g, k) and the slots (g, k, k) that couple them."""
    hydrogens = np.flatnonzero(riding(topology))
    parent = topology.parent[hydrogens]
    order = np.argsort(parent, kind="stable")
    hydrogens, parent = hydrogens[order].astype(np.int32), parent[order]
    start = np.flatnonzero(np.concatenate([[True], parent[1:] != parent[:-1]])) if len(parent) else np.zeros(0, int)
    size = np.diff(np.append(start, len(parent)))
    key = pattern.pairs[:, 0].astype(np.int64) * pattern.n + pattern.pairs[:, 1]
    groups = []
    for k in np.unique(size):
        members = hydrogens[start[size == k][:, None] + np.arange(k)]
        slots = np.full((len(members), k, k), -1, np.int32)
        for a in range(k):
            for b in range(a + 1, k):
                wanted = members[:, a].astype(np.int64) * pattern.n + members[:, b]
                at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
                if len(key):
                    slots[:, a, b] = np.where(key[at] == wanted, at, -1)
        groups.append((members, slots))
    return groups


def riding(topology: Topology) -> Flags:
    """(n,) bool: hydrogens that have no parameters of their own."""
    return np.asarray(topology.is_hydrogen & (topology.parent != np.arange(topology.n_atoms)))


def with_hydrogens(topology: Topology) -> Topology:
    """The restraints that involve at least one hydrogen; bonds to symmetry copies are left out."""
    h = topology.is_hydrogen
    b, a, t, c = topology.bonds, topology.angles, topology.torsions, topology.chirals
    kb = h[b.atoms].any(axis=1) & (b.image == 0) & ~b.shift.any(axis=1)
    ka, kt, kc = (h[terms.atoms].any(axis=1) for terms in (a, t, c))
    return replace(
        topology,
        bonds=Bonds(b.atoms[kb], b.ideal[kb], b.sigma[kb], b.image[kb], b.shift[kb]),
        angles=Angles(a.atoms[ka], a.ideal[ka], a.sigma[ka]),
        torsions=Torsions(t.atoms[kt], t.ideal[kt], t.sigma[kt], t.period[kt]),
        chirals=Chirals(c.atoms[kc], c.ideal[kc], c.sigma[kc], c.both[kc]),
        planes=_planes_with(topology.planes, h),
    )


def _planes_with(planes: Planes, wanted: Flags) -> Planes:
    """The planes that hold a wanted atom."""
    counts = np.diff(planes.start)
    which = np.repeat(np.arange(len(counts)), counts)
    keep = np.bincount(which, weights=wanted[planes.atoms], minlength=len(counts)) > 0
    start = np.concatenate([[0], np.cumsum(counts[keep])]).astype(np.int32)
    return Planes(start, planes.atoms[keep[which]], planes.sigma[keep])
