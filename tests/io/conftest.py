"""Small files made for the tests, and the way to the real cases where there are any."""

import os
from pathlib import Path

import gemmi
import numpy as np
import pytest

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
