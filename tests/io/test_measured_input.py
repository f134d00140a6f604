"""Options of the likelihood followed: intensities, twin laws, test sets that respect them; the command truncate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from gpurefine.cli.main import run
from gpurefine.config import DataOptions, LikelihoodOptions
from gpurefine.errors import UsageError
from gpurefine.io.measured_input import likelihood_input
from gpurefine.io.reflections import read_data
from gpurefine.target.twin import TwinErrors


@pytest.fixture(scope="module")
def data(example: tuple[Path, Path]) -> Any:
    return read_data(str(example[1]), DataOptions(), None, "model")


def test_a_twin_is_found_and_its_test_set_repaired(data: Any) -> None:
    found = likelihood_input(data, LikelihoodOptions(twin=True), False)
    twin = found.measured.twin
    assert twin is not None and twin.names == ("-h,k,-l",)
    assert twin.fractions.sum() == pytest.approx(1.0) and 0.2 < twin.fractions[1] < 0.45
    assert found.data.reflections.intensity is not None
    r = data.reflections
    split = replace(data, reflections=replace(r, free=r.observed & (np.arange(len(r)) % 20 == 0)))
    told = likelihood_input(split, LikelihoodOptions(twin=True), False)
    assert any("--fix-free" in line for line in told.messages)
    mended = likelihood_input(split, LikelihoodOptions(twin=True, fix_free=True), False)
    free, mates = mended.data.reflections.free, twin.mates[1]
    both = (mates >= 0) & r.observed & r.observed[np.maximum(mates, 0)]
    assert (free[both] == free[mates[both]]).all()
    value = 0 if data.free_value is None else data.free_value
    changed = free != split.reflections.free
    assert ((mended.data.free_raw == value) == free)[changed].all()


def test_small_domains_are_dropped(data: Any) -> None:
    found = likelihood_input(data, LikelihoodOptions(twin=True), False)
    knots = np.zeros(1)
    assert found.without_small_domains(TwinErrors(knots, knots, knots, np.array([0.7, 0.3]))) is None
    left = found.without_small_domains(TwinErrors(knots, knots, knots, np.array([0.98, 0.02])))
    assert left is not None and left.measured.twin is None and "dropped" in left.messages[0]
    report = left.twin_report(None)
    assert report is not None and not report["laws"][0]["kept"] and "0.02" in report["laws"][0]["why_dropped"]


def test_options_that_contradict_each_other_get_their_sentence(data: Any) -> None:
    with pytest.raises(UsageError, match="anomalous"):
        likelihood_input(data, LikelihoodOptions(twin=True), True)
    with pytest.raises(UsageError, match="--twin-law needs --twin"):
        LikelihoodOptions(twin_law=("k,h,-l",))
    with pytest.raises(UsageError, match="phase-blur"):
        LikelihoodOptions(phase_blur=-1.0)
    with pytest.raises(UsageError, match="twin law"):
        likelihood_input(data, LikelihoodOptions(twin=True, twin_law=("h,k,l",)), False)


def test_truncate(tmp_path: Path, example: tuple[Path, Path]) -> None:
    source = gemmi.read_mtz_file(str(example[1]))
    out = tmp_path / "f.mtz"
    if any(c.type == "J" for c in source.columns):
        assert run(["truncate", str(example[1]), "-o", str(out), "--prefer", "intensities"]) == 0
        mtz = gemmi.read_mtz_file(str(out))
        assert {"F", "SIGF", "IMEAN", "SIGIMEAN"} <= {c.label for c in mtz.columns}
        assert np.nanmin(np.array(mtz.column_with_label("F"))) > 0.0
    else:
        assert run(["truncate", str(example[1]), "-o", str(out)]) == 3
