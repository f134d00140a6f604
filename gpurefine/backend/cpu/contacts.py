"""Contact search with a periodic cell list, compiled by numba.

The asymmetric unit's atoms lie in bins of the unit cell.  Atom i meets atom j under operation g at the distance
|x_i − g x_j| = |g⁻¹ x_i − x_j|, so that for each operation only atom i moves, and the memory does not grow with the
symmetry.  Work is proportional to the number of atoms times the number of operations; empty surroundings cost one look.
"""

from __future__ import annotations

import math

import numpy as np
from numba import prange
from numpy.typing import NDArray

from ..ops_restraints import F64, I8, I32, ContactRules, Contacts, Flags, SymmetryArrays
from .jit import njit
from .memory import empty

NDArrayInt = NDArray[np.int64]

PARTS = 64
"""Shares of the atoms that threads take in turn."""

ROOM = 12
"""Contacts for which there is room at first, for each atom; there are about seven."""


def find_contacts(xyz: F64, symmetry: SymmetryArrays, rules: ContactRules) -> Contacts:
    """See :meth:`gpurefine.backend.ops_restraints.RestraintOps.find_contacts`."""
    n = len(xyz)
    reach = max(2.0 * float(rules.radius.max(initial=0.0)) + rules.margin, rules.heavy_cutoff) + 1e-6
    widths = 1.0 / np.linalg.norm(symmetry.frac, axis=1)
    size = np.clip(np.floor(widths / reach), 1, 256).astype(np.int64)
    around = np.ceil(reach * size / widths - 1e-9).astype(np.int64)
    fractional = xyz @ symmetry.frac.T
    origin = np.floor(fractional)
    wrapped = fractional - origin
    where = np.minimum((wrapped * size).astype(np.int64), size - 1)
    bin_of = (where[:, 0] * size[1] + where[:, 1]) * size[2] + where[:, 2]
    order = np.argsort(bin_of, kind="stable").astype(np.int32)
    bin_start = np.zeros(int(size.prod()) + 1, np.int32)
    np.cumsum(np.bincount(bin_of, minlength=int(size.prod())), out=bin_start[1:])
    near = _occupied(bin_start, size, around)
    inverse = np.linalg.inv(symmetry.frac_rotation.astype(np.float64))
    arrays = (
        fractional, np.ascontiguousarray((wrapped[order] @ symmetry.orth.T).T), origin[order].astype(np.int32),
        order, bin_start, near, size, around, symmetry.orth, symmetry.frac_rotation, symmetry.frac_translation,
        inverse, rules.radius, rules.heavy, rules.altloc, rules.occ, rules.excluded_start, rules.excluded_atom,
        rules.excluded_kind, float(rules.margin), float(rules.heavy_cutoff) ** 2, float(rules.self_distance) ** 2,
    )
    multiplicity = np.ones(n, np.int32)
    count = np.zeros(PARTS, np.int64)
    room = ROOM * (n // PARTS + 1)
    while True:
        m = PARTS * room
        columns = (
            empty("first", (m,), np.int32), empty("second", (m,), np.int32), empty("op", (m,), np.int32),
            empty("shift", (m, 3), np.int32), empty("distance", (m,), np.float64), empty("relation", (m,), np.int8),
        )
        _visit(*arrays, room, count, multiplicity, *columns)
        if int(count.max()) <= room:
            break
        room = int(count.max())
    first, second, op, shift, distance, relation = (
        np.concatenate([c[p * room : p * room + k] for p, k in enumerate(count.tolist())]) for c in columns
    )
    return Contacts(first, second, op, shift, distance, relation, multiplicity)


def _occupied(bin_start: I32, size: NDArrayInt, around: NDArrayInt) -> Flags:
    """(n_bin,) whether a bin or one within ``around`` of it holds atoms."""
    full = (np.diff(bin_start) > 0).reshape(size)
    for axis in range(3):
        steps = range(-int(around[axis]), int(around[axis]) + 1)
        full = np.logical_or.reduce([np.roll(full, step, axis) for step in steps])
    return full.ravel()


@njit(error_model="numpy", fastmath={"contract"})
def _squared_distances(cartesian: F64, begin: int, end: int, x: float, y: float, z: float, out: F64) -> None:
    """out[k] = |cartesian[:, begin + k] − (x, y, z)|²; one loop without decisions, for vector instructions."""
    first = np.uint64(begin)  # whole numbers without a sign need no check for negative indices
    for k in range(np.uint64(end - begin)):
        dx, dy, dz = cartesian[0, first + k] - x, cartesian[1, first + k] - y, cartesian[2, first + k] - z
        out[k] = dx * dx + dy * dy + dz * dz


@njit(cache=True, parallel=True, error_model="numpy")
def _visit(
    fractional: F64, cartesian: F64, origin: I32, order: I32, bin_start: I32, near: Flags, size: NDArrayInt,
    around: NDArrayInt, orth: F64, rotation: I32, translation: F64, inverse: F64, radius: F64, heavy: Flags, altloc: I8,
    occ: F64, excluded_start: I32, excluded_atom: I32, excluded_kind: I8, margin: float, heavy2: float, self2: float,
    room: int, counts: NDArrayInt, multiplicity: I32, first: I32, second: I32, out_op: I32, out_shift: I32,
    distance: F64, relation: I8,
) -> None:
    """Write the contacts of each share p of the atoms from p ``room`` on, as many as there is room for, and count them
    all (``counts`` (PARTS,)).
    """
    o00, o01, o02, o11, o12, o22 = orth[0, 0], orth[0, 1], orth[0, 2], orth[1, 1], orth[1, 2], orth[2, 2]
    n, longest, widest = len(fractional), 0, 0.0
    for row in range(size[0] * size[1]):
        longest = max(longest, bin_start[(row + 1) * size[2]] - bin_start[row * size[2]])
    for i in range(n):
        widest = max(widest, radius[i])
    for part in prange(PARTS):
        squares = np.empty(longest)
        count = 0
        for i in range(part * n // PARTS, (part + 1) * n // PARTS):
            images = 1
            farthest = (radius[i] + widest + margin) ** 2
            if heavy[i]:
                farthest = max(farthest, heavy2)
            for g in range(len(rotation)):
                ax = fractional[i, 0] - translation[g, 0]
                ay = fractional[i, 1] - translation[g, 1]
                az = fractional[i, 2] - translation[g, 2]
                fx = inverse[g, 0, 0] * ax + inverse[g, 0, 1] * ay + inverse[g, 0, 2] * az
                fy = inverse[g, 1, 0] * ax + inverse[g, 1, 1] * ay + inverse[g, 1, 2] * az
                fz = inverse[g, 2, 0] * ax + inverse[g, 2, 1] * ay + inverse[g, 2, 2] * az
                ux, uy, uz = math.floor(fx * size[0]), math.floor(fy * size[1]), math.floor(fz * size[2])
                if not near[((ux % size[0]) * size[1] + uy % size[1]) * size[2] + uz % size[2]]:
                    continue
                for bx in range(ux - around[0], ux + around[0] + 1):
                    sx = bx // size[0]
                    for by in range(uy - around[1], uy + around[1] + 1):
                        sy = by // size[1]
                        row = ((bx - sx * size[0]) * size[1] + by - sy * size[1]) * size[2]
                        bz = uz - around[2]
                        while bz <= uz + around[2]:
                            # the bins of a column within one cell hold consecutive atoms
                            sz = bz // size[2]
                            last = min(uz + around[2], (sz + 1) * size[2] - 1)
                            begin = bin_start[row + bz - sz * size[2]]
                            end = bin_start[row + last - sz * size[2] + 1]
                            bz = last + 1
                            x = o00 * (fx - sx) + o01 * (fy - sy) + o02 * (fz - sz)
                            y = o11 * (fy - sy) + o12 * (fz - sz)
                            _squared_distances(cartesian, begin, end, x, y, o22 * (fz - sz), squares)
                            for e in range(begin, end):
                                d2 = squares[e - begin]
                                if d2 >= farthest:
                                    continue
                                j = order[e]
                                if j < i:
                                    continue
                                limit = radius[i] + radius[j] + margin
                                if d2 >= limit * limit and not (heavy[i] and heavy[j] and d2 < heavy2):
                                    continue
                                kx, ky, kz = sx - origin[e, 0], sy - origin[e, 1], sz - origin[e, 2]
                                kind = 0
                                if g == 0 and kx == 0 and ky == 0 and kz == 0:
                                    if i == j or (altloc[i] != altloc[j] and altloc[i] != 0 and altloc[j] != 0):
                                        continue
                                    listed = True
                                    for x_at in range(excluded_start[i], excluded_start[i + 1]):
                                        if excluded_atom[x_at] == j:
                                            kind = excluded_kind[x_at]
                                            listed = kind != 0
                                            break
                                    if not listed:
                                        continue
                                else:
                                    if i == j and d2 < self2:
                                        images += 1
                                        continue
                                    if occ[i] + occ[j] < 1.0001:
                                        continue
                                if count < room:
                                    at = part * room + count
                                    first[at], second[at], out_op[at], relation[at] = i, j, g, kind
                                    r = rotation[g]
                                    for c in range(3):
                                        out_shift[at, c] = r[c, 0] * kx + r[c, 1] * ky + r[c, 2] * kz
                                    distance[at] = math.sqrt(d2)
                                count += 1
            multiplicity[i] = images
        counts[part] = count
