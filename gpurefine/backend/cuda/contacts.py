"""Contact search on the device."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ops_restraints import F64, ContactRules, Contacts, SymmetryArrays
from .device import Device, DeviceArray
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


class DeviceContacts(Contacts):
    """Contacts that lie on the device, copied to the host when one of their arrays is first read."""

    __slots__ = ("__weakref__", "arrays", "count", "device", "multiplicity", "start")

    device: Device
    count: int
    arrays: dict[str, DeviceArray]
    multiplicity: DeviceArray
    start: DeviceArray

    def __init__(
        self, device: Device, count: int, arrays: dict[str, DeviceArray], multiplicity: DeviceArray, start: DeviceArray
    ) -> None:
        """``arrays`` by the names of the fields, the first ``count`` of each; ``multiplicity`` less one.

        Contacts of atom i under operation g: ``start[i n_op + g]:start[i n_op + g + 1]``.
        """
        for name, value in (
            ("device", device), ("count", count), ("arrays", arrays), ("multiplicity", multiplicity), ("start", start)
        ):
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self.count

    def __getattr__(self, name: str) -> NDArray[Any]:
        # only called for a field that has not been copied yet
        if name == "site_multiplicity":
            value: NDArray[Any] = (self.device.download(self.multiplicity) + 1).astype(np.int32)
        elif name in self.arrays:
            value = self.device.download(self.arrays[name][: self.count])
        else:
            raise AttributeError(name)
        object.__setattr__(self, name, value)
        return value

    def fetch(self) -> None:
        """Copy what has not been copied yet, because the memory is needed for others."""
        for name in (*self.arrays, "site_multiplicity"):
            getattr(self, name)


class ContactOps(GroupOps):
    """The contact search of :class:`gpurefine.backend.ops_restraints.RestraintOps`.

    float64, the pairs in the order of the cpu backend.
    """

    contact_capacity: int = 0
    _found: weakref.ref[DeviceContacts] | None = None

    def find_contacts(self, xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
        """Contacts by cell list."""
        n, n_op = len(xyz), len(symmetry.rotation)
        earlier = None if self._found is None else self._found()
        if earlier is not None:
            earlier.fetch()
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
            arrays = {
                "first": self.buffer("contacts.first", capacity, np.int32),
                "second": self.buffer("contacts.second", capacity, np.int32),
                "op": self.buffer("contacts.op", capacity, np.int32),
                "shift": self.buffer("contacts.shift", (capacity, 3), np.int32),
                "distance": self.buffer("contacts.distance", capacity, np.float64),
                "relation": self.buffer("contacts.relation", capacity, np.int8),
            }
            self.launch("contact_fill", n * n_op, *search, start, np.int32(capacity), *arrays.values())
            k = int(self.device.download(start[n * n_op :])[0])
            if k <= capacity:
                break
            capacity = self.contact_capacity = k + k // 4
        found = DeviceContacts(self.device, k, arrays, multiplicity, start)
        self._found = weakref.ref(found)
        return found

    def here(self, contacts: Contacts) -> DeviceContacts | None:
        """``contacts`` if they are the last that were found, which are still on the device."""
        last = None if self._found is None else self._found()
        return last if last is contacts else None

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
