"""What reflection files hold in real life: data sets, axes, symmetries, statuses and formats."""

import gzip
from pathlib import Path

import gemmi
import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.reflections import read_data
from gpurefine.io.symmetry import crystal_from_gemmi

CELL = (31.0, 35.0, 40.0, 90.0, 90.0, 90.0)
FREE = ("I", lambda hkl, d: (hkl**2 @ np.array([1, 3, 7])) % 20)


def crystal(group="P 21 21 21", cell=CELL):
    return crystal_from_gemmi(gemmi.UnitCell(*cell), gemmi.SpaceGroup(group))


def read(path, model=None, **options):
    return read_data(path, DataOptions(**options), model, "model.pdb")


def told(data, words):
    return any(words in m for m in data.messages)


def by_spacing(hkl, d):
    """An amplitude that depends on the spacing alone, so that it is the same on all axes."""
    return 100.0 + 1e5 * np.exp(-3.0 / d)


@pytest.fixture
def two_crystals(make_mtz, amplitude):
    """FP of a native and FP of a derivative with a longer a, in two data sets of one file."""
    path = make_mtz({"FP": ("F", amplitude), "SIGFP": ("Q", lambda hkl, d: 1 + d), "FREE": FREE})
    mtz = gemmi.read_mtz_file(path)
    second = mtz.add_dataset("DERIV")
    second.cell, second.crystal_name = gemmi.UnitCell(31.6, 35, 40, 90, 90, 90), "HG"
    for label, letter in (("FP", "F"), ("SIGFP", "Q")):
        mtz.add_column(label, letter, dataset_id=second.id)
    table = np.array(mtz.array)
    table[:, 6], table[:, 7] = table[:, 3] + 50.0, table[:, 4]
    mtz.set_data(table)
    mtz.write_to_file(path)
    return path


def test_each_data_set_has_its_own_cell(two_crystals):
    native = read(two_crystals, labels="/XTAL/DSET/FP,/XTAL/DSET/SIGFP")
    derivative = read(two_crystals, labels="/HG/DERIV/FP,/HG/DERIV/SIGFP")
    assert native.crystal.cell[0] == pytest.approx(31.0) and derivative.crystal.cell[0] == pytest.approx(31.6)
    assert told(native, "data sets with different cells; that of DSET (column FP) is taken")
    assert derivative.dataset_name == "DERIV"
    assert np.nanmin(derivative.reflections.f) - np.nanmin(native.reflections.f) == pytest.approx(50.0)


def test_a_label_that_occurs_twice_must_be_told_apart(two_crystals):
    with pytest.raises(InputError, match=r"several columns 'FP'.*/XTAL/DSET/FP, /HG/DERIV/FP"):
        read(two_crystals, labels="FP,SIGFP")
    assert told(read(two_crystals), "the file also has /HG/DERIV/FP, /HG/DERIV/SIGFP (amplitudes)")


def test_columns_of_one_measurement_in_two_data_sets(two_crystals):
    data = read(two_crystals, labels="/XTAL/DSET/FP,/HG/DERIV/SIGFP")
    assert told(data, "belong to data sets with different cells; that of DSET") and data.crystal.cell[0] < 31.1


@pytest.mark.parametrize(
    ("data", "model", "name"),
    [
        (((50, 60, 70, 90, 90, 90), "P 2 21 21"), ((60, 70, 50, 90, 90, 90), "P 21 21 2"), "k,l,h"),
        (((100, 48, 60, 90, 110, 90), "C 1 2 1"), ((97.446182, 48, 60, 90, 74.648449, 90), "I 1 2 1"), "h+l,k,l"),
        (((52.6, 52.6, 52.6, 78.8, 78.8, 78.8), "R 3 :R"), ((66.77, 66.77, 107.35, 90, 90, 120), "R 3 :H"), None),
        (((66.77, 66.77, 107.35, 90, 90, 120), "R 3 2 :H"), ((52.6, 52.6, 52.6, 78.8, 78.8, 78.8), "R 3 2 :R"), None),
        (((50, 60, 70, 90, 100, 90), "P 1 21 1"), ((60, 50, 70, 100, 90, 90), "P 21 1 1"), "-k,h,l"),
        (((50, 60, 70, 80, 100, 95), "P 1"), ((50, 60, 70, 100, 100, 85), "P 1"), "-h,k,-l"),
    ],
)
def test_other_axes(make_mtz, data, model, name):
    columns = {"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d), "FREE": FREE}
    path = make_mtz(columns, cell=data[0], group=data[1], d_min=5.0)
    found = read(path, crystal(model[1], model[0]))
    r = found.reflections
    assert found.crystal.hm == gemmi.SpaceGroup(model[1]).xhm() and r.observed.mean() > 0.995
    np.testing.assert_allclose(r.f[r.observed], by_spacing(None, r.inv_d2[r.observed] ** -0.5), rtol=2e-3)
    np.testing.assert_allclose(found.crystal.cell, model[0], rtol=0.003)
    change = next(m for m in found.messages if "other axes" in m)
    assert "h,k,l → " in change and (name is None or f"→ {name}," in change)
    assert r.free.sum() > 0


def test_other_indexing_is_told(make_mtz):
    columns = {"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d)}
    path = make_mtz(columns, cell=(52.6, 52.6, 52.6, 78.8, 78.8, 78.8), group="R 3 :R", d_min=5.0)
    assert told(read(path, crystal("R 3 :H", (66.77, 66.77, 107.35, 90, 90, 120))), "fit the cell as well")


def test_the_axes_of_the_screws_decide_where_cells_are_alike(make_mtz):
    columns = {"F": ("F", lambda hkl, d: 100.0 + 3 * hkl[:, 0] + hkl[:, 1]), "SIGF": ("Q", lambda hkl, d: d)}
    path = make_mtz(columns, cell=(50, 50.4, 70, 90, 90, 90), group="P 21 2 21", d_min=5.0)
    found = read(path, crystal("P 2 21 21", (50.4, 50, 70, 90, 90, 90)))
    r = found.reflections
    assert told(found, "h,k,l → k,h,-l")
    at = r.observed
    np.testing.assert_allclose(r.f[at], (100.0 + 3 * r.hkl[:, 1] + r.hkl[:, 0])[at], rtol=1e-6)
    assert at.mean() > 0.98


def test_hexagonal_axes_under_a_rhombohedral_name(make_mtz):
    cell = (66.77, 66.77, 107.35, 90, 90, 120)
    path = make_mtz({"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d)}, cell=cell, group="R 3 :H", d_min=5.0)
    mtz = gemmi.read_mtz_file(path)
    mtz.spacegroup = gemmi.SpaceGroup("R 3 :R")
    mtz.write_to_file(path)
    assert read(path).crystal.hm == "R 3:H"


def expanded(group="P 21 21 21", cell=CELL, d_min=4.0):
    """Indices of a hemisphere: all that P 1 tells apart, absences of ``group`` left out."""
    unit, operations = gemmi.UnitCell(*cell), gemmi.SpaceGroup(group).operations()
    hkl = gemmi.make_miller_array(unit, gemmi.SpaceGroup("P 1"), d_min)
    return hkl[~np.asarray(operations.systematic_absences(hkl), dtype=bool)]


def test_lower_symmetry_in_the_header_is_merged(make_mtz):
    path = make_mtz({"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d)}, group="P 1", hkl=expanded())
    found = read(path, crystal())
    assert found.crystal.hm == "P 21 21 21" and told(found, "lower symmetry")
    assert told(found, "were merged with R_merge 0.000") and found.reflections.observed.mean() > 0.98


@pytest.mark.parametrize("letter", ["F", "J"])
def test_lower_symmetry_that_is_the_true_one(make_mtz, letter):
    def random(hkl, d):
        z = np.random.default_rng(1).exponential(size=len(hkl))
        return 100.0 * (np.sqrt(z) if letter == "F" else z)

    path = make_mtz({"A": (letter, random), "SIGA": ("Q", lambda hkl, d: d)}, group="P 1", hkl=expanded())
    with pytest.raises(InputError, match=r"equivalent in P 21 21 21 of the model disagree \(R_merge 0\.\d\d\)"):
        read(path, crystal(), labels="A,SIGA")


def test_higher_symmetry_in_the_header_but_not_in_the_file(make_mtz):
    cell = (40.0, 40.0, 60.0, 90.0, 90.0, 90.0)
    columns = {"F": ("F", lambda hkl, d: 100.0 + 2 * hkl[:, 0] + hkl[:, 1]), "SIGF": ("Q", lambda hkl, d: d)}
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P 4"), 4.0)
    path = make_mtz(columns, cell=cell, group="P 4 2 2", hkl=hkl)
    found = read(path, crystal("P 4", cell))
    assert told(found, "holds more reflections than P 4 2 2 has") and found.reflections.observed.mean() > 0.98


def test_a_header_that_lost_its_centring(make_mtz):
    cell = (40.0, 50.0, 60.0, 90.0, 90.0, 90.0)
    columns = {"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d)}
    body = make_mtz(columns, cell=cell, group="P 2 2 2", hkl=expanded("I 2 2 2", cell), name="i.mtz")
    assert read(body, crystal("I 2 2 2", cell)).reflections.observed.mean() > 0.98
    primitive = make_mtz(columns, cell=cell, group="P 2 2 2", name="p.mtz")
    with pytest.raises(InputError, match="forbidden by the centring of space group I 2 2 2"):
        read(primitive, crystal("I 2 2 2", cell))


def test_header_without_cell_or_space_group(make_mtz, amplitude):
    path = make_mtz({"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d)})
    mtz = gemmi.read_mtz_file(path)
    mtz.set_cell_for_all(gemmi.UnitCell(1, 1, 1, 90, 90, 90))
    mtz.write_to_file(path)
    found = read(path, crystal())
    assert told(found, "has no unit cell; that of model.pdb is used") and found.crystal.cell[2] == pytest.approx(40.0)
    with pytest.raises(InputError, match="Neither"):
        read(path)


@pytest.mark.parametrize("cell", [(31, 35, 40, 90, 90, 179.9), (31, 35, 40, 10, 20, 90), (31, 3.5e6, 40, 90, 90, 90)])
def test_impossible_cells(make_mtz, cell):
    path = make_mtz({"F": ("F", by_spacing), "SIGF": ("Q", 1.0)}, group="P 1", hkl=[[1, 2, 3]])
    mtz = gemmi.read_mtz_file(path)
    mtz.set_cell_for_all(gemmi.UnitCell(*cell))
    mtz.write_to_file(path)
    with pytest.raises(InputError, match=r"The unit cell in .* is impossible"):
        read(path)


def test_one_wild_index_is_an_error_and_no_memory(make_mtz):
    hkl = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 3.0)
    columns = {"F": ("F", lambda hkl, d: 10.0 + d), "SIGF": ("Q", 1.0)}
    with pytest.raises(InputError, match="the cell or some indices are wrong"):
        read(make_mtz(columns, hkl=np.vstack([hkl, [[900, 800, 700]]])))
    with pytest.raises(InputError, match="not whole numbers below 20000"):
        read(make_mtz(columns, hkl=np.vstack([hkl, [[1, 2, 30000]]])))


def test_constant_columns(make_mtz, amplitude):
    with pytest.raises(InputError, match=r"Every measurement in .* has the value 5"):
        read(make_mtz({"F": ("F", 5.0), "SIGF": ("Q", 1.0)}))
    assert told(read(make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)})), "Every standard uncertainty is 1")
    plain = read(make_mtz({"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d)}))
    assert not told(plain, "Every standard uncertainty")


def test_impossibly_large_values_are_left_out(make_mtz, amplitude):
    def spoilt(hkl, d):
        values = amplitude(hkl, d)
        values[3] = 1e30
        return values

    found = read(make_mtz({"F": ("F", spoilt), "SIGF": ("Q", lambda hkl, d: d)}))
    assert told(found, "1 measurements are impossibly large") and np.nanmax(found.reflections.f) < 1e4


@pytest.mark.parametrize(
    ("columns", "labels"),
    [
        ({"F-obs": "F", "SIGF-obs": "Q"}, ("F-obs", "SIGF-obs")),
        ({"I-obs": "J", "SIGI-obs": "Q"}, ("I-obs", "SIGI-obs")),
        ({"F-obs-filtered": "F", "SIGF-obs-filtered": "Q"}, ("F-obs-filtered", "SIGF-obs-filtered")),
        ({"F-model": "F", "PHIF-model": "P", "F-obs": "F", "SIGF-obs": "Q"}, ("F-obs", "SIGF-obs")),
        ({"I-obs(+)": "K", "SIGI-obs(+)": "M", "I-obs(-)": "K", "SIGI-obs(-)": "M"}, None),
        ({"Iplus": "K", "SIGIplus": "M", "Iminus": "K", "SIGIminus": "M"}, None),
    ],
)
def test_labels_of_other_programs(make_mtz, columns, labels):
    table = {k: (t, (lambda hkl, d: d) if t in "QM" else by_spacing) for k, t in columns.items()}
    found = read(make_mtz({**table, "R-free-flags": FREE}))
    assert found.labels == (labels or tuple(columns)) and found.free_column == "R-free-flags"


def test_half_a_friedel_pair(make_mtz):
    with pytest.raises(InputError, match="could be recognised"):
        read(make_mtz({"F(+)": ("G", by_spacing), "SIGF(+)": ("L", lambda hkl, d: d)}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!FORMAT=XDS_ASCII    MERGE=FALSE    FRIEDEL'S_LAW=TRUE\n!NAME=x\n", "cannot be read as reflections"),
        ("    1\n -987\n    31.0    35.0    40.0    90.0    90.0    90.0 p212121\n   1   0   0   10.0\n", "Scalepack"),
        ("   1   0   0  123.45    2.30\n   2   0   0   44.10    1.20\n", "SHELX"),
        (" NREFlection=   100\n ANOMalous=FALSE\n INDE 1 0 0 FOBS= 10.0 SIGMA= 1.0\n", "CNS"),
        ("HEADER    HYDROLASE\nATOM      1  N   ALA A   1\n", "coordinate file"),
        ("some words\n", "neither an MTZ file, an mmCIF nor an XDS_ASCII file"),
        ("\n \n", "is empty"),
    ],
)
def test_other_formats_are_named(tmp_path, text, words):
    for name in ("data.hkl", "data.mtz", "data.cif"):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError, match=words) as error:
            read(str(path))
        assert name in str(error.value)


def test_compressed_files_are_known_by_content(tmp_path, make_mtz, amplitude):
    whole = Path(make_mtz({"F": ("F", amplitude), "SIGF": ("Q", lambda hkl, d: d)})).read_bytes()
    misnamed, damaged, renamed = tmp_path / "packed.mtz", tmp_path / "short.mtz.gz", tmp_path / "mtz_in.cif"
    misnamed.write_bytes(gzip.compress(whole))
    damaged.write_bytes(gzip.compress(whole)[:-200])
    renamed.write_bytes(whole)
    with pytest.raises(InputError, match=r"name that ends in \.gz"):
        read(str(misnamed))
    with pytest.raises(InputError, match=r"short\.mtz\.gz"):
        read(str(damaged))
    assert read(str(renamed)).kind == "amplitudes"


def reflections_cif(name, rows, tags):
    return (
        f"data_{name}\n_cell.length_a 31\n_cell.length_b 35\n_cell.length_c 40\n_cell.angle_alpha 90\n"
        "_cell.angle_beta 90\n_cell.angle_gamma 90\n_symmetry.space_group_name_H-M 'P 21 21 21'\nloop_\n"
        + "".join(f"_refln.{t}\n" for t in ("index_h", "index_k", "index_l", *tags))
        + "".join(" ".join(str(x) for x in row) + "\n" for row in rows)
    )


HKL = gemmi.make_miller_array(gemmi.UnitCell(*CELL), gemmi.SpaceGroup("P 21 21 21"), 5.0)
MEASURED = ("F_meas_au", "F_meas_sigma_au")


def test_several_blocks(tmp_path):
    path = tmp_path / "many-sf.cif"
    phases = reflections_cif("calc", [(*h, 10 + k) for k, h in enumerate(HKL)], ("phase_calc",))
    first = reflections_cif("native", [(*h, 10 + k, 1 + k % 2) for k, h in enumerate(HKL)], MEASURED)
    second = reflections_cif("peak", [(*h, 500 + k, 1 + k % 2) for k, h in enumerate(HKL)], MEASURED)
    path.write_text(phases + first + second)
    found = read(str(path))
    assert np.nanmax(found.reflections.f) < 500
    assert told(found, "has 3 blocks; native is read (--block chooses calc, peak)")
    assert np.nanmin(read(str(path), block="peak").reflections.f) >= 500
    with pytest.raises(InputError, match="no block 'x' with reflections; it has calc, native, peak"):
        read(str(path), block="x")


def test_block_of_an_mtz_file(make_mtz, amplitude):
    with pytest.raises(UsageError, match="--block is for mmCIF"):
        read(make_mtz({"F": ("F", amplitude), "SIGF": ("Q", 1.0)}), block="x")


@pytest.mark.parametrize("flags", [False, True])
def test_status(tmp_path, flags):
    status = ["f" if k % 10 == 0 else "x" if k % 10 == 1 else "<" if k == 5 else "o" for k in range(len(HKL))]
    rows = [(*h, status[k], 10 + k, 1 + k % 2, *([0] if flags else [])) for k, h in enumerate(HKL)]
    path = tmp_path / "status-sf.cif"
    path.write_text(reflections_cif("a", rows, ("status", *MEASURED, *(["pdbx_r_free_flag"] if flags else []))))
    found = read(str(path))
    assert told(found, f"{status.count('x')} reflections with status x (unreliable) or - (absent) are left out")
    assert found.reflections.observed.sum() == len(HKL) - status.count("x")
    assert found.reflections.free.sum() == status.count("f") and found.free_value == 0


def test_flags_in_mmcif(tmp_path):
    rows = [(*h, 10 + k, 1 + k % 2, int(k % 10 == 0)) for k, h in enumerate(HKL)]
    path = tmp_path / "flag-sf.cif"
    path.write_text(reflections_cif("a", rows, (*MEASURED, "pdbx_r_free_flag")))
    found = read(str(path))
    assert found.free_value == 1 and found.reflections.free.sum() == len(HKL[::10])


def test_test_sets_that_a_twin_law_splits(make_mtz):
    cell = (53.9, 53.9, 77.4, 90.0, 90.0, 90.0)
    columns = {"F": ("F", by_spacing), "SIGF": ("Q", lambda hkl, d: d)}
    split = {**columns, "FREE": ("I", lambda hkl, d: np.arange(len(hkl)) % 20)}
    found = read(make_mtz(split, cell=cell, group="P 43", d_min=4.0))
    assert told(found, "the lattice relates reflections by -h,k,-l, and only")
    kept = {**columns, "FREE": ("I", lambda hkl, d: (hkl[:, 0] ** 2 + hkl[:, 1] ** 2 + hkl[:, 2] ** 2) % 20)}
    assert not told(read(make_mtz(kept, cell=cell, group="P 43", d_min=4.0)), "the lattice relates")
    plain = make_mtz(split, cell=(53.9, 60.0, 77.4, 90, 90, 90), group="P 21 21 21", d_min=4.0)
    assert not told(read(plain), "Free set: the lattice relates")
