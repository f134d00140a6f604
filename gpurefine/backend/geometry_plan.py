"""Where the derivatives of covalent restraints go: index tables worked out once per topology (shared by backends)."""

from __future__ import annotations

import numpy as np

from ..errors import NumericalError
from .ops_restraints import I32, LINEAR_ANGLE, GeometryPlan, GeometryTerms


def build_geometry_plan(terms: GeometryTerms, owner: I32, pairs: I32) -> GeometryPlan:
    """Index tables of ``terms`` for derivatives on ``owner`` atoms and blocks of ``pairs``.

    Raises:
        NumericalError: two atoms of a term own a block that ``pairs`` does not hold.
    """
    n = terms.n_atoms
    is_linear = terms.angle_ideal > LINEAR_ANGLE
    bent = np.flatnonzero(~is_linear).astype(np.int32)
    linear = np.flatnonzero(is_linear).astype(np.int32)
    groups = (
        terms.bond_atoms, terms.angle_atoms[bent], np.repeat(terms.angle_atoms[linear], 3, axis=0),
        terms.torsion_atoms, terms.chiral_atoms,
    )
    row_atom: list[I32] = []
    row_residual: list[I32] = []
    entries: list[I32] = []
    n_residual = n_row = 0
    for atoms in groups:
        m, k = atoms.shape
        rows = (n_row + np.arange(m * k)).reshape(m, k)
        row_atom.append(atoms.ravel())
        row_residual.append(np.repeat(n_residual + np.arange(m), k).astype(np.int32))
        entries.append(_row_pairs(rows))
        n_residual += m
        n_row += m * k
    all_row_owner = owner[np.concatenate(row_atom)]
    block_start, block_rows = _collect(np.concatenate(entries), all_row_owner, n, pairs)
    row_start, row_order = _by_owner(all_row_owner, n)

    counts = np.diff(terms.plane_start)
    n_plane, n_member = len(counts), len(terms.plane_atoms)
    member_owner = owner[terms.plane_atoms]
    plane_entries = [np.zeros((0, 2), np.int32)]
    for size in np.unique(counts):
        first = terms.plane_start[:-1][counts == size]
        plane_entries.append(_row_pairs(first[:, None] + np.arange(size)))
    plane_start, plane_members = _collect(np.concatenate(plane_entries), member_owner, n, pairs)
    member_start, member_order = _by_owner(member_owner, n)
    return GeometryPlan(
        terms=terms, owner=owner, pairs=pairs, bent=bent, linear=linear,
        row_residual=np.concatenate(row_residual), row_start=row_start, row_order=row_order,
        block_start=block_start, block_rows=block_rows,
        member_plane=np.repeat(np.arange(n_plane), counts).astype(np.int32),
        member_start=member_start, member_order=member_order,
        plane_block_start=plane_start, plane_block_members=plane_members,
        z=np.zeros(n_residual), jacobian=np.zeros((n_row, 3)), frame=np.zeros((n_plane, 16)),
        member=np.zeros((n_member, 3)),
    )


def _row_pairs(rows: I32) -> I32:
    """All ordered pairs (a, b) of the rows (m, k) of each term: (m k², 2)."""
    m, k = rows.shape
    first = np.broadcast_to(rows[:, :, None], (m, k, k)).reshape(-1)
    second = np.broadcast_to(rows[:, None, :], (m, k, k)).reshape(-1)
    return np.stack([first, second], axis=1).astype(np.int32)


def _by_owner(owner_of_row: I32, n: int) -> tuple[I32, I32]:
    """Start (n + 1,) and order of rows grouped by owner; rows that nobody owns are left out."""
    owned = owner_of_row >= 0
    start = np.zeros(n + 1, np.int32)
    np.cumsum(np.bincount(owner_of_row[owned], minlength=n), out=start[1:])
    order = np.argsort(owner_of_row, kind="stable").astype(np.int32)
    return start, order[len(owned) - np.count_nonzero(owned) :]


def _collect(entries: I32, owner_of_row: I32, n: int, pairs: I32) -> tuple[I32, I32]:
    """Group the row pairs by block: diagonal i at i, pair s at n + s; the lower triangle is dropped."""
    i = owner_of_row[entries[:, 0]].astype(np.int64)
    j = owner_of_row[entries[:, 1]].astype(np.int64)
    keep = (i <= j) & (i >= 0)
    entries, i, j = entries[keep], i[keep], j[keep]
    block = i.copy()
    off = i < j
    key = pairs[:, 0].astype(np.int64) * n + pairs[:, 1]
    wanted = i[off] * n + j[off]
    slot = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
    if len(wanted) and (len(key) == 0 or np.any(key[slot] != wanted)):
        raise NumericalError("A restraint couples two atoms that the normal matrix has no block for.")
    block[off] = n + slot
    start = np.zeros(n + len(pairs) + 1, np.int32)
    np.cumsum(np.bincount(block, minlength=n + len(pairs)), out=start[1:])
    return start, np.ascontiguousarray(entries[np.argsort(block, kind="stable")])
