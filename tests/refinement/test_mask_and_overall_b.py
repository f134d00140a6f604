"""Radii of the solvent mask that are searched for, and one B for all atoms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.config import SolventOptions
from gpurefine.constants import B_MIN
from gpurefine.refinement import refine as loop
from gpurefine.refinement.checkpoint import from_plain, restore, take, to_plain


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=2, d_min=2.4, adp="overall", cycles=2)


def objective_of(problem: Any, **solvent: Any) -> Any:
    from gpurefine.refinement.setup import build_objective

    chemistry, options = problem.chemistry, replace(problem.config.refine, fix_xyz=True)
    return build_objective(
        problem.backend, chemistry.atoms, chemistry.topology, chemistry.labels, problem.data.crystal,
        problem.data.reflections, problem.scattering.form_factors, replace(problem.config.solvent, **solvent), options,
        problem.timer,
    )[0], options


def test_atoms_take_over_the_overall_b(problem: Any) -> None:
    """One shift of all B; R is what it was, and the scale has none left."""
    objective, options = objective_of(problem)
    given = objective.atoms.b_iso
    objective.overall_b = False
    before = loop.start(objective, options)
    wanted = objective.experiment.fitted.scale.b_overall
    assert abs(wanted) > 1.0
    objective, options = objective_of(problem)
    after = loop.start(objective, options)
    shift = after.state.b_iso - given
    assert np.ptp(shift) < 1e-9 and shift[0] == pytest.approx(wanted, abs=0.5)
    assert abs(objective.experiment.fitted.scale.b_overall) < 0.5
    assert after.cycles[0].r_work == pytest.approx(before.cycles[0].r_work, abs=0.002)


def test_no_atom_falls_below_the_lowest_b(problem: Any) -> None:
    """B that are 20 Å² too high, but for one atom: what this one cannot take stays in the scale."""
    chemistry = problem.chemistry
    b_iso = chemistry.atoms.b_iso + 20.0
    b_iso[0] = B_MIN + 0.7
    higher = replace(problem, chemistry=replace(chemistry, atoms=replace(chemistry.atoms, b_iso=b_iso)))
    objective, options = objective_of(higher)
    objective.overall_b = True
    state = loop.start(objective, options).state
    assert state.b_iso.min() == pytest.approx(B_MIN) and state.b_iso[1] == pytest.approx(b_iso[1] - 0.7)
    experiment = objective.experiment
    assert experiment.fitted.scale.b_overall < -5.0
    np.testing.assert_allclose(experiment.fitted.f_total, experiment.total(state.f_calc), rtol=1e-6)


def test_search_finds_better_radii_than_bad_ones_and_keeps_them(problem: Any) -> None:
    plain, options = objective_of(problem, probe_radius=0.6, ion_probe_radius=0.4, shrink_radius=1.2)
    worse = loop.start(plain, options).cycles[0].r_work
    objective, options = objective_of(
        problem, probe_radius=0.6, ion_probe_radius=0.4, shrink_radius=1.2, optimise_mask=True
    )
    refinement = loop.start(objective, options)
    assert refinement.cycles[0].r_work < worse
    experiment = objective.experiment
    found = experiment.probe_change, experiment.mask.shrink_radius
    assert found != (0.0, 1.2) and abs(found[0]) <= 0.4 + 1e-9 and abs(found[1] - 1.2) <= 0.4 + 1e-9
    assert "R_work" in objective.notes[0] and "--optimise-mask" in objective.notes[0]
    np.testing.assert_allclose(experiment.mask.radius, plain.experiment.mask.radius + found[0])
    # a refinement that goes on from a checkpoint has the same radii
    arrays, tree = to_plain(take(refinement))
    fresh, _ = objective_of(problem, probe_radius=0.6, ion_probe_radius=0.4, shrink_radius=1.2, optimise_mask=True)
    again = restore(fresh, from_plain(arrays, tree))
    assert fresh.experiment.probe_change == found[0] and fresh.experiment.mask.shrink_radius == found[1]
    np.testing.assert_array_equal(fresh.experiment.mask.radius, experiment.mask.radius)
    assert again.cycles[0].r_work == refinement.cycles[0].r_work


def test_without_a_mask_there_is_nothing_to_search(problem: Any) -> None:
    objective, options = objective_of(problem, solvent="none", optimise_mask=True)
    loop.start(objective, options)
    assert objective.notes == []


def test_radii_are_told(problem: Any, tmp_path: Path) -> None:
    searched = replace(problem, config=replace(problem.config, solvent=SolventOptions(optimise_mask=True)))
    result = searched.refine(cycles=0)
    scale = result.report.scale
    assert scale.ion_probe_radius - scale.probe_radius == pytest.approx(-0.2)
    assert any("--optimise-mask" in message for message in result.report.messages)
