"""What selections ask of atoms: names, chains and residue numbers as arrays."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.tls import ResidueRange

Flags = NDArray[np.bool_]

SEQID = re.compile(r"\s*(-?\d+)\s*([A-Za-z]?)\.?\s*$")
"""A residue number with an insertion code; REFMAC writes a full stop where there is none."""


def seqid_key(text: str) -> int | None:
    """A number that sorts residues as their numbers and insertion codes do; None where ``text`` is no number."""
    match = SEQID.match(text)
    if match is None:
        return None
    code = match.group(2).upper()
    return 32 * int(match.group(1)) + (ord(code) - 64 if code else 0)


@dataclass(frozen=True, slots=True, eq=False)
class AtomTable:
    """Names of n atoms, in the order of the model's arrays.

    Attributes:
        chain, residue_name, atom_name, element, altloc: (n,) text; altloc is empty where there is none.
        seqid: (n,) int64 as :func:`seqid_key`; seqid_text: (n,) such as "12A".
        residue: (n,) 0 … m − 1, the residues in the order of the file.
        polymer, water, hydrogen: (n,) bool.
    """

    chain: NDArray[np.str_]
    residue_name: NDArray[np.str_]
    atom_name: NDArray[np.str_]
    element: NDArray[np.str_]
    altloc: NDArray[np.str_]
    seqid: NDArray[np.int64]
    seqid_text: NDArray[np.str_]
    residue: NDArray[np.intp]
    polymer: Flags
    water: Flags
    hydrogen: Flags

    def __len__(self) -> int:
        return len(self.chain)

    def between(self, chain: str, first: int, last: int) -> Flags:
        """(n,) bool: atoms of residues ``first`` to ``last`` (keys) of ``chain``."""
        return np.asarray((self.chain == chain) & (self.seqid >= first) & (self.seqid <= last))


def atom_table(structure: gemmi.Structure) -> AtomTable:
    """The table of all atoms of the first model."""
    rows: list[tuple[str, str, str, str, str, int, str, int, bool, bool, bool]] = []
    residue_index = -1
    for chain in structure[0]:
        for residue in chain:
            residue_index += 1
            key = seqid_key(str(residue.seqid))
            polymer, water = residue.entity_type == gemmi.EntityType.Polymer, residue.is_water()
            for atom in residue:
                rows.append((
                    chain.name, residue.name, atom.name, atom.element.name.upper(),
                    atom.altloc if atom.has_altloc() else "", 0 if key is None else key, str(residue.seqid),
                    residue_index, polymer, water, atom.is_hydrogen(),
                ))  # fmt: skip
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * 11

    def text(k: int) -> NDArray[np.str_]:
        return np.array(columns[k], dtype=np.str_)

    def flags(k: int) -> Flags:
        return np.array(columns[k], dtype=bool)

    return AtomTable(
        text(0), text(1), text(2), text(3), text(4), np.array(columns[5], np.int64), text(6),
        np.array(columns[7], np.intp), flags(8), flags(9), flags(10),
    )


def residue_ranges(table: AtomTable, chosen: Flags) -> tuple[ResidueRange, ...]:
    """The residues with a chosen atom as the fewest ranges that hold no other residue of their chains."""
    ranges: list[ResidueRange] = []
    for chain in dict.fromkeys(table.chain.tolist()):
        inside = table.chain == chain
        keys, first_atom = np.unique(table.seqid[inside], return_index=True)
        texts = table.seqid_text[inside][first_atom]
        wanted = np.isin(keys, table.seqid[inside & chosen])
        edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]]).astype(np.int8)))
        for start, stop in edges.reshape(-1, 2).tolist():
            ranges.append(ResidueRange(str(chain), str(texts[start]), str(texts[stop - 1])))
    return tuple(ranges)
