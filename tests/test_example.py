"""The embedded example: it is what its provenance says, and refining it makes it better."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.cli import main
from gpurefine.errors import OutputError
from gpurefine.io import example as embedded
from gpurefine.io import make_example


def test_model_and_data_are_the_documented_ones(example: tuple[Path, Path]) -> None:
    model, data = example
    structure = gemmi.read_structure(str(model))
    atoms = [site.atom for site in structure[0].all()]
    assert len(atoms) == make_example.N_ATOMS
    assert len({atom.b_iso for atom in atoms}) == 1
    assert not any(atom.is_hydrogen() or atom.aniso.nonzero() for atom in atoms)
    mtz = gemmi.read_mtz_file(str(data))
    assert mtz.nreflections == make_example.N_REFLECTIONS
    assert [c.label for c in mtz.columns] == ["H", "K", "L", "FreeR_flag", "IMEAN", "SIGIMEAN"]
    assert mtz.spacegroup.hm == structure.spacegroup_hm == "P 43"
    free = np.asarray(mtz.column_with_label("FreeR_flag").array) == 0
    assert int(free.sum()) == 1519


def test_packing_depends_on_the_content_alone() -> None:
    folder = Path(embedded.__file__).parents[1] / "data"
    for name in (embedded.MODEL_NAME, embedded.DATA_NAME):
        header = (folder / f"{name}.gz").read_bytes()[:10]
        assert header[3] == 0, "the gzip header holds a file name"
        assert header[4:8] == bytes(4), "the gzip header holds a time"


def test_script_refuses_another_model(tmp_path: Path, example: tuple[Path, Path]) -> None:
    lines = example[0].read_text(encoding="ascii").splitlines(keepends=True)
    short = tmp_path / "short.pdb"
    short.write_text("".join(lines[:-20]), encoding="ascii")
    with pytest.raises(SystemExit, match="not the 1294"):
        make_example.shaken_model(short)


def test_shake_moves_atoms_as_promised(example: tuple[Path, Path]) -> None:
    # The script applied to its own output shakes once more, by the same amount.
    def positions(structure: gemmi.Structure) -> np.ndarray:
        return np.array([site.atom.pos.tolist() for site in structure[0].all()])

    again = gemmi.read_pdb_string(make_example.shaken_model(example[0]).decode("ascii"))
    shift = positions(again) - positions(gemmi.read_structure(str(example[0])))
    rms = float(np.sqrt((shift**2).sum(axis=1).mean()))
    assert rms == pytest.approx(make_example.SHAKE_RMS, abs=0.01)


def test_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="ascii")
    with pytest.raises(OutputError, match="cannot be written"):
        embedded.write_example(tmp_path / "file" / "below")


def test_example_command_shows_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main.run(["example", "demo"]) == 0
    assert "gpurefine refine demo/1l2h_shaken.pdb demo/1l2h.mtz -o demo/refined" in capsys.readouterr().out
    packed = Path(embedded.__file__).parents[1] / "data" / "1l2h.mtz.gz"
    assert Path("demo/1l2h.mtz").read_bytes() == gzip.decompress(packed.read_bytes())


def documented(marker: str) -> set[str]:
    """Names in the first column of a table of docs/files.md."""
    page = Path(__file__).resolve().parents[1] / "docs" / "files.md"
    rows = page.read_text(encoding="utf-8").split(f"<!-- {marker} -->\n")[1].split("\n\n")[0].splitlines()
    return {name for row in rows[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}


@pytest.mark.slow
def test_refining_the_example_makes_it_better(example: tuple[Path, Path], tmp_path: Path) -> None:
    prefix = tmp_path / "refined"
    model, data = (str(path) for path in example)
    assert main.run(["refine", model, data, "-o", str(prefix), "--cycles", "3", "--quiet"]) == 0
    report = json.loads(prefix.with_suffix(".json").read_text(encoding="utf-8"))
    first, last = report["cycles"][0], report["cycles"][-1]
    assert len(report["cycles"]) == 4
    assert first["r_free"] - last["r_free"] > 0.03
    assert last["r_work"] < first["r_work"]
    assert report["n_free"] == 1519
    assert set(report) == documented("json keys")
    map_file = gemmi.read_mtz_file(str(prefix.with_suffix(".mtz")))
    columns = {c.label for c in map_file.columns}
    assert {"FWT", "PHWT", "DELFWT", "PHDELWT"} <= columns
    assert columns - {"H", "K", "L"} == documented("mtz columns")
    assert len(gemmi.read_structure(str(prefix.with_suffix(".cif")))[0]) == 1
