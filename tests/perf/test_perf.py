"""The measuring programs: boxes are consistent, and the arithmetic of the tables is right.  Nothing is timed here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from perf import bench_scaling, cases, compare, machine, make_box, map_glycans, programs, summary  # noqa: E402
from perf.ceilings import Ceilings, Work  # noqa: E402


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> make_box.Box:
    return make_box.make_box(tmp_path_factory.mktemp("box"), copies=2, d_min=4.0)


def outcome(wall: float, **more: object) -> programs.Outcome:
    values = {"rc": 0, "cpu": 2.0 * wall, "peak_mb": 100.0, "r_work": 0.18, "r_free": 0.2, "rmsz_bond": 0.7, **more}
    return programs.Outcome(wall=wall, **values)  # type: ignore[arg-type]


def row(label: str, walls: list[float], is_peer: bool = False, **more: object) -> summary.Row:
    return summary.summarise(label, is_peer, 1, [outcome(wall, **more) for wall in walls])


def test_box_is_two_separate_copies(box: make_box.Box) -> None:
    import gemmi

    structure = gemmi.read_structure(str(box.model))
    atoms = [cra.atom for cra in structure[0].all()]
    assert box.n_atoms == len(atoms) == 2 * 1287
    assert cases.count_atoms(box.model) == cases.count_atoms(box.cif) == box.n_atoms
    assert len({atom.b_iso for atom in atoms}) == 1
    assert not any(atom.is_hydrogen() for atom in atoms)
    xyz = np.array([atom.pos.tolist() for atom in atoms]).reshape(2, -1, 3)
    edges = np.array(structure.cell.parameters[:3])
    apart = xyz[0][:, None] - xyz[1][None]
    apart -= edges * np.rint(apart / edges)
    # the shake of 0.2 Å moves both
    assert np.linalg.norm(apart, axis=-1).min() > make_box.MIN_DISTANCE - 1.2


def test_box_data(box: make_box.Box) -> None:
    import gemmi

    mtz = gemmi.read_mtz_file(str(box.mtz))
    assert mtz.column_labels() == ["H", "K", "L", "FP", "SIGFP", "FREE"]
    assert mtz.nreflections == box.n_reflections
    possible = gemmi.make_miller_array(mtz.cell, mtz.spacegroup, 4.0)
    assert box.n_reflections == len(possible)
    table = np.array(mtz)
    assert np.all(table[:, 3:5] > 0.0)
    assert abs(np.mean(table[:, 5] == 0.0) - 0.05) < 0.015


def test_box_repeats(box: make_box.Box, tmp_path: Path) -> None:
    again = make_box.make_box(tmp_path, copies=2, d_min=4.0)
    assert again.model.read_bytes() == box.model.read_bytes()
    assert again.cif.read_bytes() == box.cif.read_bytes()
    import gemmi

    tables = [np.array(gemmi.read_mtz_file(str(b.mtz))) for b in (again, box)]
    np.testing.assert_array_equal(*tables)


def test_box_can_be_refined(box: make_box.Box) -> None:
    import gpurefine

    result = gpurefine.read(box.model, box.mtz, hydrogens="drop").refine(cycles=1)
    before, after = result.report.cycles
    assert before.r_free is not None and before.r_free < 0.35
    assert after.r_work < 0.2
    assert after.rmsz_bond is not None and before.rmsz_bond is not None and after.rmsz_bond < 0.5 * before.rmsz_bond


def test_operations_can_all_be_called(box: make_box.Box) -> None:
    from gpurefine.backend import create
    from perf import operations

    objective, state = operations.objective_of(operations.read(box.model, box.mtz, 5.0), create("cpu", 1))
    found = operations.operations(objective, state)
    assert len({operation.name for operation in found}) == len(found)
    for operation in found:
        operation.call()
        seconds, binding = operation.work.floor(Ceilings(1e10, 1e9))
        assert seconds > 0.0 and binding in ("memory", "exp")
    assert operations.plain_fft(objective, state)().shape[2] > 1  # type: ignore[attr-defined]


def test_grid_is_as_cubic_as_can_be() -> None:
    assert sorted(make_box.grid_counts(4, np.ones(3))) == [1, 2, 2]
    assert sorted(make_box.grid_counts(80, np.ones(3))) == [4, 4, 5]
    assert make_box.grid_counts(4, np.array([4.0, 1.0, 4.0])) == (1, 4, 1)


def test_chain_names_are_unique() -> None:
    names = [make_box.chain_name(k) for k in range(200)]
    assert len(set(names)) == 200 and names[61] == "9" and names[62] == "AA"


def test_summary_takes_medians_of_finished_runs() -> None:
    runs = [outcome(3.0), outcome(1.0, cycle_seconds=[9.0, 8.0, 0.5, 0.7]), outcome(2.0)]
    runs.append(outcome(9.0, rc=1, error="no"))
    found = summary.summarise("ours", False, 2, runs)
    assert found.wall == summary.Spread(2.0, 1.0, 3.0)
    assert found.cpu == summary.Spread(4.0, 2.0, 6.0)
    assert found.cycle == pytest.approx(0.6)
    assert (found.runs, found.failed, found.error) == (3, 1, "no")


def test_ratio_is_of_medians_and_bounded_by_the_repeats() -> None:
    ours, peer = row("ours", [1.0, 2.0, 4.0]), row("peer", [8.0, 10.0, 12.0], True, peak_mb=300.0)
    found = summary.compare(ours, peer)
    assert found is not None
    assert (found.wall, found.wall_low, found.wall_high) == (5.0, 2.0, 12.0)
    assert (found.cpu, found.memory, found.r_free_excess, found.counts) == (5.0, 3.0, 0.0, True)


def test_speed_does_not_count_where_r_free_is_worse() -> None:
    peer = row("peer", [8.0], True)
    worse = summary.compare(row("ours", [1.0], r_free=0.2021), peer)
    other = summary.compare(row("ours", [1.0], r_free=0.3, r_kind="R1"), peer)
    assert worse is not None and not worse.counts
    assert other is not None and other.r_free_excess is None
    text = summary.case_table([row("ours", [1.0], r_free=0.2021), peer])
    assert "wall 8.00" in text and "does not count" in text


def test_table_tells_of_failures() -> None:
    failed = summary.summarise("peer", True, 1, [outcome(1.0, rc=3, error="line one\nno restraints for LIG")])
    text = summary.case_table([row("ours", [1.0, 1.0]), failed])
    assert "peer  failed: no restraints for LIG" in text and "÷" not in text
    assert summary.compare(row("ours", [1.0]), failed) is None


def test_gain_by_cycle() -> None:
    assert summary.gain([0.3, 0.25, 0.2]) == pytest.approx([0.0, 0.5, 1.0])
    assert summary.gain([0.3, 0.25, 0.2], 0.2) == pytest.approx([0.0, 0.25, 0.5])
    assert summary.gain([0.2, 0.3]) == [None, None]
    lines = summary.curve_table([0.3, 0.24, 0.2], [0.3, 0.25]).split("\n")
    assert lines[2].split() == ["1", "0.2400", "0.2500", "0.60", "1.00", "1.20"]
    assert lines[3].split() == ["2", "0.2000", "–", "1.00", "–", "2.00"]


def test_numbers_in_tables() -> None:
    assert [summary.short(x) for x in (1234.0, 12.34, 0.012345, None)] == ["1234", "12.3", "0.0123", "–"]
    assert summary.fixed(-0.00001, 2) == "0.00"


def test_exponents() -> None:
    points = [
        bench_scaling.Point("5k", 1, n, 12 * n, 1e-4 * n**1.25, 1e-3 * n, 100.0 + 0.01 * n, 0.2)
        for n in (5000, 20000, 100000)
    ]
    fit = bench_scaling.fit_points(1, points)
    assert fit.time_by_atoms == pytest.approx(1.25)
    assert fit.time_by_reflections == pytest.approx(1.25)
    assert fit.rest_by_atoms == pytest.approx(1.0)
    assert fit.base_mb == pytest.approx(100.0)
    assert fit.kb_per_atom == pytest.approx(10.24)
    assert "atoms^1.250" in bench_scaling.table(points, [fit])


def test_floor_is_the_longer_of_two() -> None:
    assert Work(2e9, 1e6).floor(Ceilings(1e9, 1e9)) == (2.0, "memory")
    assert Work(1e6, 3e9).floor(Ceilings(1e9, 1e9)) == (3.0, "exp")


def test_cases_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "m.pdb").write_text("ATOM      1  N   ARG A   4      19.453  18.852  70.121  1.00 26.76           N\n")
    (tmp_path / "d.mtz").write_bytes(b"")
    (tmp_path / "cases.toml").write_text('[a]\nmodel = "m.pdb"\nhklin = "d.mtz"\nlabin = "F,SIGF"\nfree = 0\n')
    (case,) = cases.read_cases(tmp_path / "cases.toml", None, ["a"])
    assert (case.n_atoms, case.labels, case.free, case.adp) == (1, "F,SIGF", 0, "iso")
    ours = programs.Gpurefine(2, extra="--weight 3").command(case, 4)
    assert ours[ours.index("--threads") + 1] == "2" and ours[-2:] == ["--weight", "3"]
    peer = programs.Servalcat("servalcat").command(case, 4)
    assert peer[peer.index("--ncycle") + 1] == "4"
    with pytest.raises(SystemExit, match="no case 'b'"):
        cases.read_cases(tmp_path / "cases.toml", None, ["b"])


def test_a_program_that_fails_is_recorded(tmp_path: Path) -> None:
    case = cases.Case("x", tmp_path / "m.pdb", tmp_path / "d.mtz", "F,SIGF", 0, 1)
    absent = programs.run(programs.Servalcat(str(tmp_path / "nothing")), case, 1, tmp_path / "run", 60.0)
    assert absent.rc == 127 and not absent.finished
    (stop,) = compare.measure(case, [programs.Gpurefine(1, f"{sys.executable} -c exit(3)")], 2, 1, tmp_path, 60.0)
    assert len(stop) == 1 and stop[0].rc == 3 and stop[0].wall > 0.0


def test_curves_come_from_the_runs() -> None:
    runs = {name: [outcome(1.0, r_free_curve=[0.3, 0.2]).as_dict()] for name in ("ours", "peer")}
    rows = [{"label": "ours", "is_peer": False}, {"label": "peer", "is_peer": True}]
    assert "R_free ours" in compare.curves([{"case": "5k", "rows": rows, "runs": runs}], "servalcat 1")


def test_no_folder_of_a_machine_is_saved() -> None:
    text = '"model": "/some/where/model.pdb", "of 3 km/h", "20 GB/s"'
    assert machine.without_folders(text) == '"model": "model.pdb", "of 3 km/h", "20 GB/s"'


def test_map_values_at_residues(example: tuple[Path, Path]) -> None:
    names, xyz = map_glycans.positions(example[0], ["TRP"])
    assert len(names) == len(xyz) and len(set(names)) >= 1
    with pytest.raises(SystemExit, match="NAG"):
        map_glycans.positions(example[0], ["NAG"])
