"""Files of Friedel pairs and of a derivative's heavy atoms, made from the embedded example."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
from small_models import xenon_sites

import gpurefine

WAVELENGTH = 1.9


def pairs_of(data: Path, path: Path, signal: float = 0.03) -> Path:
    """An MTZ of mates that differ from the mean amplitudes of ``data`` by a few per cent, with its free flags."""
    given = gemmi.read_mtz_file(str(data))
    column = next(c for c in given.columns if c.type in "FJ")
    free = np.array(next(c for c in given.columns if c.type == "I").array)
    f, hkl = np.array(column.array), given.make_miller_array()
    use = np.isfinite(f) & (f > 0.0) & np.isfinite(free)
    f, rng = np.sqrt(f[use]) if column.type == "J" else f[use], np.random.default_rng(0)
    change = 1.0 + signal * rng.normal(size=len(f))
    centric = given.spacegroup.operations().centric_flag_array(hkl[use])
    change[centric] = 1.0
    columns = {"F": ("F", f), "SIGF": ("Q", 0.02 * f), **_mates(f * change, f * (2.0 - change), 0.02 * f),
               "FREE": ("I", free[use])}
    return _written(path, given, hkl[use], columns)


def derivative_of(example: tuple[Path, Path], folder: Path, d_min: float) -> tuple[Path, Path]:
    """An MTZ of the pairs that two xenon atoms besides the example's own would yield, with one per cent of noise, and
    their coordinates."""
    model, data = example
    problem = gpurefine.read(model, data, d_min=d_min, cycles=0, hydrogens="drop", threads=1)
    native = problem.refine().report.maps.f_total
    hkl, cell, rng = problem.data.reflections.hkl, problem.data.crystal, np.random.default_rng(0)
    table = gemmi.StructureFactorCalculatorX(gemmi.UnitCell(*cell.cell))
    heavy = xenon_sites(folder / "heavy.pdb", model)
    structure = gemmi.read_structure(str(heavy))
    table.addends.clear()
    first = np.array([table.calculate_sf_from_model(structure[0], list(map(int, h))) for h in hkl])
    by = 0.3 * float(np.sqrt(np.mean(np.abs(native) ** 2) / np.mean(np.abs(first) ** 2)))
    f_heavy, f_second = by * first, 0.15 * by * first
    noise = 1.0 + 0.01 * rng.normal(size=(2, len(hkl)))
    plus, minus = np.abs(native + f_heavy + np.array([1j, -1j])[:, None] * f_second) * noise
    mates = _mates(plus, np.where(problem.data.reflections.centric, plus, minus), 0.01 * plus)
    return _written(folder / "derivative.mtz", gemmi.read_mtz_file(str(data)), hkl, mates), heavy


def _mates(plus: np.ndarray, minus: np.ndarray, sigma: np.ndarray) -> dict[str, tuple[str, np.ndarray]]:
    return {"F(+)": ("G", plus), "SIGF(+)": ("L", sigma), "F(-)": ("G", minus), "SIGF(-)": ("L", sigma)}


def _written(path: Path, like: gemmi.Mtz, hkl: np.ndarray, columns: dict[str, tuple[str, np.ndarray]]) -> Path:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = like.spacegroup
    mtz.set_cell_for_all(like.cell)
    mtz.add_dataset("made").wavelength = WAVELENGTH
    for label, (kind, _) in columns.items():
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, *(values for _, values in columns.values())]).astype(np.float32))
    mtz.write_to_file(str(path))
    return path
