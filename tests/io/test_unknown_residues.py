"""Residues kept without a dictionary, and atoms under other names than the dictionary's."""

import gemmi
import numpy as np
import pytest
from chemistry_cases import add_atom, build, lone, monomer, piece, structure

from gpurefine.errors import ChemistryError
from gpurefine.io.residue_bonds import distance_bonds


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def with_ligand(name: str = "QQ1") -> gemmi.Structure:
    """Two residues, and a glycerol far from them under an unknown name."""
    st = piece(59, 60)
    ligand = monomer("GOL", 300)
    ligand.name = name
    for atom in ligand:
        atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) + 40.0))
    chain = gemmi.Chain("L")
    chain.add_residue(ligand)
    st[0].add_chain(chain)
    st.setup_entities()
    return st


def test_unknown_residue_stops_by_default():
    with pytest.raises(ChemistryError, match=r"QQ1 \(for example L/300\)[\s\S]*--unknown-residues keep"):
        build(with_ligand())


def test_unknown_residue_is_kept():
    model = build(with_ligand(), unknown_residues="keep")
    mine = [i for i, label in enumerate(model.labels) if label.startswith("L/300")]
    assert len(mine) == 6 and model.topology.loose.atoms.tolist() == mine
    bonds = {frozenset(model.labels[i].split("/")[3] for i in pair) for pair in model.topology.loose.bonds}
    assert bonds == {frozenset(p) for p in (("C1", "O1"), ("C1", "C2"), ("C2", "O2"), ("C2", "C3"), ("C3", "O3"))}
    for terms in (model.topology.bonds, model.topology.angles, model.topology.torsions, model.topology.chirals):
        assert not np.isin(terms.atoms, mine).any()
    assert not np.isin(model.topology.planes.atoms, mine).any()
    (warning,) = [m for m in model.messages if m.startswith("Warning")]
    assert "QQ1 (L/300)" in warning and "NO covalent restraints" in warning
    radius = model.topology.nonbonded.vdw_radius[mine]
    assert np.all((radius > 1.4) & (radius <= 2.0)) and model.dictionary.unknown == ("QQ1",)
    known = build(with_ligand("GOL"), unknown_residues="keep")
    assert len(known.topology.loose.atoms) == 0 and not any(m.startswith("Warning") for m in known.messages)


def test_unknown_residue_inside_a_chain_is_bonded_by_distance():
    st = piece(59, 61)
    st[0][0][1].name = "QLE"
    st.setup_entities()
    model = build(st, unknown_residues="keep")
    pairs = {frozenset(model.labels[i] for i in pair) for pair in model.topology.loose.bonds}
    assert {"A/59/ALA/C", "A/60/QLE/N"} in pairs and {"A/60/QLE/C", "A/61/GLY/N"} in pairs


def test_hydrogens_and_alternatives_by_distance():
    residue = gemmi.Residue()
    residue.name = "QQ1"
    for name, element, x, altloc in (
        ("C1", "C", 0.0, "\0"), ("C2", "C", 1.5, "A"), ("C2", "C", 1.6, "B"), ("C3", "C", 3.0, "B"),
        ("H1", "H", -1.0, "\0"),
    ):  # fmt: skip
        add_atom(residue, name, element, (x, 0, 0)).altloc = altloc
    assert distance_bonds(list(residue)) == [(0, 1), (0, 2), (0, 4), (2, 3)]


def test_atom_of_another_name_is_known_by_its_bonds():
    st = piece(59, 61)
    st[0][0][1].find_atom("CD1", "\0").name = "CX"
    con = gemmi.Connection()
    con.name, con.type = "covale1", gemmi.ConnectionType.Covale
    con.partner1 = gemmi.AtomAddress("A", gemmi.SeqId(60, " "), "LEU", "CX", "\0")
    con.partner2 = gemmi.AtomAddress("A", gemmi.SeqId(59, " "), "ALA", "CB", "\0")
    st.connections.append(con)
    model = build(st, hydrogens="drop")
    assert "A/60/LEU/CD1" in model.labels and "A/60/LEU/CX" not in model.labels
    assert any("LEU: CX → CD1 (in A/60)" in m for m in model.messages)
    assert {model.links[0].atom1, model.links[0].atom2} == {"A/59/ALA/CB", "A/60/LEU/CD1"}


def test_names_that_say_too_little_stay_unknown():
    """Both methyl groups of LEU under other names: either could be CD1."""
    st = piece(60, 60)
    st[0][0][0].find_atom("CD1", "\0").name = "CX"
    st[0][0][0].find_atom("CD2", "\0").name = "CY"
    with pytest.raises(ChemistryError, match="A/60/LEU/CX, A/60/LEU/CY"):
        build(st)


def test_old_names_of_a_nucleotide():
    st = lone("A")
    for atom in st[0][0][0]:
        atom.name = {"OP1": "O1P", "OP2": "O2P", "OP3": "O3P"}.get(atom.name, atom.name.replace("'", "*"))
    st = structure([st[0][0].clone()])
    model = build(st)
    assert "A/7/A/C5'" in model.labels and "A/7/A/OP1" in model.labels
    assert any("names were updated" in m or "named as in the dictionary" in m for m in model.messages)


def test_heavy_water_is_water():
    model = build(lone("DOD", ("O", "O", (1, 2, 3))))
    assert model.dictionary.source == {"DOD": "embedded"} and model.topology.nonbonded.hb_type.tolist() == [3]
