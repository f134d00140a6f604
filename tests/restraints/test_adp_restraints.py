"""Restraints between B values: weights by relation and distance, closed form, derivatives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import bonds, crystal, dense, on_host, topology

from gpurefine.errors import NumericalError
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from helpers import central_gradient, check_gradient


def restraints(xyz: Any, top: Any, backend: Any, box: Any = None, weight: float = 1.0) -> AdpRestraints:
    box = box or crystal()
    contacts = NonbondedRestraints(top, box, backend).update(xyz)
    adp = AdpRestraints(top, box, backend, weight)
    adp.update(xyz, contacts)
    return adp


def test_two_bonded_atoms(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5]])
    adp = restraints(xyz, topology(2, bonds([(0, 1, 1.5, 0.02)])), backend, weight=2.0)
    b = np.array([20.0, 30.0])
    result = adp.evaluate(b, True)
    w = 2.0 / 0.1**2
    assert result.value == pytest.approx(0.5 * w * 100.0 / 600.0)
    assert adp.value(b) == pytest.approx(result.value)
    by_first = 0.5 * 50.0 / (20.0 * np.sqrt(600.0))
    assert result.gradient[0] == pytest.approx(w * (-10.0 / np.sqrt(600.0)) * by_first)
    assert on_host(result.matrices[0].diagonal)[0, 0, 0] == pytest.approx(w * by_first**2)
    assert not adp.evaluate(b, False).matrices


def test_closest_relation_and_shortest_distance_win(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5], [0, 1.4, 2.1], [0, 1.4, 3.6], [3.2, 0, 0], [-3.9, 0, 0], [0, 0, -1.0]])
    top = topology(
        7, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02), (2, 3, 1.5, 0.02), (0, 6, 1.0, 0.02)]),
        [(0, 1, 2, 2.0, 0.05), (1, 2, 3, 2.0, 0.05)], [(0, 1, 2, 3, 0.0, 0.1, 1)], plane=[([0, 1, 2, 3], 0.02)],
        parent={6: 0},
    )
    adp = restraints(xyz, top, backend)
    sigma = np.array([0.1, 0.15, 0.3, 0.5, 0.7, 0.7])
    found = {tuple(map(int, p)): (int(k), float(w)) for p, k, w in zip(
        adp.pattern.pairs, adp.relation, adp.pair_weight, strict=True
    )}
    relations = {pair: kind for pair, (kind, _) in found.items()}
    assert relations[0, 1] == 0
    assert relations[0, 2] == 1
    assert relations[0, 3] == 2
    assert relations[0, 4] == relations[0, 5] == 5
    assert not any(6 in pair for pair in found)
    for pair, (kind, w) in found.items():
        d2 = float(((xyz[pair[0]] - xyz[pair[1]]) ** 2).sum())
        assert d2 <= 16.0
        assert w == pytest.approx(1.0 / sigma[kind] ** 2 * 4.0 / max(4.0, d2))


def test_pair_met_both_in_the_molecule_and_through_symmetry(backend: Any) -> None:
    """The covalent relation and the shorter distance hold, whichever of the two comes from where."""
    xyz = np.array([[0.0, 0, 0], [1.5, 0, 0], [3.0, 0, 0]])
    top = topology(3, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02)]), [(0, 1, 2, 2.0, 0.05)])
    for length, expected in ((6.2, 3.0), (5.5, 2.5)):
        adp = restraints(xyz, top, backend, crystal("P 1", (length, 30.0, 30.0, 90.0, 90.0, 90.0)))
        which = adp.pattern.pairs.tolist().index([0, 2])
        assert adp.relation[which] == 1
        assert adp.distance[which] == pytest.approx(expected)


def test_neighbours_through_symmetry(backend: Any) -> None:
    """Two atoms far apart in the model meet through the screw axis, and count once."""
    box = crystal("P 1 21 1", (30.0, 20.0, 30.0, 90.0, 90.0, 90.0))
    xyz = np.array([[1.0, 1.0, 1.0], [-1.0, 13.0, -1.0], [15.0, 3.0, 15.0]])
    adp = restraints(xyz, topology(3), backend, box)
    assert adp.pattern.pairs.tolist() == [[0, 1]]
    assert adp.distance == pytest.approx([2.0])


def test_derivatives(backend: Any) -> None:
    rng = np.random.default_rng(5)
    xyz = rng.uniform(0, 6, (12, 3))
    adp = restraints(xyz, topology(12, bonds([(k, k + 1, 1.5, 0.02) for k in range(0, 11, 2)])), backend)
    b = rng.uniform(5, 80, 12)
    result = adp.evaluate(b, True)
    check_gradient(adp.value, result.gradient, b, step=1e-3)
    p, q = adp.pattern.pairs.T
    jacobian = np.array([
        central_gradient(
            lambda x, k=k: float(np.sqrt(adp.pair_weight[k]) * (x[p[k]] - x[q[k]]) / np.sqrt(x[p[k]] * x[q[k]])),
            b, 1e-3,
        ) for k in range(len(p))
    ])
    np.testing.assert_allclose(dense(result.matrices), jacobian.T @ jacobian, rtol=1e-7, atol=1e-9)
    assert np.linalg.eigvalsh(dense(result.matrices)).min() > -1e-9


def test_negative_b_is_an_error(backend: Any) -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 1.5]])
    adp = restraints(xyz, topology(2), backend)
    with pytest.raises(NumericalError, match="zero or negative"):
        adp.value(np.array([10.0, 0.0]))
