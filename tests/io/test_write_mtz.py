"""The output MTZ, read back with gemmi and by ourselves."""

import gemmi
import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.io.free_set import MISSING
from gpurefine.io.mtz_out import write_mtz
from gpurefine.io.reflections import read_data
from gpurefine.model.records import MapColumns

REFMAC_ORDER = "H K L FREE FP SIGFP FC PHIC FC_ALL PHIC_ALL FWT PHWT DELFWT PHDELWT FOM FC_ALL_LS PHIC_ALL_LS"


def test_mtz(tmp_path, dataset, report):
    path = tmp_path / "out.mtz"
    write_mtz(path, dataset, report.maps)
    mtz = gemmi.read_mtz_file(str(path))
    r = dataset.reflections
    assert " ".join(mtz.column_labels()) == REFMAC_ORDER
    assert "".join(c.type for c in mtz.columns) == "HHHIFQFPFPFPFPWFP"
    np.testing.assert_array_equal(mtz.make_miller_array(), r.hkl)
    free = np.array(mtz.column_with_label("FREE").array)
    np.testing.assert_array_equal(free[r.observed], dataset.free_raw[r.observed])
    assert np.isnan(free[dataset.free_raw == MISSING]).all() and (dataset.free_raw == MISSING).sum() == 40
    np.testing.assert_allclose(np.array(mtz.column_with_label("FP").array), r.f, rtol=1e-6)
    size = np.array(mtz.column_with_label("FWT").array)
    phase = np.radians(np.array(mtz.column_with_label("PHWT").array))
    np.testing.assert_allclose(size * np.exp(1j * phase), report.maps.fwt, rtol=1e-5)
    difference = np.array(mtz.column_with_label("DELFWT").array)
    assert (difference[~r.observed] == 0).all() and (difference[r.observed] > 0).all()
    own = mtz.columns[4].dataset
    assert (own.project_name, own.crystal_name, own.dataset_name) == ("PROJ", "XTAL", "DSET")
    assert own.wavelength == pytest.approx(0.9795, rel=1e-5)
    assert mtz.columns[3].dataset_id == mtz.columns[4].dataset_id
    assert mtz.history[0].startswith("From gpurefine") and mtz.history[1].startswith("From AIMLESS")
    assert mtz.spacegroup.hm == "P 21 21 21" and mtz.nreflections == len(r)


def test_mtz_is_read_again_as_it_was(tmp_path, dataset, report):
    path = tmp_path / "out.mtz"
    write_mtz(path, dataset, report.maps)
    again = read_data(str(path), DataOptions(), dataset.crystal, "model.pdb")
    assert again.labels == ("FP", "SIGFP") and again.free_column == "FREE" and again.free_value == 0
    np.testing.assert_array_equal(again.reflections.free, dataset.reflections.free)
    np.testing.assert_allclose(again.reflections.f, dataset.reflections.f, rtol=1e-6)


def test_mtz_of_intensities_without_free_set(tmp_path, make_mtz, report, dataset):
    hkl = dataset.reflections.hkl
    path = make_mtz({"IMEAN": ("J", lambda hkl, d: 890.0 + d), "SIGIMEAN": ("Q", 3.0)}, name="i.mtz", hkl=hkl)
    data = read_data(path, DataOptions(), None, "model.pdb")
    write_mtz(tmp_path / "out.mtz", data, report.maps)
    labels = gemmi.read_mtz_file(str(tmp_path / "out.mtz")).column_labels()
    assert "FREE" not in labels and labels[3:5] == ["FP", "SIGFP"] and labels[-2:] == ["I", "SIGI"]


def test_further_columns_follow(tmp_path, dataset, report):
    """Complex values as amplitude and phase, real ones as they are, several side by side."""
    n = len(dataset.reflections)
    rng = np.random.default_rng(4)
    anomalous, hl, llg = rng.normal(size=n) + 1j * rng.normal(size=n), rng.normal(size=(n, 4)), rng.normal(size=n)
    anomalous[3] = np.nan
    report.maps.extra = (
        MapColumns(("FAN", "PHAN"), "FP", anomalous),
        MapColumns(("HLACOMB", "HLBCOMB", "HLCCOMB", "HLDCOMB"), "AAAA", hl),
        MapColumns(("LLG",), "R", llg),
    )
    write_mtz(tmp_path / "out.mtz", dataset, report.maps)
    mtz = gemmi.read_mtz_file(str(tmp_path / "out.mtz"))
    assert [(c.label, c.type) for c in mtz.columns[-7:]] == [
        ("FAN", "F"), ("PHAN", "P"), ("HLACOMB", "A"), ("HLBCOMB", "A"), ("HLCCOMB", "A"), ("HLDCOMB", "A"),
        ("LLG", "R"),
    ]  # fmt: skip
    columns = [np.array(c.array) for c in mtz.columns[-7:]]
    np.testing.assert_allclose(columns[0] * np.exp(1j * np.radians(columns[1])), anomalous, rtol=1e-5)
    np.testing.assert_allclose(np.stack(columns[2:6], axis=1), hl, rtol=1e-5)
    np.testing.assert_allclose(columns[6], llg, rtol=1e-5)
