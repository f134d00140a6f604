"""The GPU's measuring program runs to its end on the stand-in for a GPU; what it prints there is no measurement."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import shim_device

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from perf import bench_gpu  # noqa: E402

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def test_checks_then_times_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "gpu.json"
    bench_gpu.main(
        ["box:1:5.0", "--repeats", "1", "--work", str(tmp_path), "--out", str(out)], shim_device.ShimDevice(),
        (1 << 12, 2, 1),
    )
    saved = json.loads(out.read_text())
    (found,) = saved["sizes"]
    kernels = {row["kernel"] for row in found["kernels"]}
    assert {"spread_iso_2", "gather_iso_2", "fft forward", "fft inverse", "extract", "cg_product_3"} < kernels
    assert all(row["milliseconds"] > 0.0 and row["bytes"] > 0 for row in found["kernels"])
    assert found["difference"] < bench_gpu.AGREEMENT and found["n_atoms"] > 1000
    assert {row["operation"] for row in found["likelihoods"]} > {"prior phases", "native and pair", "twin, pairs"}
    assert all(min(row["gpu"], row["cpu"]) > 0.0 and row["difference"] < 1e-6 for row in found["likelihoods"])
    assert min(found[f"{side}_{what}"] for side in ("cpu", "gpu") for what in ("evaluation", "cycle")) > 0.0
    assert found["graphs"] == 2 and found["gpu_graphs"] > 0.0
    text = capsys.readouterr().out
    assert "whole cycle" in text and "native and pair" in text and "spread_iso_2" in text


def test_a_difference_stops_it() -> None:
    class Slope:
        xyz, b_iso = np.ones((2, 3)), np.ones(2)

    with pytest.raises(SystemExit, match="GPU and CPU differ"):
        bench_gpu.check((np.ones(3), Slope), (1.001 * np.ones(3), Slope))
