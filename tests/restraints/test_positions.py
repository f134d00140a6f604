"""Harmonic restraints that hold atoms in place."""

from dataclasses import replace

import numpy as np
from restraint_models import crystal, topology

from gpurefine.backend.create import create
from gpurefine.backend.ops_restraints import LEFT_OUT, Contacts
from gpurefine.model.topology import Loose
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.exclusions import find_exclusions
from gpurefine.restraints.positions import PositionRestraints, kept_positions
from helpers import check_gradient


def test_value_in_closed_form():
    """One atom 0.3 Å away at σ 0.1 Å: ½ · 9; the others are free."""
    held = PositionRestraints(3, np.array([1], np.int32), np.zeros((1, 3)), np.array([0.1]))
    xyz = np.array([[5.0, 5, 5], [0.0, 0.3, 0.0], [7.0, 7, 7]])
    result = held.evaluate(xyz, True)
    np.testing.assert_allclose([held.value(xyz), result.value, result.values["position"]], 4.5)
    np.testing.assert_allclose(result.gradient, [[0, 0, 0], [0, 30.0, 0], [0, 0, 0]])
    (matrix,) = result.matrices
    np.testing.assert_allclose(matrix.diagonal, [np.zeros((3, 3)), 100.0 * np.eye(3), np.zeros((3, 3))])
    assert held.evaluate(xyz, False).matrices == [] and len(held) == 1


def test_gradient():
    rng = np.random.default_rng(5)
    atoms = np.array([0, 2, 3], np.int32)
    held = PositionRestraints(5, atoms, rng.normal(size=(3, 3)), rng.uniform(0.05, 0.3, 3))
    x = rng.normal(size=(5, 3))
    check_gradient(held.value, held.evaluate(x, False).gradient, x)


def loose(n, atoms, bonds, **more):
    return replace(
        topology(n, **more), loose=Loose(np.array(atoms, np.int32), np.array(bonds, np.int32).reshape(-1, 2))
    )


def test_nothing_is_held_where_all_is_known():
    held = kept_positions(topology(4), np.zeros((4, 3)))
    result = held.evaluate(np.ones((4, 3)), True)
    assert len(held) == 0 and result.value == 0.0 and result.matrices == [] and not result.gradient.any()


def test_hydrogens_go_with_their_parents():
    top = loose(4, [1, 2, 3], [[1, 2], [2, 3]], parent={3: 2})
    assert kept_positions(top, np.zeros((4, 3))).atoms.tolist() == [1, 2]


def test_no_contacts_inside_and_none_along_bonds_to_others():
    """Atoms 2–4 are one unknown residue; 0–1 are bonded, and 1 to 2 by distance."""
    top = loose(5, [2, 3, 4], [[1, 2], [2, 3]], residue=np.array([0, 0, 1, 1, 1], np.int32))
    found = find_exclusions(top, crystal())
    pairs = {
        (i, int(found.atom[k])): int(found.kind[k]) for i in range(5) for k in range(found.start[i], found.start[i + 1])
    }
    assert {pair for pair, kind in pairs.items() if kind == LEFT_OUT} == {(1, 2), (2, 3), (2, 4), (3, 4)}
    assert (1, 3) in pairs and (0, 4) not in pairs


def test_b_of_loose_neighbours_are_tied():
    top = loose(3, [1, 2], [[0, 1], [1, 2]])
    empty = np.zeros(0, np.int32)
    adp = AdpRestraints(top, crystal(), create("reference", 1))
    xyz = np.array([[0.0, 0, 0], [1.5, 0, 0], [3.0, 0, 0]])
    none = Contacts(empty, empty, empty, np.zeros((0, 3), np.int32), np.zeros(0), np.zeros(0, np.int8), np.ones(3))
    adp.update(xyz, none)
    assert adp.pattern.pairs.tolist() == [[0, 1], [1, 2]] and adp.relation.tolist() == [0, 0]
