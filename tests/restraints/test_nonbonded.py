"""Repulsion: classes of contact, value at a known distance, derivatives, curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import crystal, dense, on_host, ride, topology

from gpurefine.backend.ops_restraints import Contacts
from gpurefine.errors import ChemistryError, NumericalError
from gpurefine.restraints.contact_classes import CONTACT_KINDS, classify, reach
from gpurefine.restraints.nonbonded import NonbondedRestraints
from helpers import check_gradient

NAN = float("nan")


def test_overlap_of_two_atoms(backend: Any) -> None:
    xyz = np.array([[1.0, 1, 1], [1, 1, 4.0]])
    r = NonbondedRestraints(topology(2, vdw_radius=np.array([1.7, 1.6])), crystal(), backend)
    r.update(xyz)
    result = r.evaluate(xyz, True)
    assert result.value == pytest.approx(0.5 * (0.3 / 0.2) ** 2)
    np.testing.assert_allclose(result.gradient, [[0, 0, 0.3 / 0.04], [0, 0, -0.3 / 0.04]], atol=1e-9)
    np.testing.assert_allclose(on_host(result.matrices[0].off)[0], np.diag([0, 0, -25.0]), atol=1e-9)
    assert r.overlaps(xyz) == pytest.approx([0.3])
    apart = xyz + np.array([[0, 0, 0], [0, 0, 0.4]])
    assert r.value(apart) == 0.0
    free = r.evaluate(apart, True)
    assert not free.gradient.any()
    assert len(free.matrices[0].pattern.pairs) == 0


@pytest.mark.parametrize(
    ("types", "relation", "kind", "critical"),
    [
        ({}, 0, "vdw", 1.9 + 1.6),
        ({"vdw_radius": [2.9, 1.6]}, 0, "vdw", 2.0 + 1.6),
        ({"element": [6, 8]}, 1, "vdw_torsion", 1.9 + 1.6 - 0.15 - 0.1),
        ({"element": [7, 8]}, 1, "vdw_torsion", 1.9 + 1.6 - 0.2),
        ({"hb_type": [1, 2]}, 0, "vdw_hbond", 1.9 + 1.6 - 0.3),
        ({"hb_type": [3, 3]}, 0, "vdw_hbond", 1.9 + 1.6 - 0.3),
        ({"hb_type": [1, 1]}, 0, "vdw", 1.9 + 1.6),
        ({"hb_type": [2, 2]}, 0, "vdw", 1.9 + 1.6),
        ({"hb_type": [4, 2]}, 0, "vdw_hbond", 1.6 + 0.1),
        ({"hb_type": [3, 4]}, 0, "vdw_hbond", 1.9 + 0.1),
        ({"hb_type": [1, 4]}, 0, "vdw", 1.9 + 1.6),
        ({"is_metal": [True, False], "ion_radius": [0.74, 1.28]}, 0, "vdw_metal", 0.74 + 1.28),
        ({"is_metal": [True, False], "ion_radius": [0.74, NAN]}, 0, "vdw", 1.9 + 1.6),
        ({"element": [8, 8]}, 2, "vdw_bare", 0.66 + 0.66),
    ],
)
def test_classes(types: dict[str, Any], relation: int, kind: str, critical: float) -> None:
    given = {"vdw_radius": np.array([1.9, 1.6])} | {k: np.array(v) for k, v in types.items()}
    top = topology(2, **given)
    one = np.zeros(1, np.int32)
    pair = Contacts(
        one, one + 1, one, np.zeros((1, 3), np.int32), np.array([3.0]), np.array([relation], np.int8), one + 1
    )
    number, distance = classify(pair, top.nonbonded)
    assert CONTACT_KINDS[number[0]] == kind
    assert distance[0] == pytest.approx(critical)
    swapped = Contacts(one + 1, one, one, pair.shift, pair.distance, pair.relation, one + 1)
    assert classify(swapped, top.nonbonded)[1][0] == pytest.approx(critical)
    assert reach(top.nonbonded).sum() >= distance[0]


@pytest.mark.parametrize("hm", ["P 1 21 1", "C 1 2 1", "I 21 3"])
def test_derivatives_with_mates_and_riding_atoms(backend: Any, hm: str) -> None:
    """Dense cells, so that own mates, riding pairs and all orders of owners occur."""
    rng = np.random.default_rng(3)
    n = 9
    box = crystal(hm, {
        "P 1 21 1": (9.0, 8.0, 7.0, 90.0, 100.0, 90.0), "C 1 2 1": (11.0, 7.0, 9.0, 90.0, 100.0, 90.0),
        "I 21 3": (14.0, 14.0, 14.0, 90.0, 90.0, 90.0),
    }[hm])
    top = topology(n, parent={0: 5, 8: 5, 3: 7}, vdw_radius=rng.uniform(1.2, 1.9, n))
    r = NonbondedRestraints(top, box, backend)
    for _ in range(1000):
        xyz = rng.uniform(0, 1, (n, 3)) @ box.orth.T
        contacts = r.update(xyz)
        if contacts.distance.min() > 0.9 and np.any(contacts.first == contacts.second):
            break
    else:
        pytest.fail("no arrangement has a contact of an atom with its own mate")
    result = r.evaluate(xyz, True)
    pairs = r.repulsions
    assert pairs is not None
    # No pair may pass its critical distance within the steps of the differences.
    assert result.value > 1.0
    check_gradient(lambda s: r.value(ride(xyz, s, top.parent)), result.gradient, np.zeros((n, 3)), step=1e-5)

    def z(shift: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return r.overlaps(ride(xyz, shift.reshape(n, 3), top.parent)) / pairs.sigma

    step = 1e-5
    columns = [(z(step * e) - z(-step * e)) / (2 * step) for e in np.eye(3 * n)]
    jacobian = np.array(columns).T
    jacobian[:, np.repeat(top.parent != np.arange(n), 3)] = 0.0
    expected = jacobian.T @ jacobian
    np.testing.assert_allclose(dense(result.matrices), expected, atol=1e-6 * np.abs(expected).max())
    assert not r.evaluate(xyz, False).matrices


def test_list_must_be_made_first(backend: Any) -> None:
    r = NonbondedRestraints(topology(2), crystal(), backend)
    with pytest.raises(NumericalError, match="update"):
        r.value(np.zeros((2, 3)))


def test_missing_radius_is_an_error(backend: Any) -> None:
    with pytest.raises(ChemistryError, match="1 atoms have no van der Waals radius"):
        NonbondedRestraints(topology(2, vdw_radius=np.array([1.7, NAN])), crystal(), backend)
