"""Residues that no library here knows: dictionaries made from the model refine, and they can be kept without."""

from pathlib import Path

import pytest

from gpurefine.config import ChemistryOptions
from gpurefine.errors import ChemistryError
from gpurefine.io.dictionary_report import dictionary_report
from gpurefine.job import read

CASES = {
    "rnase_mir": ("F3GP,SIGF3GP,FreeR_flag", {"3GP", "SUL"}),
    "1ehz_trna": ("FP,SIGFP,FreeR_flag", {"1MA", "PSU", "YYG"}),
}


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_made_dictionaries_refine(case: str, shared_data: Path, tmp_path: Path) -> None:
    labels, residues = CASES[case]
    model, data = shared_data / case / "model.pdb", shared_data / case / "data.mtz"
    report = dictionary_report(str(model), ChemistryOptions())
    assert residues <= set(report.unknown) and report.refused == ()
    ligand = tmp_path / "made.cif"
    report.write(str(ligand))
    problem = read(model, data, labels=labels, ligand=(str(ligand),), threads=1)
    assert sum("was made by gpurefine dictionary" in m for m in problem.messages) == len(report.unknown)
    result = problem.refine(cycles=3)
    first, last = result.report.cycles[0], result.report.cycles[-1]
    assert last.r_work is not None and first.r_work is not None and last.r_work < first.r_work - 0.01
    assert last.rmsz_bond is not None and last.rmsz_bond < 1.2
    mine = [o for o in result.report.outliers if any(a.split("/")[2] in residues for a in o.atoms) and abs(o.z) > 8.0]
    assert mine == []


@pytest.mark.slow
def test_kept_residues_stay_near_their_places(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "rnase_mir"
    options = {"labels": CASES["rnase_mir"][0], "threads": 1}
    with pytest.raises(ChemistryError, match="SUL"):
        read(folder / "model.pdb", folder / "data.mtz", **options)
    problem = read(folder / "model.pdb", folder / "data.mtz", unknown_residues="keep", **options)
    assert any(m.startswith("Warning") and "SUL (B/1, D/1)" in m for m in problem.messages)
    result = problem.refine(cycles=3)
    before = {cra_label(c): c.atom.pos for c in problem.model.structure[0].all() if c.residue.name == "SUL"}
    moved = [
        cra.atom.pos.dist(before[cra_label(cra)])
        for cra in result.structure[0].all() if cra.residue.name == "SUL"
    ]
    assert len(moved) == 10 and 0.0 < max(moved) < 0.6
    assert any(m.startswith("Warning") and "SUL" in m for m in result.report.messages)


def cra_label(cra: object) -> str:
    """An atom with its place."""
    return str(cra)
