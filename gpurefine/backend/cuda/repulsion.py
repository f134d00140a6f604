"""Repulsion of overlapping pairs on the device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..blocks import BlockMatrix
from ..ops_restraints import F64, I32, Flags, Repulsions, SymmetryArrays
from .device import DeviceArray
from .lists import DevicePairs, DevicePattern, DeviceRepulsions, pattern_rows
from .statistics import StatisticsOps

KINDS = 5
"""Kinds of contacts that statistics tell apart."""


class RepulsionOps(StatisticsOps):
    """The part of :class:`gpurefine.backend.ops_restraints.RestraintOps` on contacts."""

    def repulsion(self, pairs: Repulsions, xyz: F64, z: F64 | None) -> Any:
        """Overlaps z (k,) and ½ Σ z²."""
        k = len(pairs)
        if k == 0:
            return 0.0
        out = z if z is not None and self.device.holds(z) else self.buffer("repulsion.z", k, np.float64)
        self._overlaps(pairs, xyz, out)
        value = self._all_half_squares(out, k)
        if z is not None and out is not z:
            z[:] = self.device.download(out)
        return value

    def overlap_derivatives(
        self, pairs: Repulsions, xyz: F64, owner: I32, gradient: Any, curvature: bool
    ) -> tuple[Any, Callable[[], BlockMatrix]] | None:
        """See :class:`gpurefine.backend.ops_pairs.PairRestrainer`; for lists of the device."""
        if not isinstance(pairs, DeviceRepulsions):
            return None
        k, n, p = len(pairs), len(xyz), self._pairs_on_device(pairs)
        told = self.post(2)  # the value, and how many blocks there are
        own = self.kept("owner", lambda: self.fixed(owner, np.int32), owner)
        z, rows = self.buffer("overlaps.z", k, np.float64), self.buffer("overlaps.rows", (2 * k, 3), np.float64)
        count = self.buffer("overlaps.count", n, np.int32)
        self.device.clear(count)
        self.launch(
            "overlap_rows", k, self.send("repulsion.xyz", xyz, np.float64), p.atoms, p.op, p.shift, p.limits,
            p.symmetry, np.int32(len(pairs.symmetry.rotation)), own, np.int32(k), z, rows, count,
        )
        self.half_squares(z, None, 1, k, told.array[:1])
        start = self.prefix_sums("overlaps.start", count, n)
        items = self.buffer("overlaps.items", 2 * k, np.uint64)
        self.launch("overlap_items", k, p.atoms, own, z, np.int32(k), start, count, items)
        width = self.buffer("overlaps.width", n, np.uint64)
        self.launch("overlap_sort", n, start, np.int32(n), items, width)
        slope = self.target("repulsion.gradient", gradient)
        if not curvature:
            self.launch(
                "overlap_collect", n, start, items, None, z, rows, np.int32(n), np.int32(0), slope, None, None, None,
                None, None, None,
            )
            self.add_back(gradient, slope)
            return told, _no_blocks
        at = self.prefix_sums("overlaps.at", width, n, pairs=True)
        diagonal, off = self.new_blocks(n, 3), self.room((k, 3, 3), np.float64)
        capacity = max(k, 1)
        memory = self.room(n + 1 + 4 * capacity, np.int32)
        r = pattern_rows(memory.array, n, capacity)
        self.launch(
            "overlap_collect", n, start, items, at, z, rows, np.int32(n), np.int32(1), slope, diagonal, off.array,
            r.row_start, r.column, r.entry, told.array[1:],
        )
        self.add_back(gradient, slope)

        def matrix() -> BlockMatrix:
            pattern = DevicePattern(n, int(np.asarray(told)[1]), self.device, memory, capacity)
            return BlockMatrix(pattern, diagonal, self.part_of(off, len(pattern)))

        return told.first(1), matrix

    def overlap_sums(self, pairs: Repulsions, xyz: F64, kind: Any, heavy: Flags) -> Any | None:
        """See :class:`gpurefine.backend.ops_pairs.RestraintSums`; for lists of the device."""
        if not isinstance(pairs, DeviceRepulsions):
            return None
        k, p = len(pairs), self._pairs_on_device(pairs)
        z, reported = self.buffer("repulsion.z", k, np.float64), self.buffer("repulsion.reported", k, np.int8)
        is_heavy = self.kept("heavy", lambda: self.fixed(heavy, np.bool_), heavy)
        self._overlaps(pairs, xyz, z, is_heavy, reported)
        return self.deviation_sums(z, p.limits.reshape(-1)[1:], reported, k, KINDS, stride=2, only_active=True)

    def _overlaps(
        self, pairs: Repulsions, xyz: F64, z: DeviceArray, heavy: DeviceArray | None = None,
        reported: DeviceArray | None = None,
    ) -> None:
        """Queue z (k,) and the kinds of statistics."""
        k, p = len(pairs), self._pairs_on_device(pairs)
        self.launch(
            "repulsion_overlaps", k, self.send("repulsion.xyz", xyz, np.float64), p.atoms, p.op, p.shift, p.limits,
            p.symmetry, np.int32(len(pairs.symmetry.rotation)), np.int32(k), z, p.kind, heavy, reported,
        )

    def repulsion_derivatives(
        self, pairs: Repulsions, xyz: F64, active: I32, owner: I32, gradient: F64, slot: I32 | None,
        diagonal: F64 | None, off: F64 | None,
    ) -> None:
        """Gradient and Gauss–Newton blocks of overlapping pairs."""
        q, n = len(active), len(xyz)
        if q == 0:
            return
        p, n_op = self._pairs_on_device(pairs), len(pairs.symmetry.rotation)
        z, rows = self.buffer("repulsion.active_z", q, np.float64), self.buffer("repulsion.rows", (q, 6), np.float64)
        row_owner = self.buffer("repulsion.owner", 2 * q, np.int32)
        self.launch(
            "repulsion_rows", q, self.send("repulsion.xyz", xyz, np.float64), p.atoms, p.op, p.shift, p.limits,
            p.symmetry, np.int32(n_op), self.send("repulsion.active", active, np.int32), np.int32(q),
            self.kept("owner", lambda: self.fixed(owner, np.int32), owner), z, rows, row_owner,
        )
        by_atom = self.grouped("repulsion.atoms", row_owner, 2 * q, n)
        blocks = slot is not None and diagonal is not None and off is not None
        slope = self.target("repulsion.gradient", gradient)
        own = self.target("repulsion.diagonal", diagonal) if blocks else None
        self.launch(
            "repulsion_collect", n, by_atom.start, by_atom.order, row_owner, z, rows, np.int32(n), np.int32(blocks),
            slope, own,
        )
        self.add_back(gradient, slope)
        if slot is None or diagonal is None or off is None:
            return
        self.add_back(diagonal, own)
        key = self.buffer("repulsion.key", q, np.int32)
        self.launch("repulsion_keys", q, self.send("repulsion.slot", slot, np.int32), row_owner, np.int32(q), key)
        by_slot = self.grouped("repulsion.slots", key, q, len(off))
        other = self.target("repulsion.off", off)
        self.launch(
            "repulsion_blocks", len(off), by_slot.start, by_slot.order, row_owner, rows, np.int32(len(off)), other
        )
        self.add_back(off, other)

    def _pairs_on_device(self, pairs: Repulsions) -> DevicePairs:
        if isinstance(pairs, DeviceRepulsions):
            return pairs.there

        def build() -> DevicePairs:
            return DevicePairs(
                atoms=self.send("repulsion.atoms", np.stack([pairs.first, pairs.second], axis=1), np.int32),
                op=self.send("repulsion.op", pairs.op, np.int32),
                shift=self.send("repulsion.shift", pairs.shift, np.int32),
                limits=self.send("repulsion.limits", np.stack([pairs.critical, pairs.sigma], axis=1), np.float64),
                symmetry=self.symmetry_table(pairs.symmetry),
            )

        return self.latest("repulsion", build, pairs)

    def symmetry_table(self, symmetry: SymmetryArrays) -> DeviceArray:
        """What kernels/repulsion.cu takes of the operations."""
        return self.kept("repulsion.symmetry", lambda: self._operations(symmetry), symmetry)

    def _operations(self, s: SymmetryArrays) -> DeviceArray:
        """(n_op + 1, 12): rotation and translation of every operation, and the matrix that turns cells into Å."""
        table = np.zeros((len(s.rotation) + 1, 12))
        table[:-1, :9], table[:-1, 9:] = s.rotation.reshape(-1, 9), s.translation
        table[-1, :9] = s.orth.ravel()
        return self.fixed(table, np.float64)


def _no_blocks() -> BlockMatrix:
    raise ValueError("blocks of a matrix that was not asked for")
