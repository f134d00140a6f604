"""Contact search against enumeration of all symmetry images, and what it leaves out."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from restraint_models import CELLS, F64, bonds, crystal, topology

from gpurefine.backend.ops_restraints import ContactRules
from gpurefine.model.crystal import Crystal
from gpurefine.restraints.arrays import symmetry_arrays
from gpurefine.restraints.exclusions import find_exclusions
from gpurefine.restraints.nonbonded import NonbondedRestraints

Row = tuple[int, ...]


def rules(n: int, **given: Any) -> ContactRules:
    """No exclusions, everybody heavy, unless ``given``."""
    values: dict[str, Any] = {
        "radius": np.full(n, 1.8), "heavy": np.ones(n, bool), "altloc": np.zeros(n, np.int8), "occ": np.ones(n),
        "excluded_start": np.zeros(n + 1, np.int32), "excluded_atom": np.zeros(0, np.int32),
        "excluded_kind": np.zeros(0, np.int8), "margin": 0.6, "heavy_cutoff": 4.0, "self_distance": 0.5,
    }
    return ContactRules(**(values | given))


def enumerate_pairs(xyz: F64, box: Crystal, cutoff: F64, reach: int = 2) -> set[Row]:
    """(i, j, op, shift) with i ≤ j within ``cutoff`` (n, n) Å, an atom itself and its images within 0.5 Å left out."""
    found = set()
    fractional = xyz @ box.frac.T
    for g in range(box.n_op):
        image = fractional @ box.rotations[g].T + box.translations[g]
        for shift in itertools.product(range(-reach, reach + 1), repeat=3):
            moved = (image + shift) @ box.orth.T
            distance = np.linalg.norm(xyz[:, None] - moved[None], axis=2)
            for i, j in np.argwhere(distance < cutoff):
                if i < j or (i == j and distance[i, i] > 0.5):
                    found.add((int(i), int(j), g, *shift))
    return found


def as_rows(contacts: Any) -> list[Row]:
    table = np.column_stack([contacts.first, contacts.second, contacts.op, contacts.shift])
    return [tuple(int(v) for v in row) for row in table]


@pytest.mark.parametrize("hm", list(CELLS))
def test_search_finds_what_enumeration_finds(backend: Any, hm: str) -> None:
    """Random atoms, one of them outside the cell, in an ordinary cell and in one smaller than the cut-off."""
    rng = np.random.default_rng(7)
    for scale, n in ((1.0, 60), (0.12, 3)):
        box = crystal(hm, tuple(c * scale if k < 3 else c for k, c in enumerate(CELLS[hm])))
        xyz = rng.uniform(-0.1, 1.0, (n, 3)) @ box.orth.T
        radius = rng.uniform(1.0, 2.2, n)
        heavy = rng.random(n) < 0.6
        cutoff = np.maximum(
            radius[:, None] + radius[None] + 0.6, np.where(heavy[:, None] & heavy[None], 4.0, 0.0)
        )
        expected = enumerate_pairs(xyz, box, cutoff, 2 if scale == 1.0 else 5)
        assert len(expected) > 20
        found = backend.find_contacts(xyz, symmetry_arrays(box), rules(n, radius=radius, heavy=heavy))
        rows = as_rows(found)
        assert len(rows) == len(set(rows))
        assert set(rows) == expected
        assert np.all(np.diff(found.first) >= 0)
        fractional = xyz @ box.frac.T
        image = np.einsum("kij,kj->ki", box.rotations[found.op], fractional[found.second])
        image = (image + box.translations[found.op] + found.shift) @ box.orth.T
        np.testing.assert_allclose(np.linalg.norm(xyz[found.first] - image, axis=1), found.distance, atol=1e-9)


def test_special_position_is_not_its_own_neighbour(backend: Any) -> None:
    """On the two-fold axis of C2 (x = z = 0) one other operation leaves the atom in place."""
    box = crystal("C 1 2 1")
    xyz = np.array([[0.0, 3.0, 0.0], [0.1, 9.0, 0.0], [9.0, 9.0, 4.0]])
    found = backend.find_contacts(xyz, symmetry_arrays(box), rules(3))
    assert as_rows(found) == []
    assert found.site_multiplicity.tolist() == [2, 2, 1]


def test_conformers_and_shared_sites(backend: Any) -> None:
    """Different altlocs do not see each other; across symmetry it is the occupancies that decide."""
    box = crystal("P 1 21 1", (30.0, 6.0, 30.0, 90.0, 90.0, 90.0))
    xyz = np.array([[0.5, 0, 0], [0.5, 1.0, 0.5], [0.5, 2.0, 0]])
    altloc = np.array([1, 2, 0], np.int8)
    every = rules(3, altloc=altloc, occ=np.array([0.5, 0.5, 1.0]))
    rows = as_rows(backend.find_contacts(xyz, symmetry_arrays(box), every))
    own = {r[:2] for r in rows if not any(r[2:])}
    assert own == {(0, 2), (1, 2)}
    mates = {r[:2] for r in rows if any(r[2:])}
    assert (0, 0) not in mates
    assert (0, 1) not in mates
    assert {(0, 2), (1, 2), (2, 2)} <= mates


def chain(n: int, **given: Any) -> Any:
    """Atoms joined one after the other, with an angle at each inner one."""
    return topology(
        n, bonds([(k, k + 1, 1.5, 0.02) for k in range(n - 1)]),
        [(k, k + 1, k + 2, 1.9, 0.05) for k in range(n - 2)], **given,
    )


def test_exclusions_by_bonds() -> None:
    box = crystal("P 1")
    e = find_exclusions(chain(6, plane=[([0, 1, 2, 3], 0.02)]), box)

    def partners(atom: int) -> dict[int, int]:
        where = slice(e.start[atom], e.start[atom + 1])
        return dict(zip(e.atom[where].tolist(), e.kind[where].tolist(), strict=True))

    assert partners(0) == {1: 0, 2: 0, 3: 0}
    assert partners(1) == {2: 0, 3: 0, 4: 1}
    without = topology(3, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02)]))
    e = find_exclusions(without, box)
    assert partners(0) == {1: 0, 2: 2}
    ring = topology(4, bonds([(0, 1, 1.5, 1), (1, 2, 1.5, 1), (2, 3, 1.5, 1), (3, 0, 1.5, 1)]))
    e = find_exclusions(ring, box)
    assert partners(0) == {1: 0, 2: 2, 3: 0}


def test_bond_across_a_two_fold_axis(backend: Any) -> None:
    """CB–SG bonded to the mate's SG: SG–SG' and CB–SG' are left out, CB–CB' is a torsion pair."""
    box = crystal("C 1 2 1")
    xyz = np.array([[2.0, 4.5, 0.0], [1.0, 3.0, 0.0]])
    bond = bonds([(0, 1, 1.8, 0.02), (1, 1, 2.0, 0.02)], [(0, 0, 0, 0), (1, 0, 0, 0)])
    plain = NonbondedRestraints(topology(2, bonds([(0, 1, 1.8, 0.02)])), box, backend)
    assert {r[:2] for r in as_rows(plain.update(xyz))} == {(0, 1), (1, 1), (0, 0)}
    joined = NonbondedRestraints(topology(2, bond, [(0, 1, 1, 1.8, 0.05)]), box, backend).update(xyz)
    assert [r[:2] for r in as_rows(joined)] == [(0, 0)]
    assert joined.relation.tolist() == [1]


def crystal_energy(xyz: F64, occupied: F64, box: Crystal, critical: float, sigma: float) -> float:
    """½ Σ ((critical − d)/σ)² over all contacts of one cell, every atom once, divided by the number of operations."""
    sites: list[F64] = []
    fractional = xyz @ box.frac.T
    for atom in range(len(xyz)):
        seen: list[F64] = []
        for g in range(box.n_op):
            f = (box.rotations[g] @ fractional[atom] + box.translations[g]) % 1.0
            if all(np.linalg.norm(box.orth @ ((f - s + 0.5) % 1.0 - 0.5)) > 0.3 for s in seen):
                seen.append(f)
        sites += seen
        assert len(seen) == round(box.n_op * occupied[atom])
    cell = np.array(sites)
    total = 0.0
    for shift in itertools.product(range(-2, 3), repeat=3):
        delta = (cell[:, None] - cell[None] + shift) @ box.orth.T
        distance = np.linalg.norm(delta, axis=2)
        near = distance[(distance > 1e-6) & (distance < critical)]
        total += 0.25 * float((((critical - near) / sigma) ** 2).sum())
    return total / box.n_op


@pytest.mark.parametrize(
    ("hm", "cell"),
    [
        ("P 1 21 1", (12.0, 5.5, 13.0, 90.0, 103.0, 90.0)),
        ("C 1 2 1", (14.0, 9.0, 10.0, 90.0, 111.0, 90.0)),
        ("P 31 2 1", (11.0, 11.0, 13.0, 90.0, 90.0, 120.0)),
    ],
)
def test_energy_is_that_of_the_whole_cell(backend: Any, hm: str, cell: tuple[float, ...]) -> None:
    """Contacts with own mates and of atoms on axes count neither twice nor half."""
    rng = np.random.default_rng(11)
    box = crystal(hm, cell)
    for _ in range(3000):
        xyz = rng.uniform(0, 1, (4, 3)) @ box.orth.T
        share = np.ones(4)
        if hm == "C 1 2 1":
            xyz[0] = [0.0, 3.1, 0.0]
            share[0] = 0.5
        restraints = NonbondedRestraints(topology(4), box, backend, margin=0.5)
        contacts = restraints.update(xyz)
        own = contacts.distance[contacts.first == contacts.second]
        if contacts.distance.min(initial=9.0) > 1.0 and own.min(initial=9.0) < 3.4:
            break
    else:
        pytest.fail("no arrangement has a contact of an atom with its own mate")
    if hm == "C 1 2 1":
        assert 0 in contacts.first
    expected = crystal_energy(xyz, share, box, 3.6, 0.2)
    assert expected > 0
    assert restraints.value(xyz) == pytest.approx(expected, rel=1e-9)


def test_crowds_find_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are more contacts than memory was laid out for, the search is repeated with enough."""
    from gpurefine.backend import create

    cell = crystal("P 31 2 1", CELLS["P 31 2 1"])
    xyz = np.random.default_rng(3).normal(size=(300, 3)) * 2.0
    symmetry, few = symmetry_arrays(cell), rules(300)
    found = create("cpu", 1).find_contacts(xyz, symmetry, few)
    assert len(found) > 20 * 300
    monkeypatch.setattr("gpurefine.backend.cpu.contacts.ROOM", 1)
    again = create("cpu", 1).find_contacts(xyz, symmetry, few)
    for name in ("first", "second", "op", "shift", "distance", "relation", "site_multiplicity"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))
