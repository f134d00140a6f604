"""Which atoms share a shift of B (``--b-groups``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .atom_table import AtomTable, atom_table
from .data_file import check_exists
from .rigid_groups import parse_ranges
from .tls_groups import range_atoms
from .topology import ChemicalModel

MAIN_CHAIN = ("N", "CA", "C", "O", "OXT")
"""Main chain of a protein; of a nucleic acid it is phosphate and sugar, whose atoms other than the phosphate's have
a prime in their names."""

PHOSPHATE = ("P", "OP1", "OP2", "OP3", "O1P", "O2P", "O3P")


@dataclass(frozen=True, slots=True, eq=False)
class BGroups:
    """``member`` (n,) int32 group of every atom, riding hydrogens with their parents, −1 for none; ``count`` groups."""

    member: NDArray[np.int32]
    count: int


def find_b_groups(choice: str, chemistry: ChemicalModel) -> tuple[BGroups, list[str]]:
    """The groups of "residue", "main-side", "chain", or of a file with ranges such as A 1-90, B 5-40, a group a line.

    Raises:
        InputError: the file is not understood, or an atom is in two of its groups.
    """
    table, messages = atom_table(chemistry.structure), []
    if choice == "residue":
        key, words = table.residue.astype(np.int64), "one a residue"
    elif choice == "main-side":
        key, words = 2 * table.residue.astype(np.int64) + _side(table), "main chain and side chain of every residue"
    elif choice == "chain":
        key, words = np.unique(table.chain, return_inverse=True)[1], "one a chain"
    else:
        key, words = _of_file(choice, table, chemistry), f"those of {choice}"
        left = int(((key < 0) & ~table.hydrogen).sum())
        if left:
            messages.append(f"{left} atoms belong to no group of {choice}; their B stay.")
    key = np.asarray(key)[chemistry.atoms.parent]
    named, member = np.unique(key, return_inverse=True)
    outside = int(named[0] < 0)
    groups = BGroups((member - outside).astype(np.int32), len(named) - outside)
    return groups, [f"Grouped B: {groups.count} groups, {words}.", *messages]


def _side(table: AtomTable) -> NDArray[np.bool_]:
    """(n,) bool: side chain or base."""
    kind = {name: gemmi.find_tabulated_residue(name) for name in np.unique(table.residue_name).tolist()}
    protein = np.isin(table.residue_name, [name for name, info in kind.items() if info.is_amino_acid()])
    nucleic = np.isin(table.residue_name, [name for name, info in kind.items() if info.is_nucleic_acid()])
    backbone = np.isin(table.atom_name, PHOSPHATE) | (np.char.find(table.atom_name, "'") >= 0)
    return np.where(protein, ~np.isin(table.atom_name, MAIN_CHAIN), nucleic & ~backbone)


def _of_file(path: str, table: AtomTable, chemistry: ChemicalModel) -> NDArray[np.int64]:
    """Number of the line (n,) that names each atom, −1 where none does."""
    check_exists(path, "file of B groups")
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error}).") from None
    key = np.full(len(table), -1, np.int64)
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.split(r"[!#]", raw)[0].strip()
        if not line:
            continue
        ranges = parse_ranges(line)
        if ranges is None:
            raise InputError(f"{path}, line {number}: '{line}' is not understood; write a group as A 1-90, B 5-40.")
        for part in ranges:
            chosen = range_atoms(table, part)
            if not chosen.any():
                raise InputError(f"{path}, line {number} names {part}, which the model does not have.")
            taken = np.flatnonzero(chosen & (key >= 0) & (key != number))
            if len(taken):
                raise InputError(
                    f"{path}: lines {key[taken[0]]} and {number} both hold {chemistry.labels[taken[0]]}; an atom can "
                    "belong to one group only."
                )
            key[chosen] = number
    if not (key >= 0).any():
        raise InputError(f"{path} names no group; write one a line as A 1-90, B 5-40.")
    return key
