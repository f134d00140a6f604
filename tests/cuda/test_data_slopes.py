"""Derivatives by parameters of the data, summed by every backend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shim_device
from counting import Counting
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.ops_reflections import ScaleCurve

KNOTS = np.array([[0.05, 0.15, 0.3, 0.5, 0.6], [0.4, 0.3, 0.2, 0.1, 0.05]])


def measured(n: int, rows: int = 4) -> dict[str, Any]:
    """Structure factors (rows, n) with derivatives, and resolutions on and beyond the knots."""
    rng = np.random.default_rng(n)

    def spectrum(*shape: int) -> Any:
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    s = rng.uniform(0.01, 0.7, n)
    s[: len(KNOTS[0])] = KNOTS[0][:n]
    total = spectrum(rows, n)
    total[0, :1] = 0.0
    return {
        "s": s, "factor": rng.uniform(0.5, 1.5, n), "mask": spectrum(n), "total": total, "gradient": spectrum(rows, n),
        "information": rng.uniform(0.0, 3.0, (rows, n)), "index": np.flatnonzero(rng.random(n) < 0.8),
    }


def curve(s: Any, smooth: bool) -> ScaleCurve:
    return ScaleCurve(
        s, np.zeros((len(s), 0)), 0.0, 0.0, np.zeros(0), 0.35, 45.0, KNOTS if smooth else None, None, 0.0, 200.0
    )


def solvent(backend: Any, d: dict[str, Any], smooth: bool) -> Any:
    keep = backend.keep
    return backend.solvent_slopes(
        curve(d["s"], smooth), keep(d["factor"]), keep(d["mask"]), keep(d["total"]), keep(d["gradient"]),
        keep(d["information"]), d["index"],
    )


def rows_of(backend: Any, d: dict[str, Any], rows: Any) -> Any:
    keep = backend.keep
    return backend.row_slopes(keep(d["total"]), keep(d["gradient"]), keep(d["information"]), rows, d["index"])


@pytest.mark.parametrize("smooth", [False, True])
def test_slope_of_the_solvent_by_central_differences(backend: Any, smooth: bool) -> None:
    """A target that is linear in F_total: its slope is that along the change of k_mask."""
    d = measured(700)
    at = d["index"]
    found, information = solvent(backend, d, smooth)

    def total(p: Any) -> Any:
        c = curve(d["s"], smooth)
        c = replace(c, mask_knots=np.stack([KNOTS[0], p])) if smooth else replace(c, k_sol=p[0], b_sol=p[1])
        k = create("reference").scale_factors(c, d["total"], False).k_mask
        return d["factor"] * (d["total"][0] / d["factor"] + k * d["mask"])

    start = KNOTS[1] if smooth else np.array([0.35, 45.0])
    for j, step in enumerate(np.eye(len(start)) * 1e-5 * np.maximum(start, 1.0)):
        change = (total(start + step) - total(start - step)) / (2.0 * step[j])
        slope = float((change.conj() * d["gradient"][0]).real[at].sum())
        assert found[j] == pytest.approx(slope, rel=1e-6, abs=1e-6)
        base = np.maximum(np.abs(d["total"][0]), 1e-300)
        along = (change.conj() * d["total"][0]).real / base
        wanted = float((along**2 * d["information"][0])[at].sum())
        assert information[j, j] == pytest.approx(wanted, rel=1e-6)
    assert np.linalg.eigvalsh(information).min() > -1e-9 * np.trace(information)


def test_slope_of_rows_by_their_definition(backend: Any) -> None:
    d = measured(600)
    rows, at = np.array([1, 3]), d["index"]
    slope, information = rows_of(backend, d, rows)
    for j, row in enumerate(rows):
        f = d["total"][row, at]
        assert slope[j] == pytest.approx(float((f.conj() * d["gradient"][row, at]).real.sum()), rel=1e-10)
        half = 0.5 * float((np.abs(f) ** 2 * d["information"][row, at]).sum())
        assert information[j, j] == pytest.approx(half, rel=1e-12)
    np.testing.assert_array_equal(information, information.T)


@pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")
@pytest.mark.parametrize("n", [1, 900, 90_000])
def test_sums_of_the_device_are_the_reference(n: int) -> None:
    """And the same bits in every order of threads."""
    d, reference = measured(n), create("reference")
    d["index"] = np.arange(0, n, 2) if n < 10 else d["index"]
    rows = np.array([2, 0, 3])
    for call in (lambda b: solvent(b, d, True), lambda b: solvent(b, d, False), lambda b: rows_of(b, d, rows)):
        expected = call(reference)
        runs = [call(CudaBackend(ShimDevice(order))) for order in (0, 1, 2)]
        for k, wanted in enumerate(expected):
            scale = max(float(np.abs(wanted).max()), 1e-9) * np.sqrt(n)
            np.testing.assert_allclose(runs[0][k], wanted, rtol=0, atol=1e-12 * scale)
            for run in runs[1:]:
                np.testing.assert_array_equal(run[k], runs[0][k])


@pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")
@pytest.mark.parametrize("smooth", [False, True])
def test_no_array_over_reflections_crosses(smooth: bool) -> None:
    d, backend = measured(4000), CudaBackend(Counting())
    arrays = [backend.keep(d[name]) for name in ("factor", "mask", "total", "gradient", "information")]
    own, index, device = curve(d["s"], smooth), d["index"], backend.device
    assert isinstance(device, Counting)
    for _ in range(2):  # what stays goes up once
        device.up = device.down = 0
        backend.solvent_slopes(own, *arrays, index)
        backend.row_slopes(*arrays[2:], np.array([1, 2]), index)
    assert device.up < 100 and device.down < 300
