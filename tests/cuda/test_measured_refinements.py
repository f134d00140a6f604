"""Whole refinements against other measurements: the cuda backend, executed on the CPU, beside the cpu one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device
from made_data import derivative_of, pairs_of
from refinements import assert_alike, refine
from shim_device import ShimDevice

from gpurefine import job
from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

D_MIN = 4.0


def phases_of(model: Path, path: Path) -> Path:
    """An MTZ with noisy phases of the model's own and their figures of merit."""
    structure = gemmi.read_structure(str(model))
    calculator = gemmi.DensityCalculatorX()
    calculator.d_min = D_MIN
    calculator.grid.setup_from(structure)
    calculator.put_model_density_on_grid(structure[0])
    table = gemmi.transform_map_to_f_phi(calculator.grid, half_l=True).prepare_asu_data(dmin=D_MIN)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = structure.find_spacegroup()
    mtz.set_cell_for_all(structure.cell)
    mtz.add_dataset("phases")
    mtz.add_column("PHI", "P")
    mtz.add_column("FOM", "W")
    centric = mtz.spacegroup.operations().centric_flag_array(table.miller_array)
    noise = np.where(centric, 0.0, np.random.default_rng(0).normal(0.0, 40.0, len(centric)))
    phase = np.angle(table.value_array, deg=True) + noise
    mtz.set_data(np.column_stack([table.miller_array, phase, np.full(len(phase), 0.7)]).astype(np.float32))
    mtz.write_to_file(str(path))
    return path


def compared(
    example: tuple[Path, Path], folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any
) -> dict[str, int]:
    """One cycle of the example on both backends, which must agree; how often each kernel was launched."""
    backend, runs = CudaBackend(ShimDevice()), []
    for name, used in (("cpu", create("cpu", 1)), ("cuda", backend)):
        given = {"d_min": D_MIN, "cycles": 1, "weight": "5", "hydrogens": "drop", **options}
        runs.append(refine(job.config_of(*map(str, (*example, folder / name)), given), used, monkeypatch))
    assert_alike(*runs)
    assert runs[1][0][-1].r_work < runs[1][0][0].r_work
    return backend.device.launches  # type: ignore[attr-defined, no-any-return]


def test_prior_phases(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = phases_of(example[0], tmp_path / "phases.mtz")
    launches = compared(example, tmp_path, monkeypatch, phases="PHI,FOM", phases_file=str(phases))
    assert {"phased", "phased_sigmaa"} < set(launches) and "rice" not in launches


def test_friedel_pairs(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = pairs_of(example[1], tmp_path / "pairs.mtz")
    launches = compared(
        (example[0], pairs), tmp_path, monkeypatch, anomalous=True, anomalous_factors=("S,0.3,4.0",), d_min=5.0
    )
    assert {"sad", "friedel_pair", "friedel_slopes", "curve_sums"} < set(launches) and "rice" not in launches


def test_a_derivative(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, heavy = derivative_of(example, tmp_path, 7.0)
    launches = compared(
        example, tmp_path, monkeypatch, derivative_data=str(pairs), derivative_model=str(heavy), d_min=7.0
    )
    assert {"siras", "site_factors", "derivative_pull", "derivative_rows"} < set(launches)


def test_a_twin(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example is one."""
    launches = compared(example, tmp_path, monkeypatch, twin=True)
    assert launches["twin_pairs"] > 5 and "intensity" not in launches
