"""Rigid bodies far from their place, on the embedded example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_rule import objective_of
from ncs_crystal import make_ncs_crystal

import gpurefine
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import UsageError
from gpurefine.params.rigid import rotation_matrices
from gpurefine.params.values import AtomValues
from gpurefine.refinement import refine as loop
from gpurefine.refinement.body_search import Searcher, Zone, search_bodies

REACH = 3.0


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    """Two halves of the chain as bodies; amplitudes are simulated, since the crystal was a twin."""
    read = gpurefine.read(
        *example, threads=1, d_min=3.4, hydrogens="drop", rigid_domain=("A 3-80", "A 81-151"), rigid_search=REACH
    )
    objective, r = objective_of(read), read.data.reflections
    exact = np.abs(objective.state(objective.first_values()).f_calc[0])
    noise = 1.0 + 0.1 * np.random.default_rng(0).normal(size=len(exact))
    simulated = replace(r, f=np.where(r.observed, exact * np.maximum(noise, 0.1), r.f))
    return replace(read, data=replace(read.data, reflections=simulated))


def displaced(problem: Any, angle: float, distance: float) -> np.ndarray:
    """Positions with both bodies turned and shifted in different directions."""
    member, xyz = problem.groups.rigid.member, problem.chemistry.atoms.xyz.copy()
    rng = np.random.default_rng(5)
    for body in range(2):
        own = member == body
        centre = xyz[own].mean(axis=0)
        axis, shift = rng.normal(size=(2, 3))
        turn = rotation_matrices(np.radians(angle) * axis[None] / np.linalg.norm(axis))[0]
        xyz[own] = (xyz[own] - centre) @ turn.T + centre + distance * shift / np.linalg.norm(shift)
    return xyz


def away(problem: Any, xyz: np.ndarray) -> float:
    """R.m.s. distance (Å) of the bodies from where the example has them; the origin along z is free."""
    left = (xyz - problem.chemistry.atoms.xyz)[problem.groups.rigid.member >= 0]
    left[:, 2] -= left[:, 2].mean()
    return float(np.sqrt(np.mean(np.sum(left**2, axis=1))))


def test_contributions_add_up_to_the_structure_factors(problem: Any, backend: Any) -> None:
    """Of all operations, of both bodies and the rest; and a shift is a phase."""
    objective = objective_of(replace(problem, backend=backend))
    values, member = objective.first_values(), problem.groups.rigid.member
    zone = Zone.of(objective, values, 4.0)
    parts = [zone.part(objective, values, member == g) for g in (-1, 0, 1)]
    r = objective.experiment.reflections
    inside = r.work & (r.inv_d2 <= 4.0**-2) & (r.inv_d2 >= 20.0**-2)
    whole = np.asarray(objective.experiment.structure_factors(objective.scatterers(values)))[0, inside]
    assert np.abs(sum(parts).sum(axis=0) - whole).max() < 2e-3 * np.abs(whole).max()
    shift = np.array([[1.0, -2.0, 0.7]])
    phases = zone.shift_phases(shift, objective.experiment.crystal)[:, :, 0]
    moved = zone.part(objective, values.at(values.xyz + shift), member == 1)
    assert np.abs(parts[2] * phases - moved).max() < 2e-3 * np.abs(moved).max()
    assert zone.e_obs @ zone.e_obs == pytest.approx(len(zone.e_obs))
    power = zone.power(parts[1])
    assert power.mean() == pytest.approx(float(np.mean(np.sum(np.abs(parts[1]) ** 2, axis=0))))


def test_ranks_are_the_likelihood_nearly(problem: Any) -> None:
    objective = objective_of(problem)
    at = Searcher(objective, problem.groups.rigid.wanted, objective.first_values())
    zone, turns, shifts = at.zones[0], at.turns[:12], at.shifts[:12]
    beside = at.context(zone, 0, at.grid_error)
    pieces = np.stack([at.piece(zone, 0, turn) for turn in turns])
    k, t = (each.ravel() for each in np.indices((12, 12)))
    ranks = at.ranks(zone, beside, pieces, shifts)[k, t]
    exact = at.scores(zone, beside, pieces[k], turns[k], shifts[t])
    assert np.corrcoef(ranks, exact)[0, 1] > 0.95
    # the place in the file is right, and few do as well (along z all are alike)
    everywhere = at.ranks(zone, beside, at.pieces(0, 0), at.shifts)
    assert np.mean(everywhere > everywhere[0, 0]) < 0.01


def test_bodies_far_away_are_found_before_the_first_cycle(problem: Any) -> None:
    objective = objective_of(problem, xyz=displaced(problem, 9.0, 2.4))
    start = away(problem, objective.atoms.xyz)
    values, (told,) = search_bodies(objective, problem.groups.rigid.wanted, objective.first_values())
    found = away(problem, values.xyz)
    assert start > 2.0 and found < 0.8
    assert told.startswith("Search for rigid bodies within 3 Å at") and told.count("shifted by") == 2
    refinement = loop.start(objective, problem.config.refine)
    assert objective.notes == [told] and np.array_equal(refinement.state.xyz, values.xyz)


def test_bodies_stay_where_nothing_stands_out(problem: Any) -> None:
    """Amplitudes that belong to no model."""
    r = problem.data.reflections
    shuffled = replace(r, f=np.where(r.observed, np.random.default_rng(0).permutation(r.f), r.f))
    other = replace(problem, data=replace(problem.data, reflections=shuffled))
    objective = objective_of(other)
    values = objective.first_values()
    same, (told,) = search_bodies(objective, problem.groups.rigid.wanted, values)
    assert isinstance(same, AtomValues) and np.allclose(same.xyz, values.xyz)
    assert told.count("left where it is") == 2


def test_what_cannot_be_searched_is_refused(tmp_path: Path, example: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="between 1 and 10"):
        GroupOptions(rigid_search=20.0)
    with pytest.raises(UsageError, match="add --rigid"):
        gpurefine.read(*example, rigid_search=3.0)
    made = make_ncs_crystal(tmp_path, example[0])
    with pytest.raises(UsageError, match="strict non-crystallographic symmetry"):
        objective_of(gpurefine.read(made.copy, made.data, threads=1, rigid=True, rigid_search=3.0))
