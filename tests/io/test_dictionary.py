"""The embedded monomer library, library directories and ligand files."""

import gzip
import importlib.util
from pathlib import Path

import gemmi
import numpy as np
import pytest
from chemistry_cases import build, lone, structure

from gpurefine.config import ChemistryOptions
from gpurefine.errors import ChemistryError, InputError
from gpurefine.io.dictionary import load_dictionary
from gpurefine.io.library_places import embedded_document, embedded_names
from gpurefine.io.make_library import EMBEDDED, MONOMERS, make_library

WANTED = """
ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL MSE A C G U DA DC DG DT
HOH NA K MG CA MN FE FE2 NI CU CU1 ZN CD CL BR IOD SO4 PO4 ACT FMT CIT GOL EDO PEG MPD TRS DMS
NAG BMA MAN FUC GAL HEM
"""


@pytest.fixture(autouse=True)
def no_library(monkeypatch):
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


def write_library(folder: Path, names: list[str], whole: bool = False) -> Path:
    """A library directory with some of the embedded residues, with or without links and energy types."""
    document = embedded_document()
    for name in names:
        path = folder / name[0].lower() / f"{name}.cif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(document.find_block(f"comp_{name}").as_string())
    if whole:
        (folder / "list").mkdir()
        frame = [b for b in document if b.name.startswith(("link_", "mod_"))]
        (folder / "list" / "mon_lib_list.cif").write_text("\n".join(b.as_string() for b in frame))
        (folder / "ener_lib.cif").write_text(document.find_block("energy").as_string())
    return folder


def test_embedded_library_has_what_models_need():
    assert set(WANTED.split()) <= set(MONOMERS) == set(embedded_names())
    dictionary = load_dictionary(MONOMERS, ChemistryOptions())
    assert set(dictionary.source.values()) == {"embedded"} and dictionary.messages == []
    assert {"TRANS", "CIS", "PTRANS", "PCIS", "NMTRANS", "p", "disulf", "gap", "BETA1-4", "ALPHA1-6", "pyr-ASN"} <= set(
        dictionary.monlib.links
    )
    assert {"DEL-OXT", "DEL-HN1", "CYS-SS", "DEL-O1"} <= set(dictionary.monlib.modifications)
    assert EMBEDDED.stat().st_size < 300_000


@pytest.mark.parametrize("name", MONOMERS)
def test_every_embedded_residue_is_usable(name):
    monlib = load_dictionary([name], ChemistryOptions()).monlib
    component = monlib.monomers[name]
    assert {atom.chem_type for atom in component.atoms} <= set(monlib.ener_lib.atoms)
    model = build(lone(name))
    heavy = [a for a in component.atoms if not a.is_hydrogen()]
    assert (~model.atoms.is_hydrogen).sum() == len(heavy)
    assert model.messages == ()
    n_bonds = sum(not (component.get_atom(b.id1.atom).is_hydrogen() or component.get_atom(b.id2.atom).is_hydrogen())
                  for b in component.rt.bonds)  # fmt: skip
    between_heavy = ~model.atoms.is_hydrogen[model.topology.bonds.atoms].any(axis=1)
    assert between_heavy.sum() == n_bonds


@pytest.mark.parametrize(("name", "group"), [
    ("ALA", "Peptide"), ("PRO", "PPeptide"), ("DPN", "Peptide"), ("DA", "Dna"), ("A", "Rna"), ("NAG", "Pyranose"),
    ("NDG", "Pyranose"), ("GOL", "NonPolymer"),
])  # fmt: skip
def test_groups(name, group):
    assert load_dictionary([name], ChemistryOptions()).monlib.monomers[name].group == gemmi.ChemComp.Group[group]


def test_library_is_made_reproducibly(tmp_path):
    source = write_library(tmp_path / "library", list(MONOMERS), whole=True)
    for path in source.glob("?/*.cif"):
        block = gemmi.cif.read(str(path)).sole_block()
        name, group = block.find_value("_chem_comp.id"), block.find_value("_chem_comp.group")
        path.write_text(f"data_comp_list\nloop_\n_chem_comp.id\n_chem_comp.group\n{name} {group}\n{path.read_text()}")
    first, second = tmp_path / "1.gz", tmp_path / "2.gz"
    assert make_library(source, first) == make_library(source, second)
    assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress(first.read_bytes()) == gzip.decompress(EMBEDDED.read_bytes())
    (source / "a" / "ALA.cif").unlink()
    with pytest.raises(ChemistryError, match="has no ALA"):
        make_library(source, first)


def test_corrected_haem_closes_its_ring():
    """Fe at the origin, N on x, the methine on the diagonal: one corrected value follows from the others."""
    from gpurefine.io.library_corrections import PORPHYRIN_ANGLES as angle
    from gpurefine.io.library_corrections import PORPHYRIN_BONDS as bond

    turn = np.radians(180.0 - angle["FeNα"])
    alpha = np.array([bond["FeN"] + bond["Nα"] * np.cos(turn), bond["Nα"] * np.sin(turn)])
    half = (alpha[0] - alpha[1]) / np.sqrt(2.0)
    assert 2.0 * np.degrees(np.arcsin(half / bond["mα"])) == pytest.approx(angle["αmα"], abs=1.0)
    assert angle["αNα"] + 2.0 * angle["FeNα"] == pytest.approx(360.0, abs=0.5)
    assert angle["Nαβ"] + angle["Nαm"] + angle["mαβ"] == pytest.approx(360.0, abs=0.5)
    assert angle["αNα"] + 2.0 * (angle["Nαβ"] + angle["αββ"]) == pytest.approx(540.0, abs=0.5)
    beta = bond["ββ"] / 2.0
    away = alpha + bond["αβ"] * np.array([
        np.cos(turn - np.radians(180.0 - angle["Nαβ"])), np.sin(turn - np.radians(180.0 - angle["Nαβ"]))
    ])
    assert abs(away[1]) == pytest.approx(beta, abs=0.05)


def test_all_unknown_residues_at_once():
    with pytest.raises(ChemistryError) as told:
        load_dictionary({"ALA": "A/1", "QQ1": "B/12", "QQ2": "C/5A"}, ChemistryOptions())
    message = str(told.value)
    assert "2 kinds of residue" in message
    assert "QQ1 (for example B/12)" in message and "QQ2 (for example C/5A)" in message
    assert "--ligand" in message and "ALA" not in message


def test_directory_wins_over_embedded(tmp_path):
    folder = write_library(tmp_path, ["ALA"], whole=True)
    dictionary = load_dictionary(["ALA", "GLY"], ChemistryOptions(monlib=str(folder)))
    assert dictionary.source == {"ALA": str(folder / "a" / "ALA.cif"), "GLY": "embedded"}
    assert dictionary.links_source == str(folder)


def test_directory_without_links_gives_only_what_is_not_embedded(tmp_path, monkeypatch):
    folder = write_library(tmp_path, ["ALA", "GOL"])
    text = (folder / "g" / "GOL.cif").read_text()
    (folder / "q").mkdir()
    (folder / "q" / "QQ1.cif").write_text(text.replace("GOL", "QQ1"))
    (folder / "a" / "ALA.cif").write_text("data_ broken {")
    monkeypatch.setenv("CLIBD_MON", str(folder))
    dictionary = load_dictionary(["ALA", "QQ1"], ChemistryOptions())
    assert dictionary.source == {"ALA": "embedded", "QQ1": str(folder / "q" / "QQ1.cif")}
    assert dictionary.links_source == "embedded" and "TRANS" in dictionary.monlib.links
    assert "no links or energy types" in dictionary.messages[0]


def test_unreadable_residue_of_a_whole_directory(tmp_path):
    folder = write_library(tmp_path, ["HIS"], whole=True)
    (folder / "h" / "HIS.cif").write_text("data_comp_HIS\nloop_\n_a.b\n_a.c\n1\n")
    dictionary = load_dictionary(["HIS"], ChemistryOptions(monlib=str(folder)))
    assert dictionary.source == {"HIS": "embedded"} and "HIS.cif" in dictionary.messages[0]


@pytest.mark.parametrize("by", ["option", "environment"])
def test_missing_directory(tmp_path, monkeypatch, by):
    missing = str(tmp_path / "nowhere")
    if by == "environment":
        monkeypatch.setenv("CLIBD_MON", missing)
    with pytest.raises(InputError, match="--monlib" if by == "option" else "CLIBD_MON"):
        load_dictionary(["ALA"], ChemistryOptions(monlib=missing if by == "option" else None))


def ligand_file(path: Path, name: str, text_of: str = "EDO", change=lambda text: text) -> Path:
    path.write_text(change(embedded_document().find_block(f"comp_{text_of}").as_string().replace(text_of, name)))
    return path


def test_ligand_file_overrides_the_library(tmp_path):
    path = ligand_file(tmp_path / "edo.cif", "EDO", change=lambda text: text.replace("1.524 ", "1.600 "))
    before = {b.value for b in load_dictionary(["EDO"], ChemistryOptions()).monlib.monomers["EDO"].rt.bonds}
    assert 1.524 in {round(v, 4) for v in before}, "the test changes this value"
    dictionary = load_dictionary(["EDO"], ChemistryOptions(ligand=(str(path),)))
    assert dictionary.source["EDO"] == str(path)
    after = {round(b.value, 4) for b in dictionary.monlib.monomers["EDO"].rt.bonds}
    assert 1.6 in after and 1.524 not in after
    assert str(path.name) not in dictionary.summary and "EDO" in dictionary.summary


def test_ligand_file_gives_an_unknown_residue(tmp_path):
    path = ligand_file(tmp_path / "qq1.cif", "QQ1")
    chain = gemmi.Chain("A")
    residue = lone("EDO")[0][0][0]
    residue.name = "QQ1"
    chain.add_residue(residue)
    st = structure([chain])
    with pytest.raises(ChemistryError, match=r"QQ1 \(for example A/7\)"):
        build(st)
    assert build(st, ligand=(str(path),)).dictionary.source == {"QQ1": str(path)}


def test_ligand_file_without_values(tmp_path):
    path = tmp_path / "ccd.cif"
    path.write_text(
        "data_QQ1\nloop_\n_chem_comp_atom.comp_id\n_chem_comp_atom.atom_id\n_chem_comp_atom.type_symbol\n"
        "QQ1 C1 C\nQQ1 C2 C\n"
        "loop_\n_chem_comp_bond.comp_id\n_chem_comp_bond.atom_id_1\n_chem_comp_bond.atom_id_2\nQQ1 C1 C2\n"
    )
    with pytest.raises(ChemistryError, match=r"no ideal bond lengths of QQ1.*AceDRG"):
        load_dictionary(["ALA"], ChemistryOptions(ligand=(str(path),)))


@pytest.mark.parametrize(
    ("text", "error"), [(None, InputError), ("no cif at all {", InputError), ("data_x\n_a.b 1\n", ChemistryError)]
)
def test_useless_ligand_file(tmp_path, text, error):
    path = tmp_path / "x.cif"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=r"x\.cif"):
        load_dictionary(["ALA"], ChemistryOptions(ligand=(str(path),)))


def test_link_and_modification_of_a_ligand_file(tmp_path):
    path = tmp_path / "link.cif"
    path.write_text(
        "data_link_list\nloop_\n_chem_link.id\n_chem_link.comp_id_1\n_chem_link.mod_id_1\n_chem_link.group_comp_1\n"
        "_chem_link.comp_id_2\n_chem_link.mod_id_2\n_chem_link.group_comp_2\n_chem_link.name\n"
        "disulf CYS CYS-SS peptide CYS CYS-SS peptide mine\n"
        "data_mod_list\nloop_\n_chem_mod.id\n_chem_mod.name\n_chem_mod.comp_id\n_chem_mod.group_id\n"
        "CYS-SS mine CYS peptide\n"
        "data_link_disulf\nloop_\n_chem_link_bond.link_id\n_chem_link_bond.atom_1_comp_id\n_chem_link_bond.atom_id_1\n"
        "_chem_link_bond.atom_2_comp_id\n_chem_link_bond.atom_id_2\n_chem_link_bond.type\n_chem_link_bond.value_dist\n"
        "_chem_link_bond.value_dist_esd\ndisulf 1 SG 2 SG single 2.100 0.02\n"
        "data_mod_CYS-SS\nloop_\n_chem_mod_atom.mod_id\n_chem_mod_atom.function\n_chem_mod_atom.atom_id\n"
        "_chem_mod_atom.new_atom_id\n_chem_mod_atom.new_type_symbol\n_chem_mod_atom.new_type_energy\n"
        "_chem_mod_atom.new_charge\nCYS-SS delete HG . H H 0\n"
    )
    dictionary = load_dictionary(["CYS"], ChemistryOptions(ligand=(str(path),)))
    link = dictionary.monlib.links["disulf"]
    assert link.rt.bonds[0].value == pytest.approx(2.1)
    assert link.side1.mod == "CYS-SS-1" and {"CYS-SS", "CYS-SS-1"} <= set(dictionary.monlib.modifications)
    assert len(dictionary.messages) == 2


def test_no_machine_paths_in_the_library():
    assert importlib.util.find_spec("gpurefine.io.make_library") is not None
    text = gzip.decompress(EMBEDDED.read_bytes()).decode()
    assert "/opt/" not in text and "/home/" not in text
