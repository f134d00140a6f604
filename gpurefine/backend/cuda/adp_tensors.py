"""Restraints between anisotropic displacement parameters on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..blocks import BlockMatrix, project_blocks
from ..ops_adp import F64, I32, TENSOR_KINDS, TensorTerms
from .device import DeviceArray
from .lists import DeviceSimilarity, DeviceSimilarPairs
from .similarity import SimilarityOps


@dataclass(frozen=True, slots=True, eq=False)
class _Fixed:
    """What stays as it is of :class:`TensorTerms` when pairs are listed anew."""

    rigid_weight: DeviceArray
    turn: DeviceArray
    is_aniso: DeviceArray
    sphericity: DeviceArray


class AdpOps(SimilarityOps):
    """See :class:`gpurefine.backend.ops_adp.AdpOps`; float64, equal to the CPU's to rounding."""

    def tensor_restraints(
        self, terms: TensorTerms, u: F64, gradient: Any | None, diagonal: Any | None, off: Any | None
    ) -> Any:
        """Values (3,), gradient and curvature."""
        k, n = len(terms.pairs), len(u)
        tensors = self.send("tensors.u", u, np.float64)
        z = self.buffer("tensors.z", 2 * k + n, np.float64)
        blocks = diagonal is not None and off is not None
        other = self.target("tensors.off", off) if blocks else None
        self._deviations(terms, tensors, z, other, None, None)
        begin = self.latest("tensors.begin", lambda: self.send(
            "tensors.begin", np.array([0, k, 2 * k, 2 * k + n]), np.int32
        ), terms.pairs)
        values = self.post(len(TENSOR_KINDS))
        self.half_squares(z, begin, len(TENSOR_KINDS), max(k, n), values.array)
        if gradient is not None:
            slope = self.target("tensors.gradient", gradient)
            own = self.target("tensors.diagonal", diagonal) if blocks else None
            p, f = self.similar_on_device(terms.pairs, n), self._fixed_terms(terms)
            self.launch(
                "tensor_collect", n, p.by_atom.row_start, p.by_atom.entry, *self._pairs(p, f), f.sphericity, tensors,
                np.int32(n), np.int32(blocks), slope, own,
            )
            self.add_back(gradient, slope)
            if blocks:
                self.add_back(diagonal, own)
                self.add_back(off, other)
        return values

    def tensor_sums(self, terms: TensorTerms, u: F64) -> Any | None:
        """See :class:`gpurefine.backend.ops_pairs.TensorSums`; for lists of the device."""
        if not isinstance(terms.pairs, DeviceSimilarPairs):
            return None
        m = 2 * len(terms.pairs) + len(u)
        z, width = self.buffer("tensors.z", m, np.float64), self.buffer("tensors.width", m, np.float64)
        kind = self.buffer("tensors.kind", m, np.int8)
        self._deviations(terms, self.send("tensors.u", u, np.float64), z, None, width, kind)
        return self.deviation_sums(z, width, kind, m, len(TENSOR_KINDS))

    def _deviations(
        self, terms: TensorTerms, u: DeviceArray, z: DeviceArray, off: DeviceArray | None, width: DeviceArray | None,
        kind: DeviceArray | None,
    ) -> None:
        """Queue z (2 k + n,), and what else is wanted."""
        k, n = len(terms.pairs), len(u)
        p, f = self.similar_on_device(terms.pairs, n), self._fixed_terms(terms)
        self.launch(
            "tensor_pairs", k, *self._pairs(p, f), u, np.int32(k), np.int32(off is not None), z, off, width, kind
        )
        self.launch(
            "tensor_shapes", n, u, f.sphericity, np.int32(n), z[2 * k :], None if width is None else width[2 * k :],
            None if kind is None else kind[2 * k :],
        )

    def _pairs(self, p: DeviceSimilarity, f: _Fixed) -> tuple[DeviceArray, ...]:
        """What kernels/adp_tensors.cu takes of pairs."""
        return p.first, p.second, p.op, p.weight, p.relation, f.rigid_weight, p.unit, f.turn, f.is_aniso

    def _fixed_terms(self, terms: TensorTerms) -> _Fixed:
        parts = (terms.rigid_weight, terms.turn, terms.is_aniso, terms.sphericity)
        return self.kept("tensors", lambda: _Fixed(
            self.fixed(parts[0], np.float64), self.fixed(parts[1], np.float64), self.fixed(parts[2], np.bool_),
            self.fixed(parts[3], np.float64),
        ), *parts)

    def project_tensors(self, matrix: BlockMatrix, atoms: I32, projectors: F64) -> None:
        """Two launches for the off-diagonal blocks, so that one that joins two such atoms is changed in turn."""
        m = len(atoms)
        if not (self.device.holds(matrix.diagonal) and self.device.holds(matrix.off)):
            project_blocks(matrix, atoms, projectors)
            return
        if m == 0:
            return
        special, there = self.kept("special", lambda: (
            self.fixed(atoms, np.int32), self.fixed(projectors, np.float64)
        ), atoms, projectors)
        rows = self.matrix_rows("tensors", matrix.pattern)
        self.launch("project_diagonal", m, special, there, np.int32(m), matrix.diagonal, block=64)
        for columns in (0, 1):
            self.launch_warps(
                "project_off", m, special, rows.row_start, rows.entry, there, np.int32(m), np.int32(columns),
                matrix.off, block=64,
            )
