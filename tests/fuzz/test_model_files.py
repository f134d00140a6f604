"""Damaged and odd models and ligand files: a model comes out or one sentence, never a traceback, never a hang.

GPUREFINE_FUZZ_N=20000 sets the number of damaged files of each kind (a longer run than the default).
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gemmi
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated

from gpurefine.config import ChemistryOptions
from gpurefine.errors import GpurefineError
from gpurefine.io.example import write_example
from gpurefine.io.library_places import embedded_document
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import ChemicalModel, build_model, update_structure

N = int(os.environ.get("GPUREFINE_FUZZ_N", "400"))
FALLBACK = crystal_from_gemmi(gemmi.UnitCell(90, 95, 100, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"))
LONGEST = 60
"""Seconds that one file may take."""


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


@contextmanager
def time_limit(what: str) -> Iterator[None]:
    def stop(number: int, frame: object) -> None:
        raise AssertionError(f"{what} took more than {LONGEST} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def noted(what: str, faults: list[str]) -> Iterator[None]:
    """Collect what no damaged file may cause."""
    try:
        yield
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        faults.append(f"{what}: {type(error).__name__} {error} ({Path(place.filename).name}:{place.lineno})"[:300])


def check(model: ChemicalModel) -> None:
    """What every model that is accepted must fulfil."""
    n, top = len(model.atoms), model.topology
    assert n == len(model.labels) == model.structure[0].count_atom_sites() == top.n_atoms > 0
    assert np.isfinite(model.atoms.xyz).all() and np.all(model.atoms.b_iso > 0.0) and np.all(model.atoms.occ >= 0.0)
    for terms in (top.bonds, top.angles, top.torsions, top.chirals):
        assert np.all((terms.atoms >= 0) & (terms.atoms < n))
        assert np.all(np.isfinite(terms.ideal)) and np.all(terms.sigma > 0.0)
    assert np.isfinite(top.nonbonded.vdw_radius).all() and np.all(top.parent[top.parent] == top.parent)
    written = update_structure(model, model.atoms.xyz, model.atoms.b_iso, False, True)
    assert len(written.make_mmcif_document().as_string()) > 0


def attempt(path: Path, **options: object) -> str:
    """Read, build and write: "" or the sentence of an error."""
    with time_limit(str(path)):
        try:
            model = read_model(str(path))
            crystal = structure_crystal(model.structure) or FALLBACK
            check(build_model(model.structure, crystal, ChemistryOptions(**options)))
        except GpurefineError as error:
            sentence = str(error)
            assert sentence.strip() and sentence.rstrip().endswith("."), sentence
            return sentence
    return ""


def small_model(folder: Path) -> gemmi.Structure:
    """Residues of the example with alternatives, a link, a metal, a sugar, waters and an old name."""
    model, _ = write_example(folder)
    whole = gemmi.read_structure(str(model))
    text = whole.make_pdb_string()
    keep = [line for line in text.splitlines() if not line.startswith(("ATOM", "HETATM", "TER", "ANISOU", "END"))]
    for line in text.splitlines():
        if line.startswith("ATOM") and (68 <= int(line[22:26]) <= 74):
            if line[12:16].strip() == "CB" and int(line[22:26]) == 70:
                keep += [line[:16] + "A" + line[17:54] + "  0.60" + line[60:]]
                keep += [line[:16] + "B" + line[17:54] + "  0.40" + line[60:]]
            else:
                keep.append(line)
    small = gemmi.read_pdb_string("\n".join(keep) + "\nEND\n")
    start = np.array(small[0][0][3].find_atom("CA", "*").pos.tolist())
    chain = gemmi.Chain("B")
    for number, name in enumerate(("NAG", "NAG", "GOL", "ZN", "HOH", "HOH", "DA", "SO4"), 301):
        residue = gemmi.Residue()
        residue.name, residue.seqid, residue.het_flag = name, gemmi.SeqId(number, " "), "H"
        block = embedded_document().find_block(f"comp_{name}")
        for row in block.find("_chem_comp_atom.", ["atom_id", "type_symbol", "x", "y", "z"]):
            if row.str(1) not in ("H", "D") and (number, row.str(0)) != (302, "O1"):
                atom = gemmi.Atom()
                atom.name, atom.element, atom.b_iso = row.str(0), gemmi.Element(row.str(1)), 20.0
                place = np.array([float(row[k]) for k in (2, 3, 4)]) + start + [12.0, 6.0 * (number - 301), 0]
                atom.pos = gemmi.Position(*place)
                residue.add_atom(atom)
        chain.add_residue(residue)
    small[0].add_chain(chain)
    small.setup_entities()
    con = gemmi.Connection()
    con.name, con.type, con.asu = "covale1", gemmi.ConnectionType.Covale, gemmi.Asu.Same
    con.partner1 = gemmi.AtomAddress("B", gemmi.SeqId(301, " "), "NAG", "O4", "\0")
    con.partner2 = gemmi.AtomAddress("B", gemmi.SeqId(302, " "), "NAG", "C1", "\0")
    small.connections.append(con)
    return small


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> gemmi.Structure:
    return small_model(tmp_path_factory.mktemp("small"))


def test_whole_files_are_accepted(small: gemmi.Structure, tmp_path: Path) -> None:
    (tmp_path / "a.pdb").write_text(small.make_pdb_string())
    (tmp_path / "a.cif").write_text(small.make_mmcif_document().as_string())
    assert attempt(tmp_path / "a.pdb") == "" and attempt(tmp_path / "a.cif") == ""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pdb", "cif"])
def test_damaged_models(small: gemmi.Structure, tmp_path: Path, kind: str) -> None:
    text = small.make_pdb_string() if kind == "pdb" else small.make_mmcif_document().as_string()
    path = tmp_path / f"damaged.{kind}"
    refused, faults = 0, list[str]()
    for seed in range(N):
        path.write_text(mutated(text, seed, tables=kind == "cif"), encoding="latin-1", newline="")
        with noted(f"seed {seed}", faults):
            refused += attempt(path, unknown_residues="keep" if seed % 2 else "stop") != ""
    assert not faults, "\n".join(faults)
    assert 0.05 * N < refused < 0.95 * N, "nearly all or nearly none were refused: the damage is of the wrong kind"


@pytest.mark.slow
def test_damaged_ligand_files(tmp_path: Path) -> None:
    document = embedded_document()
    model = tmp_path / "model.pdb"
    one = gemmi.Structure()
    one.spacegroup_hm, one.cell = "P 1", gemmi.UnitCell(50, 50, 50, 90, 90, 90)
    chain, residue = gemmi.Chain("A"), gemmi.Residue()
    residue.name, residue.seqid, residue.het_flag = "QQ1", gemmi.SeqId(1, " "), "H"
    for row in document.find_block("comp_CIT").find("_chem_comp_atom.", ["atom_id", "type_symbol", "x", "y", "z"]):
        if row.str(1) != "H":
            atom = gemmi.Atom()
            atom.name, atom.element, atom.b_iso = row.str(0), gemmi.Element(row.str(1)), 20.0
            atom.pos = gemmi.Position(*(float(row[k]) for k in (2, 3, 4)))
            residue.add_atom(atom)
    chain.add_residue(residue)
    one.add_model(gemmi.Model(1))
    one[0].add_chain(chain)
    one.setup_entities()
    one.write_pdb(str(model))
    text = document.find_block("comp_CIT").as_string().replace("CIT", "QQ1")
    text += document.find_block("link_disulf").as_string() + document.find_block("mod_CYS-SS").as_string()
    path = tmp_path / "ligand.cif"
    path.write_text(text)
    assert attempt(model, ligand=(str(path),)) == ""
    faults: list[str] = []
    for seed in range(N):
        path.write_text(mutated(text, seed, tables=True), encoding="latin-1", newline="")
        with noted(f"seed {seed}", faults):
            attempt(model, ligand=(str(path),))
    assert not faults, "\n".join(faults)


@st.composite
def odd_models(draw: st.DrawFn) -> gemmi.Structure:
    """A model of known residues with every legal oddity: numbers, insertion codes, blank chains, conformers, mates."""
    structure = gemmi.Structure()
    structure.name = "odd"
    structure.cell = gemmi.UnitCell(*draw(st.sampled_from([(30, 40, 50, 90, 90, 90), (25, 25, 60, 90, 90, 120)])))
    structure.spacegroup_hm = "P 1" if structure.cell.gamma == 90 else draw(st.sampled_from(["P 1", "P 31 2 1", "P 6"]))
    model = gemmi.Model(1)
    names = st.sampled_from(["ALA", "GLY", "CYS", "HIS", "HOH", "ZN", "SO4", "NAG", "DA", "MSE", "HEM", "QQ1"])
    for name in draw(st.lists(st.sampled_from(["A", "", "AA", "x", "1"]), min_size=1, max_size=3, unique=True)):
        chain = gemmi.Chain(name)
        number = draw(st.integers(-20, 10_500))
        for _ in range(draw(st.integers(0, 5))):
            number += draw(st.integers(0, 3))
            residue = gemmi.Residue()
            residue.name, residue.seqid = draw(names), gemmi.SeqId(number, draw(st.sampled_from(" AB")))
            block = embedded_document().find_block(f"comp_{residue.name if residue.name != 'QQ1' else 'GOL'}")
            centre = np.array([draw(st.floats(-60, 60)) for _ in range(3)])
            alternatives = draw(st.sampled_from(["\0", "\0", "A", "AB", "BC", "\0B"]))
            for row in block.find("_chem_comp_atom.", ["atom_id", "type_symbol", "x", "y", "z"]):
                if row.str(1) == "H" and draw(st.integers(0, 9)) > 0:
                    continue
                for altloc in alternatives:
                    atom = gemmi.Atom()
                    atom.name, atom.element, atom.altloc = row.str(0), gemmi.Element(row.str(1)), altloc
                    atom.pos = gemmi.Position(*(centre + [float(row[k]) for k in (2, 3, 4)]))
                    atom.occ = draw(st.sampled_from([1.0, 0.5, 0.0, 1.2]))
                    atom.b_iso = draw(st.sampled_from([20.0, 0.0, -5.0, 1500.0]))
                    residue.add_atom(atom)
            chain.add_residue(residue)
        model.add_chain(chain)
    structure.add_model(model)
    return structure


@settings(
    max_examples=max(60, N // 10), deadline=None, derandomize=True, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)  # fmt: skip
@given(structure=odd_models(), hydrogens=st.sampled_from(["add", "keep", "drop"]))
def test_odd_models(structure: gemmi.Structure, hydrogens: str, tmp_path: Path) -> None:
    texts = {"pdb": structure.make_pdb_string(), "cif": structure.make_mmcif_document().as_string()}
    for kind, text in texts.items():
        path = tmp_path / f"odd.{kind}"
        path.write_text(text)
        attempt(path, hydrogens=hydrogens, unknown_residues="keep")
