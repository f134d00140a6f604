"""Whole refinements against prior phases and of a twin: the cuda backend, executed on the CPU, beside the cpu one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device
from refinements import assert_alike, refine
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.config import Config, DataOptions, RefineOptions

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


def compared(monkeypatch: pytest.MonkeyPatch, config: Any) -> CudaBackend:
    """Refines ``config(name)`` on both backends, which must agree; the cuda one, which has no substitute."""
    backend = CudaBackend(ShimDevice())
    on_cpu = refine(config("cpu"), create("cpu", 1), monkeypatch)
    on_cuda = refine(config("cuda"), backend, monkeypatch)
    assert_alike(on_cpu, on_cuda)
    assert on_cuda[0][-1].r_work < on_cuda[0][0].r_work
    return backend


def test_prior_phases(example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    phases = phases_of(example[0], tmp_path / "phases.mtz")

    def config(name: str) -> Config:
        return Config(
            str(example[0]), str(example[1]), str(tmp_path / name),
            data=DataOptions(d_min=D_MIN, phases="PHI,FOM", phases_file=str(phases)),
            refine=RefineOptions(cycles=1, weight="5"),
        )

    launches = compared(monkeypatch, config).device.launches  # type: ignore[attr-defined]
    assert {"phased", "phased_sigmaa"} < set(launches) and "rice" not in launches
