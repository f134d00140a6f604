"""Contact search: for every operation and cell shift, all pairs nearer than the cut-off, by SciPy's k-d tree."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import cKDTree

from ..ops_restraints import F64, I32, ContactRules, Contacts, SymmetryArrays


def find_contacts(xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
    """See :meth:`gpurefine.backend.ops_restraints.RestraintOps.find_contacts`."""
    n = len(xyz)
    reach = max(2.0 * float(rules.radius.max(initial=0.0)) + rules.margin, rules.heavy_cutoff) + 1e-6
    tree = cKDTree(xyz)
    fractional = xyz @ symmetry.frac.T
    border = reach * np.linalg.norm(symmetry.frac, axis=1)
    low, high = fractional.min(axis=0) - border, fractional.max(axis=0) + border
    found: list[I32] = []
    distances: list[F64] = []
    for g, (rotation, translation) in enumerate(zip(symmetry.frac_rotation, symmetry.frac_translation, strict=True)):
        moved = fractional @ rotation.T + translation
        first = np.ceil(low - moved.max(axis=0)).astype(int)
        last = np.floor(high - moved.min(axis=0)).astype(int)
        for shift in itertools.product(*(range(a, b + 1) for a, b in zip(first, last, strict=True))):
            image = (moved + shift) @ symmetry.orth.T
            near = tree.sparse_distance_matrix(cKDTree(image), reach, output_type="ndarray")
            near = near[near["i"] <= near["j"]]
            row = np.empty((len(near), 6), np.int32)
            row[:, 0], row[:, 1], row[:, 2], row[:, 3:] = near["i"], near["j"], g, shift
            found.append(row)
            distances.append(near["v"])
    table, distance = np.concatenate(found), np.concatenate(distances)
    order = np.lexsort(table.T[::-1])
    return _select(table[order], distance[order], n, rules)


def _select(table: I32, distance: F64, n: int, rules: ContactRules) -> Contacts:
    """The rows (first, second, op, shift) that ``rules`` admit."""
    i, j = table[:, 0], table[:, 1]
    own = ~table[:, 2:].any(axis=1)
    itself = (i == j) & ~own & (distance < rules.self_distance)
    multiplicity = 1 + np.bincount(i[itself], minlength=n)
    near = distance < rules.radius[i] + rules.radius[j] + rules.margin
    near |= rules.heavy[i] & rules.heavy[j] & (distance < rules.heavy_cutoff)
    relation = np.zeros(len(table), np.int8)
    excluded = np.zeros(len(table), bool)
    source = np.repeat(np.arange(n), np.diff(rules.excluded_start)).astype(np.int64)
    key = source * n + rules.excluded_atom
    wanted = i.astype(np.int64) * n + j
    if len(key):
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        named = own & (key[at] == wanted)
        relation[named] = rules.excluded_kind[at][named]
        excluded = named & (rules.excluded_kind[at] == 0)
    a, b = rules.altloc[i], rules.altloc[j]
    blind = np.where(own, (a != b) & (a != 0) & (b != 0), rules.occ[i] + rules.occ[j] < 1.0001)
    keep = near & ~excluded & ~blind & ~itself & ~((i == j) & own)
    return Contacts(
        i[keep].copy(), j[keep].copy(), table[keep, 2], table[keep, 3:], distance[keep], relation[keep],
        multiplicity.astype(np.int32),
    )
