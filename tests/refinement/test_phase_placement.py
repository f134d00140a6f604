"""Phases from outside through the whole of reading: found, brought to the model's origin, told."""

from pathlib import Path

import gemmi
import numpy as np

import gpurefine
from gpurefine.backend import create
from gpurefine.checkpoints import input_files
from gpurefine.config import Config, DataOptions
from gpurefine.forward.density import plan_transform, smallest_b
from gpurefine.io.fcalc_files import model_scatterers
from gpurefine.io.reflections import read_data
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.structure import read_model, structure_crystal
from gpurefine.refinement.phase_placement import place_phases


def test_phases_of_another_origin(example: tuple[Path, Path], tmp_path: Path) -> None:
    model, data = example
    factors = gpurefine.structure_factors(str(model), 3.0)
    shift = np.array([0.5, 0.5, 0.3217])  # P 43 is polar along c
    phase = np.degrees(np.angle(factors.f)) + 360.0 * (factors.hkl @ shift)
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(factors.crystal.hm)
    mtz.set_cell_for_all(gemmi.UnitCell(*factors.crystal.cell))
    mtz.add_dataset("phases")
    mtz.add_column("PHIB", "P")
    mtz.add_column("FOM", "W")
    mtz.set_data(np.column_stack([factors.hkl, phase, np.full(len(phase), 0.8)]).astype(np.float32))
    path = tmp_path / "phases.mtz"
    mtz.write_to_file(str(path))
    problem = gpurefine.read(model, data, phases_file=str(path), d_min=3.0, hydrogens="drop", threads=1)
    told = next(m for m in problem.messages if "into agreement" in m)
    assert "shift of the origin by 1/2, 1/2, 0.678 " in told
    phases = problem.data.phases
    assert phases is not None
    best = np.angle(phases.hl[:, 0] + 1j * phases.hl[:, 1])
    listed = {tuple(h): f for h, f in zip(factors.hkl.tolist(), np.angle(factors.f), strict=True)}
    known = phases.known
    true = np.array([listed[tuple(h)] for h in problem.data.reflections.hkl[known].tolist()])
    assert np.mean(np.cos(best[known] - true)) > 0.999


def test_the_real_experimental_phases(shared_data: Path) -> None:
    folder = shared_data / "gamma_siras"
    structure = read_model(str(folder / "model.pdb")).structure
    options = DataOptions(phases_file=str(folder / "experimental_HL.mtz"), d_min=2.5)
    data = read_data(str(folder / "data.mtz"), options, structure_crystal(structure), "model.pdb")
    atoms, names = model_scatterers(structure)
    hkl = data.reflections.hkl
    table = xray_gaussians(names)
    transform = plan_transform(create("cpu", 1), data.crystal, hkl, smallest_b(atoms), atoms.kind, *table)
    assert data.phases is not None
    _, told = place_phases(data.phases, data.crystal, data.reflections, transform.structure_factors(atoms))
    assert "after a shift of the origin by 0, 0, 1/2 (⟨cos Δφ⟩ 0.9" in told[0]


def test_a_checkpoint_watches_the_phases() -> None:
    config = Config("m.pdb", "d.mtz", "out", data=DataOptions(phases_file="p.mtz"))
    assert "p.mtz" in input_files(config)
