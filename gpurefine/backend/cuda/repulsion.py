"""Repulsion of overlapping pairs, and restraints between displacement parameters, on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ops_restraints import F64, I32, Repulsions, SymmetryArrays
from .device import DeviceArray
from .groups import GroupOps, Groups


@dataclass(frozen=True, slots=True, eq=False)
class DevicePairs:
    """:class:`Repulsions` on the device, as kernels/repulsion.cu takes them."""

    atoms: DeviceArray
    op: DeviceArray
    shift: DeviceArray
    limits: DeviceArray
    symmetry: DeviceArray


class RepulsionOps(GroupOps):
    """The part of :class:`gpurefine.backend.ops_restraints.RestraintOps` on pairs of atoms."""

    def repulsion(self, pairs: Repulsions, xyz: F64, z: F64 | None) -> float:
        """Overlaps z (k,) and ½ Σ z²."""
        k = len(pairs.first)
        if k == 0:
            return 0.0
        p, n_op = self._pairs_on_device(pairs), len(pairs.symmetry.rotation)
        out = z if z is not None and self.device.holds(z) else self.buffer("repulsion.z", k, np.float64)
        self.launch(
            "repulsion_overlaps", k, self.send("repulsion.xyz", xyz, np.float64), p.atoms, p.op, p.shift, p.limits,
            p.symmetry, np.int32(n_op), np.int32(k), out,
        )
        value = self._all_half_squares(out, k)
        if z is not None and out is not z:
            z[:] = self.device.download(out)
        return value

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

    def adp_divergence(
        self, first: I32, second: I32, weight: F64, b_iso: F64, gradient: F64 | None, diagonal: F64 | None,
        off: F64 | None,
    ) -> float:
        """Kullback–Leibler restraint between isotropic B."""
        k, n = len(first), len(b_iso)
        if k == 0:
            return 0.0
        i, j, w, by_atom = self.latest(
            "adp", lambda: self._adp_pairs(first, second, weight, n), first, second, weight
        )
        z, terms = self.buffer("adp.z", k, np.float64), self.buffer("adp.terms", (k, 4), np.float64)
        blocks = diagonal is not None and off is not None
        other = self.target("adp.off", off) if blocks else None
        self.launch(
            "adp_terms", k, i, j, w, self.send("adp.b", b_iso, np.float64), np.int32(k), np.int32(gradient is not None),
            np.int32(blocks), z, terms, other,
        )
        value = self._all_half_squares(z, k)
        if gradient is None:
            return value
        slope = self.target("adp.gradient", gradient)
        own = self.target("adp.diagonal", diagonal) if blocks else None
        self.launch(
            "adp_collect", n, by_atom.start, by_atom.order, terms, np.int32(n), np.int32(blocks), slope, own
        )
        self.add_back(gradient, slope)
        if blocks:
            self.add_back(diagonal, own)
            self.add_back(off, other)
        return value

    def _adp_pairs(
        self, first: I32, second: I32, weight: F64, n: int
    ) -> tuple[DeviceArray, DeviceArray, DeviceArray, Groups]:
        both = self.send("adp.both", np.stack([first, second], axis=1), np.int32)
        return (
            self.send("adp.first", first, np.int32), self.send("adp.second", second, np.int32),
            self.send("adp.weight", weight, np.float64), self.grouped("adp.atoms", both, 2 * len(first), n),
        )

    def _pairs_on_device(self, pairs: Repulsions) -> DevicePairs:
        def build() -> DevicePairs:
            return DevicePairs(
                atoms=self.send("repulsion.atoms", np.stack([pairs.first, pairs.second], axis=1), np.int32),
                op=self.send("repulsion.op", pairs.op, np.int32),
                shift=self.send("repulsion.shift", pairs.shift, np.int32),
                limits=self.send("repulsion.limits", np.stack([pairs.critical, pairs.sigma], axis=1), np.float64),
                symmetry=self.symmetry_table(pairs.symmetry),
            )

        return self.latest("repulsion", build, pairs)

    def remember_pairs(self, pairs: Repulsions, there: DevicePairs) -> None:
        """Take note that ``pairs`` are on the device already."""
        self.latest("repulsion", lambda: there, pairs)

    def symmetry_table(self, symmetry: SymmetryArrays) -> DeviceArray:
        """What kernels/repulsion.cu takes of the operations."""
        return self.kept("repulsion.symmetry", lambda: self._operations(symmetry), symmetry)

    def _operations(self, s: SymmetryArrays) -> DeviceArray:
        """(n_op + 1, 12): rotation and translation of every operation, and the matrix that turns cells into Å."""
        table = np.zeros((len(s.rotation) + 1, 12))
        table[:-1, :9], table[:-1, 9:] = s.rotation.reshape(-1, 9), s.translation
        table[-1, :9] = s.orth.ravel()
        return self.fixed(table, np.float64)

    def _all_half_squares(self, z: DeviceArray, n: int) -> float:
        begin: NDArray[np.int32] = np.array([0, n], np.int32)
        out = self.half_squares(z, self.send("squares.begin", begin, np.int32), 1, n)
        return float(self.device.download(out)[0])
