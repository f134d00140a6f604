"""Which value of a free column marks the test set."""

import numpy as np
import pytest

from gpurefine.config import DataOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.free_set import MISSING, choose_free_set
from gpurefine.io.reflections import read_data


def choose(raw, asked=None):
    raw = np.asarray(raw, dtype=np.int32)
    return choose_free_set(raw, np.ones(len(raw), dtype=bool), "FREE", "x.mtz", asked)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (np.arange(200) % 20, 0),
        (np.arange(200) % 10 == 3, 1),
        (np.arange(200) % 10 != 3, 0),
        (np.arange(200) % 3, 0),
        (np.where(np.arange(200) % 10, 1, -1), -1),
    ],
)
def test_value_is_found(raw, value):
    found = choose(raw)
    assert found.value == value
    np.testing.assert_array_equal(found.free, np.asarray(raw, dtype=int) == value)
    assert f"value {value}, {found.free.sum()} of 200 reflections" in found.messages[0]


@pytest.mark.parametrize("value", [0, 1])
def test_constant_column_means_no_test_set(value):
    found = choose(np.full(50, value))
    assert found.value is None and not found.free.any()
    assert f"is {value} for every reflection" in found.messages[0]


@pytest.mark.parametrize("raw", [np.arange(100) % 2, np.arange(100) % 7 + 1, np.minimum(np.arange(100) // 60, 3) * 5])
def test_unclear_columns_ask(raw):
    if set(raw) == {0, 5}:
        assert choose(raw).value == 5
        return
    with pytest.raises(InputError, match="--free-flag"):
        choose(raw)


def test_asked_value():
    raw = np.arange(100) % 20
    assert choose(raw, 7).free.sum() == 5
    with pytest.raises(InputError, match=r"does not occur in column FREE of x\.mtz"):
        choose(raw, 33)
    with pytest.raises(InputError, match="marks every reflection"):
        choose(np.ones(10), 1)


def test_unflagged_reflections_are_work():
    raw = np.arange(100) % 20
    raw[5:8] = MISSING
    found = choose(raw)
    assert not found.free[5:8].any()
    assert any(m.startswith("3 observed reflections have no value") for m in found.messages)


def test_unobserved_reflections_are_never_free():
    observed = np.arange(100) >= 40
    found = choose_free_set((np.arange(100) % 20).astype(np.int32), observed, "FREE", "x.mtz", None)
    assert not found.free[:40].any() and found.free.sum() == 3


DATA = {"F": ("F", lambda hkl, d: 10.0 + d), "SIGF": ("Q", 1.0)}


def flags(hkl, d):
    return hkl @ np.array([1, 3, 7]) % 20


def test_free_file(make_mtz):
    data = make_mtz(DATA)
    other = make_mtz({"FreeR_flag": ("I", flags)}, name="free.mtz", d_min=2.9)
    found = read_data(data, DataOptions(free_file=other), None, "m.pdb")
    assert found.free_column == "FreeR_flag" and found.free_value == 0
    np.testing.assert_array_equal(found.free_raw, flags(found.reflections.hkl, None))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"F": ("F", 1.0)}, "no integer column"),
        ({"A": ("I", flags), "B": ("I", flags)}, "several integer columns"),
        ({"FREE": ("I", np.nan)}, "for none of the reflections"),
    ],
)
def test_useless_free_files(make_mtz, columns, words):
    data, other = make_mtz(DATA), make_mtz(columns, name="free.mtz")
    with pytest.raises(InputError, match=rf"free\.mtz.*{words}"):
        read_data(data, DataOptions(free_file=other), None, "m.pdb")


def test_free_file_of_another_crystal(make_mtz):
    other = make_mtz({"FREE": ("I", flags)}, name="free.mtz", cell=(50.0, 60.0, 70.0, 90.0, 90.0, 90.0))
    with pytest.raises(InputError, match="has a cell that differs"):
        read_data(make_mtz(DATA), DataOptions(free_file=other), None, "m.pdb")


def test_multiplicity_columns_are_no_free_set(make_mtz):
    path = make_mtz({**DATA, "N(+)": ("I", 4.0), "N(-)": ("I", 3.0)})
    found = read_data(path, DataOptions(), None, "m.pdb")
    assert found.free_column is None and found.free_value is None and not found.reflections.free.any()
    assert any("no free column" in m and "N(+)" in m for m in found.messages)
    with pytest.raises(UsageError, match="--free-flag is given"):
        read_data(path, DataOptions(free_flag=0), None, "m.pdb")
    both = make_mtz({**DATA, "N(+)": ("I", 4.0), "R-free-flags": ("I", lambda hkl, d: flags(hkl, d) == 2)})
    assert read_data(both, DataOptions(), None, "m.pdb").free_column == "R-free-flags"
