"""Pairs that covalent bonds take out of the non-bonded list.

One and two bonds apart are left out (two bonds apart only where an angle restrains them; otherwise they repel
as bare atoms), three bonds apart repel as torsion pairs unless one plane holds both.  Atoms of one residue that no
dictionary knows do not repel each other; its bonds to others, seen by distance, count as bonds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_restraints import BARE, LEFT_OUT, TORSION
from ..model.crystal import Crystal
from ..model.topology import Topology
from .arrays import geometry_terms, no_symmetry, term_pairs

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Exclusions:
    """Pairs near in the bond graph.

    ``start`` (n + 1,), ``atom`` (k,) and ``kind`` (k,) int8: partners j > i of atom i in the same asymmetric unit.
    ``through_symmetry`` (q, 7) int32: first, second (≥ first), operation, three cell shifts, kind.
    """

    start: I32
    atom: I32
    kind: NDArray[np.int8]
    through_symmetry: I32


def find_exclusions(topology: Topology, crystal: Crystal) -> Exclusions:
    """Exclusions of the bond graph of ``topology``."""
    n = topology.n_atoms
    bonds = topology.bonds
    inside = (bonds.image == 0) & ~bonds.shift.any(axis=1)
    joined = np.concatenate([bonds.atoms[inside], topology.loose.bonds]).astype(np.int64)
    i, j = np.divmod(_keys(joined[:, 0], joined[:, 1], n), n)
    source, target = np.concatenate([i, j]), np.concatenate([j, i])
    order = np.lexsort((target, source))
    source, target = source[order], target[order]
    start = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(source, minlength=n), out=start[1:])
    angles = topology.angles.atoms
    angled = _keys(angles[:, 0], angles[:, 2], n)
    planar = _keys(*term_pairs(geometry_terms(topology, no_symmetry()))[4], n)

    one = _keys(source, target, n)
    s, t = _step(source, target, start, target)
    two = _without(_keys(s, t, n), one)
    s, t = _step(s, t, start, target)
    three = _without(_without(_keys(s, t, n), one), two)
    key = np.concatenate([one, two, three])
    kind = np.concatenate([
        np.full(len(one), LEFT_OUT), np.where(_among(two, angled), LEFT_OUT, BARE),
        np.where(_among(three, planar), LEFT_OUT, TORSION),
    ]).astype(np.int8)
    own = _own_pairs(topology)
    apart = ~np.isin(key, own)
    key, kind = np.concatenate([own, key[apart]]), np.concatenate([np.full(len(own), LEFT_OUT, np.int8), kind[apart]])
    order = np.argsort(key, kind="stable")
    key, kind = key[order], kind[order]
    pair_start = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(key // n, minlength=n), out=pair_start[1:])
    return Exclusions(
        pair_start, (key % n).astype(np.int32), kind,
        _through_symmetry(topology, crystal, start, target, set(angled.tolist()), set(planar.tolist())),
    )


def _own_pairs(topology: Topology) -> I64:
    """Keys of all pairs inside each residue without restraints: its atoms do not repel each other."""
    atoms = topology.loose.atoms.astype(np.int64)
    residue = topology.nonbonded.residue[atoms]
    pairs = [np.zeros((0, 2), np.int64)]
    for own in np.unique(residue):
        members = atoms[residue == own]
        low, high = np.triu_indices(len(members), 1)
        pairs.append(np.stack([members[low], members[high]], axis=1))
    table = np.concatenate(pairs)
    return _keys(table[:, 0], table[:, 1], topology.n_atoms)


def _keys(first: NDArray[np.integer], second: NDArray[np.integer], n: int) -> I64:
    """Sorted unique low·n + high of pairs of different atoms."""
    low = np.minimum(first, second).astype(np.int64)
    high = np.maximum(first, second).astype(np.int64)
    return _unique(low[low < high] * n + high[low < high])


def _among(keys: I64, others: I64) -> NDArray[np.bool_]:
    """Which of ``keys`` are among ``others``, which ascend."""
    if len(others) == 0:
        return np.zeros(len(keys), bool)
    at = np.minimum(np.searchsorted(others, keys), len(others) - 1)
    return np.asarray(others[at] == keys)


def _without(keys: I64, others: I64) -> I64:
    """The ``keys`` that are not among ``others``, which ascend."""
    return keys[~_among(keys, others)]


def _unique(keys: I64) -> I64:
    """Each key once, in ascending order (NumPy's own goes by a table of all keys, and takes three times as long)."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def _step(source: I64, target: I64, start: I64, neighbour: I64) -> tuple[I64, I64]:
    """Walks (source, end) one bond longer."""
    count = start[target + 1] - start[target]
    offset = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    longer = neighbour[np.repeat(start[target], count) + offset]
    origin = np.repeat(source, count)
    key = _unique(origin * (len(start) - 1) + longer)
    return key // (len(start) - 1), key % (len(start) - 1)


def _through_symmetry(
    topology: Topology, crystal: Crystal, start: I64, neighbour: I64, angled: set[int], planar: set[int]
) -> I32:
    """Pairs up to three bonds apart on walks that cross a bond to a symmetry copy."""
    n = topology.n_atoms
    bonds = topology.bonds
    crossing = np.flatnonzero((bonds.image != 0) | bonds.shift.any(axis=1))
    if len(crossing) == 0:
        return np.zeros((0, 7), np.int32)
    jumps: dict[int, list[tuple[int, NDArray[np.float64]]]] = {}
    for k in crossing:
        matrix = np.eye(4)
        matrix[:3, :3] = crystal.rotations[bonds.image[k]]
        matrix[:3, 3] = crystal.translations[bonds.image[k]] + bonds.shift[k]
        first, second = int(bonds.atoms[k, 0]), int(bonds.atoms[k, 1])
        jumps.setdefault(first, []).append((second, matrix))
        jumps.setdefault(second, []).append((first, np.asarray(np.linalg.inv(matrix), np.float64)))

    def bonded(a: int) -> list[int]:
        return [int(other) for other in neighbour[start[a] : start[a + 1]]]

    near: set[int] = set(jumps)
    for _ in range(2):
        near |= {other for a in near for other in bonded(a)}
    rows = []
    for atom in sorted(near):
        seen = {(atom, *_operation(np.eye(4), crystal))}
        level: list[tuple[int, NDArray[np.float64]]] = [(atom, np.eye(4))]
        for depth in (1, 2, 3):
            following: list[tuple[int, NDArray[np.float64]]] = []
            for a, matrix in level:
                inside: list[tuple[int, NDArray[np.float64]]] = [(c, np.eye(4)) for c in bonded(a)]
                for b, jump in (*inside, *jumps.get(a, [])):
                    place = matrix @ jump
                    image = _operation(place, crystal)
                    if (b, *image) in seen:
                        continue
                    seen.add((b, *image))
                    following.append((b, place))
                    if b < atom or not any(image):
                        continue
                    key = atom * n + b
                    kind = LEFT_OUT
                    if depth == 2 and key not in angled:
                        kind = BARE
                    if depth == 3 and key not in planar:
                        kind = TORSION
                    rows.append((atom, b, *image, kind))
            level = following
    return np.array(rows, np.int32).reshape(-1, 7)


def _operation(matrix: NDArray[np.float64], crystal: Crystal) -> tuple[int, int, int, int]:
    """Operation index and cell shift of a fractional (4, 4) transformation of the group."""
    rest = matrix[:3, 3] - crystal.translations
    shift = np.round(rest)
    fits = np.all(np.abs(rest - shift) < 1e-3, axis=1)
    fits &= np.all(np.abs(matrix[:3, :3] - crystal.rotations) < 1e-3, axis=(1, 2))
    op = int(np.flatnonzero(fits)[0])
    return op, int(shift[op, 0]), int(shift[op, 1]), int(shift[op, 2])
