"""Coordinate errors of the refined example: Cruickshank's formula by hand, and a likelihood that knows more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.io.scattering import xray_gaussians
from gpurefine.refinement import refine as loop
from gpurefine.refinement.coordinate_error import coordinate_error
from gpurefine.refinement.setup import build_objective


@pytest.fixture(scope="module")
def refined(example: tuple[Path, Path]) -> Any:
    """The example before its first step."""
    problem = gpurefine.read(*example, threads=2, hydrogens="drop")
    chemistry = problem.chemistry
    options = RefineOptions(cycles=1)
    objective, _ = build_objective(
        problem.backend, chemistry.atoms, chemistry.topology, chemistry.labels, problem.data.crystal,
        problem.data.reflections, [xray_gaussians(chemistry.atoms.scatterer_names)], problem.config.solvent, options,
        problem.timer,
    )
    return loop.start(objective, options)


def test_cruickshank(refined: Any) -> None:
    r, final = refined.objective.experiment.reflections, refined.cycles[-1]
    error = coordinate_error(refined.objective, refined.state, final)
    n = float(refined.state.values.occ.sum())
    count = len(refined.state.xyz)
    full = int(r.observed.sum()) / len(r)
    spare = int(r.work.sum()) - 4 * count
    assert error.esu_r == pytest.approx(np.sqrt(n / spare) * full ** (-1 / 3) * final.r_work * r.d_min, rel=1e-9)
    assert error.esu_free_r == pytest.approx(
        np.sqrt(n / r.observed.sum()) * full ** (-1 / 3) * final.r_free * r.d_min, rel=1e-9
    )
    known = refined.objective.experiment.information(refined.objective.scatterers(refined.state.values)).xyz
    assert error.esu_ml == pytest.approx(np.mean([known[:, k, k] for k in range(3)]) ** -0.5, rel=1e-6)
    assert error.esu_ml is not None and 0.2 < error.esu_ml / error.esu_free_r < 2.0


def test_without_free_set_and_with_too_few_data(refined: Any) -> None:
    final = replace(refined.cycles[-1], r_free=None)
    error = coordinate_error(refined.objective, refined.state, final)
    assert error.esu_free_r is None and error.esu_r is not None
    work = refined.objective.experiment.work
    refined.objective.experiment.work = work[:100]
    try:
        assert coordinate_error(refined.objective, refined.state, final).esu_r is None
    finally:
        refined.objective.experiment.work = work
