"""The cuda backend as a whole, on the stand-in for a GPU: every operation of the table, and a refinement."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest
import shim_device
from refinements import assert_alike, refine
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.ops import Backend
from gpurefine.config import Config, DataOptions, RefineOptions

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

def test_nothing_is_left_to_another_backend() -> None:
    assert not [name for name in dir(Backend) if not name.startswith("_") and not hasattr(CudaBackend, name)
                and callable(getattr(Backend, name))]


def of_the_example(example: tuple[Path, Path], prefix: Path, d_min: float, cycles: int) -> Config:
    return Config(
        str(example[0]), str(example[1]), str(prefix), data=DataOptions(d_min=d_min),
        refine=RefineOptions(cycles=cycles, weight="5"),
    )


def test_a_refinement_is_that_of_the_cpu(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = CudaBackend(ShimDevice())
    on_cpu = refine(of_the_example(example, tmp_path / "cpu", 3.0, 2), create("cpu", 2), monkeypatch)
    on_cuda = refine(of_the_example(example, tmp_path / "cuda", 3.0, 2), backend, monkeypatch)
    assert_alike(on_cpu, on_cuda)
    assert on_cuda[0][-1].r_work < on_cuda[0][0].r_work - 0.05
    # nothing was left to another backend, and sums took 32 bits
    launches = backend.device.launches  # type: ignore[attr-defined]
    assert {"spread_iso_2", "gather_iso_2", "insert", "extract", "mask_keep", "geometry_terms"} < set(launches)
    assert {"rice", "intensity"} & set(launches)
    assert "fixed64_to_float" not in launches


def test_a_refinement_has_the_same_bits_in_any_order(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for order in (0, 1):
        config = of_the_example(example, tmp_path / str(order), 4.0, 1)
        cycles, _ = refine(config, CudaBackend(ShimDevice(order)), monkeypatch)
        found.append((cycles[-1].r_work, cycles[-1].r_free, gemmi.cif.read(str(config.output(".cif")))
                      .sole_block().find_mmcif_category("_atom_site.")))
    assert found[0][:2] == found[1][:2]
    a, b = ([list(row) for row in table] for *_, table in found)
    assert a == b
