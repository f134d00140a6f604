"""Groups of atoms refined as one, through the whole target, on the embedded example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_rule import check_chain_rule, objective_of

import gpurefine
from gpurefine.backend.gaussians import full_tensors
from gpurefine.config import RefineOptions
from gpurefine.constants import DEGREE
from gpurefine.errors import Status
from gpurefine.model.occupancy import OccupancyGroups
from gpurefine.params.rigid import rotation_matrices
from gpurefine.refinement import refine as loop
from gpurefine.refinement.groups import rigid_stages, start_occupancies
from gpurefine.refinement.tls_start import tls_limits


@pytest.fixture(scope="module")
def two_bodies(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, rigid_domain=("A 3-80", "A 81-151"), rigid_cycles=8, rigid_start=5.0)


def test_gradient_of_rigid_bodies(two_bodies: Any) -> None:
    check_chain_rule(objective_of(two_bodies), "rigid bodies", 0, 2e-3)


def test_zones_step_up_to_the_data(two_bodies: Any) -> None:
    plan = two_bodies.groups.rigid
    stages = rigid_stages(plan, two_bodies.chemistry.atoms.xyz, 1.54)
    assert [stage.d_min for stage in stages[:-1]] == pytest.approx(list(np.geomspace(5.0, 1.54, 5)[:-1]))
    limits = [stage.terms[0].kind.limit for stage in stages]
    assert limits == pytest.approx([0.05 * (stage.d_min or 1.54) for stage in stages])
    near = rigid_stages(replace(plan, start=1.8), two_bodies.chemistry.atoms.xyz, 1.54)
    assert [(stage.cycles, stage.d_min) for stage in near] == [(8, None)]
    assert stages[-1].d_min is None and sum(stage.cycles for stage in stages) == 8
    objective = objective_of(two_bodies)
    objective.enter(1)
    used = objective.experiment.reflections.inv_d2[objective.experiment.used]
    assert used.max() <= 1.0 / 5.0**2 and len(used) < 0.05 * len(objective.experiment.work)
    objective.enter(8)
    assert objective.experiment.used is objective.experiment.work


def test_moved_domains_come_back(two_bodies: Any) -> None:
    """Both halves of the chain turned by 3° and moved by 0.6 Å return."""
    atoms, member = two_bodies.chemistry.atoms, two_bodies.groups.rigid.member
    rng = np.random.default_rng(1)
    xyz = atoms.xyz.copy()
    for body in range(2):
        own = member == body
        centre = xyz[own].mean(axis=0)
        axis, shift = rng.normal(size=(2, 3))
        turn = rotation_matrices(np.radians(3.0) * axis[None] / np.linalg.norm(axis))[0]
        xyz[own] = (xyz[own] - centre) @ turn.T + centre + 0.6 * shift / np.linalg.norm(shift)
    objective = objective_of(two_bodies, xyz=xyz)
    state = loop.start(objective, RefineOptions())
    for _ in range(objective.cycles):
        record = loop.run_cycle(state, RefineOptions())
    assert record.stage == "rigid bodies"
    left = (state.state.xyz - atoms.xyz)[~atoms.is_hydrogen & (member >= 0)]
    left[:, 2] -= left[:, 2].mean()  # the origin along the fourfold axis is free
    assert np.sqrt(np.mean(np.sum(left**2, axis=1))) < 0.05


@pytest.fixture(scope="module")
def tls_problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, tls="auto", tls_cycles=3)


def test_gradient_of_tls(tls_problem: Any) -> None:
    """From a motion that leaves room on all sides, since L and T are kept from having negative principal values."""
    plan = tls_problem.groups.tls
    start = np.zeros_like(plan.groups.start)
    start[:, :3], start[:, 6:9] = 0.1, 2.0 * DEGREE**2
    moving = replace(tls_problem.groups, tls=replace(plan, groups=replace(plan.groups, start=start)))
    check_chain_rule(objective_of(replace(tls_problem, groups=moving)), "TLS", 0, 0.12)


def test_gradient_of_atoms_that_move_with_a_group(tls_problem: Any) -> None:
    """Positions and B of atoms whose U holds the motion of their group."""
    groups = tls_problem.groups.tls.groups
    values = np.zeros((1, 20))
    values[0, :6] = [0.05, 0.08, 0.1, 0.01, 0.02, -0.02]
    values[0, 6:12] = np.array([2.0, 5.0, 3.0, 0.5, 0.2, -0.4]) * DEGREE**2
    values[0, 12:] = np.array([0.1, -0.2, 0.1, 0.2, -0.1, 0.3, 0.1, -0.2]) * DEGREE
    plan = replace(tls_problem.groups.tls, groups=replace(groups, start=values))
    moving = replace(tls_problem, groups=replace(tls_problem.groups, tls=plan))
    check_chain_rule(objective_of(moving, 1), "atoms", 0, 2e-3)
    check_chain_rule(objective_of(moving, 1), "atoms", 1, 0.5)


def test_gradient_of_rigid_bodies_with_tls_tensors(example: tuple[Path, Path]) -> None:
    both = gpurefine.read(*example, threads=1, tls="auto", tls_cycles=0, rigid=True, rigid_cycles=8, rigid_start=5.0)
    plan = both.groups.tls
    values = np.zeros((1, 20))
    values[0, :6] = [0.25, 0.38, 0.3, 0.01, 0.02, -0.02]
    values[0, 6:12] = np.array([22.0, 15.0, 3.0, 0.5, 0.2, -0.4]) * DEGREE**2
    values[0, 12:] = np.array([0.1, -0.2, 0.1, 0.2, -0.1, 0.3, 0.1, -0.2]) * DEGREE
    moving = replace(both.groups, tls=replace(plan, groups=replace(plan.groups, start=values)))
    check_chain_rule(objective_of(replace(both, groups=moving)), "rigid bodies", 0, 2e-3)


def test_limits_of_tls_are_told(tls_problem: Any) -> None:
    groups = tls_problem.groups.tls.groups
    moving = replace(groups, start=np.full((1, 20), 0.01))
    one = groups.member.copy()
    part = np.where(np.arange(len(one)) < 100, -1, one).astype(np.int32)
    assert tls_limits(groups, "iso", part) == [] and tls_limits(moving, "iso", None) == []
    assert tls_limits(moving, "iso", one) == []
    (aniso,) = tls_limits(groups, "aniso", one)
    assert "own U, without the motion" in aniso
    (rigid,) = tls_limits(moving, "iso", part)
    assert rigid.startswith(f"Warning: the atoms of TLS group {groups.names[0]} belong") and "--tls-reset" in rigid


def test_tls_cycles_lower_the_target(tls_problem: Any) -> None:
    objective = objective_of(tls_problem)
    state = loop.start(objective, RefineOptions())
    records = [loop.run_cycle(state, RefineOptions()) for _ in range(3)]
    assert {record.stage for record in records} == {"TLS"}
    assert all(record.status in (Status.OK.value, Status.REDUCED.value) for record in records)
    assert records[-1].r_work < state.cycles[0].r_work - 0.002
    total = full_tensors(objective.composition.displacement(state.state.values)[objective.composition.tls.inside])
    assert np.linalg.eigvalsh(total).min() > 0.0


def test_gradient_of_occupancies(example: tuple[Path, Path]) -> None:
    problem = gpurefine.read(*example, threads=1, occupancy_of=("waters", "A/50", "A/51"))
    occ = problem.chemistry.atoms.occ.copy()
    occ[problem.groups.occupancies.member >= 0] = 0.7
    objective = objective_of(problem, 1, occ=occ, scattering_weight=occ)
    assert objective.stages[-1].terms[-1].kind.by_occupancy
    parts = [stage.terms[-1] for stage in objective.stages]
    assert [stage.name for stage in objective.stages] == ["occupancies", "atoms"]
    assert all(term.within is not None for term in parts)  # steps end where occupancies are allowed
    check_chain_rule(objective, "atoms", len(objective.stages[-1].terms) - 1, 0.02)


def test_occupancies_start_where_the_constraints_allow(two_bodies: Any) -> None:
    """A complete set of two comes to a sum of 1; a special position keeps its share of the occupancy."""
    atoms = two_bodies.chemistry.atoms
    occ = np.ones(len(atoms))
    occ[:2] = 0.5, 0.7
    share = np.where(np.arange(len(atoms)) == 1, 0.5, 1.0)
    member = np.where(np.arange(len(atoms)) < 2, np.arange(len(atoms)), -1).astype(np.int32)
    groups = OccupancyGroups(("a", "b"), member, ((0, 1),), (True,))
    found, kind = start_occupancies(replace(atoms, occ=occ, scattering_weight=occ * share), groups)
    assert found.occ[:2] == pytest.approx([0.4, 0.6]) and (found.occ[2:] == 1.0).all()
    np.testing.assert_allclose(found.scattering_weight, found.occ * share)
    assert kind.shape == (1, 2)
