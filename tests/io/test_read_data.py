"""Reading measurements: columns, crystals, merging, limits."""

import gzip
import shutil
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.labels import strip_path
from gpurefine.io.measurements import average_mates, positions
from gpurefine.io.reflections import read_data
from gpurefine.io.symmetry import crystal_from_gemmi

CELL = (31.0, 35.0, 40.0, 90.0, 90.0, 90.0)


def crystal(group="P 21 21 21", cell=CELL):
    return crystal_from_gemmi(gemmi.UnitCell(*cell), gemmi.SpaceGroup(group))


def read(path, model=None, **options):
    return read_data(path, DataOptions(**options), model, "model.pdb")


def cycle_flags(n):
    return lambda hkl, d: np.arange(len(hkl)) % n


def test_amplitudes_with_ccp4_free_set(make_mtz, amplitude):
    path = make_mtz(
        {"FREE": ("I", cycle_flags(20)), "FP": ("F", amplitude), "SIGFP": ("Q", 2.0)}, history=["From AIMLESS, 1.2"]
    )
    data = read(path, crystal())
    r = data.reflections
    assert data.kind == "amplitudes" and data.labels == ("FP", "SIGFP") and data.intensity is None
    np.testing.assert_allclose(r.f, amplitude(r.hkl, None), rtol=1e-6)
    assert (r.sigma == 2.0).all()
    assert data.free_column == "FREE" and data.free_value == 0
    np.testing.assert_array_equal(r.free, data.free_raw == 0)
    assert set(data.free_raw) == set(range(20))
    assert (data.project, data.crystal_name, data.dataset_name) == ("PROJ", "XTAL", "DSET")
    assert data.wavelength == pytest.approx(0.9795)
    assert data.history == ("From AIMLESS, 1.2",)
    expected = f"Free set: column FREE, value 0, {r.free.sum()} of {len(r)} reflections ({100 * r.free.mean():.1f} %)."
    assert expected in data.messages
    order = np.lexsort((r.hkl[:, 2], r.hkl[:, 1], r.hkl[:, 0]))
    np.testing.assert_array_equal(order, np.arange(len(r)))
    assert r.centric[(r.hkl == 0).any(axis=1)].all()


def test_missing_reflections_are_listed(make_mtz, amplitude):
    full = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 3.0)
    kept = np.delete(full, np.arange(50, 90), axis=0)
    r = read(make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)}, hkl=kept)).reflections
    assert len(r) == len(full) and r.observed.sum() == len(kept)
    assert np.isnan(r.f[~r.observed]).all() and np.isnan(r.sigma[~r.observed]).all()


@pytest.mark.parametrize("labels", ["FP,SIGFP,TEST", "/XTAL/DSET/FP,/XTAL/DSET/SIGFP,TEST", "FP"])
def test_labels(make_mtz, amplitude, labels):
    path = make_mtz(
        {
            "F": ("F", 5.0), "SIGF": ("Q", 1.0), "FP": ("F", amplitude), "SIGFP": ("Q", 2.0),
            "TEST": ("I", cycle_flags(10)),
        }
    )  # fmt: skip
    data = read(path, labels=labels)
    assert data.labels == ("FP", "SIGFP") and data.free_column == "TEST"
    assert data.reflections.f.min() > 100


def test_strip_path():
    assert strip_path("/HKL_base/DSET/FP") == ("DSET", "FP")
    assert strip_path(" F(+) ") == (None, "F(+)")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ("FX,SIGFX", "no column 'FX'; its columns are FP (F), SIGFP (Q), PHI (P)"),
        ("PHI,SIGFP", "of type P, which is no measured"),
        ("FP,PHI", "selects columns of types F, P"),
        (" , ", "names no column"),
    ],
)
def test_wrong_labels(make_mtz, amplitude, labels, words):
    path = make_mtz({"FP": ("F", amplitude), "SIGFP": ("Q", 2.0), "PHI": ("P", 0.0)})
    with pytest.raises(InputError) as error:
        read(path, labels=labels)
    assert words in str(error.value) and path in str(error.value)


def test_sigma_missing(make_mtz, amplitude):
    path = make_mtz({"FP": ("F", amplitude), "PHI": ("P", 0.0)})
    with pytest.raises(InputError, match="no column of standard uncertainties for FP"):
        read(path, labels="FP")
    with pytest.raises(InputError, match=r"has FP \(F\) but no column of standard uncertainties.*SIGFP"):
        read(path)


def test_choice_is_told_and_ambiguity_refused(make_mtz, amplitude):
    both = {"FP": ("F", amplitude), "SIGFP": ("Q", 2.0), "I": ("J", 9.0), "SIGI": ("Q", 1.0)}
    data = read(make_mtz(both))
    assert "the file also has I, SIGI (intensities)" in data.messages[0]
    several = {"FA": ("F", 1.0), "SIGFA": ("Q", 1.0), "FB": ("F", 2.0), "SIGFB": ("Q", 1.0)}
    with pytest.raises(InputError, match=r"FA,SIGFA; FB,SIGFB.*--labels"):
        read(make_mtz(several))


def test_calculated_amplitudes_are_not_data(make_mtz, amplitude):
    path = make_mtz({"FC": ("F", 3.0), "PHIC": ("P", 0.0), "FX": ("F", amplitude), "SIGFX": ("Q", 2.0)})
    assert read(path).labels == ("FX", "SIGFX")


def test_intensities_become_amplitudes(make_mtz):
    path = make_mtz({"IMEAN": ("J", lambda hkl, d: 1e4 * np.exp(-20 / d**2)), "SIGIMEAN": ("Q", 1.0)})
    data = read(path)
    r = data.reflections
    assert data.kind == "intensities" and data.from_intensities
    np.testing.assert_allclose(r.f, np.sqrt(data.intensity), rtol=1e-4)
    np.testing.assert_allclose(r.sigma, data.sigma_intensity / (2 * r.f), rtol=1e-3)
    assert any("French and Wilson" in m for m in data.messages)


def test_friedel_pairs_are_averaged(make_mtz, amplitude):
    def minus(hkl, d):
        values = amplitude(hkl, d) + 10.0
        values[3] = np.nan
        return values

    columns = {
        "F(+)": ("G", amplitude), "SIGF(+)": ("L", 1.0), "F(-)": ("G", minus), "SIGF(-)": ("L", 2.0),
    }  # fmt: skip
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 3.0)
    for labels in (None, "F(+),SIGF(+),F(-),SIGF(-)"):
        data = read(make_mtz(columns), labels=labels)
        assert data.kind == "friedel amplitudes"
        r = data.reflections
        alone = positions(hkl[3:4].astype(np.int32), r.hkl)[0]
        paired = np.arange(len(r)) != alone
        plus = amplitude(r.hkl, None)
        np.testing.assert_allclose(r.f[paired], (plus + 2.0)[paired], rtol=1e-6)
        np.testing.assert_allclose(r.sigma[paired], np.sqrt(0.8), rtol=1e-6)
        assert r.f[alone] == pytest.approx(plus[alone], rel=1e-6) and r.sigma[alone] == 1.0


def test_average_mates_without_sigmas():
    mean, sigma = average_mates(np.array([[1.0, 3.0], [np.nan, np.nan]]), np.array([[0.0, np.nan], [1.0, 1.0]]))
    assert mean[0] == 2.0 and np.isnan(sigma).all() and np.isnan(mean[1])


def test_indices_are_mapped_and_equivalents_merged(make_mtz, amplitude):
    full = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 4.0)
    moved = full * np.array([-1, -1, 1])
    repeated = np.vstack([moved, -full[:7]])

    def f(hkl, d):
        values = amplitude(np.abs(hkl), d)
        values[-7:-3] += 2.0  # four were measured twice, three are copies
        return values

    data = read(make_mtz({"F": ("F", f), "SIGF": ("Q", 1.0)}, hkl=repeated))
    r = data.reflections
    assert len(r) == len(full) and r.observed.all() and (r.hkl >= 0).all()
    twice = np.abs(r.sigma - np.sqrt(0.5)) < 1e-6
    assert twice.sum() == 4 and (r.sigma[~twice] == 1.0).all()
    np.testing.assert_allclose(r.f, amplitude(r.hkl, None) + twice, rtol=1e-6)
    assert any(m.startswith("7 repeated") for m in data.messages)


def test_absences_bad_sigmas_and_negative_amplitudes_are_counted(make_mtz, amplitude):
    full = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 3.0)
    hkl = np.vstack([full, [[3, 0, 0], [0, 5, 0]]])

    def f(hkl, d):
        values = amplitude(hkl, d)
        values[10] = -4.0
        values[11] = np.nan
        values[12:14] = 0.0
        return values

    def sigma(hkl, d):
        values = np.full(len(hkl), 2.0)
        values[5:8] = (0.0, -1.0, np.nan)
        values[12] = 0.0
        return values

    data = read(make_mtz({"F": ("F", f), "SIGF": ("Q", sigma)}, hkl=hkl))
    # 13 is an amplitude of exactly 0 with a good sigma: an old program's mark of a missing reflection
    assert data.reflections.observed.sum() == len(full) - 7
    text = " ".join(data.messages)
    assert "2 reflections that are absent in space group P 21 21 21" in text
    assert "3 of" in text and "no positive standard uncertainty" in text
    assert "1 negative amplitudes" in text and "1 amplitudes are exactly 0" in text


def test_mostly_bad_sigmas_are_an_error(make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: np.arange(len(hkl)) % 5 - 1.0)})
    with pytest.raises(InputError, match="no positive standard uncertainty"):
        read(path)


def test_nothing_measured(make_mtz):
    with pytest.raises(InputError, match="no measured value"):
        read(make_mtz({"F": ("F", np.nan), "SIGF": ("Q", 1.0)}))


def test_resolution_limits(make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)})
    r = read(path, d_min=4.0, d_max=12.0).reflections
    assert 4.0 <= r.d_min < 4.1 and 11.0 < r.d_max <= 12.0
    with pytest.raises(InputError, match=r"reaches from 26\.34 to 3\.00 Å"):
        read(path, d_min=1.0, d_max=1.5)
    with pytest.raises(UsageError, match="smaller number"):
        read(path, d_min=5.0, d_max=4.0)
    with pytest.raises(UsageError, match="positive"):
        read(path, d_min=-1.0)


def test_cell_of_the_data_wins(make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)})
    data = read(path, crystal(cell=(31.3, 35.0, 40.0, 90, 90, 90)))
    assert data.crystal.cell[0] == pytest.approx(31.0)
    assert any("replaces that of model.pdb (31.30" in m for m in data.messages)
    with pytest.raises(InputError, match=r"data\.mtz.*model\.pdb.*3 %"):
        read(path, crystal(cell=(33.0, 35.0, 40.0, 90, 90, 90)))


def test_cell_of_the_columns_data_set(tmp_path, make_mtz, amplitude):
    path = make_mtz({"FA": ("F", amplitude), "SIGFA": ("Q", 1.0)})
    mtz = gemmi.read_mtz_file(path)
    mtz.datasets[0].cell = gemmi.UnitCell(31.9, 35, 40, 90, 90, 90)
    mtz.cell = gemmi.UnitCell(31.9, 35, 40, 90, 90, 90)
    mtz.write_to_file(path)
    assert read(path).crystal.cell[0] == pytest.approx(31.0)


def test_space_group_of_the_model_wins_where_compatible(make_mtz, amplitude):
    cell = (40.0, 40.0, 60.0, 90.0, 90.0, 90.0)
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)}, cell=cell, group="P 4 2 2", d_min=4.0)
    data = read(path, crystal("P 43 21 2", cell))
    assert data.crystal.hm == "P 43 21 2"
    assert any("P 4 2 2" in m and "P 43 21 2" in m for m in data.messages)
    with pytest.raises(InputError, match=r"P 4 2 2.*P 2 2 2"):
        read(path, crystal("P 2 2 2", cell))
    with pytest.raises(InputError, match="I 4 2 2"):
        read(path, crystal("I 4 2 2", cell))


def test_impossible_cell(make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)})
    mtz = gemmi.read_mtz_file(path)
    mtz.spacegroup = gemmi.SpaceGroup("P 4 2 2")
    mtz.write_to_file(path)
    with pytest.raises(InputError, match="impossible in space group P 4 2 2"):
        read(path)


def test_compressed_and_broken_files(tmp_path, make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)})
    packed = tmp_path / "data.mtz.gz"
    with open(path, "rb") as source, gzip.open(packed, "wb") as target:
        shutil.copyfileobj(source, target)
    np.testing.assert_array_equal(read(str(packed)).reflections.f, read(path).reflections.f)

    whole = Path(path).read_bytes()
    for name, content in (("cut.mtz", whole[: len(whole) // 3]), ("text.mtz", b"hello" * 100), ("empty.mtz", b"")):
        bad = tmp_path / name
        bad.write_bytes(content)
        with pytest.raises(InputError, match=name):
            read(str(bad))
    with pytest.raises(InputError, match=r"none\.mtz"):
        read(str(tmp_path / "none.mtz"))
    with pytest.raises(InputError, match="is a folder"):
        read(str(tmp_path))


def test_structure_factor_mmcif(tmp_path, make_mtz, amplitude):
    path = make_mtz({"FREE": ("I", cycle_flags(10)), "FP": ("F", amplitude), "SIGFP": ("Q", 2.0)})
    cif = tmp_path / "data-sf.cif"
    cif.write_text(gemmi.MtzToCif().write_cif_to_string(gemmi.read_mtz_file(path)))
    data, original = read(str(cif)), read(path)
    np.testing.assert_allclose(data.reflections.f, original.reflections.f, rtol=1e-4)
    assert data.reflections.free.sum() == pytest.approx(original.reflections.free.sum())


@pytest.mark.parametrize(("case", "labels", "n_observed", "n_free"), [
    ("insulin_ssad", "F_CuKa,SIGF_CuKa,FreeR_flag", 8869, 422),
    ("2r4r", "FOBS,SIGFOBS,R-free-flags", 19671, 1917),
    ("hewl_ssad", "IMEAN,SIGIMEAN,FreeR_flag", 12542, 615),
    ("6mw0_microed", "FP,SIGFP", 4832, 0),
])  # fmt: skip
def test_real_cases(case_folder, case, labels, n_observed, n_free):
    path = str(case_folder / case / "data.mtz")
    for named in (None, labels):
        r = read(path, labels=named).reflections
        assert (r.observed.sum(), r.free.sum()) == (n_observed, n_free)
