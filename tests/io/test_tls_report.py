"""TLS groups told: principal values and axes in the units of files."""

from __future__ import annotations

import numpy as np
import pytest

from gpurefine.constants import DEGREE, EIGHT_PI2
from gpurefine.io.tls_report import tls_json, tls_lines
from gpurefine.model.tls import N_TLS, ResidueRange, TlsGroups, TlsResult


def result(residual: bool = False) -> TlsResult:
    """One group of three atoms; the axes of T and L are turned about z."""
    values = np.zeros((1, N_TLS))
    values[0, :6] = [0.2, 0.2, 0.5, 0.1, 0.0, 0.0]
    values[0, 6:12] = np.array([4.0, 4.0, 1.0, -2.0, 0.0, 0.0]) * DEGREE**2
    values[0, 14] = 0.25 * DEGREE  # S12
    member = np.array([0, 0, -1, 0], np.int32)
    groups = TlsGroups(("one",), ((ResidueRange("A", "1", "9"),),), member, np.array([[1.0, 2.0, 3.0]]), values)
    return TlsResult(groups, values, np.array([31.5]), residual, 7)


def test_json() -> None:
    assert tls_json(None) is None
    told = tls_json(result())
    assert told is not None and not told["residual_b"] and told["cycles"] == 7
    (group,) = told["groups"]
    assert group["n_atoms"] == 3 and group["origin"] == [1.0, 2.0, 3.0] and group["mean_b"] == 31.5
    assert group["ranges"] == [{"chain": "A", "first": "1", "last": "9"}]
    np.testing.assert_allclose(group["t"], [[0.2, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.5]])
    np.testing.assert_allclose(group["l"], [[4.0, -2.0, 0.0], [-2.0, 4.0, 0.0], [0.0, 0.0, 1.0]])
    assert group["s"][0][1] == pytest.approx(0.25) and np.count_nonzero(group["s"]) == 1
    assert group["b_t"] == pytest.approx(EIGHT_PI2 * 0.3) and group["libration"] == pytest.approx(np.sqrt(3.0))
    assert [axis["value"] for axis in group["t_axes"]] == pytest.approx([0.5, 0.3, 0.1])
    assert [axis["value"] for axis in group["l_axes"]] == pytest.approx([6.0, 2.0, 1.0])
    for axes, full in ((group["t_axes"], group["t"]), (group["l_axes"], group["l"])):
        for axis in axes:
            np.testing.assert_allclose(full @ np.array(axis["direction"]), axis["value"] * np.array(axis["direction"]),
                                       atol=1e-12)  # fmt: skip
    residual = tls_json(result(True))
    assert residual is not None and residual["residual_b"]


def test_lines() -> None:
    text = "\n".join(tls_lines(result()))
    assert "are totals" in text.replace("\n", " ") and "residual" not in text
    assert "Group 1: one (3 atoms): A 1–9" in text
    assert "T principal     0.5000     0.3000     0.1000 Å²" in text
    assert "L principal     6.0000     2.0000     1.0000 deg² (r.m.s. libration 1.73°)" in text
    assert f"31.50 Å² on average over its atoms; of T {EIGHT_PI2 * 0.3:.2f} Å²" in text
    assert "0.0000    0.2500    0.0000 /" in text
    assert "residual: the motion" in "\n".join(tls_lines(result(True)))
