"""The gradient of a kind of parameter against central differences of the whole target."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpurefine.config import RefineOptions
from gpurefine.refinement import refine as loop
from gpurefine.refinement.objective import Objective
from gpurefine.refinement.setup import build_objective

TOLERANCE = 3e-4
"""What single precision and the cut-off leave of a central difference."""


def objective_of(problem: Any, cycles: int = 0, **changes: Any) -> Objective:
    """The objective of a problem whose atoms are changed."""
    c = problem.chemistry
    return build_objective(
        problem.backend, replace(c.atoms, **changes), c.topology, c.labels, problem.data.crystal,
        problem.data.reflections, problem.scattering.form_factors, problem.config.solvent,
        RefineOptions(cycles=cycles, adp=problem.config.refine.adp), problem.timer, None, problem.groups,
        ncs=problem.ncs,
    )[0]


def check_chain_rule(
    objective: Objective, stage: str, kind: int, step: float, tolerance: float = TOLERANCE
) -> None:
    """Central differences of the whole target along two directions against the gradient of one kind of parameter.

    ``kind``: among those of the stage, parameters of the experiment last.
    """
    options = RefineOptions()
    state = loop.start(objective, options)
    first = 1
    for each in objective.stages:
        if each.name == stage:
            break
        first += each.cycles
    objective.enter(first)
    here = state.state
    blocks, fit = objective.linearise(here, 1.0), objective.experiment.fitted
    block = blocks[kind]
    rng = np.random.default_rng(0)
    scale = np.sqrt(np.einsum("mii->mi", block.extra) + 1e-30)
    for _ in range(2):
        v = (rng.normal(size=block.gradient.shape) + np.sign(block.gradient)) / scale
        v *= step / np.abs(v).max()

        def value(t: float, v: Any = v) -> float:
            shifts = [np.zeros(other.gradient.shape) for other in blocks]
            shifts[kind] = t * v
            return objective.value(objective.moved(here, fit, shifts), 1.0)

        value(2.0), value(-2.0)  # a falling B may plan the transform anew, which must not happen halfway
        expected = (8.0 * (value(1.0) - value(-1.0)) - value(2.0) + value(-2.0)) / 12.0
        assert float(np.sum(block.gradient * v)) == pytest.approx(expected, rel=tolerance)
