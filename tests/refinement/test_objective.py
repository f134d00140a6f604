"""What a step takes over from the one before, and how the data's curvature is damped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_rule import objective_of

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.refinement import refine as loop


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, d_min=4.0, hydrogens="drop", rigid=True, rigid_cycles=2, rigid_start=4.0)


def test_a_new_stage_begins_with_the_full_step(problem: Any) -> None:
    objective = objective_of(problem, 2)
    objective.enter(1)
    objective.length = 0.6
    objective.enter(2)
    assert objective.length == 0.6  # the same stage
    objective.enter(3)
    assert objective.length == 1.0 and objective.stage.name == "atoms"


def test_damping_is_of_the_data_alone(problem: Any) -> None:
    objective = objective_of(problem, 1)
    state = loop.start(objective, RefineOptions()).state
    objective.enter(3)
    objective.damping = 1.0
    plain = objective.linearise(state, 2.0)
    objective.damping = 3.0
    damped = objective.linearise(state, 2.0)
    assert len(plain) == 2
    for before, after in zip(plain, damped, strict=True):
        np.testing.assert_allclose(after.extra, 3.0 * before.extra, rtol=1e-12)
        np.testing.assert_array_equal(after.gradient, before.gradient)
        for one, other in zip(before.matrices, after.matrices, strict=True):
            np.testing.assert_array_equal(one.diagonal, other.diagonal)
