"""The total target on a real structure with riding hydrogens: its gradient, the steps, the bits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.constants import EIGHT_PI2
from gpurefine.errors import Status
from gpurefine.io.scattering import xray_gaussians
from gpurefine.optimise.gauss_newton import StepOutcome
from gpurefine.refinement import refine as loop
from gpurefine.refinement.objective import Objective
from gpurefine.refinement.setup import build_objective

TOLERANCE = 2e-4
"""What single precision and the cut-off leave of a central difference."""


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    """The shaken example, read."""
    return gpurefine.read(*example, threads=2)


def objective_of(problem: Any, options: RefineOptions) -> Objective:
    chemistry = problem.chemistry
    return build_objective(
        problem.backend, chemistry.atoms, chemistry.topology, chemistry.labels, problem.data.crystal,
        problem.data.reflections, [xray_gaussians(chemistry.atoms.scatterer_names)], problem.config.solvent, options,
        problem.timer,
    )[0]


def partly_anisotropic(problem: Any) -> Any:
    """The problem with every third atom (hydrogens left out) anisotropic."""
    atoms = problem.chemistry.atoms
    is_aniso = ~atoms.is_hydrogen & (np.arange(len(atoms)) % 3 == 0)
    form = np.array([1.2, 0.9, 0.9, 0.1, -0.1, 0.2])
    u = np.where(is_aniso[:, None], atoms.b_iso[:, None] / EIGHT_PI2 * form, 0.0)
    chemistry = replace(problem.chemistry, atoms=replace(atoms, is_aniso=is_aniso, u_aniso=u))
    return replace(problem, chemistry=chemistry)


@pytest.mark.parametrize("adp", ["iso", "aniso", "mixed"])
def test_gradient_of_the_total_target(problem: Any, adp: str) -> None:
    """Along the gradient and random shifts, hydrogens riding: central differences of −LL and restraints together.

    Weighted so that the data pull as hard as the restraints of the shaken model do.
    """
    options = RefineOptions(cycles=1, adp=adp)
    if adp == "mixed":
        problem = partly_anisotropic(problem)
    state = loop.start(objective_of(problem, options), options)
    objective, here, weight = state.objective, state.state, 20.0
    positions, thermal = objective.linearise(here, weight)
    assert thermal.gradient.shape[1] == (1 if adp == "iso" else 6)
    n = len(here.xyz)
    refined = objective.atoms.refined
    assert objective.atoms.is_hydrogen.sum() > 500 and refined.sum() < n
    rng = np.random.default_rng(0)
    for h, block in ((1e-3, positions), (0.1 if adp == "iso" else 1e-3, thermal)):
        v = rng.normal(size=block.gradient.shape) * refined[:, None]
        v += block.gradient / np.sqrt(np.mean(block.gradient[refined] ** 2))

        def value(t: float, v: Any = v) -> float:
            sides = 3, thermal.gradient.shape[1]
            shifts = [t * v if v.shape[1] == side else np.zeros((n, side)) for side in sides]
            return objective.value(objective.moved(here, objective.experiment.fitted, shifts), weight)

        expected = (8.0 * (value(h) - value(-h)) - value(2.0 * h) + value(-2.0 * h)) / (12.0 * h)
        assert float(np.sum(block.gradient * v)) == pytest.approx(expected, rel=TOLERANCE)
        assert not block.gradient[~refined].any()


def test_every_accepted_step_lowers_the_target(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """At fixed weight, scale, error model, mask, pair lists and riding offsets; the record is what was reached."""
    seen = []
    original = loop.step

    def watched(backend: Any, blocks: Any, value: float, evaluate: Any, *rest: Any, **named: Any) -> Any:
        outcome = original(backend, blocks, value, evaluate, *rest, **named)
        seen.append((value, outcome))
        return outcome

    monkeypatch.setattr(loop, "step", watched)
    options = RefineOptions(cycles=2)
    state = loop.start(objective_of(problem, options), options)
    records = [loop.run_cycle(state, options) for _ in range(2)]
    assert len(seen) == 2
    for (before, outcome), record in zip(seen, records, strict=True):
        assert outcome.status in (Status.OK, Status.REDUCED, Status.RIDGE)
        assert outcome.value < before
        assert record.status == outcome.status.value and record.halvings == outcome.halvings
    assert records[1].r_free < records[0].r_free


def test_next_step_begins_where_the_last_would_have_been_best(problem: Any) -> None:
    options = RefineOptions(cycles=1)
    objective = objective_of(problem, options)
    damping = objective.damping

    def outcome(halvings: int, length: float, best: float) -> StepOutcome:
        return StepOutcome(1.0, halvings, 0.0, 5, Status.OK, length, best)

    objective.learn(outcome(0, 1.0, 0.8))
    assert objective.length == 0.8 and objective.damping == pytest.approx(0.95 * damping)
    objective.learn(outcome(0, 0.6, float("inf")))
    assert objective.length == 1.0 and objective.damping == pytest.approx(0.95 * 1.1 * damping)
    objective.learn(outcome(1, 0.5, 0.2))
    assert objective.length == 0.5 and objective.damping == pytest.approx(0.95 * 1.1 * 1.3 * damping)
    # nothing was refined: nothing is learned but that it went well
    objective.learn(StepOutcome(1.0, 0, 0.0, 0, Status.OK))
    assert objective.length == 0.5


def test_step_that_cannot_be_taken_leaves_the_model(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a gradient of the wrong sign every direction leads uphill: the atoms stay, and the record says so."""
    options = RefineOptions(cycles=1)
    state = loop.start(objective_of(problem, options), options)
    before = state.state
    original = Objective.linearise

    def uphill(self: Objective, *arguments: Any) -> Any:
        return [replace(block, gradient=-block.gradient) for block in original(self, *arguments)]

    monkeypatch.setattr(Objective, "linearise", uphill)
    heavy = ~state.objective.atoms.is_hydrogen
    record = loop.run_cycle(state, options)
    assert record.status == Status.NO_DESCENT.value
    assert np.array_equal(state.state.xyz[heavy], before.xyz[heavy])
    assert np.array_equal(state.state.b_iso, before.b_iso)


def test_what_is_not_refined_stays(problem: Any) -> None:
    fixed = RefineOptions(cycles=1, fix_xyz=True)
    state = loop.start(objective_of(problem, fixed), fixed)
    begin = state.state
    loop.run_cycle(state, fixed)
    heavy = ~state.objective.atoms.is_hydrogen
    assert np.array_equal(state.state.xyz[heavy], begin.xyz[heavy])
    assert not np.array_equal(state.state.b_iso, begin.b_iso)
    no_b = RefineOptions(cycles=1, adp="fixed")
    state = loop.start(objective_of(problem, no_b), no_b)
    begin = state.state
    loop.run_cycle(state, no_b)
    assert np.array_equal(state.state.b_iso, begin.b_iso)
    assert not np.array_equal(state.state.xyz[heavy], begin.xyz[heavy])


def test_same_refinement_twice_same_bits(problem: Any) -> None:
    a, b = (problem.refine(cycles=1).report for _ in range(2))
    assert np.array_equal(a.maps.fwt, b.maps.fwt) and np.array_equal(a.maps.f_total, b.maps.f_total)
    for x, y in zip(a.cycles, b.cycles, strict=True):
        assert replace(x, seconds=None) == replace(y, seconds=None)


def test_hydrogens_with_places_of_their_own(example: tuple[Path, Path]) -> None:
    """--hydrogens refine: none rides, their bonds stay near the dictionary's, and they are written."""
    problem = gpurefine.read(*example, threads=2, d_min=2.4, hydrogens="refine")
    topology, atoms = problem.chemistry.topology, problem.chemistry.atoms
    hydrogens = np.flatnonzero(atoms.is_hydrogen)
    assert len(hydrogens) > 500 and np.array_equal(topology.parent[hydrogens], hydrogens)
    options = RefineOptions(cycles=2)
    state = loop.start(objective_of(problem, options), options)
    begin = state.state.xyz
    for _ in range(2):
        loop.run_cycle(state, options)
    offset = [xyz[hydrogens] - xyz[atoms.parent[hydrogens]] for xyz in (begin, state.state.xyz)]
    change = np.linalg.norm(offset[1] - offset[0], axis=1)
    assert np.mean(change > 0.01) > 0.5
    own = np.isin(topology.bonds.atoms, hydrogens).any(axis=1)
    first, second = topology.bonds.atoms[own].T
    length = np.linalg.norm(state.state.xyz[first] - state.state.xyz[second], axis=1)
    assert np.sqrt(np.mean((length - topology.bonds.ideal[own]) ** 2)) < 0.03
    # B goes with the neighbour's
    b_shift = state.state.b_iso - atoms.b_iso
    np.testing.assert_allclose(b_shift[hydrogens], b_shift[atoms.parent[hydrogens]], atol=1e-9)
    assert problem.config.chemistry.write_hydrogens
