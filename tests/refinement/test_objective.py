"""What a step takes over from the one before, and how the data's curvature is damped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chain_rule import objective_of

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.refinement import refine as loop
from gpurefine.refinement.terms import PositionTerms
from gpurefine.restraints.result import RestraintResult


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
    assert [stage.moves_atoms for stage in objective.stages] == [False, True] and len(objective.terms) == 2


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


def test_restraints_are_linearised_ahead_for_the_next_cycle_only(
    problem: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = objective_of(problem, 1)  # two cycles of bodies, one of atoms
    values = loop.start(objective, RefineOptions()).state.values
    calls: list[Any] = []
    plain = PositionTerms.linearise
    monkeypatch.setattr(PositionTerms, "linearise", lambda self, at: calls.append(at) or plain(self, at))
    objective.enter(3)
    asked = objective._slopes(values)
    objective.prepare(values, 3)
    assert len(calls) == 2
    ahead = objective._slopes(values)
    assert len(calls) == 2  # what was prepared
    for one, other in zip(asked, ahead, strict=True):
        np.testing.assert_array_equal(one.gradient(), other.gradient())
        for left, right in zip(one.matrices(), other.matrices(), strict=True):
            np.testing.assert_array_equal(left.off, right.off)
    objective._slopes(values)
    assert len(calls) == 3  # once
    objective.prepare(values, 3)
    objective._slopes(replace(values))
    assert len(calls) == 5  # not of another model
    objective.prepare(values, 4)
    assert len(calls) == 5  # there is no such cycle
    objective.prepare(values, 2)
    assert len(calls) == 5  # bodies have no restraints
    objective._slopes(values)
    assert len(calls) == 6  # and what was prepared for them is not for atoms


def test_parameters_of_the_data_need_all_data(problem: Any) -> None:
    objective = objective_of(problem, 1)
    objective.data = ("k_mask",)  # type: ignore[assignment]
    objective.enter(1)
    assert objective.stage.d_min is None and objective.data_kinds == ("k_mask",)
    objective.stage = replace(objective.stage, d_min=6.0)
    assert objective.data_kinds == ()


def test_directions_with_little_curvature_are_left_out(problem: Any) -> None:
    """All but the strongest of a body's six, where the filter says so."""
    objective = objective_of(problem, 1)
    state = loop.start(objective, RefineOptions()).state
    objective.enter(1)
    (whole,) = objective.linearise(state, 1.0)
    (term,) = objective.terms
    objective.stage = replace(objective.stage, terms=(replace(term, filter=0.999),))
    (block,) = objective.linearise(state, 1.0)
    values, vectors = np.linalg.eigh(whole.extra[0])
    kept = vectors[:, values > 0.999 * values[-1]]
    assert 0 < kept.shape[1] < 6
    expected = kept @ (kept.T @ whole.gradient[0])
    np.testing.assert_allclose(block.gradient[0], expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    assert np.linalg.matrix_rank(block.extra[0]) == kept.shape[1]


def test_restraints_on_positions_are_added_up() -> None:
    parts = [
        SimpleNamespace(
            value=lambda xyz, k=k: float(k), sums=lambda xyz, k=k: np.full(2, 0.5 * k),
            evaluate=lambda xyz, want, onto=None, k=k: RestraintResult(
                ("some",), 0.0, (0.0 if onto is None else onto) + np.full((2, 3), 10.0**k), lambda: [k]
            ),
        )
        for k in range(3)
    ]
    terms = PositionTerms(*parts)
    at = SimpleNamespace(xyz=np.zeros((2, 3)))
    found = terms.linearise(at)
    assert terms.value(at) == 3.0 and (found.gradient() == 111.0).all() and found.matrices() == [0, 1, 2]
