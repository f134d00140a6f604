"""Every accepted step lowers the target, on the real cases (method 7)."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.errors import ChemistryError, Status
from gpurefine.refinement import refine as loop

CASES = ("insulin_shaken", "rnase_mir_start", "7rin_shaken", "2r4r_shaken", "3t5o_shaken", "4iid_shaken")


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_accepted_steps_lower_the_target(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tomllib.loads((shared_data / "cases.toml").read_text())[name]
    try:
        problem = gpurefine.read(
            shared_data / case["model"], shared_data / case["hklin"], labels=case["labin"], free_flag=case["free"]
        )
    except ChemistryError as error:
        pytest.skip(f"needs the full monomer library (CLIBD_MON): {error}")
    steps: list[tuple[float, Any]] = []
    taken = loop.step

    def watched(backend: Any, blocks: Any, value: float, evaluate: Any, **settings: Any) -> Any:
        outcome = taken(backend, blocks, value, evaluate, **settings)
        steps.append((value, outcome))
        return outcome

    monkeypatch.setattr(loop, "step", watched)
    result = problem.refine(cycles=4)
    assert len(steps) == 4
    for before, outcome in steps:
        assert outcome.status in (Status.OK, Status.REDUCED, Status.RIDGE)
        assert np.isfinite(outcome.value) and outcome.value < before
    first, last = result.report.cycles[0], result.report.cycles[-1]
    assert last.r_work < first.r_work and last.r_free < first.r_free
