"""Contact search on the device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..ops_restraints import F64, ContactRules, Contacts, SymmetryArrays
from .device import DeviceArray
from .groups import GroupOps

START_CAPACITY = 16
"""Contacts per atom that memory is made for at first; a search that finds more is repeated with more memory."""

MAX_BINS = 256
"""Bins along one axis of the cell."""


@dataclass(frozen=True, slots=True, eq=False)
class _Rules:
    """:class:`ContactRules` on the device, and the distance within which contacts lie."""

    reach: float
    rule: DeviceArray
    radius: DeviceArray
    occ: DeviceArray
    mark: DeviceArray
    excluded_start: DeviceArray
    excluded_atom: DeviceArray
    excluded_kind: DeviceArray


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Bins of the unit cell that hold for a crystal and a reach."""

    n_bin: int
    size: DeviceArray
    around: DeviceArray
    frac: DeviceArray
    operations: DeviceArray


class ContactOps(GroupOps):
    """The contact search of :class:`gpurefine.backend.ops_restraints.RestraintOps`.

    float64, the pairs in the order of the cpu backend.
    """

    contact_capacity: int = 0

    def find_contacts(self, xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
        """Contacts by cell list."""
        n, n_op = len(xyz), len(symmetry.rotation)
        r = self.kept("contacts.rules", lambda: self._rules(symmetry, rules), symmetry, rules)
        c = self.kept("contacts.cells", lambda: self._cells(symmetry, r.reach), symmetry, rules)
        fractional = self.buffer("contacts.fractional", (n, 3), np.float64)
        bins = self.buffer("contacts.bin", n, np.int32)
        where = self.send("contacts.xyz", xyz, np.float64)
        self.launch("contact_bins", n, where, c.frac, c.size, np.int32(n), fractional, bins)
        groups = self.grouped("contacts.bins", bins, n, c.n_bin)
        folded = self.buffer("contacts.folded", (n, 3), np.float64)
        origin = self.buffer("contacts.origin", (n, 3), np.int32)
        self.launch("contact_fold", n, fractional, groups.order, np.int32(n), folded, origin)
        near = self.buffer("contacts.near", c.n_bin, np.uint8)
        self.launch("contact_near", c.n_bin, groups.start, c.size, c.around, near)
        search = (
            folded, origin, groups.order, groups.start, c.size, c.around, near, fractional, r.radius, r.occ, r.mark,
            r.excluded_start, r.excluded_atom, r.excluded_kind, r.rule, c.operations, np.int32(n), np.int32(n_op),
        )
        count = self.buffer("contacts.count", n * n_op, np.int32)
        multiplicity = self.buffer("contacts.sites", n, np.int32)
        self.device.clear(multiplicity)
        self.launch("contact_count", n * n_op, *search, count, multiplicity)
        start = self.prefix_sums("contacts.start", count, n * n_op)
        capacity = self.contact_capacity = max(self.contact_capacity, START_CAPACITY * n)
        while True:
            found = (
                self.buffer("contacts.first", capacity, np.int32), self.buffer("contacts.second", capacity, np.int32),
                self.buffer("contacts.op", capacity, np.int32), self.buffer("contacts.shift", (capacity, 3), np.int32),
                self.buffer("contacts.distance", capacity, np.float64),
                self.buffer("contacts.relation", capacity, np.int8),
            )
            self.launch("contact_fill", n * n_op, *search, start, np.int32(capacity), *found)
            k = int(self.device.download(start[n * n_op :])[0])
            if k <= capacity:
                break
            capacity = self.contact_capacity = k + k // 4
        first, second, op, shift, distance, relation = (self.device.download(part[:k]) for part in found)
        images = self.device.download(multiplicity)
        return Contacts(first, second, op, shift, distance, relation, (images + 1).astype(np.int32))

    def _rules(self, symmetry: SymmetryArrays, rules: ContactRules) -> _Rules:
        reach = max(2.0 * float(rules.radius.max(initial=0.0)) + rules.margin, rules.heavy_cutoff) + 1e-6
        rule = np.array([*symmetry.orth.ravel(), rules.margin, rules.heavy_cutoff**2, rules.self_distance**2])
        return _Rules(
            reach=reach, rule=self.fixed(rule, np.float64), radius=self.fixed(rules.radius, np.float64),
            occ=self.fixed(rules.occ, np.float64),
            mark=self.fixed(2 * rules.altloc.astype(np.int32) + rules.heavy, np.int32),
            excluded_start=self.fixed(rules.excluded_start, np.int32),
            excluded_atom=self.fixed(rules.excluded_atom, np.int32),
            excluded_kind=self.fixed(rules.excluded_kind, np.int8),
        )

    def _cells(self, symmetry: SymmetryArrays, reach: float) -> _Cells:
        widths = 1.0 / np.linalg.norm(symmetry.frac, axis=1)
        size = np.clip(np.floor(widths / reach), 1, MAX_BINS).astype(np.int32)
        around = np.ceil(reach * size / widths - 1e-9).astype(np.int32)
        rotation = symmetry.frac_rotation.astype(np.float64)
        operations = np.concatenate(
            [np.linalg.inv(rotation).reshape(-1, 9), symmetry.frac_translation, rotation.reshape(-1, 9)], axis=1
        )
        return _Cells(
            n_bin=int(size.prod()), size=self.fixed(size, np.int32), around=self.fixed(around, np.int32),
            frac=self.fixed(symmetry.frac, np.float64), operations=self.fixed(operations, np.float64),
        )
