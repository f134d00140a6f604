"""Restraints of small models: counts that can be worked out by hand, hydrogens, links, errors."""

import gemmi
import numpy as np
import pytest
from chemistry_cases import add_atom, bond_lengths, build, lone, monomer, piece, structure

from gpurefine.errors import ChemistryError, InputError
from gpurefine.io.restraint_arrays import chiral_volume
from gpurefine.io.topology import update_structure


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def test_counts_of_a_tripeptide():
    """ALA-LEU-GLY without hydrogens: 4 + 7 + 3 bonds and 2 links; 4 + 8 + 2 angles and 3 for each link."""
    model = build(piece(59, 61), hydrogens="drop")
    top = model.topology
    assert len(model.atoms) == 5 + 8 + 4 and not model.atoms.is_hydrogen.any()
    assert len(top.bonds.ideal) == 16 and len(top.angles.ideal) == 20
    names = {tuple(model.labels[i].rpartition("/")[2] for i in row) for row in top.torsions.atoms}
    assert {("N", "CA", "CB", "CG"), ("CA", "CB", "CG", "CD1"), ("CA", "C", "N", "CA")} <= names
    assert len(top.torsions.ideal) == 4  # two χ of LEU, two ω
    centres = [model.labels[i] for i in top.chirals.atoms[:, 0]]
    assert sorted(centres) == ["A/59/ALA/CA", "A/60/LEU/CA", "A/60/LEU/CG"]
    assert top.chirals.both.tolist() == [centre.endswith("CG") for centre in centres]
    assert len(top.planes.sigma) == 2 and list(np.diff(top.planes.start)) == [4, 4]
    assert model.links == () and model.labels[0] == "A/59/ALA/N"
    pairs = [{model.labels[i] for i in row} for row in top.bonds.atoms]
    assert top.bonds.ideal[pairs.index({"A/60/LEU/N", "A/59/ALA/C"})] == pytest.approx(1.337, abs=0.01)
    assert np.all(top.bonds.sigma > 0) and np.all((top.angles.ideal > 1.5) & (top.angles.ideal < 2.3))


def test_riding_hydrogens():
    model = build(piece(59, 61))
    top, atoms = model.topology, model.atoms
    # ALA: no OXT and no H on N (an amide needs the residue before): NH3 of the first residue is in the dictionary
    names = [label.rpartition("/")[2] for label, h in zip(model.labels, atoms.is_hydrogen, strict=True) if h]
    assert {"HA", "HB1", "HB2", "HB3", "HG", "HA2", "HA3"} <= set(names)
    hydrogens = np.flatnonzero(atoms.is_hydrogen)
    assert np.all(atoms.parent[hydrogens] != hydrogens) and np.all(~atoms.is_hydrogen[atoms.parent[hydrogens]])
    assert np.all(atoms.parent[~atoms.is_hydrogen] == np.flatnonzero(~atoms.is_hydrogen))
    distance = np.linalg.norm(atoms.xyz[hydrogens] - atoms.xyz[atoms.parent[hydrogens]], axis=1)
    assert np.all((distance > 0.8) & (distance < 1.1))
    np.testing.assert_array_equal(atoms.b_iso[hydrogens], atoms.b_iso[atoms.parent[hydrogens]])
    amide = model.labels.index("A/60/LEU/H")
    assert top.nonbonded.hb_type[amide] == 4 and top.nonbonded.hb_type[model.labels.index("A/60/LEU/HA")] == 0
    assert top.nonbonded.hb_type[model.labels.index("A/60/LEU/O")] == 2
    assert top.nonbonded.hb_type[model.labels.index("A/60/LEU/N")] == 1
    assert top.nonbonded.vdw_radius[model.labels.index("A/60/LEU/CB")] == pytest.approx(1.92)
    assert top.nonbonded.vdw_radius.max() <= 2.0
    kept = build(update_structure(model, atoms.xyz, atoms.b_iso, True, False), hydrogens="keep")
    assert len(kept.atoms) == len(atoms)
    np.testing.assert_array_equal(kept.atoms.parent, atoms.parent)


def test_waters_and_rotatable_groups_get_no_hydrogen():
    st = piece(70, 71)
    water = gemmi.Residue()
    water.name, water.seqid, water.het_flag = "HOH", gemmi.SeqId(301, " "), "H"
    add_atom(water, "O", "O", (40, 40, 40))
    chain = gemmi.Chain("W")
    chain.add_residue(water)
    st[0].add_chain(chain)
    st.setup_entities()
    model = build(st)
    names = [label for label, h in zip(model.labels, model.atoms.is_hydrogen, strict=True) if h]
    assert not any("HOH" in name for name in names)
    assert "A/70/SER/HG" not in names and "A/70/SER/HB2" in names
    assert model.topology.nonbonded.hb_type[model.labels.index("W/301/HOH/O")] == 3


def test_cis_peptide():
    model = build(piece(89, 92), hydrogens="drop")
    assert any("Cis peptides: A/90–91" in message for message in model.messages)
    names = ["A/90/TYR/CA", "A/90/TYR/C", "A/91/PRO/N", "A/91/PRO/CA"]
    k = next(k for k, row in enumerate(model.topology.torsions.atoms) if {model.labels[i] for i in row} == set(names))
    assert model.topology.torsions.ideal[k] == pytest.approx(0.0, abs=0.01)


def test_gap_is_not_bonded():
    st = piece(59, 64)
    del st[0][0][2:4]
    model = build(st, hydrogens="drop")
    assert any("Gaps in chains, not bonded: A/60–63" in message for message in model.messages)


def two_cysteines(shift=(0.0, 0.0, 0.0)) -> gemmi.Structure:
    """CYS 71 and a copy turned by a twofold axis so that the sulphurs are 2.03 Å apart; the copy moved by ``shift``."""
    first = piece(71, 71)[0][0]
    sg, cb = (np.array(first[0].find_atom(name, "\0").pos.tolist()) for name in ("SG", "CB"))
    along = (sg - cb) / np.linalg.norm(sg - cb)
    axis = np.cross(along, [0.3, 0.5, 0.8])
    axis /= np.linalg.norm(axis)
    turn = 2.0 * np.outer(axis, axis) - np.eye(3)
    centre = sg + 1.015 * along
    second = first.clone()
    second.name = "B"
    for atom in second[0]:
        atom.pos = gemmi.Position(*(turn @ (np.array(atom.pos.tolist()) - centre) + centre + shift))
    return structure([first, second])


def test_disulphide_found_by_distance():
    st = two_cysteines()
    model = build(st)
    (link,) = model.links
    assert (link.link, link.origin, link.symmetry) == ("disulf", "distance", False)
    assert {link.atom1, link.atom2} == {"A/71/CYS/SG", "B/71/CYS/SG"} and link.distance == pytest.approx(2.03, abs=0.01)
    assert any("found by distance" in message for message in model.messages)
    assert not any(label.endswith("/HG") for label in model.labels)
    assert not build(two_cysteines((0.0, 0.0, 9.0))).links


def test_overlapping_chains_are_not_linked():
    """A carboxylate that has both its oxygens is 1.3 Å from the amide N of another chain that is not in its place."""
    st = piece(59, 61)
    chain = st[0][0]
    place = {atom.name: np.array(atom.pos.tolist()) for atom in chain[2]}
    across = place["C"] - 0.5 * (place["CA"] + place["O"])
    add_atom(chain[2], "OXT", "O", place["C"] + 1.25 * across / np.linalg.norm(across))
    second = chain.clone()
    second.name = "B"
    normal = np.cross(place["CA"] - place["C"], place["O"] - place["C"])
    goal = place["C"] + 1.3 * normal / np.linalg.norm(normal)
    shift = goal - np.array(second[0]["N"][0].pos.tolist())
    for residue in second:
        for atom in residue:
            atom.pos += gemmi.Position(*shift)
    model = build(structure([chain, second]))
    assert not model.links
    (told,) = (message for message in model.messages if "do chains overlap?" in message)
    assert told.startswith("Warning: ") and "A/61/GLY/C" in told and "B/59/ALA/N" in told and "A/61/GLY/OXT" in told


def test_disulphide_to_a_symmetry_mate():
    st = two_cysteines((90.0, 0.0, 0.0))
    model = build(st)
    (link,) = model.links
    assert link.symmetry and link.distance == pytest.approx(2.03, abs=0.01)
    bonds = model.topology.bonds
    (k,) = np.flatnonzero(bonds.shift.any(axis=1))
    assert bonds.image[k] == 0 and abs(bonds.shift[k, 0]) == 1
    assert bond_lengths(model, st)[k] == pytest.approx(2.03, abs=0.01)
    across = {int(i) for i in bonds.atoms[k]}
    assert not any(across <= {int(i) for i in row} for row in model.topology.angles.atoms)


def test_disulphide_of_the_file_is_not_found_again():
    st = two_cysteines()
    con = gemmi.Connection()
    con.name, con.type, con.asu = "disulf1", gemmi.ConnectionType.Disulf, gemmi.Asu.Same
    con.partner1 = gemmi.AtomAddress("B", gemmi.SeqId(71, " "), "CYS", "SG", "\0")
    con.partner2 = gemmi.AtomAddress("A", gemmi.SeqId(71, " "), "CYS", "SG", "\0")
    st.connections.append(con)
    (link,) = build(st).links
    assert (link.link, link.origin) == ("disulf", "file")
    con.partner1.atom_name = "SX"
    st.connections.clear()
    st.connections.append(con)
    model = build(st)
    assert any("not in the model: ignored are" in message for message in model.messages)
    assert [link.origin for link in model.links] == ["distance"]


def test_link_that_no_dictionary_has():
    """A bond LYS NZ – GOL C1: the bond alone is restrained, at the sum of covalent radii or so."""
    st = piece(74, 74)
    nz = np.array(st[0][0][0].find_atom("NZ", "\0").pos.tolist())
    glycerol = monomer("GOL", 500)
    start = np.array(glycerol.find_atom("C1", "\0").pos.tolist())
    for atom in glycerol:
        atom.pos = gemmi.Position(*(np.array(atom.pos.tolist()) - start + nz + [0.9, 0.9, 0.8]))
    chain = gemmi.Chain("G")
    chain.add_residue(glycerol)
    st[0].add_chain(chain)
    st.setup_entities()
    con = gemmi.Connection()
    con.name, con.type, con.asu = "covale1", gemmi.ConnectionType.Covale, gemmi.Asu.Same
    con.partner1 = gemmi.AtomAddress("A", gemmi.SeqId(74, " "), "LYS", "NZ", "\0")
    con.partner2 = gemmi.AtomAddress("G", gemmi.SeqId(500, " "), "GOL", "C1", "\0")
    assert build(st).links == ()
    st.connections.append(con)
    model = build(st)
    (link,) = model.links
    assert link.link == "bond" and 1.3 < link.ideal < 1.7 and str(link) in " ".join(model.messages)
    assert not any(label.startswith("A/74/LYS/HZ") for label in model.labels)


def zinc_and_histidine(with_link: bool) -> gemmi.Structure:
    st = piece(30, 30)
    residue = st[0][0][0]
    ne2, cd2, ce1 = (np.array(residue.find_atom(n, "\0").pos.tolist()) for n in ("NE2", "CD2", "CE1"))
    out = 2 * ne2 - cd2 - ce1
    zinc = gemmi.Residue()
    zinc.name, zinc.seqid, zinc.het_flag = "ZN", gemmi.SeqId(401, " "), "H"
    add_atom(zinc, "ZN", "Zn", ne2 + 2.1 * out / np.linalg.norm(out))
    chain = gemmi.Chain("Z")
    chain.add_residue(zinc)
    st[0].add_chain(chain)
    st.setup_entities()
    if with_link:
        con = gemmi.Connection()
        con.name, con.type, con.asu = "metalc1", gemmi.ConnectionType.MetalC, gemmi.Asu.Same
        con.partner1 = gemmi.AtomAddress("Z", gemmi.SeqId(401, " "), "ZN", "ZN", "\0")
        con.partner2 = gemmi.AtomAddress("A", gemmi.SeqId(30, " "), "HIS", "NE2", "\0")
        st.connections.append(con)
    return st


@pytest.mark.parametrize("with_link", [True, False])
def test_metal(with_link):
    model = build(zinc_and_histidine(with_link))
    assert "A/30/HIS/HE2" not in model.labels and "A/30/HIS/HD2" in model.labels
    metal = model.topology.nonbonded
    i = model.labels.index("Z/401/ZN/ZN")
    assert metal.is_metal[i] and metal.is_metal.sum() == 1 and metal.ion_radius[i] == pytest.approx(0.74)
    assert len(model.links) == with_link
    assert any("no LINK record" in message for message in model.messages) != with_link


def test_link_record_with_another_name_of_the_ion():
    """A record that calls the zinc of the model MN: there is one atom of that number, which is meant."""
    st = zinc_and_histidine(True)
    con = st.connections[0]
    con.partner1.res_id.name, con.partner1.atom_name = "MN", "MN"
    (link,) = build(st).links
    assert link.link == "ZN-HISNE" and {link.atom1, link.atom2} == {"Z/401/ZN/ZN", "A/30/HIS/NE2"}


def test_false_chiral_centre_may_have_either_sign():
    signs = build(lone("TRS")).topology.chirals
    assert len(signs.ideal) == 1 and signs.both[0]
    assert not build(piece(59, 59)).topology.chirals.both.any()


def test_chiral_volume_and_its_uncertainty():
    length, angle = np.array([[1.53, 1.52, 1.46]]), np.radians([[110.0, 109.0, 111.0]])
    length_sigma, angle_sigma = np.array([[0.01, 0.012, 0.015]]), np.radians([[1.5, 1.2, 1.8]])
    volume, sigma = chiral_volume(length, length_sigma, angle, angle_sigma)
    assert 2.2 < volume[0] < 2.8
    rng = np.random.default_rng(3)
    n = 40_000
    many, _ = chiral_volume(length + rng.normal(size=(n, 3)) * length_sigma, np.ones((n, 3)),
                            angle + rng.normal(size=(n, 3)) * angle_sigma, np.ones((n, 3)))  # fmt: skip
    assert np.std(many) == pytest.approx(sigma[0], rel=0.02)
    edges = 1.5 * np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    right, _ = chiral_volume(np.full((1, 3), 1.5), np.ones((1, 3)), np.full((1, 3), np.pi / 2), np.ones((1, 3)))
    assert right[0] == pytest.approx(np.linalg.det(edges))


def test_update_structure():
    model = build(piece(59, 61))
    moved = update_structure(model, model.atoms.xyz + 1.0, model.atoms.b_iso + 5.0, False, True)
    assert moved[0].count_atom_sites() == 17 and model.structure[0].count_atom_sites() > 17
    first = moved[0][0][0][0]
    np.testing.assert_allclose(first.pos.tolist(), model.atoms.xyz[0] + 1.0)
    assert first.b_iso == pytest.approx(model.atoms.b_iso[0] + 5.0, abs=1e-4)
    with_h = update_structure(model, model.atoms.xyz, model.atoms.b_iso, True, False)
    assert with_h[0].count_atom_sites() == len(model.atoms)


def test_anisotropic_atoms_and_b():
    st = piece(59, 59)
    atom = st[0][0][0][0]
    atom.aniso = gemmi.SMat33f(0.1, 0.2, 0.3, 0.01, 0.02, 0.03)
    st[0][0][0][1].b_iso, st[0][0][0][2].b_iso = -3.0, 2000.0
    model = build(st, hydrogens="drop")
    assert model.atoms.is_aniso.tolist() == [True, False, False, False, False]
    np.testing.assert_allclose(model.atoms.u_aniso[0], (0.1, 0.2, 0.3, 0.01, 0.02, 0.03), rtol=1e-6)
    np.testing.assert_allclose(model.atoms.b_iso[:3], (8 * np.pi**2 * 0.2, 2.0, 999.0), rtol=1e-6)
    assert sum("B was" in message for message in model.messages) == 2


def test_alternative_conformers():
    st = piece(59, 59)
    residue = st[0][0][0]
    cb = residue.find_atom("CB", "\0")
    cb.altloc, cb.occ = "A", 0.6
    other = cb.clone()
    other.altloc, other.occ = "B", 0.4
    other.pos = gemmi.Position(*(np.array(other.pos.tolist()) + 0.3))
    residue.add_atom(other)
    model = build(st, hydrogens="drop")
    assert model.labels[-1] == "A/59/ALA/CB.B" and len(model.topology.bonds.ideal) == 5
    assert model.topology.nonbonded.altloc.tolist() == [0, 0, 0, 0, 1, 2]
    assert len(model.topology.chirals.ideal) == 2


def duplicate(st):
    st[0][0][0].add_atom(st[0][0][0][0])


def negative(st):
    st[0][0][0][1].occ = -0.1


def element(st):
    st[0][0][0][1].element = gemmi.Element("X")


def models(st):
    other = gemmi.Model(2)
    other.add_chain(st[0][0].clone())
    st.add_model(other)


def nothing(st):
    del st[0]


@pytest.mark.parametrize(("spoil", "words"), [
    (duplicate, "same atoms twice in A/59/ALA"), (negative, "negative occupancy: A/59/ALA/CA"),
    (element, "no known element: A/59/ALA/CA"), (models, "2 models"), (nothing, "no atoms"),
])  # fmt: skip
def test_models_that_cannot_be_refined(spoil, words):
    st = piece(59, 60)
    spoil(st)
    with pytest.raises(InputError, match=words):
        build(st)


def test_high_occupancy_and_dummies():
    st = piece(59, 60)
    st[0][0][0][1].occ = 1.3
    dummy = gemmi.Residue()
    dummy.name, dummy.seqid = "DUM", gemmi.SeqId(900, " ")
    add_atom(dummy, "DUM", "X", (1, 2, 3))
    st[0][0].add_residue(dummy)
    model = build(st, hydrogens="drop")
    assert len(model.atoms) == 13 and model.atoms.occ[1] == pytest.approx(1.3)
    assert any("DUM" in m for m in model.messages) and any("Occupancy over 1" in m for m in model.messages)


def test_atom_that_no_dictionary_has():
    st = piece(59, 60)
    add_atom(st[0][0][0], "CX9", "C", np.array(st[0][0][0][1].pos.tolist()) + 1.2)
    with pytest.raises(ChemistryError, match=r"dictionary of ALA \(embedded\) has no atom named as A/59/ALA/CX9"):
        build(st)


def test_input_is_left_alone():
    st = piece(59, 61)
    before = st.make_pdb_string()
    build(st)
    assert st.make_pdb_string() == before
