"""Riding hydrogens relaxed on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ops_restraints import F64, GeometryPlan, HydrogenSystem
from .device import DeviceArray
from .geometry import GeometryOps

MAX_SIBLINGS = 4
"""Hydrogens of one parent that the kernel has room for (MAX_SIBLINGS in kernels/hydrogens.cu)."""


@dataclass(frozen=True, slots=True, eq=False)
class _Parents:
    """:class:`HydrogenSystem` on the device, parent by parent."""

    count: int
    start: DeviceArray
    member: DeviceArray
    slot_start: DeviceArray
    slot: DeviceArray


class HydrogenOps(GeometryOps):
    """See :class:`gpurefine.backend.ops_restraints.HydrogenSolver`."""

    def relax_hydrogens(
        self, plan: GeometryPlan, system: HydrogenSystem, xyz: F64, n_iterations: int
    ) -> F64 | None:
        """The whole iteration on the device; the host reads the values once for each shift that is tried."""
        if any(members.shape[1] > MAX_SIBLINGS for members, _ in system.groups):
            return None
        s, d, n = system, self._geometry_on_device(plan), len(xyz)
        parents = self.kept("hydrogens", lambda: self._parents(system), system)
        x, trial = (self.buffer(f"hydrogens.{name}", (n, 3), np.float64) for name in ("x", "trial"))
        gradient, shift = (self.buffer(f"hydrogens.{name}", (n, 3), np.float64) for name in ("gradient", "shift"))
        diagonal = self.buffer("hydrogens.diagonal", (n, 3, 3), np.float64)
        off = self.buffer("hydrogens.off", (len(plan.pairs), 3, 3), np.float64)
        report = self.buffer("hydrogens.report", 11, np.float64)  # values before, values after, longest shift
        before, after, largest = report[:5], report[5:10], report[10:].view(np.uint64)
        there = self.known(xyz)
        if there is None:
            self.device.upload(np.ascontiguousarray(xyz, np.float64), x)
        else:
            self.device.copy(there, x)
        self.device.clear(shift)
        for _ in range(n_iterations):
            for out in (gradient, diagonal, off, largest):
                if out.size:
                    self.device.clear(out)
            self.geometry_values(plan, x, gradient, diagonal, off, before)
            self.launch(
                "hydrogen_shifts", parents.count, parents.start, parents.member, parents.slot_start, parents.slot,
                gradient, diagonal, off, np.int32(parents.count), np.float64(s.damping), np.float64(s.floor),
                np.float64(s.longest), shift, largest, block=64,
            )
            factor = 1.0
            for _halving in range(s.halvings):
                self.launch("move_along", 3 * n, x, shift, np.float64(factor), np.int32(3 * n), trial, block=256)
                self._fill(d, trial, False)
                self.half_squares(d.z, d.begin, 5, d.longest, after)
                told = self.device.download(report)
                if told[5:10].sum() <= told[:5].sum():
                    x, trial = trial, x
                    break
                factor *= 0.5
            else:
                break
            if told[10] < s.converged:
                break
        return self.device.download(x)

    def _parents(self, system: HydrogenSystem) -> _Parents:
        members, slots, counts = [], [], []
        for group, coupled in system.groups:
            members.append(group.ravel())
            slots.append(coupled.ravel())
            counts.append(np.full(len(group), group.shape[1]))
        count = np.concatenate([np.zeros(0, np.int64), *counts])
        start, slot_start = (np.concatenate([[0], np.cumsum(part)]) for part in (count, count**2))
        none = np.zeros(0, np.int32)
        return _Parents(
            len(count), self.fixed(start, np.int32), self.fixed(np.concatenate([none, *members]), np.int32),
            self.fixed(slot_start, np.int32), self.fixed(np.concatenate([none, *slots]), np.int32),
        )
