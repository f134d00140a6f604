"""The command gpurefine dictionary."""

from pathlib import Path

import gemmi
import pytest

from gpurefine.cli.main import run


@pytest.fixture(autouse=True)
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLIBD_MON", raising=False)
    monkeypatch.delenv("CCP4", raising=False)
    monkeypatch.setattr("gpurefine.io.library_places.usual_places", lambda: iter(()))


@pytest.fixture
def renamed(example: tuple[Path, Path], tmp_path: Path) -> Path:
    """The example with its waters under a name that no dictionary has."""
    st = gemmi.read_structure(str(example[0]))
    for chain in st[0]:
        for residue in chain:
            if residue.name == "HOH":
                residue.name = "QQ1"
    path = tmp_path / "model.pdb"
    st.write_pdb(str(path))
    return path


def test_sources_and_a_made_dictionary(renamed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / "made.cif"
    assert run(["dictionary", str(renamed), "-o", str(made)]) == 0
    out = capsys.readouterr().out
    assert "No restraints are known for QQ1." in out and "QQ1 can be made from: coordinates" in out
    assert any(line.split()[0] == "ALA" and line.split()[-1] == "embedded" for line in out.splitlines() if line.strip())
    assert made.read_text().startswith("# Made by gpurefine")
    assert run(["dictionary", str(renamed), "--ligand", str(made)]) == 0
    out = capsys.readouterr().out
    assert "No restraints" not in out and "Warning" in out and str(made) in out
    assert not (tmp_path / "none.cif").exists()


def test_nothing_to_make(example: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "none.cif"
    assert run(["dictionary", str(example[0]), "-o", str(target)]) == 2
    assert "Every residue" in capsys.readouterr().err and not target.exists()


def test_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dictionary", str(tmp_path / "missing.pdb")]) == 3
    assert "missing.pdb" in capsys.readouterr().err
