"""Launches, copies and requests for memory of a whole cycle and of its parts: docs/gpu.md has the table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shim_device
from counting import Counting
from refinements import refine

from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.config import Config, DataOptions, RefineOptions
from gpurefine.refinement import refine as loop
from gpurefine.refinement.experiment import Experiment

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

Counts = tuple[int, int, int]
"""Launches, copies up and copies down."""

MOST: dict[str, Counts] = {
    "structure_factors": (6, 0, 0), "value": (9, 0, 1), "linearise": (8, 1, 3), "update": (120, 23, 22),
    "agreement": (9, 0, 1), "run_cycle": (395, 26, 50),
}
"""What the parts of a later cycle take: exactly, or at most where the number of steps differs (fits of scale and error
model) or a value may be known already."""

EXACT = ("structure_factors", "linearise", "agreement")


def test_a_cycle_asks_for_no_memory_and_takes_as_many_launches_and_copies_as_the_table_says(
    example: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = CudaBackend(Counting())
    device: Any = backend.device
    seen: dict[str, list[tuple[int, ...]]] = {}
    cycles = [0]

    def state() -> tuple[int, ...]:
        return sum(device.launches.values()), device.ups, device.downs, device.allocations

    def watch(owner: Any, name: str) -> None:
        method = getattr(owner, name)

        def counted(*arguments: Any, **named: Any) -> Any:
            cycles[0] += name == "run_cycle"
            before = state()
            result = method(*arguments, **named)
            if cycles[0] >= 4:  # lists have found their size
                seen.setdefault(name, []).append(tuple(b - a for a, b in zip(before, state(), strict=True)))
            return result

        monkeypatch.setattr(owner, name, counted)

    for name in MOST:
        watch(loop if name == "run_cycle" else Experiment, name)
    config = Config(
        str(example[0]), str(example[1]), str(tmp_path / "out"), data=DataOptions(d_min=4.0),
        refine=RefineOptions(cycles=5, weight="5"),
    )
    refine(config, backend, monkeypatch)
    assert set(seen) == set(MOST) and len(seen["run_cycle"]) == 2
    for name, found in seen.items():
        for launches, ups, downs, allocations in found:
            assert all(a <= b for a, b in zip((launches, ups, downs), MOST[name], strict=True)), (name, found)
            assert name not in EXACT or (launches, ups, downs) == MOST[name]
            assert allocations == 0, (name, found)
