"""What --adp amounts to, and what comes out of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.constants import EIGHT_PI2
from gpurefine.group_choice import decide_displacements
from gpurefine.model.tensors import TRACE
from gpurefine.refinement import refine as loop
from gpurefine.refinement.checkpoint import from_plain, restore, take, to_plain
from gpurefine.refinement.choose_terms import choose_displacements
from gpurefine.refinement.setup import build_objective


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=2, d_min=2.2, adp="aniso")


@pytest.fixture
def atoms(problem: Any) -> Any:
    """Every other atom anisotropic, a hydrogen and one without a positive definite U among them."""
    a = problem.chemistry.atoms
    is_aniso = np.arange(len(a)) % 2 == 0
    u = np.where(is_aniso[:, None], 0.25 * TRACE + np.array([0.1, 0.0, -0.1, 0.02, 0.0, 0.01]), 0.0)
    u[2] = 0.2, 0.3, 0.1, 0.4, 0.0, 0.0
    return replace(a, is_aniso=is_aniso, u_aniso=u, b_iso=np.where(is_aniso, EIGHT_PI2 * u[:, :3].mean(axis=1), 30.0))


def test_isotropic_takes_the_equivalent_b(atoms: Any) -> None:
    chosen = choose_displacements(atoms, RefineOptions(adp="iso"), 1000)
    assert chosen.kind == "iso" and not chosen.atoms.is_aniso.any() and not chosen.atoms.u_aniso.any()
    assert chosen.atoms.b_iso == pytest.approx(np.clip(atoms.b_iso, 0.5, 999.0))
    assert "made isotropic" in chosen.messages[0]


def test_anisotropic_is_everything_but_hydrogen(atoms: Any) -> None:
    chosen = choose_displacements(atoms, RefineOptions(adp="aniso"), 1000)
    new = chosen.atoms
    assert np.array_equal(new.is_aniso, ~atoms.is_hydrogen)
    was_iso = np.flatnonzero(~atoms.is_hydrogen & ~atoms.is_aniso)
    np.testing.assert_allclose(new.u_aniso[was_iso], np.outer(atoms.b_iso[was_iso] / EIGHT_PI2, TRACE))
    assert new.u_aniso[4] == pytest.approx(atoms.u_aniso[4])
    # not positive definite: the equivalent B
    np.testing.assert_allclose(new.u_aniso[2], 0.2 * TRACE)
    assert any("1 anisotropic atom" in m and "positive definite" in m for m in chosen.messages)
    assert not new.u_aniso[atoms.is_hydrogen].any()


def test_b_stays_within_bounds_and_belongs_to_u(atoms: Any) -> None:
    odd = replace(atoms, b_iso=np.where(atoms.is_aniso, 77.0, 0.1))
    new = choose_displacements(odd, RefineOptions(adp="mixed"), 1000).atoms
    assert (new.b_iso[~atoms.is_aniso] == 0.5).all()
    own = np.flatnonzero(new.is_aniso)
    np.testing.assert_allclose(new.b_iso[own], EIGHT_PI2 * new.u_aniso[own, :3].mean(axis=1))


def test_atoms_that_are_not_there_do_not_count(atoms: Any) -> None:
    heavy = np.flatnonzero(~atoms.is_hydrogen)
    occ = atoms.occ.copy()
    occ[heavy[: len(heavy) // 2]] = 0.0
    n_work = round(12 * (len(heavy) - len(heavy) // 2))
    assert choose_displacements(replace(atoms, occ=occ), RefineOptions(adp="auto"), n_work).kind == "aniso"


def test_mixed_keeps_what_the_file_has(atoms: Any) -> None:
    chosen = choose_displacements(atoms, RefineOptions(adp="mixed"), 1000)
    assert np.array_equal(chosen.atoms.is_aniso, atoms.is_aniso & ~atoms.is_hydrogen)
    plain = choose_displacements(
        replace(atoms, is_aniso=np.zeros(len(atoms), bool)), RefineOptions(adp="mixed"), 1000
    )
    assert plain.kind == "iso" and "the same as --adp iso" in plain.messages[0]


@pytest.mark.parametrize(("share", "kind", "word"), [(10.1, "aniso", "at least 10"), (9.9, "iso", "fewer than 10")])
def test_automatic_choice_goes_by_working_reflections_per_atom(atoms: Any, share: float, kind: str, word: str) -> None:
    heavy = int((~atoms.is_hydrogen).sum())
    chosen = choose_displacements(atoms, RefineOptions(adp="auto"), round(share * heavy))
    assert chosen.kind == kind
    assert word in chosen.messages[0] and f"{share:.1f} working reflections" in chosen.messages[0]


def test_few_reflections_bring_tls(problem: Any) -> None:
    """--adp auto is decided for the whole job: aniso, or iso with TLS unless groups are named."""
    chemistry, config = problem.chemistry, replace(problem.config, refine=RefineOptions(adp="auto"))
    heavy = int((~chemistry.atoms.is_hydrogen).sum())
    many, told = decide_displacements(config, chemistry, 12 * heavy)
    assert many.refine.adp == "aniso" and not many.groups.wants_tls and "anisotropic" in told[0]
    few, told = decide_displacements(config, chemistry, 5 * heavy)
    assert few.refine.adp == "iso" and few.groups.tls == "domains"
    assert "TLS groups of about 100 residues" in told[0] and "5.0 working" in told[0]
    assert few.cycles == config.cycles + few.groups.tls_cycles
    own = replace(config, groups=replace(config.groups, tls="auto"))
    assert decide_displacements(own, chemistry, 5 * heavy)[0].groups.tls == "auto"
    assert decide_displacements(problem.config, chemistry, 5 * heavy) == (problem.config, [])


def test_anisotropic_refinement_from_file_to_file(problem: Any, tmp_path: Path) -> None:
    """R_free falls, every U written is positive definite and the same in both formats, B is its equivalent."""
    result = problem.refine(cycles=2).write(str(tmp_path / "out"))
    first, last = result.report.cycles[0], result.report.cycles[-1]
    assert last.r_work < first.r_work - 0.04
    told = json.loads((tmp_path / "out.json").read_text())["anisotropy"]
    assert told["n_aniso"] > 1000 and 0.2 < told["mean"] < 1.0 and told["min_u"] > 0.0
    kinds = {record.kind for record in result.report.restraints}
    assert {"adp", "adp_similarity", "adp_rigid_bond", "adp_sphericity"} <= kinds
    assert "Anisotropy " in (tmp_path / "out.log").read_text(encoding="utf-8")
    pdb, cif = (gemmi.read_structure(str(tmp_path / f"out.{end}")) for end in ("pdb", "cif"))
    sites = [list(st[0].all()) for st in (pdb, cif)]
    assert len(sites[0]) == len(sites[1]) == told["n_aniso"]
    lowest = 1.0
    for a, b in zip(*sites, strict=True):
        u, v = np.array(a.atom.aniso.as_mat33().tolist()), np.array(b.atom.aniso.as_mat33().tolist())
        np.testing.assert_allclose(u, v, atol=1.1e-4)
        lowest = min(lowest, np.linalg.eigvalsh(u)[0])
        assert a.atom.b_iso == pytest.approx(EIGHT_PI2 * np.trace(u) / 3.0, abs=0.02)
    assert lowest > 0.004


def test_anisotropic_refinement_goes_on_from_a_checkpoint_bit_for_bit(problem: Any) -> None:
    chemistry, options = problem.chemistry, problem.config.refine

    def objective() -> Any:
        return build_objective(
            problem.backend, chemistry.atoms, chemistry.topology, chemistry.labels, problem.data.crystal,
            problem.data.reflections, problem.scattering.form_factors, problem.config.solvent, options, problem.timer,
        )[0]

    straight = loop.start(objective(), options)
    loop.run_cycle(straight, options)
    # as if the last step had been short
    straight.objective.length = 0.7
    kept = from_plain(*to_plain(take(straight)))
    loop.run_cycle(straight, options)
    again = restore(objective(), kept)
    loop.run_cycle(again, options)
    assert again.objective.length == straight.objective.length
    for name in ("xyz", "b_iso", "u_aniso"):
        assert np.array_equal(getattr(again.state.values, name), getattr(straight.state.values, name)), name
