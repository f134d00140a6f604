"""TLS groups of a model: which atoms, what is wrong with them, and files that hold the same motion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.constants import DEGREE
from gpurefine.errors import InputError, UsageError
from gpurefine.io.tls_groups import find_tls_groups, has_polymer
from gpurefine.model.special import find_special_positions
from gpurefine.refinement import refine as loop
from gpurefine.refinement.groups import MovingGroups, TlsPlan
from gpurefine.refinement.objective import Objective
from gpurefine.refinement.setup import build_objective
from gpurefine.refinement.tls_start import start_motion

HEAD = "TLS    {}\nRANGE  'A {:4d}.' 'A {:4d}.' ALL\n"
TENSORS = "ORIGIN 20 20 60\nT 0.05 0.06 0.07 0.01 0.0 0.0\nL {} 2.0 3.0 0.1 0.2 0.0\nS 0.1 0.1 0.05 0 0 0 0.1 0\n"


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1)


def from_file(problem: Any, folder: Path, text: str, reset: bool = False) -> Any:
    path = folder / "g.tls"
    path.write_text(text)
    return find_tls_groups(str(path), None, reset, problem.model, problem.chemistry)


def test_one_group_a_chain_with_its_waters(problem: Any) -> None:
    groups, _ = find_tls_groups("auto", None, False, problem.model, problem.chemistry)
    assert groups.names == ("chain A",)
    atoms = problem.chemistry.atoms
    water = np.array(["/HOH/" in label for label in problem.chemistry.labels])
    assert (groups.member[~water] == 0).all() and (groups.member[water] == 0).sum() > 0
    assert np.array_equal(groups.member[atoms.parent], groups.member)
    assert np.allclose(groups.origin[0], atoms.xyz[(groups.member == 0) & ~atoms.is_hydrogen].mean(axis=0))


def test_groups_cut_by_b(problem: Any) -> None:
    chemistry = problem.chemistry
    with pytest.raises(UsageError, match="All B of chain A"):
        find_tls_groups("auto", 3, False, problem.model, chemistry)
    number = np.array([int(label.split("/")[1]) for label in chemistry.labels])
    b = np.where(number < 60, 20.0, 60.0 + 0.02 * (chemistry.atoms.xyz[:, 0] - 20.0) ** 2)
    uneven = replace(chemistry, atoms=replace(chemistry.atoms, b_iso=b))
    groups, told = find_tls_groups("auto", 2, False, problem.model, uneven)
    assert len(groups) == 2 and "cut into 2 TLS groups" in told[0]
    assert abs(int(groups.ranges[0][0].last) - 59) <= 1


def test_domains(problem: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of about so many residues, by B where these tell, of equal length where they do not."""
    chemistry = problem.chemistry
    assert has_polymer(chemistry)
    number = np.array([int(label.split("/")[1]) for label in chemistry.labels])
    water = np.array(["/HOH/" in label for label in chemistry.labels])
    n_residues = len(np.unique(number[~water]))
    groups, told = find_tls_groups("domains", None, False, problem.model, chemistry)
    assert len(groups) == max(1, round(n_residues / 100)) and told == ([] if len(groups) == 1 else told)
    monkeypatch.setattr("gpurefine.io.tls_groups.DOMAIN", n_residues / 3.0)
    groups, told = find_tls_groups("domains", None, False, problem.model, chemistry)
    assert len(groups) == 3 and "of equal length" in told[0]
    residues = [len(np.unique(number[(groups.member == g) & ~water])) for g in range(3)]
    assert max(residues) - min(residues) <= 1
    b = np.where(number < 60, 20.0, 60.0 + 0.02 * (chemistry.atoms.xyz[:, 0] - 20.0) ** 2)
    uneven = replace(chemistry, atoms=replace(chemistry.atoms, b_iso=b))
    groups, told = find_tls_groups("domains", None, False, problem.model, uneven)
    assert len(groups) == 3 and "by its B" in told[0]


def test_what_is_wrong_with_groups_is_told(problem: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one and TLS group two of .*g.tls both hold A/60/"):
        from_file(problem, tmp_path, HEAD.format("one", 3, 60) + HEAD.format("two", 60, 151))
    with pytest.raises(InputError, match="No TLS group"):
        from_file(problem, tmp_path, HEAD.format("one", 900, 950))
    groups, told = from_file(problem, tmp_path, HEAD.format("one", 900, 950) + HEAD.format("two", 3, 151))
    assert groups.names == ("two",) and any("A 900–950, which the model does not have" in t for t in told)
    with pytest.raises(InputError, match="names no TLS groups in its header"):
        find_tls_groups("model", None, False, problem.model, problem.chemistry)


def test_negative_libration_is_told(problem: Any, tmp_path: Path) -> None:
    groups, told = from_file(problem, tmp_path, HEAD.format("odd", 3, 151) + TENSORS.format("-0.5"))
    assert any("residual displacement only, since it has no ANISOU" in t for t in told)
    atoms = problem.chemistry.atoms
    special = find_special_positions(problem.data.crystal, atoms.xyz)
    _, kept, told = start_motion(atoms, groups, special, False)
    assert any("odd: L has the negative principal value" in t for t in told)
    assert kept.start.any()
    far = groups.start.copy()
    far[:, 6] = -300.0 * DEGREE**2
    _, kept, told = start_motion(atoms, replace(groups, start=far), special, False)
    assert any("starts without motion" in t for t in told) and not kept.start.any()


def test_negative_refined_libration_is_told(problem: Any) -> None:
    """The same sentence for tensors that refinement has found."""
    groups, _ = find_tls_groups("auto", None, False, problem.model, problem.chemistry)
    values = np.zeros((1, 20))
    values[0, :12] = [0.05, 0.06, 0.07, 0.0, 0.0, 0.0, 2e-4, 3e-4, -1e-4, 0.0, 0.0, 0.0]
    moving = replace(problem, groups=MovingGroups(tls=TlsPlan(replace(groups, start=values), 0)))
    state = loop.start(objective_of(moving), RefineOptions(cycles=0))
    report = moving._result(state, [], RefineOptions(cycles=0)).report
    assert [t for t in report.messages if "chain A: L has the negative principal value -0.328 deg²" in t]
    assert not [t for t in report.messages if "chain A: T" in t]


def test_atoms_on_a_line_are_no_group(problem: Any, tmp_path: Path) -> None:
    c = problem.chemistry
    own = np.flatnonzero([label.startswith("A/70/") for label in c.labels])
    xyz = c.atoms.xyz.copy()
    xyz[own] = np.arange(len(own))[:, None] * np.array([0.3, 0.4, 0.5])
    straight = replace(problem, chemistry=replace(c, atoms=replace(c.atoms, xyz=xyz)))
    groups, told = from_file(straight, tmp_path, HEAD.format("thin", 70, 70) + HEAD.format("rest", 80, 151))
    assert groups.names == ("rest",) and any("thin" in t and "on a line" in t and "left out" in t for t in told)
    with pytest.raises(InputError, match="on a line"):
        from_file(straight, tmp_path, HEAD.format("thin", 70, 70))


def test_motion_in_the_model_is_subtracted(problem: Any, tmp_path: Path) -> None:
    """Total B = own + motion; the atoms on special positions stay out."""
    groups, _ = from_file(problem, tmp_path, HEAD.format("all", 3, 151) + TENSORS.format("2.5"))
    atoms = problem.chemistry.atoms
    special = find_special_positions(problem.data.crystal, atoms.xyz)
    motion = groups.displacement(atoms.xyz, groups.start)[:, :3].sum(axis=1) * 8 * np.pi**2 / 3
    with_motion = replace(atoms, b_iso=atoms.b_iso + motion)
    own, _, told = start_motion(with_motion, replace(groups, total_given=True), special, False)
    assert told == [] and np.allclose(own.b_iso, atoms.b_iso)
    kept, _, _ = start_motion(with_motion, replace(groups, total_given=True), special, True)
    assert kept.b_iso is with_motion.b_iso
    reset, _ = from_file(problem, tmp_path, HEAD.format("all", 3, 151) + TENSORS.format("2.5"), reset=True)
    assert not reset.start.any() and not reset.total_given


def objective_of(problem: Any) -> Objective:
    c = problem.chemistry
    return build_objective(
        problem.backend, c.atoms, c.topology, c.labels, problem.data.crystal, problem.data.reflections,
        problem.scattering.form_factors, problem.config.solvent, RefineOptions(cycles=0), problem.timer, None,
        problem.groups,
    )[0]


@pytest.mark.parametrize(("residual", "files"), [
    (False, (("out.pdb", "model"), ("out.cif", "model"))),
    (True, (("out.cif", "model"), ("out.pdb", "out.tls"))),
], ids=["totals", "residuals"])  # fmt: skip
def test_written_files_hold_the_same_structure_factors(
    example: tuple[Path, Path], tmp_path: Path, residual: bool, files: tuple[tuple[str, str], ...]
) -> None:
    """F_c of what PREFIX.pdb, .cif and .tls say is that of the refinement to 1e-4."""
    # hydrogens would be placed anew on positions rounded to three decimals
    options: dict[str, Any] = {"threads": 1, "hydrogens": "drop", "cycles": 0, "d_min": 2.5}
    problem = gpurefine.read(*example, **options, tls="auto", tls_cycles=1, tls_residual_b=residual)
    state = loop.start(objective_of(problem), problem.config.refine)
    loop.run_cycle(state, problem.config.refine)
    result = problem._result(state, [], problem.config.refine).write(str(tmp_path / "out"))
    assert any(name.endswith("out.tls") for name in result.files) and "TLS groups" in (tmp_path / "out.log").read_text()
    for model, tls in files:
        source = tls if tls == "model" else str(tmp_path / tls)
        objective = objective_of(gpurefine.read(tmp_path / model, example[1], **options, tls=source, tls_cycles=0))
        # with the transform of the refinement: another model may be given another grid, equal only to its accuracy
        read = objective.scatterers(objective.first_values())
        found = state.objective.experiment.structure_factors(read)[0]
        values = state.state.values
        if model.endswith(".pdb") and residual:  # the format's two decimals of B are no matter of TLS
            values = replace(values, b_iso=np.round(values.b_iso, 2))
        expected = state.objective.state(values).f_calc[0]
        error = np.sqrt(np.mean(np.abs(found - expected) ** 2) / np.mean(np.abs(expected) ** 2))
        assert error < 1e-4, (model, tls)
    structure = gemmi.read_structure(str(tmp_path / "out.cif"))
    assert any(cra.atom.aniso.nonzero() for cra in structure[0].all()) != residual
    assert len(structure.meta.refinement[0].tls_groups) == 1
