"""Twins and prior phases from files to files, on the embedded example, which is a twin by -h,k,-l of fraction 0.34."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine import job
from gpurefine.config import Config
from gpurefine.errors import InterruptedRefinement

LAW = "-h,k,-l"
QUICK: dict[str, Any] = {"d_min": 3.0, "hydrogens": "drop", "threads": 1}
SAME = (".cif", ".pdb", ".mtz")


def written(path: Path, source: Path, columns: dict[str, tuple[str, Any]], hkl: Any = None) -> Path:
    """An MTZ with the cell of ``source`` and, on ``hkl`` or its list of indices, these columns."""
    old, mtz = gemmi.read_mtz_file(str(source)), gemmi.Mtz(with_base=True)
    mtz.spacegroup = old.spacegroup
    mtz.set_cell_for_all(old.cell)
    mtz.add_dataset("made").wavelength = 1.0
    for label, (kind, _) in columns.items():
        mtz.add_column(label, kind)
    hkl = old.make_miller_array() if hkl is None else hkl
    mtz.set_data(np.column_stack([hkl, *(values for _, values in columns.values())]).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


@pytest.fixture(scope="module")
def model_data(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The model, and untwinned amplitudes with one per cent of noise that it yields, and their phases (with noise)."""
    problem = gpurefine.read(*example, cycles=0, **QUICK)
    r, total = problem.data.reflections, problem.refine().report.maps.f_total
    rng = np.random.default_rng(8)
    f = np.abs(total) * (1.0 + 0.01 * rng.normal(size=len(total)))
    phase, x = np.angle(total), np.where(r.centric, 2.0, 3.0)
    phase = phase + np.where(r.centric, 0.0, 0.6 * rng.normal(size=len(total)))
    hl = {
        "HLA": ("A", x * np.cos(phase)), "HLB": ("A", x * np.sin(phase)), "HLC": ("A", 0 * x), "HLD": ("A", 0 * x),
    }  # fmt: skip
    columns = {"F": ("F", f), "SIGF": ("Q", 0.01 * f + 0.1), "FREE": ("I", np.where(r.free, 0, 1)), **hl}
    path = written(tmp_path_factory.mktemp("made") / "made.mtz", example[1], columns, r.hkl)
    return example[0], path


def test_a_twin_is_refined_as_one(example: tuple[Path, Path], tmp_path: Path) -> None:
    """R1 falls, below that without --twin, with the domains' fractions as the intensities have them."""
    plain = gpurefine.read(*example, cycles=1, **QUICK).refine().report.cycles
    result = gpurefine.read(*example, cycles=2, twin=True, **QUICK).refine()
    cycles = result.report.cycles
    assert [c.r1_work for c in cycles] == sorted((c.r1_work for c in cycles), reverse=True)
    assert cycles[0].r1_work < plain[0].r1_work - 0.08 and cycles[1].r1_work < plain[1].r1_work - 0.05
    assert cycles[1].r1_free < plain[1].r1_free - 0.05 and cycles[-1].r1_work < 0.14
    result.write(str(tmp_path / "twin"))
    told = json.loads((tmp_path / "twin.json").read_text())["twin"]
    (law,) = told["laws"]
    assert law["law"] == LAW and law["kept"] and law["fraction"] == pytest.approx(0.34, abs=0.02)
    assert told["fraction_untwinned"] == pytest.approx(1.0 - law["fraction"])
    log = (tmp_path / "twin.log").read_text()
    assert LAW in log and "since --twin is given" in log and "--twin models it" not in log


def test_the_model_may_be_of_the_smaller_domain(example: tuple[Path, Path], tmp_path: Path) -> None:
    """The same data indexed the other way: intensities alone cannot tell, the model does."""
    old = gemmi.read_mtz_file(str(example[1]))
    columns = {c.label: (c.type, np.array(c)) for c in old.columns[3:]}
    hkl = old.make_miller_array() * np.array([-1, 1, -1])
    data = written(tmp_path / "turned.mtz", example[1], columns, hkl)
    report = gpurefine.read(example[0], data, cycles=0, twin=True, **QUICK).refine().report
    assert report.twin is not None and report.twin["laws"][0]["fraction"] == pytest.approx(0.66, abs=0.02)
    assert report.cycles[0].r1_work < 0.23


def test_without_a_law_that_holds_the_run_is_an_untwinned_one(model_data: tuple[Path, Path]) -> None:
    """Refuted by the data, or, named by the user, by its fraction: bit by bit the run without --twin."""
    plain = gpurefine.read(*model_data, cycles=1, **QUICK).refine()
    for options, why in (({}, "R_merge"), ({"twin_law": (LAW,), "fix_free": True}, "is below")):
        found = gpurefine.read(*model_data, cycles=1, twin=True, **options, **QUICK).refine()
        for got, expected in zip(found.report.cycles, plain.report.cycles, strict=True):
            assert replace(got, seconds=0.0) == replace(expected, seconds=0.0)
        np.testing.assert_array_equal(found.report.maps.fwt, plain.report.maps.fwt)
        assert found.report.twin is not None and found.report.twin["fraction_untwinned"] is None
        (law,) = found.report.twin["laws"]
        assert not law["kept"] and why in law["why_dropped"]
        told = [text for text in found.report.messages if "refined as untwinned" in text]
        assert len(told) == 1 and len(set(found.report.messages)) == len(found.report.messages)


@pytest.mark.parametrize("dropped", [False, True])
def test_resumed_runs_are_those_never_stopped(
    example: tuple[Path, Path], model_data: tuple[Path, Path], tmp_path: Path, dropped: bool
) -> None:
    """Interrupted in the second cycle, also where the laws were dropped after the first fit."""
    model, data = model_data if dropped else example

    def config(name: str) -> Config:
        options = {"cycles": 2, "twin": True, "twin_law": (LAW,), **QUICK}
        return job.config_of(str(model), str(data), str(tmp_path / name / "run"), options)

    def stop(item: Any) -> None:
        if getattr(item, "cycle", 0) == 1:
            raise KeyboardInterrupt

    for name in ("whole", "broken"):
        (tmp_path / name).mkdir()
    whole = job.run(config("whole"))
    assert whole.report.twin is not None and whole.report.twin["laws"][0]["kept"] != dropped
    with pytest.raises(InterruptedRefinement):
        job.run(config("broken"), progress=stop)
    resumed = job.resume(str(tmp_path / "broken" / "run"))
    assert resumed.report.twin == whole.report.twin
    for suffix in SAME:
        files = [(tmp_path / name / f"run{suffix}").read_bytes() for name in ("whole", "broken")]
        assert files[0] == files[1], suffix


def test_prior_phases_come_out_combined(model_data: tuple[Path, Path], tmp_path: Path) -> None:
    """MLHL: columns of the combined probability, whose best phase is PHCOMB and whose mean cosine is FOM."""
    problem = gpurefine.read(*model_data, cycles=1, phases="HLA,HLB,HLC,HLD", **QUICK)
    assert problem.likelihood.measured.prior is not None
    result = problem.refine()
    result.write(str(tmp_path / "mlhl"))
    mtz = gemmi.read_mtz_file(str(tmp_path / "mlhl.mtz"))
    labels = ["HLACOMB", "HLBCOMB", "HLCCOMB", "HLDCOMB"]
    assert [mtz.column_with_label(name).type for name in (*labels, "PHCOMB")] == [*"AAAAP"]
    a, b, c, d, best, fom = (
        np.array(mtz.column_with_label(name), np.float64)[:, None] for name in (*labels, "PHCOMB", "FOM")
    )
    assert mtz.make_miller_array().tolist() == problem.data.reflections.hkl.tolist()
    known = np.isfinite(a + best)[:, 0] & ~problem.data.reflections.centric
    assert known.mean() > 0.7
    x = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
    log_p = a * np.cos(x) + b * np.sin(x) + c * np.cos(2 * x) + d * np.sin(2 * x)
    p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
    mean = ((p @ np.exp(1j * x)) / p.sum(axis=1))[known]
    np.testing.assert_allclose(np.abs(mean), fom[known, 0], atol=2e-3)
    off = np.angle(mean * np.exp(-1j * np.radians(best[known, 0])))
    assert np.abs(off)[np.abs(mean) > 0.1].max() < 0.01
