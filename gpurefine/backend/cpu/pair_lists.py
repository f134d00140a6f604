"""Pair lists made of contacts, compiled by numba.

The definition is the array code of :mod:`gpurefine.restraints.contact_classes` and :mod:`gpurefine.restraints.adp`;
this does the same atom by atom, without sorting what the contact search gives in order already.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from ..blocks import BlockPattern
from ..ops_pairs import BondedNeighbours, ContactClasses, SimilarPairs, similar_weight
from ..ops_restraints import BARE, F64, I8, I32, TORSION, Contacts, Flags, Repulsions, SymmetryArrays
from .jit import njit
from .restraints import RestraintOps

PARTS = 64
"""Shares of the contacts, or of the atoms, that threads take in turn."""


@njit(inline="always")
def _critical(
    i: int, j: int, relation: int, radius: F64, ion: F64, covalent: F64, shorter: F64, is_metal: Flags, hb_type: I8,
    heavy: float, hydrogen: float,
) -> tuple[int, float]:
    """Kind of a contact and its critical distance; what comes first here rules out the rest."""
    both = radius[i] + radius[j]
    if relation == BARE:
        return 4, covalent[i] + covalent[j]
    if relation == TORSION:
        return 1, both + shorter[i] + shorter[j]
    a, b = hb_type[i], hb_type[j]
    # 1 donor, 2 acceptor, 3 both, 4 hydrogen that is donated
    if (b == 2 or b == 3) and a == 4:
        return 2, radius[j] + hydrogen
    if (a == 2 or a == 3) and b == 4:
        return 2, radius[i] + hydrogen
    if 1 <= a <= 3 and 1 <= b <= 3 and (a != b or a == 3):
        return 2, both + heavy
    if is_metal[i] or is_metal[j]:
        sum_ = ion[i] + ion[j]
        if math.isfinite(sum_):
            return 3, sum_
    return 0, both


@njit(cache=True, parallel=True, error_model="numpy")
def _classify(
    first: I32, second: I32, distance: F64, relation: I8, radius: F64, ion: F64, covalent: F64, shorter: F64,
    is_metal: Flags, hb_type: I8, heavy: float, hydrogen: float, margin: float, kind: I8, critical: F64, count: I32,
) -> None:
    """Kind, −1 of what is too far apart, and critical distance of every contact; how many each share keeps."""
    n = len(first)
    for part in prange(PARTS):
        kept = 0
        for k in range(part * n // PARTS, (part + 1) * n // PARTS):
            what, limit = _critical(
                first[k], second[k], relation[k], radius, ion, covalent, shorter, is_metal, hb_type, heavy, hydrogen
            )
            near = distance[k] < limit + margin
            kind[k], critical[k] = what if near else -1, limit
            kept += near
        count[part] = kept


@njit(cache=True, parallel=True, error_model="numpy")
def _pack(
    first: I32, second: I32, op: I32, shift: I32, kind: I8, critical: F64, multiplicity: I32, sigma: float, count: I32,
    out_first: I32, out_second: I32, out_op: I32, out_shift: I32, out_critical: F64, out_sigma: F64, out_kind: I8,
) -> None:
    """Those of a kind, one after the other; σ grows where a contact is found more than once."""
    n = len(first)
    for part in prange(PARTS):
        at = 0
        for earlier in range(part):
            at += count[earlier]
        for k in range(part * n // PARTS, (part + 1) * n // PARTS):
            if kind[k] < 0:
                continue
            i, j = first[k], second[k]
            weight = (0.5 if i == j else 1.0) / (multiplicity[i] * multiplicity[j])
            out_first[at], out_second[at], out_op[at], out_kind[at] = i, j, op[k], kind[k]
            out_critical[at], out_sigma[at] = critical[k], sigma / math.sqrt(weight)
            for c in range(3):
                out_shift[at, c] = shift[k, c]
            at += 1


@njit(cache=True)
def _rows(first: I32, start: I32) -> None:
    """Where the contacts of each atom start, (n + 1,)."""
    at = 0
    for k in range(len(first)):
        while at <= first[k]:
            start[at] = k
            at += 1
    while at < len(start):
        start[at] = len(first)
        at += 1


@njit()
def _pairs_of_atom(
    i: int, xyz: F64, start: I32, second: I32, op: I32, distance: F64, heavy: Flags, bonded_start: I32,
    bonded_second: I32, bonded_relation: I32, relation: int, cutoff: float, queue: I32, fill: bool, at: int,
    out_first: I32, out_second: I32, out_relation: I32, out_distance: F64, out_op: I32, out_line: F64,
) -> int:
    """Number of pairs whose lower atom is i; ``fill``: write them from ``at`` on.  ``queue``: room for its contacts."""
    length, found = 0, 0
    if heavy[i]:
        for k in range(start[i], start[i + 1]):
            j = second[k]
            if j == i or not heavy[j] or not distance[k] < cutoff:
                continue
            place = length
            while place > 0:
                before = queue[place - 1]
                if second[before] < j or (second[before] == j and distance[before] <= distance[k]):
                    break
                queue[place] = before
                place -= 1
            queue[place] = k
            length += 1
    head = 0
    b, end = bonded_start[i], bonded_start[i + 1]
    while b < end or head < length:
        j = second[queue[head]] if head < length else np.int32(2147483647)
        near = np.inf
        is_bonded = b < end and bonded_second[b] <= j
        if is_bonded:
            j = bonded_second[b]
        contact = -1
        if head < length and second[queue[head]] == j:
            contact = queue[head]
            near = distance[contact]
            while head < length and second[queue[head]] == j:
                head += 1
        x = y = z = 0.0
        if is_bonded:
            x, y, z = xyz[j, 0] - xyz[i, 0], xyz[j, 1] - xyz[i, 1], xyz[j, 2] - xyz[i, 2]
            near = min(near, math.sqrt(x * x + y * y + z * z))
        if near <= cutoff:
            if fill:
                out_first[at], out_second[at], out_distance[at] = i, j, near
                out_relation[at] = bonded_relation[b] if is_bonded else relation
                out_op[at] = 0 if is_bonded else op[contact]
                out_line[at, 0], out_line[at, 1], out_line[at, 2] = x, y, z
                at += 1
            found += 1
        if is_bonded:
            b += 1
    return found


@njit(cache=True, parallel=True, error_model="numpy")
def _similar(
    xyz: F64, start: I32, second: I32, op: I32, distance: F64, heavy: Flags, bonded_start: I32, bonded_second: I32,
    bonded_relation: I32, relation: int, cutoff: float, longest: int, fill: bool, count: I32, out_first: I32,
    out_second: I32, out_relation: I32, out_distance: F64, out_op: I32, out_line: F64,
) -> None:
    """Pairs of every share of the atoms: their number in ``count`` (PARTS,), or by that the pairs themselves."""
    n = len(xyz)
    for part in prange(PARTS):
        queue = np.empty(longest, np.int32)
        at = 0
        if fill:
            for earlier in range(part):
                at += count[earlier]
        found = 0
        for i in range(part * n // PARTS, (part + 1) * n // PARTS):
            found += _pairs_of_atom(
                i, xyz, start, second, op, distance, heavy, bonded_start, bonded_second, bonded_relation, relation,
                cutoff, queue, fill, at + found, out_first, out_second, out_relation, out_distance, out_op, out_line,
            )
        if not fill:
            count[part] = found


@njit(cache=True)
def _pattern(first: I32, second: I32, pairs: I32, start: I32, column: I32, slot: I32, transposed: Flags) -> None:
    """:class:`gpurefine.backend.blocks.BlockPattern` of pairs that are in order; ``start`` (n + 1,) zero at first."""
    m, n = len(first), len(start) - 1
    for k in range(m):
        pairs[k, 0], pairs[k, 1] = first[k], second[k]
        start[first[k] + 1] += 1
        start[second[k] + 1] += 1
    for i in range(n):
        start[i + 1] += start[i]
    # in row i the entries of smaller atoms (mirrored pairs) come first, each kind in the order of the pairs
    at = start[:n].copy()
    for k in range(m):
        j = second[k]
        column[at[j]], slot[at[j]], transposed[at[j]] = first[k], k, True
        at[j] += 1
    for k in range(m):
        i = first[k]
        column[at[i]], slot[at[i]], transposed[at[i]] = second[k], k, False
        at[i] += 1


class PairListOps(RestraintOps):
    """See :class:`gpurefine.backend.ops_pairs.PairLister`."""

    def near_contacts(
        self, contacts: Contacts, classes: ContactClasses, margin: float, symmetry: SymmetryArrays
    ) -> tuple[Repulsions, NDArray[np.int8]] | None:
        """Contacts near their critical distance."""
        n, c = len(contacts), classes
        self.use(0.02 * n)
        every_kind, critical, count = np.empty(n, np.int8), np.empty(n), np.zeros(PARTS, np.int32)
        _classify(
            contacts.first, contacts.second, contacts.distance, contacts.relation, c.radius, c.ion, c.covalent,
            c.shorter, c.is_metal, c.hb_type, c.hbond_heavy, c.hbond_hydrogen, margin, every_kind, critical, count,
        )
        m = int(count.sum())
        kind = np.empty(m, np.int8)
        listed = Repulsions(
            np.empty(m, np.int32), np.empty(m, np.int32), np.empty(m, np.int32), np.empty((m, 3), np.int32),
            np.empty(m), np.empty(m), symmetry,
        )
        _pack(
            contacts.first, contacts.second, contacts.op, contacts.shift, every_kind, critical,
            contacts.site_multiplicity, c.sigma, count, listed.first, listed.second, listed.op, listed.shift,
            listed.critical, listed.sigma, kind,
        )
        return listed, kind

    def similar_pairs(
        self, xyz: F64, contacts: Contacts, bonded: BondedNeighbours, relation: int, cutoff: float, strength: F64
    ) -> SimilarPairs | None:
        """Bonded pairs and contacts, each pair once."""
        start = np.zeros(len(xyz) + 1, np.int32)
        _rows(contacts.first, start)
        self.use(0.3 * len(xyz))
        longest = int(np.diff(start).max(initial=0))
        arguments = (
            xyz, start, contacts.second, contacts.op, contacts.distance, bonded.heavy, bonded.start, bonded.second,
            bonded.relation, relation, cutoff, longest,
        )
        count = np.zeros(PARTS, np.int32)
        _similar(*arguments, False, count, *_room(0))
        first, second, nearest, distance, op, line = room = _room(int(count.sum()))
        _similar(*arguments, True, count, *room)
        m = len(first)
        pattern = BlockPattern(
            len(xyz), np.empty((m, 2), np.int32), np.zeros(len(xyz) + 1, np.int32), np.empty(2 * m, np.int32),
            np.empty(2 * m, np.int32), np.empty(2 * m, np.bool_),
        )
        _pattern(first, second, pattern.pairs, pattern.row_start, pattern.column, pattern.slot, pattern.transposed)
        weight = similar_weight(strength, nearest, distance)
        return SimilarPairs(first, second, nearest, distance, op, line, weight, pattern)


def _room(n: int) -> tuple[I32, I32, I32, F64, I32, F64]:
    """Columns of :class:`SimilarPairs` for ``n`` pairs."""
    return (
        np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n), np.empty(n, np.int32),
        np.empty((n, 3)),
    )
