"""Restraints between anisotropic displacement parameters on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..blocks import BlockMatrix, project_blocks
from ..ops_adp import F64, I32, TENSOR_KINDS, TensorTerms
from .device import DeviceArray
from .groups import GroupOps, Groups


@dataclass(frozen=True, slots=True, eq=False)
class _Terms:
    """:class:`TensorTerms` on the device; ``by_atom`` lists 2 k + (1 if second) of the pairs k of every atom."""

    first: DeviceArray
    second: DeviceArray
    op: DeviceArray
    weights: DeviceArray
    direction: DeviceArray
    turn: DeviceArray
    is_aniso: DeviceArray
    sphericity: DeviceArray
    begin: DeviceArray
    by_atom: Groups


class AdpOps(GroupOps):
    """See :class:`gpurefine.backend.ops_adp.AdpOps`; float64, equal to the CPU's to rounding."""

    def tensor_restraints(
        self, terms: TensorTerms, u: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> F64:
        """Values (3,), gradient and curvature."""
        k, n = len(terms.first), len(u)
        t = self.latest("tensors", lambda: self._terms(terms, n), terms)
        tensors = self.send("tensors.u", u, np.float64)
        z = self.buffer("tensors.z", 2 * k + n, np.float64)
        blocks = diagonal is not None and off is not None
        other = self.target("tensors.off", off) if blocks else None
        pairs = (t.op, t.weights, t.direction, t.turn, t.is_aniso)
        self.launch("tensor_pairs", k, t.first, t.second, *pairs, tensors, np.int32(k), np.int32(blocks), z, other)
        self.launch("tensor_shapes", n, tensors, t.sphericity, np.int32(n), z[2 * k :])
        values = self.device.download(self.half_squares(z, t.begin, len(TENSOR_KINDS), max(k, n)))
        if gradient is None:
            return values
        slope = self.target("tensors.gradient", gradient)
        own = self.target("tensors.diagonal", diagonal) if blocks else None
        self.launch(
            "tensor_collect", n, t.by_atom.start, t.by_atom.order, t.first, t.second, *pairs, t.sphericity, tensors,
            np.int32(n), np.int32(blocks), slope, own,
        )
        self.add_back(gradient, slope)
        if blocks:
            self.add_back(diagonal, own)
            self.add_back(off, other)
        return values

    def project_tensors(self, matrix: BlockMatrix, atoms: I32, projectors: F64) -> None:
        """Two launches for the off-diagonal blocks, so that one that joins two such atoms is changed in turn."""
        m, p = len(atoms), matrix.pattern
        if not (self.device.holds(matrix.diagonal) and self.device.holds(matrix.off)):
            project_blocks(matrix, atoms, projectors)
            return
        if m == 0:
            return
        spans = [np.arange(p.row_start[a], p.row_start[a + 1]) for a in atoms]
        which, at = np.repeat(np.arange(m), [len(span) for span in spans]), np.concatenate(spans)
        entry = np.stack([which, p.slot[at], p.transposed[at]], axis=1).astype(np.int32)
        there = self.send("tensors.projectors", projectors, np.float64)
        listed = self.send("tensors.entries", entry, np.int32)
        self.launch(
            "project_diagonal", m, self.send("tensors.special", atoms, np.int32), there, np.int32(m), matrix.diagonal,
            block=64,
        )
        for columns in (0, 1):
            self.launch(
                "project_off", len(entry), listed, there, np.int32(len(entry)), np.int32(columns), matrix.off, block=64
            )

    def _terms(self, terms: TensorTerms, n: int) -> _Terms:
        k = len(terms.first)
        both = self.send("tensors.both", np.stack([terms.first, terms.second], axis=1), np.int32)
        return _Terms(
            self.send("tensors.first", terms.first, np.int32), self.send("tensors.second", terms.second, np.int32),
            self.send("tensors.op", terms.op, np.int32),
            self.send("tensors.weights", np.stack([terms.weight, terms.rigid], axis=1), np.float64),
            self.send("tensors.direction", terms.direction, np.float64),
            self.send("tensors.turn", terms.turn, np.float64), self.send("tensors.is_aniso", terms.is_aniso, np.bool_),
            self.send("tensors.sphericity", terms.sphericity, np.float64),
            self.send("tensors.begin", np.array([0, k, 2 * k, 2 * k + n]), np.int32),
            self.grouped("tensors.atoms", both, 2 * k, n),
        )
