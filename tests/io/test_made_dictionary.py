"""Dictionaries made from models: they load back, hold the residue together, and say what they are."""

import gemmi
import numpy as np
import pytest
from chemistry_cases import add_atom, build, example, lone, monomer, piece, structure

from gpurefine.config import ChemistryOptions
from gpurefine.errors import ChemistryError, UsageError
from gpurefine.io.dictionary import load_dictionary
from gpurefine.io.dictionary_report import dictionary_report
from gpurefine.io.made_dictionary import made_component, made_document
from gpurefine.io.made_geometry import measure


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def renamed(kind: str, name: str) -> gemmi.Residue:
    residue = monomer(kind, 7)
    residue.name = name
    return residue


def made(tmp_path, name: str, *residues: gemmi.Residue):
    """A ligand file of ``name`` made from residues, and the dictionary read back from it."""
    path = tmp_path / "made.cif"
    component = made_component(name, [(f"A/{r.seqid}", r) for r in residues])
    path.write_text(made_document([component]))
    return component, str(path), load_dictionary([name], ChemistryOptions(ligand=(str(path),)))


def test_same_atoms_and_bonds_give_the_values_of_the_library(tmp_path):
    sulphate = renamed("SO4", "SUL")
    for atom, length in zip(sulphate, (1.36, 1.40, 1.60, 1.5, 1.44), strict=False):
        if atom.name != "S":
            centre = sulphate.find_atom("S", "\0").pos
            atom.pos = centre + (atom.pos - centre) * (length / atom.pos.dist(centre))
    component, path, dictionary = made(tmp_path, "SUL", sulphate)
    assert component.origin.startswith("SO4 of the embedded library, which has the same")
    bonds = dictionary.monlib.monomers["SUL"].rt.bonds
    assert [b.value for b in bonds] == pytest.approx([1.48] * 4, abs=0.02)
    assert any("was made by gpurefine dictionary" in m and "SO4" in m for m in dictionary.messages)
    assert dictionary.source == {"SUL": path}


def test_values_of_the_model_where_nothing_is_alike(tmp_path):
    """Benzamide-like: a flat ring with a flat group and a tetrahedral centre, made by hand."""
    residue = gemmi.Residue()
    residue.name, residue.seqid = "QQ1", gemmi.SeqId(7, " ")
    for k in range(6):
        turn = np.radians(60 * k)
        add_atom(residue, f"C{k + 1}", "C", (1.39 * np.cos(turn), 1.39 * np.sin(turn), 0.0))
    add_atom(residue, "C7", "C", (2.90, 0.0, 0.0))
    add_atom(residue, "N8", "N", (3.40, 1.37, 0.3))
    add_atom(residue, "O9", "O", (3.38, -0.8, 1.1))
    add_atom(residue, "C10", "C", (3.38, -0.7, -1.25))
    geometry = measure([residue])
    assert len(geometry.bonds) == 10 and geometry.bonds["C1", "C2"] == pytest.approx(1.39)
    assert geometry.angles["C1", "C2", "C3"] == pytest.approx(120.0)
    assert [set(plane) for plane in geometry.planes] == [{f"C{k}" for k in range(1, 8)}]
    (centre, *arms, sign), = geometry.chirals
    xyz = {atom.name: np.array(atom.pos.tolist()) for atom in residue}
    volume = np.linalg.det([xyz[arm] - xyz[centre] for arm in arms])
    assert centre == "C7" and sign == ("positive" if volume > 0 else "negative")
    assert geometry.types == {
        "C1": "C", "C2": "C1", "C3": "C1", "C4": "C1", "C5": "C1", "C6": "C1", "C7": "CT", "N8": "NH2", "O9": "OH1",
        "C10": "CH3",
    }  # fmt: skip
    component, path, _ = made(tmp_path, "QQ1", residue)
    assert component.origin == "coordinates of 1 copy in the model (first: A/7)"
    chain = gemmi.Chain("A")
    chain.add_residue(residue)
    model = build(structure([chain]), ligand=(path,))
    top = model.topology
    assert len(top.bonds.ideal) == 10 and len(top.planes.sigma) == 1 and len(top.chirals.ideal) == 1
    x = model.atoms.xyz[top.bonds.atoms]
    np.testing.assert_allclose(np.linalg.norm(x[:, 0] - x[:, 1], axis=1), top.bonds.ideal, atol=6e-4)
    assert not any("energy type" in message for message in model.messages)


def test_saturated_ring_is_not_taken_for_the_flat_one(tmp_path):
    """Dihydrouracil has the atoms and bonds of uracil but no flat ring."""
    flat = renamed("U", "QU1")
    component, _, dictionary = made(tmp_path, "QU1", flat)
    assert component.origin.startswith("U of the embedded library, which has the same")
    assert len(dictionary.monlib.monomers["QU1"].rt.planes) == 1
    for name, height in (("C5", 0.6), ("C6", -0.6)):
        atom = flat.find_atom(name, "\0")
        ring = np.array([flat.find_atom(n, "\0").pos.tolist() for n in ("N1", "C2", "N3", "C4")])
        normal = np.linalg.svd(ring - ring.mean(axis=0))[2][2]
        atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) + height * normal))
    component, _, dictionary = made(tmp_path, "QU1", flat)
    assert "coordinates" in component.origin
    planes = dictionary.monlib.monomers["QU1"].rt.planes
    assert not any({"C5", "C6"} <= {atom.atom for atom in plane.ids} for plane in planes)
    assert dictionary.monlib.monomers["QU1"].group == gemmi.ChemComp.Group.Rna


def test_modified_residue_in_a_chain(tmp_path):
    """An alanine with one more carbon is a peptide with the values of ALA where they hold."""
    st = piece(59, 61)
    residue = st[0][0][0]
    residue.name = "QAA"
    cb = np.array(residue.find_atom("CB", "\0").pos.tolist())
    ca = np.array(residue.find_atom("CA", "\0").pos.tolist())
    add_atom(residue, "CG9", "C", cb + np.cross(cb - ca, [0.0, 0.3, 0.8]) * 0.9 + 0.6 * (cb - ca))
    component, path, dictionary = made(tmp_path, "QAA", residue)
    assert "ALA of the embedded library" in component.origin and "for 2 atoms" in component.origin
    new, ala = dictionary.monlib.monomers["QAA"], load_dictionary(["ALA"], ChemistryOptions()).monlib.monomers["ALA"]
    values = {frozenset((b.id1.atom, b.id2.atom)): b.value for b in new.rt.bonds}
    assert values[frozenset(("CA", "C"))] == next(
        b.value for b in ala.rt.bonds if {b.id1.atom, b.id2.atom} == {"CA", "C"}
    )
    assert frozenset(("CB", "CG9")) in values and new.find_atom("HA") is not None and new.find_atom("HB1") is None
    st.setup_entities()
    model = build(st, ligand=(path,))
    pairs = [{model.labels[i] for i in row} for row in model.topology.bonds.atoms]
    assert {"A/59/QAA/C", "A/60/LEU/N"} in pairs and "A/59/QAA/HA" in model.labels


def test_residue_in_pieces_is_refused():
    residue = renamed("EDO", "QQ2")
    residue.find_atom("O2", "\0").pos = gemmi.Position(30, 30, 30)
    with pytest.raises(ChemistryError, match=r"QQ2 .* at A/7 O2 is not bonded"):
        made_component("QQ2", [("A/7", residue)])


def test_report_of_a_model(tmp_path):
    st = example()
    chain = gemmi.Chain("L")
    chain.add_residue(renamed("SO4", "SUL"))
    st[0].add_chain(chain)
    path = tmp_path / "model.pdb"
    st.write_pdb(str(path))
    report = dictionary_report(str(path), ChemistryOptions())
    assert report.unknown == ("SUL",) and [c.name for c in report.made] == ["SUL"]
    by_name = {residue.name: residue for residue in report.residues}
    assert by_name["ALA"].source == "embedded" and by_name["ALA"].count > 3 and by_name["SUL"].first == "L/7"
    written = tmp_path / "sul.cif"
    report.write(str(written))
    again = dictionary_report(str(path), ChemistryOptions(ligand=(str(written),)))
    assert again.unknown == () and {r.name: r.source for r in again.residues}["SUL"] == str(written)
    with pytest.raises(UsageError, match="Every residue"):
        again.write(str(tmp_path / "none.cif"))
    assert not (tmp_path / "none.cif").exists()


def test_lone_atom(tmp_path):
    component, path, _ = made(tmp_path, "QO1", lone("QO1", ("O", "O", (1, 2, 3)))[0][0][0])
    model = build(lone("QO1", ("O", "O", (1, 2, 3))), ligand=(path,))
    assert len(model.atoms) == 1 and component.block.find_value("_chem_comp.group") == "non-polymer"
