"""One shift of B a group: what moves, how far, and the chain rule."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_rule import check_chain_rule, objective_of

import gpurefine
from gpurefine.backend.blocks import BlockMatrix, BlockPattern
from gpurefine.config import RefineOptions
from gpurefine.constants import B_MAX, B_MIN
from gpurefine.errors import InputError, UsageError
from gpurefine.io.b_groups import find_b_groups
from gpurefine.params.grouped import GroupedB
from gpurefine.params.values import AtomValues
from gpurefine.refinement import refine as loop

MEMBER = np.array([0, 1, 0, -1, 1, 1], np.int32)


def values_of(b_iso: Any) -> AtomValues:
    n = len(b_iso)
    return AtomValues(np.zeros((n, 3)), np.array(b_iso, float), np.zeros((n, 6)), np.ones(n))


def test_differences_within_a_group_stay() -> None:
    kind, start = GroupedB(MEMBER, 2), values_of([10.0, 20, 30, 40, 50, 60])
    assert kind.move(start, np.array([[5.0], [-2.0]])).b_iso == pytest.approx([15, 18, 35, 40, 48, 58])
    low = kind.move(start, np.array([[-100.0], [0.0]])).b_iso
    assert low == pytest.approx([B_MIN, 20, 20 + B_MIN, 40, 50, 60])
    assert kind.move(start, np.array([[0.0], [1e4]])).b_iso.max() == pytest.approx(B_MAX)
    tangent = kind.tangent(start, np.array([[5.0], [-2.0]])).b_iso
    assert tangent == pytest.approx([5, -2, 5, 0, -2, -2])


def test_groups_at_a_bound_are_held_where_they_would_cross_it() -> None:
    """The step then predicts what it does: none of it is cut off."""
    kind = GroupedB(MEMBER, 2)
    at = values_of([B_MIN, 20.0, 30, 40, 50, B_MAX])
    assert kind.held(at, np.array([[1.0], [1.0]])).tolist() == [True, False]
    assert kind.held(at, np.array([[-1.0], [-1.0]])).tolist() == [False, True]
    assert not kind.held(values_of([10.0, 20, 30, B_MIN, 50, 60]), np.ones((2, 1))).any()


def test_curvature_is_that_of_the_full_matrix(backend: Any) -> None:
    """Pairs within a group, between groups, and with an atom of none."""
    rng = np.random.default_rng(0)
    pattern = BlockPattern.from_pairs(6, *(rng.integers(0, 6, (2, 20)).astype(np.int32)))
    diagonal, off = rng.normal(size=(6, 1, 1)), rng.normal(size=(len(pattern.pairs), 1, 1))
    full = np.diag(diagonal[:, 0, 0])
    full[pattern.pairs[:, 0], pattern.pairs[:, 1]] = off[:, 0, 0]
    full[pattern.pairs[:, 1], pattern.pairs[:, 0]] = off[:, 0, 0]
    e = (MEMBER[:, None] == np.arange(2)).astype(float)
    made = GroupedB(MEMBER, 2).matrix(BlockMatrix(pattern, diagonal, off), backend)
    expected = e.T @ full @ e
    assert made.diagonal[:, 0, 0] == pytest.approx(np.diag(expected))
    assert made.pattern.pairs.tolist() == [[0, 1]] and made.off[0, 0, 0] == pytest.approx(expected[0, 1])


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path]) -> Any:
    return gpurefine.read(*example, threads=1, adp="grouped")


def test_a_group_at_the_bound_stays_out_of_the_equations(problem: Any) -> None:
    """All groups at the lowest B: none that would fall takes part, those that rise do."""
    objective = objective_of(problem, 1, b_iso=np.full(len(problem.chemistry.atoms), B_MIN))
    state = loop.start(objective, RefineOptions()).state
    (term,) = (each for each in objective.terms if isinstance(each.kind, GroupedB))
    block = objective.linearise(state, 1.0)[list(objective.terms).index(term)]
    assert (block.gradient <= 0.0).all() and (block.gradient < 0.0).any()
    assert block.matrices and all(matrix.diagonal.shape == (term.kind.count, 1, 1) for matrix in block.matrices)


def test_gradient_of_grouped_b(problem: Any) -> None:
    b_iso = problem.chemistry.atoms.b_iso * np.random.default_rng(1).uniform(0.8, 1.2, len(problem.chemistry.atoms))
    b_iso = b_iso[problem.chemistry.atoms.parent]
    objective = objective_of(problem, 1, b_iso=b_iso)
    assert objective.terms[-1].kind.name == "grouped B"
    check_chain_rule(objective, "atoms", 1, 0.5)


def test_groups(problem: Any, tmp_path: Path) -> None:
    chemistry = problem.chemistry
    label = [name.split("/") for name in chemistry.labels]
    parent, residues = chemistry.atoms.parent, len({tuple(each[:3]) for each in label})
    one, told = find_b_groups("residue", chemistry)
    assert one.count == residues and told == [f"Grouped B: {residues} groups, one a residue."]
    two, _ = find_b_groups("main-side", chemistry)
    assert residues < two.count <= 2 * residues
    place = {tuple(each): k for k, each in enumerate(label)}
    leu = [place[("A", "10", "LEU", atom)] for atom in ("N", "O", "CB", "CD1")]
    assert len(set(two.member[leu[:2]])) == len(set(two.member[leu[2:]])) == 1 and len(set(two.member[leu])) == 2
    for groups in (one, two):
        assert np.array_equal(groups.member, groups.member[parent])
    path = tmp_path / "b.txt"
    path.write_text("A 10-20, A 30  # first\nA 40-50\n")
    some, told = find_b_groups(str(path), chemistry)
    assert some.count == 2 and some.member[leu[0]] == 0 and some.member.min() == -1
    assert "belong to no group" in told[1] and "their B stay" in told[1]
    for text, words in (
        ("A 10-20\nA 15-30", "lines 1 and 2 both hold A/15"), ("what is this", "line 1: .* not understood"),
        ("Q 1-5", "line 1 names Q 1–5, which"), ("# nothing", "names no group"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            find_b_groups(str(path), chemistry)


def test_groups_without_grouped_b_are_refused(example: tuple[Path, Path]) -> None:
    with pytest.raises(UsageError, match="--b-groups needs --adp grouped"):
        gpurefine.read(*example, threads=1, b_groups="chain")


def test_refinement_moves_groups_as_one(problem: Any) -> None:
    result = replace(problem).refine(cycles=1)
    atoms, member = problem.chemistry.atoms, problem.groups.grouped_b.member
    out = [cra.atom.b_iso for cra in result.structure[0].all()]
    heavy = ~atoms.is_hydrogen
    shift = np.array(out) - atoms.b_iso[heavy]
    assert np.abs(shift).max() > 0.5
    for group in range(0, member.max(), 10):
        assert np.ptp(shift[member[heavy] == group]) < 1e-3
