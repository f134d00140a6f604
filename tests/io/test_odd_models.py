"""Models that are unusual and legal, from file to file, and those that are refused."""

import gemmi
import numpy as np
import pytest
from chemistry_cases import CELL, add_atom, build, lone, monomer, piece, structure

from gpurefine.config import ChemistryOptions
from gpurefine.errors import InputError
from gpurefine.io.model_out import pdb_misfit
from gpurefine.io.strict_ncs import find_copies
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.io.topology import build_model, update_structure


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def written(st: gemmi.Structure, path, kind: str) -> str:
    """The structure as a file."""
    name = path / f"model.{kind}"
    name.write_text(st.make_pdb_string() if kind == "pdb" else st.make_mmcif_document().as_string())
    return str(name)


def from_file(name: str, **options):
    """Atoms and restraints of a file."""
    model = read_model(name)
    return build_model(model.structure, structure_crystal(model.structure), ChemistryOptions(**options))


def waters(n_chain: int, per_chain: int) -> gemmi.Structure:
    """Chains of so many waters each on a grid, numbered from 1."""
    grid = np.stack(np.unravel_index(np.arange(n_chain * per_chain), (50, 50, 50)), axis=1) * 3.1
    chains = []
    for c in range(n_chain):
        chain = gemmi.Chain("ABCDEFGHIJ"[c])
        for k in range(per_chain):
            residue = gemmi.Residue()
            residue.name, residue.seqid, residue.het_flag = "HOH", gemmi.SeqId(k + 1, " "), "H"
            add_atom(residue, "O", "O", grid[c * per_chain + k])
            chain.add_residue(residue)
        chains.append(chain)
    st = structure(chains)
    st.cell = gemmi.UnitCell(160, 160, 160, 90, 90, 90)
    return st


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_more_atoms_and_residues_than_the_columns_hold(tmp_path, kind):
    """100,200 atoms and residue numbers to 10,020: hybrid-36 in and out."""
    model = from_file(written(waters(10, 10_020), tmp_path, kind))
    assert len(model.atoms) == 100_200 and model.labels[-1] == "J/10020/HOH/O"
    out = update_structure(model, model.atoms.xyz, model.atoms.b_iso, False, True)
    assert pdb_misfit(out) is None
    again = read_model(written(out, tmp_path, kind)).structure
    assert again[0].count_atom_sites() == 100_200 and again[0][9][-1].seqid.num == 10_020
    assert again[0][9][-1][0].pos.dist(out[0][9][-1][0].pos) < 1e-3


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_strict_ncs_makes_copies_where_they_are_not_given(tmp_path, kind):
    st = piece(59, 60)
    for given in (True, False):
        st.ncs.clear()
        turn = gemmi.Transform(gemmi.Mat33([[-1, 0, 0], [0, -1, 0], [0, 0, 1]]), gemmi.Vec3(10, 10, 0))
        st.ncs.append(gemmi.NcsOp(turn, "2", given))
        name = written(st, tmp_path, kind)
        chemistry = from_file(name, hydrogens="drop")
        crystal = structure_crystal(read_model(name).structure)
        ncs, messages = find_copies(read_model(name), chemistry, crystal)
        assert len(chemistry.atoms) == 13 and len(messages) == 1
        if given:
            assert ncs is None and "1 operators" in messages[0] and "not applied" in messages[0]
        else:
            assert ncs.names == ("1", "2") and len(ncs.atoms(chemistry.atoms)) == 26
            assert ncs.positions(np.array([[1.0, 2.0, 3.0]]))[1] == pytest.approx([9.0, 8.0, 3.0])


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_microheterogeneity(tmp_path, kind):
    """ALA and GLY at one place: both are bonded to their neighbours, not to each other."""
    st = piece(59, 61)
    residue = st[0][0][1]
    leucine, alanine = residue.clone(), residue.clone()
    for atom in leucine:
        atom.altloc, atom.occ = "A", 0.6
    alanine.name = "ALA"
    for name in ("CG", "CD1", "CD2"):
        alanine.remove_atom(name, "*", gemmi.Element("C"))
    for atom in alanine:
        atom.altloc, atom.occ = "B", 0.4
    del st[0][0][1]
    st[0][0].add_residue(leucine, 1)
    st[0][0].add_residue(alanine, 2)
    model = from_file(written(st, tmp_path, kind), hydrogens="drop")
    pairs = {frozenset(model.labels[i] for i in row) for row in model.topology.bonds.atoms}
    for name, altloc in (("LEU", "A"), ("ALA", "B")):
        assert {"A/59/ALA/C", f"A/60/{name}/N.{altloc}"} in pairs
        assert {f"A/60/{name}/C.{altloc}", "A/61/GLY/N"} in pairs
    assert not any("LEU" in a and "/60/ALA" in b for pair in pairs for a in pair for b in pair)
    assert model.links == () and len(model.atoms) == 5 + 8 + 5 + 4
    assert not any("Gaps" in message for message in model.messages)


@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_insertion_codes_and_negative_numbers(tmp_path, kind):
    st = piece(59, 62)
    for residue, number in zip(st[0][0], ((-1, " "), (0, " "), (0, "A"), (0, "B")), strict=True):
        residue.seqid = gemmi.SeqId(*number)
    model = from_file(written(st, tmp_path, kind), hydrogens="drop")
    pairs = {frozenset(model.labels[i] for i in row) for row in model.topology.bonds.atoms}
    assert {"A/-1/ALA/C", "A/0/LEU/N"} in pairs and {"A/0/LEU/C", "A/0A/GLY/N"} in pairs
    assert any(label.startswith("A/0B/") for label in model.labels)


def test_blank_chain_name(tmp_path):
    st = piece(59, 60)
    st[0][0].name = ""
    model = from_file(written(st, tmp_path, "pdb"), hydrogens="drop")
    assert model.labels[0] == "/59/ALA/N"
    out = update_structure(model, model.atoms.xyz, model.atoms.b_iso, False, True)
    for kind in ("pdb", "cif"):
        again = from_file(written(out, tmp_path, kind), hydrogens="drop")
        assert len(again.atoms) == len(model.atoms)
        assert len(again.topology.bonds.ideal) == len(model.topology.bonds.ideal)


def test_empty_chains_and_zero_occupancies(tmp_path):
    st = piece(59, 60)
    st[0].add_chain(gemmi.Chain("E"))
    st[0][0][0][1].occ = 0.0
    model = build(st, hydrogens="drop")
    assert [chain.name for chain in model.structure[0]] == ["A"] and model.atoms.occ[1] == 0.0
    assert model.atoms.scattering_weight[1] == 0.0 and len(model.topology.bonds.ideal) == 12


def test_deuterium_beside_hydrogen():
    """A half-exchanged amide: one riding hydrogen when they are kept, both written again; none of both when added."""
    first = build(piece(59, 61))
    st = update_structure(first, first.atoms.xyz, first.atoms.b_iso, True, True)
    residue = st[0][0][1]
    amide = residue.find_atom("H", "\0")
    other = amide.clone()
    amide.altloc, amide.occ = "A", 0.5
    other.altloc, other.occ, other.name, other.element = "B", 0.5, "D", gemmi.Element("D")
    residue.add_atom(other)
    kept = build(st, hydrogens="keep")
    h = kept.labels.index("A/60/LEU/H")
    assert kept.atoms.occ[h] == 1.0 and kept.labels[kept.atoms.parent[h]] == "A/60/LEU/N"
    again = update_structure(kept, kept.atoms.xyz, kept.atoms.b_iso, True, True)
    pair = [(a.name, a.element.name, a.altloc, a.occ) for a in again[0][0][1] if a.name in ("H", "D")]
    assert {p[1] for p in pair} == {"H", "D"}
    assert sum(p[3] for p in pair) == pytest.approx(1.0)
    added = build(st, hydrogens="add")
    assert "A/60/LEU/H" in added.labels and not any("/D" in label for label in added.labels)
    assert any("Deuterium" in message for message in added.messages)


def test_dna_of_the_past():
    chain = gemmi.Chain("A")
    for number, kind in enumerate(("DA", "DC", "DT"), 1):
        residue = monomer(kind, number)
        residue.name = kind[1]
        for atom in residue:
            atom.name = atom.name.replace("'", "*")
            atom.pos = gemmi.Position(atom.pos.x + 12.0 * number, atom.pos.y, atom.pos.z)
        chain.add_residue(residue)
    model = build(structure([chain]))
    assert [r.name for r in model.structure[0][0]] == ["DA", "DC", "DT"]
    assert sum("names of today" in message for message in model.messages) == 3
    assert [r.name for r in build(lone("A")).structure[0][0]] == ["A"]


@pytest.mark.parametrize("cell", [(30, 40, -5, 90, 90, 90), (30, 40, 50, 90, 90, 5), (30, 40, 50, 60, 60, 150)])
def test_impossible_cell(cell):
    st = piece(59, 60)
    st.cell = gemmi.UnitCell(*cell)
    with pytest.raises(InputError, match=r"The cell of .* is impossible"):
        structure_crystal(st)
    st.cell = CELL
    assert structure_crystal(st) is not None


def test_link_across_symmetry_is_restrained_and_refined_there():
    """A disulphide over a crystal's twofold axis: the bond's restraint pulls both sulphurs over the axis."""
    from gpurefine.backend import create
    from gpurefine.restraints.geometry import GeometryRestraints

    first = piece(71, 71)[0][0]
    sg = np.array(first[0].find_atom("SG", "\0").pos.tolist())
    for atom in first[0]:
        atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) - sg + [0.9, 12.0, 0.7]))
    st = structure([first], "P 1 2 1")
    st.cell = gemmi.UnitCell(60, 65, 70, 90, 90, 90)
    con = gemmi.Connection()
    con.name, con.type, con.asu = "disulf1", gemmi.ConnectionType.Disulf, gemmi.Asu.Different
    con.partner1 = gemmi.AtomAddress("A", gemmi.SeqId(71, " "), "CYS", "SG", "\0")
    con.partner2 = gemmi.AtomAddress("A", gemmi.SeqId(71, " "), "CYS", "SG", "\0")
    st.connections.append(con)
    model = build(st, hydrogens="drop")
    (link,) = model.links
    assert link.link == "disulf" and link.symmetry and link.distance == pytest.approx(2 * np.hypot(0.9, 0.7), abs=1e-3)
    crystal = structure_crystal(st)
    geometry = GeometryRestraints(model.topology, crystal, create("reference", 1))
    i = model.labels.index("A/71/CYS/SG")
    pull = geometry.evaluate(model.atoms.xyz, False).gradient[i]
    shifted = model.atoms.xyz.copy()
    shifted[i] += 0.01 * np.array([0.9, 0.0, 0.7])
    assert geometry.residuals(shifted).bond.max() > geometry.residuals(model.atoms.xyz).bond.max()
    assert pull @ [0.9, 0.0, 0.7] > 0.0 and len(geometry.residuals(shifted).bond) == 6


def test_element_against_the_dictionary():
    """Magnesium by name, manganese by element: the element scatters, and the user is told."""
    st = lone("MG", ("MG", "Mn", (1, 2, 3)))
    model = build(st)
    assert model.atoms.scatterer_names == ("Mn",)
    assert any("A/7/MG/MG (Mn, in the dictionary Mg)" in message for message in model.messages)
    assert not build(lone("MG", ("MG", "Mg", (1, 2, 3)))).messages
