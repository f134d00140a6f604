"""Selections of atoms in other programs' words."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from gpurefine.errors import InputError
from gpurefine.io.atom_table import AtomTable, atom_table, residue_ranges
from gpurefine.io.selection import select
from gpurefine.model.tls import ResidueRange


@pytest.fixture(scope="module")
def table() -> AtomTable:
    """Chains A (1–9, 9A, 12) and b (−2–3, water 101), two atoms a residue."""
    structure = gemmi.Structure()
    model = gemmi.Model(1)
    for name, numbers in (("A", ["1", "2", "3", "4", "5", "6", "7", "8", "9", "9A", "12"]), ("b", ["-2", "0", "3"])):
        chain = gemmi.Chain(name)
        for number in [*numbers, "101"]:
            residue = gemmi.Residue()
            residue.name = "HOH" if number == "101" else "GLY" if number in ("2", "3") else "ALA"
            residue.seqid = gemmi.SeqId(int(number.rstrip("A")), "A" if number.endswith("A") else " ")
            for atom_name, element in (("N", "N"), ("CA", "C")):
                atom = gemmi.Atom()
                atom.name, atom.element = atom_name, gemmi.Element(element)
                if number == "12":
                    atom.altloc = "B"
                residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    structure.add_model(model)
    structure.setup_entities()
    return atom_table(structure)


def residues(table: AtomTable, chosen: np.ndarray) -> set[str]:
    return {f"{c}{s}" for c, s in zip(table.chain[chosen], table.seqid_text[chosen], strict=True)}


@pytest.mark.parametrize(("text", "expected"), [
    ("chain A and resid 2:4", {"A2", "A3", "A4"}),
    ("CHAIN A AND (RESID 1:2 OR RESID 9A)", {"A1", "A2", "A9A"}),
    ("chain 'A' and (resid 8 through 12)", {"A8", "A9", "A9A", "A12"}),
    ("CHAIN B AND RESSEQ -2:0", {"b-2", "b0"}),
    ("(chain A and resi 7-8) or resname hoh", {"A7", "A8", "A101", "b101"}),
    ("chain A and not (resid :9 or water) and name CA", {"A9A", "A12"}),
    ("altloc b", {"A12"}),
    ("chain A and resid 9A:", {"A9A", "A12", "A101"}),
    ("{ A|2 - A|4 b|3 }", {"A2", "A3", "A4", "b3"}),
    ("{ b|* }", {"b-2", "b0", "b3", "b101"}),
])
def test_selected(table: AtomTable, text: str, expected: set[str]) -> None:
    assert residues(table, select(table, text)) == expected


def test_all_and_elements(table: AtomTable) -> None:
    assert select(table, "all").all() and select(table, " ALL ").all()
    assert set(table.atom_name[select(table, "element C")]) == {"CA"}


@pytest.mark.parametrize("text", [
    "chain", "resid x:3", "chain A and", "(chain A", "within 5 of chain A", "{ A|2 - b|4 }", "{ what }", "all all",
])
def test_what_is_not_understood_is_said(table: AtomTable, text: str) -> None:
    with pytest.raises(InputError, match="selection"):
        select(table, text)


def test_fewest_ranges(table: AtomTable) -> None:
    chosen = select(table, "(chain A and resid 2:9A) or (chain b and resid -2)")
    assert residue_ranges(table, chosen) == (ResidueRange("A", "2", "9A"), ResidueRange("b", "-2", "-2"))
