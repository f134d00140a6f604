"""Pair lists made of the contacts where they are, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops_pairs import BondedNeighbours, ContactClasses, SimilarPairs
from ..ops_restraints import F64, Contacts, Repulsions, SymmetryArrays
from .contacts import ContactOps
from .device import DeviceArray
from .lists import DevicePairs, DevicePattern, DeviceRepulsions, DeviceSimilarity, DeviceSimilarPairs
from .repulsion import RepulsionOps
from .similarity import SimilarityOps


class PairListOps(ContactOps, RepulsionOps, SimilarityOps):
    """See :class:`gpurefine.backend.ops_pairs.PairLister`."""

    def near_contacts(
        self, contacts: Contacts, classes: ContactClasses, margin: float, symmetry: SymmetryArrays
    ) -> tuple[Repulsions, Any] | None:
        """Contacts near their critical distance; they stay on the device for :meth:`repulsion` besides."""
        found = self.here(contacts)
        if found is None:
            return None
        n, part = len(found), found.arrays
        distances, polar = self.kept("contacts.classes", lambda: self._classes(classes), classes)
        rules = self.kept(f"contacts.rule {margin}", lambda: self.fixed(
            np.array([classes.hbond_heavy, classes.hbond_hydrogen, classes.sigma, margin]), np.float64
        ), classes)
        kind, critical = self.buffer("contacts.kind", n, np.int8), self.buffer("contacts.critical", n, np.float64)
        keep = self.buffer("contacts.keep", n, np.int32)
        self.launch(
            "contact_classify", n, part["first"], part["second"], part["distance"], part["relation"], distances, polar,
            rules, np.int32(n), kind, critical, keep,
        )
        at = self.prefix_sums("contacts.place", keep, n)
        m = int(self.device.download(at[n:])[0])
        ints, limits = self.room(6 * m, np.int32), self.room((m, 2), np.float64)
        kinds, whole = self.room(m, np.int8), ints.array
        pairs = DevicePairs(
            whole[: 2 * m].reshape(m, 2), whole[2 * m : 3 * m], whole[3 * m :].reshape(m, 3), limits.array,
            self.symmetry_table(symmetry), kinds.array,
        )
        self.launch(
            "contact_pack", n, part["first"], part["second"], part["op"], part["shift"], kind, critical,
            found.multiplicity, rules, at, np.int32(n), pairs.atoms, pairs.op, pairs.shift, pairs.limits, pairs.kind,
        )
        return DeviceRepulsions(m, pairs, symmetry, self.device, ints, limits), kinds

    def similar_pairs(
        self, xyz: F64, contacts: Contacts, bonded: BondedNeighbours, relation: int, cutoff: float, strength: F64
    ) -> SimilarPairs | None:
        """Bonded pairs and contacts, each pair once."""
        found = self.here(contacts)
        if found is None:
            return None
        n, part = len(xyz), found.arrays
        n_op = (len(found.start) - 1) // max(n, 1)
        arguments = (
            self.send("contacts.xyz", xyz, np.float64), *self.kept("bonded", lambda: self._bonded(bonded), bonded),
            found.start, part["second"], part["op"], part["distance"], np.int32(n_op), np.int32(relation),
            np.float64(cutoff), np.int32(n),
        )
        count = self.buffer("similar.count", n, np.uint64)
        self.device.clear(count)
        self.launch("similar_count", n, *arguments, count)
        start = self.prefix_sums("similar.start", count, n, pairs=True)
        k = int(self.device.download(start[n:])[0]) & 0xFFFFFFFF
        ints, reals, rows = self.room(4 * k, np.int32), self.room(8 * k, np.float64), self.room(n + 1 + 4 * k, np.int32)
        pattern = DevicePattern(n, k, self.device, rows, k)
        one, real = ints.array, reals.array
        there = DeviceSimilarity(
            first=one[:k], second=one[k : 2 * k], relation=one[2 * k : 3 * k], op=one[3 * k :], distance=real[:k],
            line=real[k : 4 * k].reshape(k, 3), unit=real[4 * k : 7 * k].reshape(k, 3), weight=real[7 * k :],
            by_atom=pattern.rows,
        )
        table = self.kept("similar.strength", lambda: self.fixed(strength, np.float64), strength)
        self.launch(
            "similar_fill", n, *arguments, table, start, count, there.first, there.second, there.relation, there.op,
            there.distance, there.line, there.unit, there.weight, pattern.rows.row_start, pattern.rows.column,
            pattern.rows.entry,
        )
        self.launch("similar_mirror", n, start, there.first, np.int32(n), pattern.rows.column, pattern.rows.entry)
        return DeviceSimilarPairs(k, there, pattern, self.device, ints, reals)

    def _classes(self, c: ContactClasses) -> tuple[DeviceArray, DeviceArray]:
        distances = np.stack([c.radius, c.ion, c.covalent, c.shorter], axis=1)
        return self.fixed(distances, np.float64), self.fixed(2 * c.hb_type.astype(np.int32) + c.is_metal, np.int32)

    def _bonded(self, b: BondedNeighbours) -> tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]:
        return (
            self.fixed(b.start, np.int32), self.fixed(b.second, np.int32), self.fixed(b.relation, np.int32),
            self.fixed(b.heavy, np.bool_),
        )
