"""r.m.s. deviations by kind over terms without hydrogen, and the list of outliers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from restraint_models import bonds, crystal, topology

from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.geometry import GeometryRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from gpurefine.restraints.statistics import restraint_outliers, restraint_statistics

LABELS = tuple(f"A/{k}/GLY/CA" for k in range(8))


def model() -> tuple[Any, Any]:
    """Two bonds (one to a hydrogen), an angle, torsions of two periods, a chiral, a plane, two contacts."""
    xyz = np.array([
        [0.0, 0, 0], [0, 0, 1.6], [1.5, 0, 1.6], [1.5, 1.5, 1.6], [0.0, 0, -1.2], [9.0, 9, 9], [9.0, 9, 11.5],
        [-0.9, 0, 0],
    ])
    top = topology(
        8, bonds([(0, 1, 1.5, 0.02), (1, 2, 1.5, 0.02), (0, 7, 1.2, 0.02)]),
        [(0, 1, 2, np.radians(96.0), np.radians(2.0)), (1, 2, 3, np.radians(90.0), np.radians(2.0))],
        [(0, 1, 2, 3, np.radians(100.0), np.radians(10.0), 1), (0, 1, 2, 3, np.radians(60.0), np.radians(10.0), 3),
         (0, 1, 2, 3, 0.0, np.radians(10.0), 4)],
        [(0, 1, 2, 3, 5.0, 0.1, 1)], [([0, 1, 2, 3], 0.02)], parent={7: 0},
    )
    return xyz, top


def test_records(backend: Any) -> None:
    xyz, top = model()
    box = crystal()
    g, nb, adp = (kind(top, box, backend) for kind in (GeometryRestraints, NonbondedRestraints, AdpRestraints))
    adp.update(xyz, nb.update(xyz))
    b = np.linspace(10, 40, 8)
    records = {r.kind: r for r in restraint_statistics(xyz, top, g, nb, adp, b)}
    assert records["bond"].count == 2
    assert records["bond"].rmsd == pytest.approx(np.sqrt(0.01 / 2))
    assert records["bond"].rmsz == pytest.approx(np.sqrt(25.0 / 2))
    assert records["bond"].mean_sigma == pytest.approx(0.02)
    assert records["bond"].unit == "Å"
    assert records["angle"].rmsd == pytest.approx(np.sqrt(36.0 / 2))
    assert records["angle"].unit == "degrees"
    assert {k for k in records if k.startswith("torsion")} == {"torsion_period_1", "torsion_period_3", "torsion_other"}
    assert records["plane"].count == 4
    assert records["vdw"].rmsd > 0.5
    p, q = b[adp.pattern.pairs].T
    assert records["adp"].count == len(p)
    assert records["adp"].rmsd == pytest.approx(np.sqrt(np.mean((p - q) ** 2)))
    assert records["adp"].rmsz == pytest.approx(np.sqrt(2 * adp.value(b) / len(p)))
    assert "vdw_symmetry" not in records


def test_outliers(backend: Any) -> None:
    xyz, top = model()
    box = crystal()
    g, nb = GeometryRestraints(top, box, backend), NonbondedRestraints(top, box, backend)
    nb.update(xyz)
    every = restraint_outliers(xyz, top, LABELS, g, nb)
    assert all(abs(o.z) >= 6 for o in every)
    assert not [o for o in every if o.kind == "bond"]
    chiral = next(o for o in every if o.kind == "chiral")
    volume = float(np.dot(xyz[1] - xyz[0], np.cross(xyz[2] - xyz[0], xyz[3] - xyz[0])))
    assert chiral.value == pytest.approx(volume)
    assert chiral.ideal == pytest.approx(5.0 * np.sign(volume))
    assert chiral.atoms == LABELS[:4]
    contact = next(o for o in every if o.kind == "vdw" and LABELS[0] in o.atoms)
    assert contact.atoms == (LABELS[0], LABELS[4])
    assert contact.value == pytest.approx(1.2)
    assert contact.ideal == pytest.approx(3.6)
    assert contact.z == pytest.approx(-12.0)
    planes = [o for o in every if o.kind == "plane"]
    assert planes
    assert all(len(set(o.atoms)) == 4 for o in planes)
    assert all(o.sigma == 0.02 and o.z == pytest.approx(o.value / 0.02) for o in planes)
    bond = restraint_outliers(xyz, top, LABELS, g, z_min=4.9)[0]
    assert (bond.kind, bond.atoms, bond.value) == ("bond", LABELS[:2], pytest.approx(1.6))
    assert bond.z == pytest.approx(5.0)


def test_contacts_through_symmetry_are_a_class(backend: Any) -> None:
    box = crystal("P 1 21 1", (30.0, 20.0, 30.0, 90.0, 90.0, 90.0))
    xyz = np.array([[1.0, 1.0, 1.0], [-1.0, 13.0, -1.0]])
    top = topology(2)
    g, nb = GeometryRestraints(top, box, backend), NonbondedRestraints(top, box, backend)
    nb.update(xyz)
    (record,) = restraint_statistics(xyz, top, g, nb)
    assert record.kind == "vdw_symmetry"
    assert record.rmsd == pytest.approx(1.6)
    assert record.mean_sigma == pytest.approx(0.2)


def test_straight_angles_count_with_the_others_in_the_order_of_the_list(backend: Any) -> None:
    """They are restrained by other residuals, but told as angles."""
    xyz = np.array([[0.0, 0, 0], [1.2, 0, 0], [2.4, 0.2, 0], [2.6, 1.5, 0]])
    right, straight = np.degrees(np.arccos([0.0, -1.0]))
    wanted = [(0, 1, 2, straight, 2.0), (1, 2, 3, right, 3.0), (2, 1, 0, straight, 4.0)]
    top = topology(4, angle=[(*term[:3], *np.radians(term[3:])) for term in wanted])
    a, b, c = (xyz[[term[0] for term in wanted]], xyz[[term[1] for term in wanted]], xyz[[term[2] for term in wanted]])
    cosine = np.einsum("ki,ki->k", a - b, c - b) / np.linalg.norm(a - b, axis=1) / np.linalg.norm(c - b, axis=1)
    deviation = np.degrees(np.arccos(cosine)) - [term[3] for term in wanted]
    geometry = GeometryRestraints(top, crystal(), backend)
    np.testing.assert_allclose(np.degrees(geometry.residuals(xyz).angle), deviation, rtol=1e-9)
    (record,) = restraint_statistics(xyz, top, geometry)
    assert record.count == 3 and record.mean_sigma == pytest.approx(3.0)
    assert record.rmsd == pytest.approx(np.sqrt(np.mean(deviation**2)))
    assert record.rmsz == pytest.approx(np.sqrt(np.mean((deviation / [2.0, 3.0, 4.0]) ** 2)))
