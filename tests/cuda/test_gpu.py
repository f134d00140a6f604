"""On a real GPU: operations at realistic size, whole refinements beside the CPU's, repeatability, too little memory.

The tests of single operations run there too: those that take the fixture ``backend`` with its parameter ``cuda``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crystals import rms
from device_backends import gpu_backend, shim_backend
from refinements import assert_alike, refine

import gpurefine
from gpurefine.backend import create
from gpurefine.config import ChemistryOptions, Config, DataOptions, RefineOptions
from gpurefine.errors import ChemistryError
from gpurefine.io.scattering import xray_gaussians
from gpurefine.params.values import AtomValues
from gpurefine.refinement.setup import build_objective
from gpurefine.refinement.timing import Timer


@pytest.fixture(params=["shim", pytest.param("gpu", marks=pytest.mark.gpu)])
def device_backend(request: pytest.FixtureRequest) -> Any:
    """The cuda backend, on the stand-in (small cases only) and on a GPU."""
    return shim_backend() if request.param == "shim" else gpu_backend()


def config(example: tuple[Path, Path], prefix: Path, cycles: int, **data: Any) -> Config:
    return Config(
        str(example[0]), str(example[1]), str(prefix), data=DataOptions(**data),
        refine=RefineOptions(cycles=cycles, weight="5"),
    )


def test_all_operations_at_realistic_size(example: tuple[Path, Path], device_backend: Any) -> None:
    """The embedded example with its hydrogens, at full resolution on a GPU: F, scale, likelihood and gradients."""
    on_gpu = "g++" not in device_backend.name
    problem = gpurefine.read(example[0], example[1], d_min=None if on_gpu else 3.5)
    chemistry, data = problem.chemistry, problem.data
    found = []
    for backend in (create("cpu", 2), device_backend):
        objective, _ = build_objective(
            backend, chemistry.atoms, chemistry.topology, chemistry.labels, data.crystal, data.reflections,
            [xray_gaussians(chemistry.atoms.scatterer_names)], problem.config.solvent, problem.config.refine, Timer(),
        )
        state = objective.state(AtomValues.of(objective.atoms))
        fit = objective.experiment.update(objective.scatterers(state.values), state.f_calc)
        objective.list_contacts(state.values)
        slope, _ = objective.experiment.linearise(objective.scatterers(state.values), state.f_calc)
        contacts = objective.nonbonded.contacts
        assert contacts is not None
        found.append((state.f_calc, fit.f_mask, fit.scaled.total, slope.xyz, slope.b_iso, objective.value(state, 5.0),
                      contacts.first, contacts.second, contacts.op))
    cpu, cuda = found
    for name, a, b in zip(("F", "F_mask", "F_total", "xyz", "B"), cpu[:5], cuda[:5], strict=True):
        assert rms(np.asarray(b) - a) < 5e-5 * rms(a), name
    assert cuda[5] == pytest.approx(cpu[5], rel=1e-6)
    for a, b in zip(cpu[6:], cuda[6:], strict=True):
        np.testing.assert_array_equal(b, a)


@pytest.mark.gpu
def test_the_example_refines_as_on_the_cpu(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = gpu_backend()
    on_cpu = refine(config(example, tmp_path / "cpu", 10), create("cpu", 0), monkeypatch)
    assert_alike(on_cpu, refine(config(example, tmp_path / "gpu", 10), gpu, monkeypatch))


@pytest.mark.gpu
@pytest.mark.slow
def test_4iid_refines_as_on_the_cpu(shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = gpu_backend()
    case = tomllib.loads((shared_data / "cases.toml").read_text())["4iid_shaken"]
    runs = []
    for name, backend in (("cpu", create("cpu", 0)), ("gpu", gpu)):
        given = Config(
            str(shared_data / case["model"]), str(shared_data / case["hklin"]), str(tmp_path / name),
            data=DataOptions(labels=case["labin"], free_flag=case["free"]),
            refine=RefineOptions(cycles=10, weight="5"), chemistry=ChemistryOptions(),
        )
        try:
            runs.append(refine(given, backend, monkeypatch))
        except ChemistryError as error:
            pytest.skip(f"needs the full monomer library (CLIBD_MON): {error}")
    assert_alike(*runs)


@pytest.mark.gpu
def test_two_runs_have_the_same_bits(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cycles = [refine(config(example, tmp_path / str(k), 3), gpu_backend(), monkeypatch)[0] for k in range(2)]
    for one, other in zip(*cycles, strict=True):
        for field in fields(one):
            if "seconds" not in field.name and "time" not in field.name:
                assert getattr(one, field.name) == getattr(other, field.name), (one.cycle, field.name)
    a, b = ((tmp_path / f"{k}.pdb").read_text().splitlines() for k in range(2))
    assert [line for line in a if line.startswith("ATOM")] == [line for line in b if line.startswith("ATOM")]


@pytest.mark.gpu
def test_too_little_memory_is_one_sentence(example: tuple[Path, Path], tmp_path: Path) -> None:
    gpu_backend()
    done = subprocess.run(
        [sys.executable, "-c", "from gpurefine.cli.main import main; main()", "refine", *map(str, example),
         "-o", str(tmp_path / "out"), "--device", "cuda", "--cycles", "1"],
        env=os.environ | {"CUPY_GPU_MEMORY_LIMIT": str(1 << 20)}, capture_output=True, text=True, check=False,
    )
    assert done.returncode == 6, done.stderr
    assert "too little memory" in done.stderr and "are free" in done.stderr and "Traceback" not in done.stderr
