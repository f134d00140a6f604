"""Which atoms share an occupancy: alternative conformers, ligands and waters, or REFMAC's keywords."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..config_groups import GroupOptions
from ..errors import InputError, UsageError
from ..model.occupancy import OccupancyGroups
from .atom_table import AtomTable, atom_table, seqid_key
from .data_file import check_exists
from .topology import ChemicalModel

Flags = NDArray[np.bool_]

UNEVEN = 0.01
"""Occupancies of one group that differ by more than this are told."""


class _Sets:
    """Groups and sets as they are found."""

    def __init__(self, n: int) -> None:
        self.member = np.full(n, -1, np.int32)
        self.names: list[str] = []
        self.sets: list[tuple[int, ...]] = []
        self.complete: list[bool] = []

    def add(self, names: Sequence[str], atoms: Sequence[Flags], complete: bool) -> None:
        """One set of groups; the atoms must be in no group yet."""
        first = len(self.names)
        for k, (name, inside) in enumerate(zip(names, atoms, strict=True)):
            self.member[inside] = first + k
            self.names.append(name)
        self.sets.append(tuple(range(first, first + len(names))))
        self.complete.append(complete)


def find_occupancy_groups(
    options: GroupOptions, chemistry: ChemicalModel
) -> tuple[OccupancyGroups | None, list[str]]:
    """The groups that the options ask for (None where the model has none), and what the user is to be told.

    Raises:
        InputError, UsageError: a file or a word is not understood, or groups share atoms.
    """
    table = atom_table(chemistry.structure)
    found = _Sets(len(table))
    messages: list[str] = []
    if options.occupancy_groups is not None:
        messages += _read_keywords(options.occupancy_groups, table, chemistry, found)
    if options.refine_occupancies:
        conformers(table, chemistry, found)
    for word in options.occupancy_of:
        singles(word, table, chemistry, found)
    found.member = found.member[chemistry.atoms.parent]
    if not found.names:
        return None, ["No atom has an occupancy to refine: the model has no alternative conformers."]
    residues = _residues(table, found.member, len(found.names))
    groups = OccupancyGroups(tuple(found.names), found.member, tuple(found.sets), tuple(found.complete), residues)
    occ = groups.occupancies(chemistry.atoms.occ)
    inside = groups.member >= 0
    spread = np.zeros(len(groups))
    np.maximum.at(spread, groups.member[inside], np.abs(chemistry.atoms.occ[inside] - occ[groups.member[inside]]))
    uneven = [groups.names[g] for g in np.flatnonzero(spread > UNEVEN)]
    if uneven:
        messages.append(f"Atoms of one occupancy group differ in occupancy and start from their mean: {_some(uneven)}.")
    off = [
        groups.names[members[0]] for members, complete in zip(groups.sets, groups.complete, strict=True)
        if complete and abs(occ[list(members)].sum() - 1.0) > UNEVEN
    ]
    if off:
        messages.append(f"Occupancies of alternatives do not sum to 1 and are made to: {_some(off)}.")
    messages.append(f"Occupancies: {len(groups)} groups in {len(groups.sets)} sets are refined.")
    return groups, messages


def conformers(table: AtomTable, chemistry: ChemicalModel, found: _Sets) -> None:
    """One set for every residue with alternative conformers; bonded residues with the same letters form one."""
    heavy = ~table.hydrogen
    letters: dict[int, tuple[str, ...]] = {}
    for residue in np.unique(table.residue[(table.altloc != "") & heavy]).tolist():
        own = (table.residue == residue) & (table.altloc != "") & heavy & (found.member < 0)
        kinds = tuple(sorted(set(table.altloc[own].tolist())))
        if len(kinds) > 1:
            letters[residue] = kinds
    leader = {residue: residue for residue in letters}

    def root(residue: int) -> int:
        while leader[residue] != residue:
            residue = leader[residue]
        return residue

    bonds = chemistry.topology.bonds
    plain = (bonds.image == 0) & ~bonds.shift.any(axis=1)
    first, second = bonds.atoms[plain].T
    both = (table.altloc[first] != "") & (table.altloc[first] == table.altloc[second])
    for a, b in zip(table.residue[first[both]].tolist(), table.residue[second[both]].tolist(), strict=True):
        if a != b and a in letters and letters.get(b) == letters[a]:
            leader[root(max(a, b))] = root(min(a, b))
    runs: dict[int, list[int]] = {}
    for residue in letters:
        runs.setdefault(root(residue), []).append(residue)
    for residues in runs.values():
        atoms, names = [], []
        inside = np.isin(table.residue, residues) & (found.member < 0)
        where = _where(table, inside)
        for letter in letters[residues[0]]:
            atoms.append(inside & (table.altloc == letter))
            names.append(f"{where} {letter}")
        found.add(names, atoms, True)


def singles(word: str, table: AtomTable, chemistry: ChemicalModel, found: _Sets) -> None:
    """Residues whose occupancy is free between 0 and 1: all waters, all ligands, one kind, or one residue.

    Raises:
        UsageError: the model has nothing of that name.
    """
    if word.lower() == "waters":
        chosen = table.water
    elif word.lower() == "ligands":
        chosen = ~table.water & ~table.polymer
    elif "/" in word:
        chain, _, number = word.partition("/")
        key = seqid_key(number)
        chosen = np.zeros(len(table), bool) if key is None else table.between(chain, key, key)
    else:
        chosen = table.residue_name == word.upper()
    if not chosen.any():
        raise UsageError(f"--occupancy-of {word}: the model has no such residue; give waters, ligands, LIG or A/301.")
    for residue in np.unique(table.residue[chosen & ~table.hydrogen & (found.member < 0)]).tolist():
        own = (table.residue == residue) & (found.member < 0)
        if (table.altloc[own & ~table.hydrogen] == "").all():
            found.add([_where(table, own)], [own], False)


def _residues(table: AtomTable, member: NDArray[np.int32], n: int) -> tuple[tuple[str, ...], ...]:
    """Residues of each of ``n`` groups as "A/12"."""
    found: list[dict[str, None]] = [{} for _ in range(n)]
    for k in np.flatnonzero(member >= 0).tolist():
        found[member[k]][f"{table.chain[k]}/{table.seqid_text[k]}"] = None
    return tuple(map(tuple, found))


def _where(table: AtomTable, inside: Flags) -> str:
    index = np.flatnonzero(inside)
    ends = [f"{table.chain[k]}/{table.seqid_text[k]}" for k in (index[0], index[-1])]
    return ends[0] if ends[0] == ends[1] else f"{ends[0]}–{table.seqid_text[index[-1]]}"


def _some(names: Sequence[str], most: int = 8) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _read_keywords(path: str, table: AtomTable, chemistry: ChemicalModel, found: _Sets) -> list[str]:
    """REFMAC's keywords.

        occupancy group id 1 chain A residue 10 [atom CB] [alt A]
        occupancy group id 2 chain A residue from 10 to 12 alt B
        occupancy group alts complete 1 2
        occupancy group alts incomplete 3 4
    """
    check_exists(path, "file of occupancy groups")
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    atoms: dict[str, Flags] = {}
    alternatives: list[tuple[bool, list[str], int]] = []
    messages: list[str] = []
    for number, raw in enumerate(text.splitlines(), 1):
        words = re.split(r"[!#]", raw)[0].split()
        lower = [word.lower() for word in words]
        if not words or (lower[0][:4] in ("end", "occu") and lower[1:2] and lower[1][:4] == "refi"):
            continue
        if lower[0][:4] != "occu" or len(words) < 4 or lower[1][:4] != "grou":
            raise _not_understood(path, number, raw)
        if lower[2] == "alts":
            kind = lower[3][:4]
            if kind not in ("comp", "inco") or len(words) < 5:
                raise _not_understood(path, number, raw)
            alternatives.append((kind == "comp", words[4:], number))
        elif lower[2] == "id":
            chosen = _keyword_atoms(path, number, raw, words[4:], table)
            if not chosen.any():
                messages.append(f"Warning: {path}, line {number}: the model has no atoms '{raw.strip()}' speaks of.")
            atoms[words[3]] = atoms.get(words[3], np.zeros(len(table), bool)) | chosen
        else:
            raise _not_understood(path, number, raw)
    used: set[str] = set()
    for complete, names, number in [*alternatives, *((False, [name], 0) for name in atoms)]:
        if number == 0 and names[0] in used:
            continue
        for name in names:
            if name not in atoms:
                raise InputError(f"{path}, line {number}: there is no occupancy group {name}.")
            if name in used:
                raise InputError(f"{path}, line {number}: occupancy group {name} stands in two sets of alternatives.")
            used.add(name)
        present = [name for name in names if atoms[name].any()]
        for name in present:
            shared = np.flatnonzero(atoms[name] & (found.member >= 0))
            if len(shared):
                raise InputError(
                    f"Occupancy groups {found.names[found.member[shared[0]]]} and {name} of {path} both hold "
                    f"{chemistry.labels[shared[0]]}; an atom can belong to one group only."
                )
            found.member[atoms[name]] = len(found.names)
            found.names.append(name)
        if present:
            first = len(found.names) - len(present)
            found.sets.append(tuple(range(first, len(found.names))))
            found.complete.append(complete)
    if not atoms:
        raise InputError(f"{path} names no occupancy group; write occupancy group id 1 chain A residue 10 alt A.")
    return messages


def _keyword_atoms(path: str, number: int, raw: str, words: Sequence[str], table: AtomTable) -> Flags:
    chosen = np.ones(len(table), bool)
    rest = list(words)
    while rest:
        key = rest.pop(0).lower()[:4]
        if not rest:
            raise _not_understood(path, number, raw)
        if key == "chai":
            chosen &= table.chain == rest.pop(0)
        elif key == "resi":
            first = last = rest.pop(0)
            if first.lower() == "from" and len(rest) >= 3 and rest[1].lower() == "to":
                first, last = rest[0], rest[2]
                rest = rest[3:]
            low, high = seqid_key(first), seqid_key(last)
            if low is None or high is None:
                raise _not_understood(path, number, raw)
            chosen &= (table.seqid >= low) & (table.seqid <= high)
        elif key == "atom":
            chosen &= table.atom_name == rest.pop(0)
        elif key == "alt":
            chosen &= table.altloc == rest.pop(0)
        else:
            raise _not_understood(path, number, raw)
    return chosen


def _not_understood(path: str, number: int, raw: str) -> InputError:
    return InputError(
        f"{path}, line {number}: '{raw.strip()}' is not understood; lines are occupancy group id N chain C residue R "
        "[atom NAME] [alt A], occupancy group alts complete N M …, or occupancy group alts incomplete N M …."
    )
