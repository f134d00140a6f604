"""Restraints between isotropic B on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops_pairs import SimilarPairs
from ..ops_restraints import F64
from .device import DeviceArray
from .lists import DeviceSimilarity, DeviceSimilarPairs, MatrixRows
from .statistics import StatisticsOps


class SimilarityOps(StatisticsOps):
    """The part of :class:`gpurefine.backend.ops_restraints.RestraintOps` on isotropic B."""

    def adp_divergence(
        self, pairs: SimilarPairs, b_iso: F64, gradient: Any | None, diagonal: Any | None, off: Any | None
    ) -> Any:
        """Kullback–Leibler restraint between isotropic B."""
        k, n = len(pairs), len(b_iso)
        if k == 0:
            return 0.0
        p, z = self.similar_on_device(pairs, n), self.buffer("adp.z", k, np.float64)
        terms = self.buffer("adp.terms", (k, 4), np.float64)
        blocks = diagonal is not None and off is not None
        other = self.target("adp.off", off) if blocks else None
        self._similarity_terms(p, b_iso, k, gradient is not None, blocks, z, terms, other, None)
        value = self._all_half_squares(z, k)
        if gradient is None:
            return value
        slope = self.target("adp.gradient", gradient)
        own = self.target("adp.diagonal", diagonal) if blocks else None
        self.launch(
            "adp_collect", n, p.by_atom.row_start, p.by_atom.entry, terms, np.int32(n), np.int32(blocks), slope, own
        )
        self.add_back(gradient, slope)
        if blocks:
            self.add_back(diagonal, own)
            self.add_back(off, other)
        return value

    def similarity_sums(self, pairs: SimilarPairs, b_iso: F64) -> Any | None:
        """See :class:`gpurefine.backend.ops_pairs.RestraintSums`; for lists of the device."""
        if not isinstance(pairs, DeviceSimilarPairs):
            return None
        k = len(pairs)
        z, width = self.buffer("adp.z", k, np.float64), self.buffer("adp.width", k, np.float64)
        self._similarity_terms(pairs.there, b_iso, k, False, False, z, None, None, width)
        return self.deviation_sums(z, width, None, k, 1)

    def _similarity_terms(
        self, p: DeviceSimilarity, b_iso: F64, k: int, derivative: bool, blocks: bool, z: DeviceArray,
        terms: DeviceArray | None, off: DeviceArray | None, width: DeviceArray | None,
    ) -> None:
        self.launch(
            "adp_terms", k, p.first, p.second, p.weight, self.send("adp.b", b_iso, np.float64), np.int32(k),
            np.int32(derivative), np.int32(blocks), z, terms, off, width,
        )

    def similar_on_device(self, pairs: SimilarPairs, n: int) -> DeviceSimilarity:
        """The pairs of ``n`` atoms where kernels find them."""
        if isinstance(pairs, DeviceSimilarPairs):
            return pairs.there
        return self.latest("similar", lambda: self._sent(pairs, n), pairs)

    def _sent(self, p: SimilarPairs, n: int) -> DeviceSimilarity:
        ints = {name: self.send(f"similar.{name}", getattr(p, name), np.int32) for name in (
            "first", "second", "relation", "op"
        )}
        reals = {name: self.send(f"similar.{name}", value, np.float64) for name, value in (
            ("distance", p.distance), ("line", p.line), ("unit", p.unit_lines()), ("weight", p.weight)
        )}
        both = self.send("similar.both", np.stack([p.first, p.second], axis=1), np.int32)
        rows = self.grouped("similar.atoms", both, 2 * len(p), n)
        return DeviceSimilarity(**ints, **reals, by_atom=MatrixRows(rows.start, rows.order, rows.order))
