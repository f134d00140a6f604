"""Small files made for the tests, and the way to the real cases where there are any."""

import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.config import Config, DataOptions
from gpurefine.io.reflections import read_data
from gpurefine.model.records import (
    CoordinateError,
    CycleRecord,
    MapCoefficients,
    OutlierRecord,
    Report,
    RestraintRecord,
    ScaleRecord,
    ShellRecord,
)

CELL = (31.0, 35.0, 40.0, 90.0, 90.0, 90.0)


@pytest.fixture
def case_folder():
    """Folder of the real cases; the test is skipped where there is none."""
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("GPUREFINE_DATA", root.parent / "shared" / "data"))
    if not (folder / "cases.toml").is_file():
        pytest.skip("the real cases are not here (set GPUREFINE_DATA to their folder)")
    return folder


@pytest.fixture
def amplitude():
    """Column function: a made-up amplitude that is a different number for every reflection."""
    return lambda hkl, d: 200 + hkl @ np.array([1.0, 0.1, 0.01])


@pytest.fixture
def make_mtz(tmp_path):
    """Writes an MTZ: make(columns={label: (type, function(hkl, d) → values)}, …) → path."""

    def make(columns, name="data.mtz", cell=CELL, group="P 21 21 21", d_min=3.0, hkl=None, history=()):
        cell, group = gemmi.UnitCell(*cell), gemmi.SpaceGroup(group)
        if hkl is None:
            hkl = gemmi.make_miller_array(cell, group, d_min)
        hkl = np.asarray(hkl)
        mtz = gemmi.Mtz(with_base=True)
        mtz.spacegroup = group
        mtz.set_cell_for_all(cell)
        dataset = mtz.add_dataset("DSET")
        dataset.project_name, dataset.crystal_name, dataset.wavelength = "PROJ", "XTAL", 0.9795
        table = [hkl]
        d = cell.calculate_d_array(hkl)
        for label, (kind, values) in columns.items():
            mtz.add_column(label, kind)
            table.append(np.broadcast_to(values(hkl, d) if callable(values) else values, len(hkl))[:, None])
        mtz.set_data(np.hstack(table).astype(np.float32))
        mtz.history = list(history)
        path = tmp_path / name
        mtz.write_to_file(str(path))
        return str(path)

    return make


PDB_TEXT = """\
HEADER    HYDROLASE                               20-JUL-21   1ABC
TITLE     A SMALL MODEL
CRYST1   31.000   35.000   40.000  90.00  90.00  90.00 P 21 21 21    4
ATOM      1  N   ALA A   1      11.104   6.134   6.504  1.00 12.00           N
ATOM      2  CA  ALA A   1      11.639   6.071   5.147  1.00 13.00           C
ATOM      3  C   ALA A   1      13.155   6.071   5.147  1.00 14.00           C
ATOM      4  O   ALA A   1      13.755   7.071   4.747  1.00 15.00           O
ATOM      5  CB  ALA A   1      11.139   7.271   4.347  1.00 16.00           C
HETATM    6  O   HOH A 101      15.000  15.000  15.000  1.00 30.00           O
END
"""


@pytest.fixture
def pdb_file(tmp_path):
    path = tmp_path / "model.pdb"
    path.write_text(PDB_TEXT)
    return str(path)


@pytest.fixture
def dataset(make_mtz, amplitude):
    """Amplitudes with a free set of 20 values and 40 reflections missing."""
    full = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 2.51)
    columns = {
        "FreeR_flag": ("I", lambda hkl, d: hkl @ np.array([1, 3, 7]) % 20),
        "F": ("F", amplitude),
        "SIGF": ("Q", 2.0),
    }
    history = ["From AIMLESS, version 0.7.4, run on 20/ 7/21"]
    path = make_mtz(columns, hkl=np.delete(full, np.arange(50, 90), axis=0), history=history)
    return read_data(path, DataOptions(), None, "model.pdb")


@pytest.fixture
def report(dataset):
    """A report whose numbers are made up but fit the data set."""
    r = dataset.reflections
    phase = np.exp(1j * np.linspace(-3.0, 3.0, len(r)))
    f = np.nan_to_num(r.f, nan=50.0)
    maps = MapCoefficients(1.2 * f * phase, 0.1 * f * phase, 0.8 * f * phase, 0.9 * f * phase, np.full(len(r), 0.7))
    shell = {
        "n_possible": 500, "n_obs": 480, "n_work": 456, "n_free": 24, "completeness": 96.0, "cc_work": 0.95,
        "cc_free": 0.9, "fom_work": 0.8, "fom_free": 0.7, "d_sigmaa": 0.95, "sigma_model": 10.0, "k_mask": 0.3,
        "k_iso": 1.0, "mean_f_obs": 250.0, "mean_f_calc": 240.0,
    }  # fmt: skip
    return Report(
        cycles=[
            CycleRecord(0, r_work=0.33, r_free=0.35, seconds=0.5),
            CycleRecord(
                1, r_work=0.1912, r_free=0.2345, cc_work=0.951, cc_free=0.931, target=1e4, ll_work=float("nan"),
                weight=1.5, rmsd_bond=0.0123, rmsz_bond=0.9, rmsd_angle=1.567, rmsz_angle=1.0, rmsd_chiral=0.1,
                halvings=1, ridge=0.0, cg_iterations=40, status="the step was shortened", seconds=1.25,
            ),
        ],
        shells=[
            ShellRecord(d_max=26.34, d_min=4.0, r_work=0.18, r_free=0.2, **shell),
            ShellRecord(d_max=4.0, d_min=2.5, r_work=0.25, r_free=0.3, **shell),
        ],
        restraints=[
            RestraintRecord("bond", 1500, 0.0123, 0.9, 0.0141, "Å"),
            RestraintRecord("angle", 2000, 1.567, 1.0, 1.65, "degrees"),
            RestraintRecord("chiral", 100, 0.08, 0.7, 0.15, "Å³"),
            RestraintRecord("adp", 1500, 3.0, None, 0.3, "Å²"),
        ],
        outliers=[OutlierRecord("bond", ("A/1/ALA/N", "A/1/ALA/CA"), 1.6, 1.46, 0.02, 7.0)],
        scale=ScaleRecord(
            "smooth", 1.02, 3.0, (1.0, 2.0, -3.0, 0.1, 0.2, 0.3), 0.35, 46.0, [(0.1, 0.3)], [(0.1, 1.0)],
            solvent_fraction=float("inf"), probe_radius=1.0, shrink_radius=0.8,
        ),
        maps=maps,
        n_work=int(r.work.sum()),
        n_free=int(r.free.sum()),
        free_value=0,
        d_min=2.5,
        d_max=26.34,
        mean_b=np.float64(16.6),
        coordinate_error=CoordinateError(0.12, 0.11, 0.071),
        weight=1.5,
        device="cpu",
        timing={"total": 3.0},
    )  # fmt: skip


@pytest.fixture
def config(tmp_path, pdb_file, dataset):
    return Config(model=pdb_file, data_file=dataset.path, prefix=str(tmp_path / "refined"))
