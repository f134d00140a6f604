"""Pair lists made of the contacts where they are, on the device."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_pairs import BondedNeighbours, ContactClasses, SimilarPairs
from ..ops_restraints import F64, Contacts, Repulsions, SymmetryArrays
from .contacts import ContactOps
from .device import DeviceArray
from .repulsion import DevicePairs, RepulsionOps


class PairListOps(ContactOps, RepulsionOps):
    """See :class:`gpurefine.backend.ops_pairs.PairLister`."""

    def near_contacts(
        self, contacts: Contacts, classes: ContactClasses, margin: float, symmetry: SymmetryArrays
    ) -> tuple[Repulsions, NDArray[np.int8]] | None:
        """Contacts near their critical distance; they stay on the device for :meth:`repulsion` besides."""
        found = self.here(contacts)
        if found is None:
            return None
        n, part = len(found), found.arrays
        distances, polar = self.kept("contacts.classes", lambda: self._classes(classes), classes)
        rules = self.send(
            "contacts.rule", np.array([classes.hbond_heavy, classes.hbond_hydrogen, classes.sigma, margin]), np.float64
        )
        kind, critical = self.buffer("contacts.kind", n, np.int8), self.buffer("contacts.critical", n, np.float64)
        keep = self.buffer("contacts.keep", n, np.int32)
        self.launch(
            "contact_classify", n, part["first"], part["second"], part["distance"], part["relation"], distances, polar,
            rules, np.int32(n), kind, critical, keep,
        )
        at = self.prefix_sums("contacts.place", keep, n)
        m = int(self.device.download(at[n:])[0])
        whole = self.buffer("repulsion.whole", 6 * m, np.int32)  # comes down in one copy
        pairs = DevicePairs(
            whole[: 2 * m].reshape(m, 2), whole[2 * m : 3 * m], whole[3 * m :].reshape(m, 3),
            self.buffer("repulsion.limits", (m, 2), np.float64), self.symmetry_table(symmetry),
        )
        packed_kind = self.buffer("repulsion.kind", m, np.int8)
        self.launch(
            "contact_pack", n, part["first"], part["second"], part["op"], part["shift"], kind, critical,
            found.multiplicity, rules, at, np.int32(n), pairs.atoms, pairs.op, pairs.shift, pairs.limits, packed_kind,
        )
        host, limits = self.device.download(whole), self.device.download(pairs.limits)
        listed = Repulsions(
            host[: 2 * m : 2].copy(), host[1 : 2 * m : 2].copy(), host[2 * m : 3 * m], host[3 * m :].reshape(m, 3),
            np.ascontiguousarray(limits[:, 0]), np.ascontiguousarray(limits[:, 1]),
            symmetry,
        )
        self.remember_pairs(listed, pairs)
        return listed, self.device.download(packed_kind)

    def similar_pairs(
        self, xyz: F64, contacts: Contacts, bonded: BondedNeighbours, relation: int, cutoff: float
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
        count = self.buffer("similar.count", n, np.int32)
        self.launch("similar_count", n, *arguments, count)
        start = self.prefix_sums("similar.start", count, n)
        k = int(self.device.download(start[n:])[0])
        pair, place = self.buffer("similar.pair", (k, 4), np.int32), self.buffer("similar.place", (k, 4), np.float64)
        self.launch("similar_fill", n, *arguments, start, pair, place)
        first, second, nearest, op = np.ascontiguousarray(self.device.download(pair).T)
        where = self.device.download(place)
        return SimilarPairs(first, second, nearest, where[:, 0].copy(), op, where[:, 1:].copy())

    def _classes(self, c: ContactClasses) -> tuple[DeviceArray, DeviceArray]:
        distances = np.stack([c.radius, c.ion, c.covalent, c.shorter], axis=1)
        return self.fixed(distances, np.float64), self.fixed(2 * c.hb_type.astype(np.int32) + c.is_metal, np.int32)

    def _bonded(self, b: BondedNeighbours) -> tuple[DeviceArray, DeviceArray, DeviceArray, DeviceArray]:
        return (
            self.fixed(b.start, np.int32), self.fixed(b.second, np.int32), self.fixed(b.relation, np.int32),
            self.fixed(b.heavy, np.bool_),
        )
