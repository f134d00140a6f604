"""f″, twin fractions and the solvent's scale as parameters that are refined with the atoms."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chain_rule import check_chain_rule
from hypothesis import given
from hypothesis import strategies as st
from simulated_pairs import D_DELTA, D, simulated

import gpurefine
from gpurefine.config import RefineOptions, SolventOptions
from gpurefine.errors import UsageError
from gpurefine.forward.scaling import Scale
from gpurefine.refinement import refine as loop
from gpurefine.refinement.checkpoint import from_plain, restore, take, to_plain
from gpurefine.refinement.data_parameters import AnomalousFactors, DataSlope, SolventScale, TwinFractions, data_slopes
from gpurefine.refinement.setup import build_objective
from gpurefine.target.twin import LEAST_FRACTION


def objective_of(problem: Any, options: RefineOptions, **solvent: Any) -> Any:
    c = problem.chemistry
    return build_objective(
        problem.backend, c.atoms, c.topology, c.labels, problem.data.crystal, problem.data.reflections,
        problem.scattering.form_factors, replace(problem.config.solvent, **solvent), options, problem.timer, None, None,
        problem.likelihood.measured,
    )[0]


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, d_min=2.2, hydrogens="drop")


@pytest.fixture(scope="module")
def twin(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, d_min=3.0, hydrogens="drop", twin=True)


@pytest.mark.parametrize("scale", ["smooth", "simple"])
def test_chain_rule_of_the_solvent(problem: Any, scale: str) -> None:
    objective = objective_of(problem, RefineOptions(cycles=1), refine_solvent=True, scale=scale)
    check_chain_rule(objective, "atoms", 2, 1e-3, 1e-6)


def test_chain_rule_of_twin_fractions(twin: Any) -> None:
    check_chain_rule(objective_of(twin, RefineOptions(cycles=1)), "atoms", 2, 1e-3)


@pytest.mark.parametrize("solvent", [True, False])
def test_information_is_the_curvature(problem: Any, twin: Any, solvent: bool) -> None:
    """Where the model of the errors holds, the change of the gradient is the expected information."""
    objective = (
        objective_of(problem, RefineOptions(), refine_solvent=True) if solvent else objective_of(twin, RefineOptions())
    )
    state = loop.start(objective, RefineOptions()).state
    experiment, (kind,) = objective.experiment, objective.data
    fit = experiment.fitted
    information = data_slopes(experiment, [kind])[0].information
    direction = np.ones(len(information)) if solvent else np.array([-1.0, 1.0])

    def slope(t: float) -> float:
        experiment.change(*kind.move(fit, t * direction), state.f_calc)
        return float(direction @ data_slopes(experiment, [kind])[0].gradient)

    h = 2e-3
    found = (slope(h) - slope(-h)) / (2.0 * h)
    ratio = float(direction @ information @ direction) / found
    # twins: the mean square of the slopes of single groups, of which some are far out
    assert 0.8 < ratio < 1.25 if solvent else 0.5 < ratio < 3.0


def test_f_second_by_scoring() -> None:
    """Two rows, the first given 1.6 times too large: its multiplier comes to 1/1.6, with D_Δ tied to D; gradient by
    central differences; uncertainty as far as the truth is."""
    likelihood, f_total, k = simulated(n=2_500, refined=(True, True))
    f_total[1] *= 1.6
    kind = AnomalousFactors(np.array([0, 1]), ("S", "Se"), np.array([0.5, 4.0]), likelihood.backend)
    index, errors = np.flatnonzero(likelihood.reflections.work), None
    for _ in range(4):
        errors = likelihood.fit(f_total, k, errors)
        fit: Any = SimpleNamespace(f_total=f_total, errors=errors, scale=Scale())
        result = likelihood.evaluate(likelihood.values(errors, k), f_total, index, True)
        slope = kind.slope(fit, index, result)
        _, errors = kind.move(fit, np.clip(-np.linalg.solve(slope.information, slope.gradient), -0.25, 0.25))
    assert (errors.factors[0] == errors.factors[1]).all()
    su = slope.uncertainty()
    truth = np.log(D_DELTA / D * np.array([1.0 / 1.6, 1.0]))
    assert (np.abs(np.log(errors.multiplier) - truth) < 3.0 * su).all() and (su < 0.03).all()
    records = kind.records(SimpleNamespace(errors=errors), su)  # type: ignore[arg-type]
    assert records[1].value == pytest.approx(4.0 * errors.multiplier[1]) and records[1].name == "Se"

    def value(x: Any) -> float:
        moved = likelihood.values(kind.move(fit, x)[1], k)
        return float(likelihood.evaluate(moved, f_total, index, False).minus_ll.sum())

    for v in np.eye(2):
        h = 1e-3 * v
        found = (8.0 * (value(h) - value(-h)) - value(2.0 * h) + value(-2.0 * h)) / (12.0 * 1e-3)
        assert slope.gradient @ v == pytest.approx(found, abs=1e-6 * float(np.sqrt(slope.information[0, 0]) + 100.0))


@dataclass
class Errors:
    """An error model of nothing but fractions."""

    fractions: Any


@given(st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3), st.integers(0, 5))
def test_fractions_stay_fractions(shift: list[float], seed: int) -> None:
    kind = TwinFractions(SimpleNamespace())  # type: ignore[arg-type]
    start = np.random.default_rng(seed).dirichlet(np.ones(3))
    fit: Any = SimpleNamespace(errors=Errors(start), scale=Scale())
    moved = kind.move(fit, np.array(shift))[1].fractions
    assert moved.sum() == pytest.approx(1.0, abs=1e-12) and moved.min() >= LEAST_FRACTION - 1e-12
    small = 1e-3 * (np.array(shift) - np.mean(shift))
    if (start > 2e-3).all():
        np.testing.assert_allclose(kind.move(fit, small)[1].fractions, start + small, atol=1e-9)


def test_a_wrong_fraction_comes_back_with_the_atoms(twin: Any) -> None:
    """Moved by 0.1 it returns in two cycles, its sum exact in each; s.u. are told; a resumed run has the same bits."""
    options = RefineOptions(cycles=3)
    state = loop.start(objective_of(twin, options), options)
    experiment = state.objective.experiment
    right = experiment.fitted.errors.fractions
    wrong = replace(experiment.fitted.errors, fractions=right + np.array([0.1, -0.1]))
    experiment.change(experiment.fitted.scale, wrong, state.state.f_calc)
    experiment.update(state.objective.scatterers(state.state.values), state.state.f_calc)
    for _ in range(2):
        loop.run_cycle(state, options)
        assert experiment.fitted.errors.fractions.sum() == pytest.approx(1.0, abs=1e-12)
    assert experiment.fitted.errors.fractions == pytest.approx(right, abs=0.01)
    again = restore(objective_of(twin, options), from_plain(*to_plain(take(state))))
    for each in (state, again):
        loop.run_cycle(each, options)
    assert (again.objective.experiment.fitted.errors.fractions == experiment.fitted.errors.fractions).all()
    assert again.cycles[-1].r_free == state.cycles[-1].r_free


def test_without_atoms_to_refine_the_data_are(twin: Any) -> None:
    options = RefineOptions(cycles=1, fix_xyz=True, adp="fixed")
    state = loop.start(objective_of(twin, options), options)
    before = state.objective.experiment.fitted.errors.fractions
    record = loop.run_cycle(state, options)
    assert record.cg_iterations is not None and record.cg_iterations > 0
    assert (state.objective.experiment.fitted.errors.fractions != before).any()


@pytest.mark.parametrize("scale", ["smooth", "simple"])
def test_refined_solvent_is_near_the_fitted_one(example: tuple[Path, Path], tmp_path: Path, scale: str) -> None:
    options: Any = {"threads": 1, "d_min": 2.4, "hydrogens": "drop", "cycles": 3, "scale": scale}
    plain = gpurefine.read(*example, **options).refine().report
    result = gpurefine.read(*example, refine_solvent=True, **options).refine()
    refined = result.report
    assert not plain.data_parameters and refined.cycles[-1].r_free < plain.cycles[-1].r_free + 0.01
    result.write(str(tmp_path / "out"))
    told = json.loads((tmp_path / "out.json").read_text())["data_parameters"]
    assert all(row["kind"] == "solvent scale" and row["uncertainty"] > 0.0 for row in told)
    assert "Parameters of the data" in (tmp_path / "out.log").read_text()
    if scale == "simple":
        assert [row["name"] for row in told] == ["k_sol", "B_sol"]
        assert told[0]["value"] == pytest.approx(plain.scale.k_sol, abs=0.1)


def test_bounds_of_the_solvent() -> None:
    kind = SolventScale(SimpleNamespace())  # type: ignore[arg-type]
    knots = np.array([[0.0, 0.1, 0.2], [0.4, 0.2, 0.0]])
    fit: Any = SimpleNamespace(scale=Scale(mask_knots=knots), errors=None)
    assert kind.move(fit, np.array([0.1, 2.0, -0.1]))[0].mask_knots[1] == pytest.approx([0.5, 1.2, 0.0])
    fit = SimpleNamespace(scale=Scale(k_sol=0.3, b_sol=50.0), errors=None)
    moved = kind.move(fit, np.array([-0.5, 0.1]))[0]
    assert (moved.k_sol, moved.b_sol) == (0.0, 60.0)
    with pytest.raises(UsageError, match="--solvent none has not"):
        SolventOptions(solvent="none", refine_solvent=True)


def test_uncertainty_leaves_out_what_is_held() -> None:
    """Two fractions that add up to one have the same uncertainty, that of either as the only parameter."""
    g = np.array([-1.0, 1.0])
    assert DataSlope(g, 100.0 * np.outer(g, g) / 4.0).uncertainty() == pytest.approx([0.1, 0.1])
