"""Test sets made, completed, extended and copied."""

import gemmi
import numpy as np
import pytest

from gpurefine.cli.main import run
from gpurefine.config import FreeSetOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.data_file import open_data
from gpurefine.io.free_assign import assign, deck_like, new_deck
from gpurefine.io.free_set import MISSING
from gpurefine.io.freer import check_output, make_free_set
from gpurefine.io.lattice import lattice_rotations, orbits, twin_laws
from gpurefine.io.measurements import positions
from gpurefine.io.symmetry import asu_hkl, crystal_from_gemmi, unique_hkl

TETRAGONAL = (53.9, 53.9, 77.4, 90.0, 90.0, 90.0)
DATA = {"F": ("F", lambda hkl, d: 10.0 + d), "SIGF": ("Q", 1.0)}


def make(path, **options):
    return make_free_set(path, FreeSetOptions(**options))


def crystal(cell, group):
    return crystal_from_gemmi(gemmi.UnitCell(*cell), gemmi.SpaceGroup(group))


LATTICES = [
    (TETRAGONAL, "P 43", 2),
    ((60.0, 60.0, 90.0, 90.0, 90.0, 120.0), "P 3", 4),
    ((78.0, 78.0, 78.0, 90.0, 90.0, 90.0), "I 21 3", 2),
    ((50.0, 60.0, 70.0, 90.0, 90.1, 90.0), "P 1 21 1", 2),
    ((70.0, 70.0, 100.0, 90.0, 90.0, 120.0), "R 3 :H", 2),
    ((31.0, 35.0, 40.0, 90.0, 90.0, 90.0), "P 21 21 21", 1),
]


@pytest.mark.parametrize(("cell", "group", "index"), LATTICES, ids=[g for _, g, _ in LATTICES])
def test_sets_are_those_of_the_lattice(make_mtz, cell, group, index):
    path = make_mtz(DATA, cell=cell, group=group, d_min=4.0)
    result = make(path)
    laws = twin_laws(result.crystal)
    assert len(laws) == index - 1
    for law in laws:
        mate = positions(asu_hkl(result.crystal, law.apply(result.hkl)), result.hkl)
        there = mate >= 0  # in a monoclinic cell the mate may lie just beyond the resolution limit
        assert there.mean() > 0.97 and (mate != np.arange(len(mate))).mean() > 0.5
        np.testing.assert_array_equal(result.values[mate[there]], result.values[there])
    assert set(result.values) == set(range(20))
    assert abs((result.values == 0).mean() - 0.05) < 0.012
    assert any(f"{(result.values == 0).sum()} of {len(result.hkl)} possible" in m for m in result.messages)


def test_orbits_against_gemmi():
    c = crystal((50.0, 50.0, 70.0, 90.0, 90.0, 90.0), "P 41")
    hkl = unique_hkl(c, 4.0)
    _, orbit = orbits(hkl, lattice_rotations(c))
    higher = crystal((50.0, 50.0, 70.0, 90.0, 90.0, 90.0), "P 4 2 2")
    _, expected = np.unique(asu_hkl(higher, hkl), axis=0, return_inverse=True)
    expected = expected.reshape(-1)
    assert orbit.max() == expected.max()
    pairs = np.unique(np.stack([orbit, expected], axis=1), axis=0)
    assert len(pairs) == orbit.max() + 1


def test_the_seed_decides(make_mtz):
    path = make_mtz(DATA, cell=TETRAGONAL, group="P 43", d_min=5.0)
    np.testing.assert_array_equal(make(path).values, make(path).values)
    assert (make(path).values != make(path, seed=1).values).mean() > 0.8


@pytest.mark.parametrize("fraction", [0.02, 0.1, 0.3])
def test_fraction(make_mtz, fraction):
    path = make_mtz(DATA, d_min=2.5)
    values = make(path, fraction=fraction).values
    assert abs((values == 0).mean() - fraction) < 0.05 * fraction + 0.034 * (fraction == 0.3)
    assert len(set(values)) == round(1 / fraction)


def test_the_file_keeps_its_columns_and_gets_all_reflections(make_mtz, tmp_path):
    full = gemmi.make_miller_array(gemmi.UnitCell(31, 35, 40, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21"), 3.0)
    path = make_mtz({**DATA, "PHI": ("P", 33.0)}, hkl=np.delete(full, np.arange(60, 90), axis=0))
    result = make(path)
    out = tmp_path / "out.mtz"
    result.write(str(out))
    mtz = gemmi.read_mtz_file(str(out))
    assert mtz.nreflections == len(full) and len(result.hkl) == len(full)
    assert [c.label for c in mtz.columns] == ["H", "K", "L", "F", "SIGF", "PHI", "FreeR_flag"]
    table = np.array(mtz.array)
    assert np.isfinite(table[:, 6]).all() and np.isnan(table[:, 3]).sum() == 30
    original = gemmi.read_mtz_file(path)
    rows = {tuple(r[:3]): r for r in table}
    for row in np.array(original.array):
        np.testing.assert_array_equal(rows[tuple(row[:3])][:6], row)
    assert "freer" in mtz.history[0]
    again = open_data(str(out)).mtz
    np.testing.assert_array_equal(make_free_set(str(out), FreeSetOptions()).values, result.values)
    assert again.column_with_label("FreeR_flag").type == "I"


def holes(hkl, d):
    values = (hkl @ np.array([1, 3, 7]) % 20).astype(float)
    values[::7] = np.nan
    return values


def test_completing_keeps_what_is_given(make_mtz):
    path = make_mtz({**DATA, "FREE": ("I", holes)})
    result = make(path)
    given = np.array(gemmi.read_mtz_file(path).column_with_label("FREE").array)
    rows = gemmi.read_mtz_file(path).make_miller_array().astype(np.int32)
    known = np.isfinite(given)
    at = positions(rows, result.hkl)
    np.testing.assert_array_equal(result.values[at][known], given[known])
    assert set(result.values) == set(range(20))
    assert "FREE" in [c.label for c in result.mtz.columns] and "FreeR_flag" not in [c.label for c in result.mtz.columns]
    assert any(m.startswith(f"{known.sum()} reflections keep their set; 0 got") for m in result.messages)


def test_completing_fills_from_the_related_reflection(make_mtz):
    path = make_mtz(DATA, cell=TETRAGONAL, group="P 43", d_min=5.0)
    whole = make(path)
    law = twin_laws(whole.crystal)[0]
    mate = positions(asu_hkl(whole.crystal, law.apply(whole.hkl)), whole.hkl)
    one = np.flatnonzero(mate > np.arange(len(mate)))[::3]
    given = whole.values.copy()
    given[one] = MISSING
    _, orbit = orbits(whole.hkl, lattice_rotations(whole.crystal))
    made = assign(orbit, whole.crystal.inv_d2(whole.hkl), given, new_deck(0.05), 3, False)
    np.testing.assert_array_equal(made.values, whole.values)
    assert (made.n_completed, made.n_new, made.n_torn) == (len(one), 0, 0)


def test_torn_sets_are_kept_and_told(make_mtz):
    path = make_mtz({**DATA, "FREE": ("I", lambda hkl, d: np.arange(len(hkl)) % 20)}, cell=TETRAGONAL, group="P 43")
    result = make(path)
    assert any("the given sets disagree; they were kept as given" in m for m in result.messages)
    assert not any("as twins and NCS" in m for m in result.messages)
    renewed = make(path, new=True)
    assert any("is replaced by a new test set" in m for m in renewed.messages)
    assert any("as twins and NCS" in m for m in renewed.messages)


@pytest.mark.parametrize(("rare", "common"), [(1, 0), (0, 1)])
def test_extension_of_a_binary_set(make_mtz, rare, common):
    path = make_mtz({**DATA, "R-free-flags": ("I", lambda hkl, d: np.where(np.arange(len(hkl)) % 10, common, rare))})
    result = make(path, d_min=2.2)
    assert result.test == rare
    new = result.crystal.inv_d2(result.hkl) > 3.0**-2
    assert new.sum() > 500
    assert set(result.values) == {0, 1}
    assert abs((result.values[new] == rare).mean() - 0.1) < 0.01


def test_constant_column_is_replaced(make_mtz):
    result = make(make_mtz({**DATA, "FREE": ("I", 1.0)}))
    assert any("the same for every reflection: a new test set is made" in m for m in result.messages)
    assert abs((result.values == 0).mean() - 0.05) < 0.012


def test_copy_from_another_file_on_other_axes(make_mtz):
    flag = {"FREE": ("I", lambda hkl, d: (hkl**2 @ np.array([1, 3, 7])) % 20)}
    other = make_mtz(flag, name="free.mtz", cell=(35.0, 40.0, 31.0, 90, 90, 90), group="P 21 21 2", d_min=2.8)
    path = make_mtz(DATA, cell=(31.0, 35.0, 40.0, 90, 90, 90), group="P 2 21 21")
    result = make(path, from_file=other)
    h, k, l = result.hkl.T  # noqa: E741
    expected = (np.stack([k, l, h], axis=1) ** 2 @ np.array([1, 3, 7])) % 20
    np.testing.assert_array_equal(result.values, expected)
    assert any(m.startswith("Copied: column FREE") for m in result.messages)
    with pytest.raises(UsageError, match="--new and --from"):
        make(path, from_file=other, new=True)


def test_thin_shells(make_mtz):
    path = make_mtz(DATA, d_min=2.0)
    result = make(path, shells=True)
    order = np.argsort(result.crystal.inv_d2(result.hkl), kind="stable")
    free = result.values[order] == 0
    runs = int((np.diff(free.astype(int)) == 1).sum()) + int(free[0])
    assert 4 <= runs <= 50
    assert abs(free.mean() - 0.05) < 0.01
    with pytest.raises(UsageError, match="--new"):
        make(make_mtz({**DATA, "FREE": ("I", holes)}), shells=True)


def test_decks():
    assert list(new_deck(0.05)) == list(range(20))
    given = np.array([1] * 90 + [0] * 10, dtype=np.int32)
    assert sorted(deck_like(given, 0)) == [0] + [1] * 9


@pytest.mark.parametrize(
    ("columns", "options", "kind", "words"),
    [
        (DATA, {"column": "TEST"}, InputError, "no integer column 'TEST'"),
        (DATA, {"d_min": -1.0}, UsageError, "--d-min must be"),
        (DATA, {"d_min": 1e-4}, InputError, "far too many reflections"),
        ({**DATA, "FreeR_flag": ("R", 1.0)}, {}, InputError, "not of type I"),
    ],
)
def test_what_cannot_be(make_mtz, columns, options, kind, words):
    with pytest.raises(kind, match=words):
        make(make_mtz(columns), **options)


def test_options_are_checked():
    with pytest.raises(UsageError, match="--fraction"):
        FreeSetOptions(fraction=0.9)
    with pytest.raises(UsageError, match="--seed"):
        FreeSetOptions(seed=-1)


def test_command(make_mtz, tmp_path, capsys):
    path, out = make_mtz(DATA), tmp_path / "free.mtz"
    assert run(["freer", path, "-o", str(out), "--fraction", "0.1"]) == 0
    told = capsys.readouterr().out
    assert "Free set: column FreeR_flag, value 0" in told and f"Written: {out}" in told
    assert len(set(gemmi.read_mtz_file(str(out)).column_with_label("FreeR_flag").array)) == 10
    before = out.read_bytes()
    assert run(["freer", str(out), "-o", str(out)]) == 2
    assert out.read_bytes() == before
    with pytest.raises(UsageError, match=r"ends in \.mtz"):
        check_output("free.cif", [])
