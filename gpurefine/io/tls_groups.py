"""Which atoms move as one TLS group: from a file, from the model's header, by chain, or cut by their B."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..constants import EIGHT_PI2
from ..errors import InputError, UsageError
from ..model.tls import N_TLS, ResidueRange, TlsGroups
from ..params.tls_split import split_chain
from .atom_table import AtomTable, atom_table, residue_ranges, seqid_key
from .selection import select
from .structure import InputModel
from .tls_file import read_tls_file
from .tls_header import holds_total, mmcif_groups, remark3_groups
from .tls_records import TlsRecord
from .topology import ChemicalModel

F64 = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHELL = 3.5
"""Å: waters and ligands this near to a group's atoms move with it."""

DOMAIN = 100
"""Residues of one TLS group of ``--tls domains``, about."""

FEWEST_ATOMS = 20
"""Atoms without hydrogen that a chain must have to be a group of its own accord."""

MAIN_CHAIN = ("N", "CA", "C", "O", "P", "OP1", "OP2", "O5'", "C5'", "C4'", "O4'", "C3'", "O3'", "C2'", "O2'", "C1'")

LINE = 1e-3
"""Atoms whose second principal radius is below this part of the first lie on a line."""


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """Groups of atoms: ``names`` and ``member`` (n,) int32, −1 for none, with ``messages``."""

    names: tuple[str, ...]
    member: NDArray[np.int32]
    messages: tuple[str, ...]


def find_tls_groups(
    choice: str, n_groups: int | None, reset: bool, model: InputModel, chemistry: ChemicalModel
) -> tuple[TlsGroups, list[str]]:
    """The groups that ``--tls`` and ``--tls-groups`` ask for.

    Args:
        choice: "auto", "domains", "model" or the name of a TLS file; n_groups: cut every chain into that many pieces
            instead.
        reset: start from tensors of zero whatever the file says.

    Raises:
        InputError: a file is not understood, groups share atoms, or no group is left.
        UsageError: the chains cannot be cut because their B say nothing.
    """
    table = atom_table(chemistry.structure)
    if n_groups is not None:
        assigned = _pieces(table, chemistry, n_groups)
        return _groups(assigned, table, chemistry, None, False), list(assigned.messages)
    if choice == "domains":
        assigned = _pieces(table, chemistry, None)
        return _groups(assigned, table, chemistry, None, False), list(assigned.messages)
    if choice == "auto":
        assigned = by_chain(table, chemistry)
        return _groups(assigned, table, chemistry, None, False), list(assigned.messages)
    block = None
    if model.document is not None:
        block = next(b for b in model.document if b.find_values("_atom_site.id"))
    if choice == "model":
        if block is not None:
            records = mmcif_groups(block, model.path)
        else:
            records = remark3_groups(list(model.structure.raw_remarks), model.path)
        source = model.path
        if not records:
            raise InputError(f"{source} names no TLS groups in its header; use --tls auto or give a TLS file.")
    else:
        source, records = choice, read_tls_file(choice)
    assigned, kept = assign(records, table, chemistry, source)
    given = not reset and any(record.values is not None for record in kept)
    messages, total = list(assigned.messages), False
    if given:
        stated = holds_total(model.structure, block)
        inside = assigned.member >= 0
        total = bool(chemistry.atoms.is_aniso[inside].any()) if stated is None else stated
        what = "the sum of TLS and residual displacement" if total else "residual displacement only"
        why = "" if stated is not None else (
            ", since it has ANISOU records" if total else ", since it has no ANISOU records"
        )
        messages.append(f"B and U of {model.path} are taken as {what}{why}.")
    return _groups(assigned, table, chemistry, None if reset else kept, total), messages


def assign(
    records: Sequence[TlsRecord], table: AtomTable, chemistry: ChemicalModel, source: str, what: str = "TLS group"
) -> tuple[Assigned, list[TlsRecord]]:
    """Atoms of the groups of a file; groups that no motion can be found for are left out.

    Raises:
        InputError: two groups share an atom, or none is left.
    """
    member = np.full(len(table), -1, np.int32)
    messages: list[str] = []
    kept: list[TlsRecord] = []
    for record in records:
        chosen = np.zeros(len(table), bool)
        for k, part in enumerate(record.ranges):
            inside = range_atoms(table, part)
            if not inside.any():
                messages.append(
                    f"Warning: {what} {record.name} of {source} names {part}, which the model does not have."
                )
            kind = record.kinds[k] if k < len(record.kinds) else "ALL"
            main = np.isin(table.atom_name, MAIN_CHAIN)
            chosen |= inside & (main if kind == "MNC" else ~main if kind == "SDC" else True)
        for text in record.selections:
            inside = select(table, text)
            if not inside.any():
                messages.append(
                    f"Warning: {what} {record.name} of {source} selects '{text}', which the model does not have."
                )
            chosen |= inside
        chosen = chosen[chemistry.atoms.parent]
        shared = np.flatnonzero(chosen & (member >= 0))
        if len(shared):
            other = kept[member[shared[0]]].name
            raise InputError(
                f"{what} {other} and {what} {record.name} of {source} both hold {chemistry.labels[shared[0]]}; an atom "
                "can belong to one group only, so correct the ranges."
            )
        reason = unfit(chemistry, chosen)
        if reason is not None:
            messages.append(f"Warning: {what} {record.name} of {source} {reason}; it is left out.")
            continue
        member[chosen] = len(kept)
        kept.append(record)
    if not kept:
        raise InputError(f"No {what} of {source} can be used: {' '.join(messages)}")
    return Assigned(tuple(record.name for record in kept), member, tuple(messages)), kept


def has_polymer(chemistry: ChemicalModel) -> bool:
    """Whether a chain is large enough to move as a TLS group."""
    table = atom_table(chemistry.structure)
    own = table.polymer & ~table.hydrogen
    return any(
        (own & (table.chain == chain)).sum() >= FEWEST_ATOMS for chain in dict.fromkeys(table.chain[own].tolist())
    )


def words(groups: TlsGroups) -> str:
    """The groups in words, with their numbers of atoms."""
    counts = np.bincount(groups.member[groups.inside], minlength=len(groups))
    return ", ".join(f"{name} ({count} atoms)" for name, count in zip(groups.names, counts.tolist(), strict=True))


def range_atoms(table: AtomTable, part: ResidueRange) -> Flags:
    """(n,) bool: the atoms of a range."""
    return table.between(part.chain, seqid_key(part.first) or 0, seqid_key(part.last) or 0)


def unfit(chemistry: ChemicalModel, chosen: Flags, fewest: int = 4) -> str | None:
    """Why a rigid motion of the atoms cannot be determined, None where it can."""
    heavy = chosen & ~chemistry.atoms.is_hydrogen
    count = int(heavy.sum())
    if count == 0:
        return "holds no atom of the model"
    offset = chemistry.atoms.xyz[heavy] - chemistry.atoms.xyz[heavy].mean(axis=0)
    radii = np.linalg.svd(offset, compute_uv=False)
    if count < 3 or radii[1] < LINE * max(radii[0], 1e-9):
        return f"has {count} atoms on a line, about which a rotation would move none of them"
    if count < fewest:
        return f"has only {count} atoms, too few to see how it moves"
    return None


def by_chain(table: AtomTable, chemistry: ChemicalModel) -> Assigned:
    """One group for every chain of a polymer, with what lies next to it.

    Raises:
        InputError: there is no polymer.
    """
    member = np.full(len(table), -1, np.int32)
    names: list[str] = []
    for chain in dict.fromkeys(table.chain[table.polymer].tolist()):
        own = (table.chain == chain) & ~table.water
        if (own & ~table.hydrogen).sum() >= FEWEST_ATOMS and unfit(chemistry, own) is None:
            member[own] = len(names)
            names.append(f"chain {chain}")
    if not names:
        raise InputError("The model has no polymer of 20 atoms or more that --tls auto could make a group of.")
    return Assigned(tuple(names), _with_neighbours(member, table, chemistry), ())


def _pieces(table: AtomTable, chemistry: ChemicalModel, n_groups: int | None) -> Assigned:
    """Every chain of a polymer cut into ``n_groups`` pieces by the B of its atoms.

    None: pieces of about :data:`DOMAIN` residues, of equal length where the B say nothing.
    """
    atoms = chemistry.atoms
    member = np.full(len(table), -1, np.int32)
    names: list[str] = []
    messages: list[str] = []
    for chain in dict.fromkeys(table.chain[table.polymer].tolist()):
        own = (table.chain == chain) & table.polymer & ~table.hydrogen & (atoms.occ > 0.0)
        if own.sum() < FEWEST_ATOMS or unfit(chemistry, own) is not None:
            continue
        b = atoms.b_iso[own]
        keys, residue = np.unique(table.seqid[own], return_inverse=True)
        count = max(1, round(len(keys) / DOMAIN)) if n_groups is None else n_groups
        flat = bool(np.ptp(b) < 1e-3 * b.mean()) and count > 1
        if flat and n_groups is not None:
            raise UsageError(
                f"All B of chain {chain} are {b.mean():.1f} Å², which says nothing about rigid pieces for "
                "--tls-groups; refine without TLS first, or give the groups by --tls FILE."
            )
        if flat:
            starts = [k * len(keys) // count for k in range(count)]
        else:
            starts = split_chain(atoms.xyz[own], b / EIGHT_PI2, residue.astype(np.intp), count)
        whole = (table.chain == chain) & table.polymer
        piece = np.searchsorted(keys[starts], table.seqid[whole], side="right") - 1
        member[whole] = np.maximum(piece, 0) + len(names)
        ends = [*starts[1:], len(keys)]
        texts = {int(k): str(t) for k, t in zip(table.seqid[own], table.seqid_text[own], strict=True)}
        spans = [f"{texts[int(keys[a])]}–{texts[int(keys[b - 1])]}" for a, b in zip(starts, ends, strict=True)]
        names += [f"{chain} {span}" for span in spans]
        if n_groups is not None or count > 1:
            how = "of equal length" if flat else "by its B"
            messages.append(f"Chain {chain} is cut into {len(spans)} TLS groups {how}: {', '.join(spans)}.")
    if not names:
        raise InputError("The model has no polymer of 20 atoms or more that could be cut into TLS groups.")
    return Assigned(tuple(names), _with_neighbours(member, table, chemistry), tuple(messages))


def _with_neighbours(member: NDArray[np.int32], table: AtomTable, chemistry: ChemicalModel) -> NDArray[np.int32]:
    """Residues of no group, waters and ligands, join the group of the nearest atom within :data:`SHELL`."""
    out = member.copy()
    heavy = ~table.hydrogen
    inside, outside = np.flatnonzero((member >= 0) & heavy), np.flatnonzero((member < 0) & heavy)
    if len(outside):
        from scipy.spatial import cKDTree  # a tenth of a second that few runs need to spend

        distance, nearest = cKDTree(chemistry.atoms.xyz[inside]).query(chemistry.atoms.xyz[outside])
        best: dict[int, tuple[float, int]] = {}
        for atom, d, k in zip(outside.tolist(), np.asarray(distance), np.asarray(nearest), strict=True):
            residue = int(table.residue[atom])
            if d <= SHELL and d < best.get(residue, (np.inf, 0))[0]:
                best[residue] = float(d), int(member[inside[k]])
        for residue, (_, group) in best.items():
            out[(table.residue == residue) & (member < 0)] = group
    return np.asarray(out[chemistry.atoms.parent], np.int32)


def _groups(
    assigned: Assigned, table: AtomTable, chemistry: ChemicalModel, records: Sequence[TlsRecord] | None, total: bool
) -> TlsGroups:
    n = len(assigned.names)
    origin, start = np.zeros((n, 3)), np.zeros((n, N_TLS))
    ranges = []
    for g in range(n):
        own = assigned.member == g
        origin[g] = chemistry.atoms.xyz[own & ~table.hydrogen].mean(axis=0)
        ranges.append(residue_ranges(table, own))
        record = records[g] if records is not None else None
        if record is not None and record.values is not None and record.origin is not None:
            origin[g], start[g] = record.origin, record.values
    return TlsGroups(assigned.names, tuple(ranges), assigned.member, origin, start, total)

