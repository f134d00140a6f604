"""From files to files: the example refined, the maps of a model as it is, structure factors checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine.errors import UsageError
from gpurefine.job import config_of, run
from gpurefine.model.records import CycleRecord

TOP = [
    "program", "version", "device", "command", "input", "cycles", "shells", "outliers", "scale", "timing",
    "timing_beside", "n_work", "n_free", "free_value", "d_min", "twin", "tls",
]
PER_CYCLE = [
    "r_work", "r_free", "r_work_plain", "r_free_plain", "cc_work", "cc_free", "target", "ll_work", "ll_free",
    "weight", "rmsd_bond", "rmsz_bond", "rmsd_angle", "rmsz_angle", "rmsd_chiral", "halvings", "ridge",
    "cg_iterations", "status", "seconds",
]
CYCLES = 3


@pytest.fixture(scope="module")
def refined(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Three cycles on the example: result, prefix and what was told on the way."""
    prefix = tmp_path_factory.mktemp("refined") / "out"
    told: list[Any] = []
    config = config_of(str(example[0]), str(example[1]), str(prefix), {"cycles": CYCLES, "threads": 2})
    return run(config, "gpurefine refine …", told.append), prefix, told


def test_r_free_falls(refined: Any) -> None:
    cycles = refined[0].report.cycles
    assert [c.cycle for c in cycles] == list(range(CYCLES + 1))
    assert cycles[-1].r_free < cycles[0].r_free - 0.03
    assert cycles[-1].r_work < cycles[0].r_work - 0.03
    assert cycles[-1].r_work < cycles[-1].r_free
    assert cycles[-1].ll_free < cycles[0].ll_free and cycles[-1].cc_free > cycles[0].cc_free
    assert 0.2 < cycles[-1].rmsz_bond < 2.0


def test_files_are_there_and_can_be_read(refined: Any) -> None:
    result, prefix, _ = refined
    for suffix in (".cif", ".pdb", ".mtz", ".json", ".log"):
        path = Path(f"{prefix}{suffix}")
        assert path.stat().st_size > 500 and str(path) in result.files
    assert not list(prefix.parent.glob("*.part"))
    models = [gemmi.read_structure(f"{prefix}{suffix}") for suffix in (".cif", ".pdb")]
    assert len({m[0].count_atom_sites() for m in models}) == 1
    assert not any(cra.atom.element.is_hydrogen for cra in models[0][0].all())
    mtz = gemmi.read_mtz_file(f"{prefix}.mtz")
    assert {"FREE", "FWT", "PHWT", "DELFWT", "PHDELWT", "FC_ALL", "PHIC_ALL", "FOM"} <= set(mtz.column_labels())


def test_map_shows_the_model(refined: Any) -> None:
    """2mFo−DFc at the refined atoms is far above its mean: coefficients, phases and coordinates belong together."""
    prefix = refined[1]
    mtz = gemmi.read_mtz_file(f"{prefix}.mtz")
    grid = mtz.transform_f_phi_to_map("FWT", "PHWT", sample_rate=3.0)
    values = np.array(grid, copy=False)
    structure = gemmi.read_structure(f"{prefix}.pdb")
    at = [grid.interpolate_value(cra.atom.pos) for cra in structure[0].all() if cra.atom.b_iso < 30.0]
    assert len(at) > 300 and np.mean(at) > 2.0 * values.std()


def test_json_keeps_the_contract(refined: Any) -> None:
    text = Path(f"{refined[1]}.json").read_text(encoding="utf-8")
    report = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in the JSON"))
    assert set(TOP) <= set(report)
    assert len(report["cycles"]) == CYCLES + 1
    for k, cycle in enumerate(report["cycles"]):
        assert set(PER_CYCLE) <= set(cycle)
        absent = {name for name in PER_CYCLE if cycle[name] is None}
        # before the first cycle there was no step
        assert absent == ({"halvings", "ridge", "cg_iterations", "status"} if k == 0 else set())
    assert report["command"] == "gpurefine refine …" and report["program"] == "gpurefine"
    assert report["n_work"] + report["n_free"] > 30_000 and report["n_free"] > 1000
    assert report["shells"] and sum(s["n_work"] for s in report["shells"]) == report["n_work"]
    assert report["twin"] is None and report["tls"] is None
    assert report["timing"]["total"] > 0.0


def test_progress_is_told(refined: Any) -> None:
    told = refined[2]
    assert sum(isinstance(item, CycleRecord) for item in told) == CYCLES + 1
    assert any(isinstance(item, str) and item.startswith("Device: cpu") for item in told)


def test_maps_of_a_model_as_it_is(example: tuple[Path, Path], tmp_path: Path) -> None:
    prefix = tmp_path / "maps"
    config = config_of(str(example[0]), str(example[1]), str(prefix), {"cycles": 0, "threads": 2})
    result = run(config, write_model=False)
    assert len(result.report.cycles) == 1
    assert sorted(Path(f).suffix for f in result.files if not f.endswith(".toml")) == [".json", ".log", ".mtz"]
    assert not list(tmp_path.glob("*.pdb")) and not list(tmp_path.glob("*.cif"))
    before = {cra.atom.serial: cra.atom.pos.tolist() for cra in gemmi.read_structure(str(example[0]))[0].all()}
    after = {cra.atom.serial: cra.atom.pos.tolist() for cra in result.structure[0].all()}
    assert len(after) == len(before)
    np.testing.assert_allclose(sorted(after.values()), sorted(before.values()), atol=2e-3)


def test_steps_from_python_do_what_the_job_does(example: tuple[Path, Path], refined: Any, tmp_path: Path) -> None:
    problem = gpurefine.read(*example, threads=2)
    result = problem.refine(cycles=1)
    assert [c.r_free for c in result.report.cycles] == [c.r_free for c in refined[0].report.cycles[:2]]
    written = result.write(str(tmp_path / "again"))
    assert Path(tmp_path / "again.pdb").read_text()[:6] and written.files
    assert result.files == ()


def test_unknown_option_is_refused(example: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="no option 'cylces'"):
        gpurefine.read(*example, cylces=3)


def test_structure_factors_check_themselves(example: tuple[Path, Path], tmp_path: Path) -> None:
    """`gpurefine fcalc --direct`: on a real model the FFT keeps its tolerance in every shell."""
    found = gpurefine.structure_factors(example[0], 2.2, direct=True, threads=2)
    assert found.relative_difference is not None and found.relative_difference < 1e-4
    assert all(shell.relative_difference is not None and shell.relative_difference < 1e-3 for shell in found.shells)
    assert sum(shell.count for shell in found.shells) == found.count
    found.write(tmp_path / "f.mtz")
    mtz = gemmi.read_mtz_file(str(tmp_path / "f.mtz"))
    assert mtz.column_labels() == ["H", "K", "L", "FC", "PHIC", "FC_DIRECT", "PHIC_DIRECT"]
    fc, direct = (mtz.get_f_phi(f, p).value_array for f, p in (("FC", "PHIC"), ("FC_DIRECT", "PHIC_DIRECT")))
    assert np.abs(fc - direct).max() < 1e-2 * np.abs(fc).max()
    # gemmi's own sum of the same file
    structure = gemmi.read_structure(str(example[0]))
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    for k in range(0, found.count, 500):
        theirs = calculator.calculate_sf_from_model(structure[0], found.hkl[k].tolist())
        assert abs(theirs - found.direct[k]) < 1e-4 * found.rms_f
