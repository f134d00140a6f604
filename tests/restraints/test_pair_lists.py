"""Pair lists of a backend against their definition in array code, bit for bit, where contacts of every sort occur."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import crystal, topology

from gpurefine.backend import create
from gpurefine.backend.blocks import BlockPattern
from gpurefine.backend.ops_pairs import BondedNeighbours, PairLister
from gpurefine.backend.ops_restraints import Contacts
from gpurefine.restraints.adp import CONTACT, AdpRestraints
from gpurefine.restraints.contact_classes import SIGMA, classify, contact_classes
from gpurefine.restraints.nonbonded import ADP_CUTOFF, NonbondedRestraints

N, K, MARGIN = 60, 3000, 0.6


@pytest.fixture(scope="module", params=[1, 2])
def ops(request: pytest.FixtureRequest) -> Any:
    backend = create("cpu", request.param)
    assert isinstance(backend, PairLister)
    return backend


def contacts_of_every_sort() -> Contacts:
    """Many images of the same pairs, atoms with themselves, all relations, special positions."""
    rng = np.random.default_rng(1)
    pairs = np.sort(rng.integers(0, N, (K, 2)), axis=1).astype(np.int32)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    distance = rng.uniform(1.5, 5.0, K)
    distance[1::2] = distance[::2]  # ties, which the first found wins
    return Contacts(
        np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]), rng.integers(0, 4, K).astype(np.int32),
        rng.integers(-1, 2, (K, 3)).astype(np.int32), distance, rng.integers(0, 3, K).astype(np.int8),
        rng.integers(1, 4, N).astype(np.int32),
    )


def atoms_of_every_sort() -> Any:
    rng = np.random.default_rng(2)
    ion = rng.uniform(0.6, 1.4, N)
    ion[rng.random(N) < 0.5] = np.nan
    return topology(
        N, vdw_radius=rng.uniform(1.2, 2.6, N), element=rng.choice([1, 6, 7, 8, 30], N).astype(np.int8),
        hb_type=rng.integers(0, 5, N).astype(np.int8), is_metal=rng.random(N) < 0.2, ion_radius=ion,
    )


def test_contacts_near_their_critical_distance(ops: Any) -> None:
    contacts, top = contacts_of_every_sort(), atoms_of_every_sort()
    symmetry = NonbondedRestraints(topology(2), crystal(), ops)._symmetry
    found, kind = ops.near_contacts(contacts, contact_classes(top.nonbonded), MARGIN, symmetry)
    every_kind, critical = classify(contacts, top.nonbonded)
    near = np.flatnonzero(contacts.distance < critical + MARGIN)
    assert len(near) > 500 and set(every_kind[near]) == set(range(5))
    first, second, multiplicity = contacts.first[near], contacts.second[near], contacts.site_multiplicity
    weight = np.where(first == second, 0.5, 1.0) / (multiplicity[first] * multiplicity[second])
    np.testing.assert_array_equal(kind, every_kind[near])
    for name, expected in (
        ("first", first), ("second", second), ("op", contacts.op[near]), ("shift", contacts.shift[near]),
        ("critical", critical[near]), ("sigma", SIGMA / np.sqrt(weight)),
    ):
        np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)


def test_pairs_of_similar_displacement(ops: Any) -> None:
    contacts, rng = contacts_of_every_sort(), np.random.default_rng(3)
    key = np.unique(np.sort(rng.integers(0, N, (150, 2)), axis=1) @ np.array([N, 1]))
    key = key[key // N != key % N]
    relation, heavy = rng.integers(0, 5, len(key)).astype(np.int32), rng.random(N) < 0.8
    use = heavy[key // N] & heavy[key % N]
    key, relation = key[use], relation[use]
    start = np.searchsorted(key, np.arange(N + 1) * N).astype(np.int32)
    bonded = BondedNeighbours(start, (key % N).astype(np.int32), relation, heavy)
    xyz = rng.uniform(0.0, 5.0, (N, 3))
    definition = AdpRestraints(topology(N), crystal(), ops, weight=1.3)
    found = ops.similar_pairs(xyz, contacts, bonded, CONTACT, ADP_CUTOFF, definition._strength)
    definition._key, definition._relation, definition._heavy = key, relation.astype(np.int64), heavy
    expected = definition._pairs_of(xyz, contacts)
    assert len(expected.first) > 300 and set(expected.relation) == set(range(6))
    for name in ("first", "second", "relation", "distance", "op", "line", "weight"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)

    pattern = BlockPattern.from_pairs(N, expected.first, expected.second)
    for name in ("pairs", "row_start", "column", "slot", "transposed"):
        np.testing.assert_array_equal(getattr(found.pattern, name), getattr(pattern, name), err_msg=name)


def test_nothing_near(ops: Any) -> None:
    none, symmetry = np.zeros(0, np.int32), NonbondedRestraints(topology(2), crystal(), ops)._symmetry
    empty = Contacts(none, none, none, np.zeros((0, 3), np.int32), np.zeros(0), np.zeros(0, np.int8), none)
    found, kind = ops.near_contacts(empty, contact_classes(topology(2).nonbonded), MARGIN, symmetry)
    assert len(found.first) == len(kind) == 0
    alone = BondedNeighbours(np.zeros(3, np.int32), none, none, np.ones(2, bool))
    assert len(ops.similar_pairs(np.zeros((2, 3)), empty, alone, CONTACT, ADP_CUTOFF, np.ones(6)).first) == 0
