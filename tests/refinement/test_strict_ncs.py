"""Strict non-crystallographic symmetry as a constraint, on a made crystal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
from chain_rule import check_chain_rule, objective_of
from ncs_crystal import NcsCrystal, expanded, make_ncs_crystal

import gpurefine
from gpurefine.config import RefineOptions
from gpurefine.constants import DEGREE, EIGHT_PI2
from gpurefine.errors import InputError
from gpurefine.model.tensors import TRACE
from gpurefine.refinement import refine as loop
from gpurefine.refinement.setup import build_objective


@pytest.fixture(scope="module")
def crystal(tmp_path_factory: pytest.TempPathFactory, example: tuple[Path, Path]) -> NcsCrystal:
    return make_ncs_crystal(tmp_path_factory.mktemp("ncs"), example[0])


@pytest.fixture(scope="module")
def problem(crystal: NcsCrystal) -> Any:
    return gpurefine.read(crystal.copy, crystal.data, threads=1)


def objective_of_all(problem: Any, adp: str = "iso", **changes: Any) -> tuple[Any, Any]:
    """The objective of one copy, and that of all copies as atoms with parameters of their own."""
    c, ncs, options = problem.chemistry, problem.ncs, RefineOptions(cycles=1, adp=adp)
    atoms = replace(c.atoms, **changes)
    rest = (
        problem.data.crystal, problem.data.reflections, problem.scattering.form_factors, problem.config.solvent,
        options, problem.timer,
    )  # fmt: skip
    constrained, _ = build_objective(problem.backend, atoms, c.topology, c.labels, *rest, ncs=ncs)
    free, _ = build_objective(problem.backend, ncs.atoms(atoms), ncs.topology(c.topology), ncs.labels(c.labels), *rest)
    return constrained, free


def aniso(problem: Any) -> dict[str, Any]:
    """Atoms with random anisotropic U."""
    atoms = problem.chemistry.atoms
    heavy = ~atoms.is_hydrogen
    u = (atoms.b_iso / EIGHT_PI2)[:, None] * TRACE + np.random.default_rng(0).normal(scale=0.03, size=(len(atoms), 6))
    return {"is_aniso": heavy, "u_aniso": np.where(heavy[:, None], u, 0.0)}


@pytest.mark.parametrize("adp", ["iso", "aniso"])
def test_constrained_is_unconstrained_with_equal_copies(problem: Any, adp: str) -> None:
    """F_calc, solvent, target, and the gradient, which is the sum over copies of what each atom sees turned back."""
    one, free = objective_of_all(problem, adp, **(aniso(problem) if adp == "aniso" else {}))
    # hydrogens are not regenerated: in the copies they would end a little apart
    states = []
    for objective in (one, free):
        state = objective.state(objective.first_values())
        objective.experiment.update(objective.scatterers(state.values), state.f_calc)
        objective.list_contacts(state.values)
        states.append(state)
    f, g = (state.f_calc for state in states)
    assert np.abs(f - g).max() < 1e-9 * np.abs(g).max()
    fits = [objective.experiment.fitted for objective in (one, free)]
    assert np.abs(fits[0].f_mask - fits[1].f_mask).max() < 1e-9 * np.abs(fits[1].f_mask).max()
    values = [objective.value(state, 2.0) for objective, state in zip((one, free), states, strict=True)]
    assert values[0] == pytest.approx(values[1], rel=1e-10)
    assert one.restraints(states[0].values) == pytest.approx(free.restraints(states[1].values), rel=1e-10)
    assert any(a // one.copies.n != b // one.copies.n for a, b in one.adp.pattern.pairs), "no copies touch"
    blocks = [objective.linearise(state, 2.0) for objective, state in zip((one, free), states, strict=True)]
    for mine, theirs in zip(*blocks, strict=True):
        assert mine.gradient.shape == (one.copies.n, theirs.gradient.shape[1])
        expected = one.copies.vectors(theirs.gradient)
        assert np.abs(mine.gradient - expected).max() < 1e-8 * np.abs(expected).max()
        extra = one.copies.blocks(theirs.extra)
        assert np.abs(mine.extra - extra).max() < 1e-8 * np.abs(extra).max()


def test_restraints_are_those_of_a_model_with_all_copies(crystal: NcsCrystal, problem: Any) -> None:
    """Of a file that holds all copies, rounded to 0.001 Å."""
    whole = gpurefine.read(crystal.whole, crystal.data, threads=1)
    assert whole.ncs is None
    made, read = problem.ncs.topology(problem.chemistry.topology), whole.chemistry.topology
    for kind in ("bonds", "angles", "torsions", "chirals"):
        one, two = (np.sort(getattr(each, kind).atoms, axis=1) for each in (made, read))
        assert sorted(map(tuple, one)) == sorted(map(tuple, two)), kind
    for name in ("parent", "is_hydrogen"):
        assert np.array_equal(getattr(made, name), getattr(read, name))
    planes = [
        {tuple(p.atoms[a:b]) for a, b in zip(p.start, p.start[1:], strict=False)} for p in (made.planes, read.planes)
    ]
    assert planes[0] == planes[1]
    residues = [np.unique(each.nonbonded.residue, return_inverse=True)[1] for each in (made, read)]
    assert np.array_equal(*residues)
    assert np.array_equal(made.nonbonded.hb_type, read.nonbonded.hb_type)
    mine, theirs = (loop.start(objective_of(each, 1), RefineOptions()).restraints for each in (problem, whole))
    for one, two in zip(mine, theirs, strict=True):
        assert one.kind == two.kind and one.rmsd == pytest.approx(two.rmsd, rel=0.02), one.kind
        # pairs just at a limit may be on either side of it
        pairs = one.kind.startswith(("adp", "vdw"))
        assert one.count == pytest.approx(two.count, rel=0.01 if pairs else 0.0, abs=2 if pairs else 0), one.kind


@pytest.mark.parametrize(("kind", "step"), [(0, 2e-3), (1, 0.5)])
def test_gradient_of_positions_and_b(problem: Any, kind: int, step: float) -> None:
    check_chain_rule(objective_of(problem, 1), "atoms", kind, step)


def test_gradient_of_tensors(problem: Any) -> None:
    objective, _ = objective_of_all(problem, "aniso", **aniso(problem))
    check_chain_rule(objective, "atoms", 1, 2e-3)


def test_gradient_of_tls_of_rigid_bodies_and_of_occupancies(crystal: NcsCrystal) -> None:
    options = {"tls": "auto", "rigid": True, "occupancy_of": ("A/50", "A/51")}
    grouped = gpurefine.read(crystal.copy, crystal.data, threads=1, **options)
    start = np.zeros((1, 20))
    start[0, :6] = [0.05, 0.08, 0.1, 0.01, 0.02, -0.02]
    start[0, 6:12] = np.array([2.0, 5.0, 3.0, 0.5, 0.2, -0.4]) * DEGREE**2
    start[0, 12:] = np.array([0.1, -0.2, 0.1, 0.2, -0.1, 0.3, 0.1, -0.2]) * DEGREE
    tls = replace(grouped.groups.tls, groups=replace(grouped.groups.tls.groups, start=start))
    grouped = replace(grouped, groups=replace(grouped.groups, tls=tls))
    occ = grouped.chemistry.atoms.occ.copy()
    occ[grouped.groups.occupancies.member >= 0] = 0.7
    objective = objective_of(grouped, 1, occ=occ, scattering_weight=occ)
    check_chain_rule(objective, "TLS", 0, 0.12)
    check_chain_rule(objective, "rigid bodies", 0, 2e-3)
    check_chain_rule(objective, "atoms", 0, 2e-3)
    check_chain_rule(objective, "atoms", len(objective.stages[-1].terms) - 1, 0.006)


@pytest.mark.parametrize("backend", ["shim", pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True)
def test_normal_equations_are_those_of_the_processor(crystal: NcsCrystal, backend: Any) -> None:
    """Of every backend, wherever it keeps its blocks."""
    problem, found = gpurefine.read(crystal.copy, crystal.data, threads=1, d_min=5.0), []
    for each in (problem, replace(problem, backend=backend)):
        objective = objective_of(each, 1)
        state = objective.state(objective.first_values())
        objective.experiment.update(objective.scatterers(state.values), state.f_calc)
        objective.list_contacts(state.values)
        found.append(objective.linearise(state, 2.0))
    for mine, theirs in zip(*found, strict=True):
        for one, two in ((mine.gradient, theirs.gradient), (mine.extra, theirs.extra)):
            assert np.abs(one - two).max() < 2e-3 * np.abs(one).max()
        for one, two in zip(mine.matrices, theirs.matrices, strict=True):
            assert np.array_equal(one.pattern.pairs, two.pattern.pairs)
            assert np.abs(one.diagonal - two.diagonal).max() < 1e-5 * np.abs(one.diagonal).max()
            assert np.abs(one.off - two.off).max() < 1e-5 * np.abs(one.off).max(initial=1e-30)


@pytest.fixture(scope="module", params=["pdb", "cif"])
def refined(request: pytest.FixtureRequest, crystal: NcsCrystal, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Four cycles from a PDB and from an mmCIF file."""
    folder = tmp_path_factory.mktemp("refined")
    model = crystal.copy
    if request.param == "cif":
        model = folder / "in.cif"
        gemmi.read_structure(str(crystal.copy)).make_mmcif_document().write_file(str(model))
    problem = gpurefine.read(model, crystal.data, threads=1)
    return problem.refine(cycles=4).write(str(folder / "out"))


def test_refinement_lowers_r_and_writes_one_copy(refined: Any, crystal: NcsCrystal) -> None:
    cycles = refined.report.cycles
    assert cycles[-1].r_work < cycles[0].r_work - 0.02 and cycles[-1].r_free < cycles[0].r_free
    assert cycles[-1].rmsd_bond < 0.06
    given = gemmi.read_structure(str(crystal.copy))
    prefix = refined.files[0].removesuffix(".cif")
    for ending in (".pdb", ".cif"):
        out = gemmi.read_structure(prefix + ending)
        assert out[0].count_atom_sites() == given[0].count_atom_sites() and len(out.ncs) == 2
        for mine, theirs in zip(out.ncs, given.ncs, strict=True):
            assert (mine.id, mine.given) == (theirs.id, False)
            assert np.abs(np.array(mine.tr.mat.tolist()) - theirs.tr.mat.tolist()).max() < 1e-6
            assert np.abs(np.array(mine.tr.vec.tolist()) - theirs.tr.vec.tolist()).max() < 1e-5
    report = json.loads(Path(prefix + ".json").read_text())
    n = refined.report.ncs.n_atoms_copy
    assert report["strict_ncs"] == {"n_operators": 2, "n_atoms_copy": n, "n_atoms": 3 * n}
    log = Path(prefix + ".log").read_text()
    assert f"Strict NCS           2 operators; {n} atoms in the copy, {3 * n} in" in log
    assert not [o for o in refined.report.outliers if all("(copy" in a for a in o.atoms) and len(set(
        a.partition(" (copy")[2] for a in o.atoms)) == 1]


def test_what_is_written_gives_the_same_structure_factors(refined: Any) -> None:
    """The written copy, expanded by gemmi, is what was refined; fcalc makes the copies too."""
    prefix = refined.files[0].removesuffix(".cif")
    one = gpurefine.structure_factors(prefix + ".cif", 4.0)
    whole = Path(prefix).parent / "all.cif"
    expanded(gemmi.read_structure(prefix + ".cif")).make_mmcif_document().write_file(str(whole))
    assert one.rms_f == pytest.approx(gpurefine.structure_factors(whole, 4.0).rms_f, rel=1e-5)
    again = gpurefine.read(prefix + ".cif", refined.problem.config.data_file, threads=1).refine(cycles=0)
    assert again.report.cycles[0].r_work == pytest.approx(refined.report.cycles[-1].r_work, abs=2e-3)


def changed(crystal: NcsCrystal, folder: Path, change: Any) -> Path:
    st = gemmi.read_structure(str(crystal.copy))
    operators = list(st.ncs)
    st.ncs.clear()
    for operator in change(operators, st):
        st.ncs.append(operator)
    path = folder / "changed.pdb"
    st.write_pdb(str(path))
    return path


def operator(matrix: Any, shift: Any, given: bool = False) -> gemmi.NcsOp:
    return gemmi.NcsOp(gemmi.Transform(gemmi.Mat33(matrix), gemmi.Vec3(*shift)), "7", given)


def parts(made: gemmi.NcsOp) -> tuple[Any, Any]:
    return made.tr.mat.tolist(), made.tr.vec.tolist()


def test_operators_that_cannot_be(crystal: NcsCrystal, tmp_path: Path) -> None:
    def read(change: Any) -> Any:
        return gpurefine.read(changed(crystal, tmp_path, change), crystal.data, threads=1)

    for matrix in (1.02 * np.eye(3), np.diag([1.0, 1.0, -1.0])):
        with pytest.raises(InputError, match=r"Operator 7 .*changed\.pdb .*is no rotation"):
            read(lambda ops, st, matrix=matrix: [*ops, operator(matrix, (1, 2, 3))])
    with pytest.raises(InputError, match=r"copy that operator 7 .* that of operator 2"):
        read(lambda ops, st: [*ops, operator(*parts(ops[0]))])
    with pytest.raises(InputError, match=r"operator 7 .* that of the model itself, or its mate"):
        read(lambda ops, st: [*ops, operator(np.diag([-1.0, 1, -1]), (st.cell.a, 1.5 * st.cell.b, 0))])


def test_given_operators_and_the_identity_make_nothing(crystal: NcsCrystal, tmp_path: Path) -> None:
    path = changed(
        crystal, tmp_path,
        lambda ops, st: [operator(np.eye(3), (0, 0, 0)), operator(*parts(ops[0]), True)],
    )
    problem = gpurefine.read(path, crystal.data, threads=1)
    assert problem.ncs is None
    assert any("1 operators of non-crystallographic symmetry whose copies are given" in m for m in problem.messages)


def test_copies_that_overlap_are_told(crystal: NcsCrystal, tmp_path: Path) -> None:
    path = changed(crystal, tmp_path, lambda ops, st: [*ops, operator(np.eye(3), (4.0, 0.5, 0.3))])
    result = gpurefine.read(path, crystal.data, threads=1).refine(cycles=0)
    assert any("Warning: copies made by strict" in m and "(copy 7)" in m for m in result.report.messages)
    assert not any("overlap" in m for m in gpurefine.read(crystal.copy, crystal.data).refine(cycles=0).report.messages)


def test_an_atom_on_a_special_position_is_refused(
    crystal: NcsCrystal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third copy of an atom is put on an axis of P 2."""
    def onto_axis(ops: Any, st: gemmi.Structure) -> Any:
        st.spacegroup_hm = "P 1 2 1"
        atom = st[0][0][0][0]
        moved = ops[1].tr.inverse().apply(gemmi.Position(0.0, 12.0, 0.0))
        atom.pos = gemmi.Position(moved)
        return ops

    path = changed(crystal, tmp_path, onto_axis)
    data = gemmi.read_mtz_file(str(crystal.data))
    data.spacegroup = gemmi.SpaceGroup("P 1 2 1")
    data.write_to_file(str(tmp_path / "p2.mtz"))
    with pytest.raises(InputError, match=r"\(copy 3\) of .* lies on a special position"):
        gpurefine.read(path, tmp_path / "p2.mtz", threads=1)
