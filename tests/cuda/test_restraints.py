"""Restraint kernels, executed on the CPU, against the reference; and the same bits whatever order threads run in."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device
from restraint_models import bonds, crystal, on_host, random_model, topology
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.contacts import START_CAPACITY
from gpurefine.backend.cuda.restraints import RestraintOps
from gpurefine.backend.ops_restraints import ContactRules
from gpurefine.config import ChemistryOptions
from gpurefine.constants import EIGHT_PI2
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import build_model
from gpurefine.model.special import find_special_positions
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.adp_tensors import TensorRestraints
from gpurefine.restraints.arrays import symmetry_arrays
from gpurefine.restraints.geometry import GeometryRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from gpurefine.restraints.statistics import restraint_statistics

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

REFERENCE = create("reference")


def tensors_of(b_iso: Any) -> tuple[Any, Any]:
    """Two atoms of three anisotropic, and tensors (n, 6) of about the given B whose axes lie anyhow."""
    rng, n = np.random.default_rng(len(b_iso)), len(b_iso)
    turn = np.linalg.qr(rng.normal(size=(n, 3, 3)))[0]
    principal = b_iso[:, None] / EIGHT_PI2 * np.exp(rng.normal(0.0, 0.4, (n, 3)))
    is_aniso = np.arange(n) % 3 > 0
    principal[~is_aniso] = principal[~is_aniso, :1]
    full = np.einsum("nij,nj,nkj->nik", turn, principal, turn)
    return is_aniso, full[:, (0, 1, 2, 0, 0, 1), (0, 1, 2, 1, 2, 2)]


def everything(xyz: Any, b_iso: Any, top: Any, box: Any, ops: Any) -> dict[str, Any]:
    """All that the restraint operations compute, by name; the contacts sorted."""
    geometry, nonbonded = GeometryRestraints(top, box, ops), NonbondedRestraints(top, box, ops)
    adp = AdpRestraints(top, box, ops)
    contacts = nonbonded.update(xyz)
    adp.update(xyz, contacts)
    residuals = geometry.residuals(xyz)
    table = np.column_stack([contacts.first, contacts.second, contacts.op, contacts.shift, contacts.relation])
    order = np.lexsort(table.T[::-1])
    found: dict[str, Any] = {
        "contacts": table[order], "distance": contacts.distance[order], "sites": contacts.site_multiplicity,
        "adp pairs": adp.pattern.pairs, "adp relation": adp.relation, "adp distance": adp.distance, "adp op": adp.op,
        "adp line": adp.line,
        "plane": np.abs(residuals.plane),
    }
    listed = nonbonded._listed()
    near = np.column_stack([listed.first, listed.second, listed.op, listed.shift, nonbonded.kind])
    order = np.lexsort(near.T[::-1])
    found |= {
        "near": near[order], "critical": listed.critical[order], "sigma": listed.sigma[order],
        "overlaps": nonbonded.overlaps(xyz)[order],
    }
    found |= {kind: getattr(residuals, kind) for kind in ("bond", "angle", "torsion", "chiral")}
    is_aniso, u = tensors_of(b_iso)
    similar = TensorRestraints(adp, find_special_positions(box, xyz), is_aniso, ops)
    parts = (("geometry", geometry, xyz), ("vdw", nonbonded, xyz), ("adp", adp, b_iso), ("tensors", similar, u))
    for name, restraints, at in parts:
        result = restraints.evaluate(at, True)  # type: ignore[attr-defined]
        slope = restraints.evaluate(at, False)  # type: ignore[attr-defined]
        found[f"{name} value"] = np.array([result.value, restraints.value(at)])  # type: ignore[attr-defined]
        found[f"{name} gradient"], found[f"{name} gradient alone"] = result.gradient, slope.gradient
        for matrix in result.matrices:
            found[f"{name} diagonal"], found[f"{name} off"] = on_host(matrix.diagonal), on_host(matrix.off)
            for part in ("row_start", "column", "slot", "transposed", "pairs"):
                found[f"{name} {part}"] = 1 * getattr(matrix.pattern, part)
    for record in restraint_statistics(xyz, top, geometry, nonbonded, adp, b_iso, similar, u):
        found[f"{record.kind} record"] = np.array([record.count, record.rmsd, record.rmsz, record.mean_sigma])
    return found


def compare(xyz: Any, b_iso: Any, top: Any, box: Any) -> dict[str, Any]:
    """Compare the device with the reference, and three orders of threads with each other; the reference's results."""
    expected = everything(xyz, b_iso, top, box, REFERENCE)
    runs = [everything(xyz, b_iso, top, box, RestraintOps(ShimDevice(order))) for order in (0, 1, 2)]
    assert all(run.keys() == expected.keys() for run in runs)
    for name, value in expected.items():
        assert runs[0][name].shape == value.shape, name
        assert np.array_equal(runs[0][name], runs[1][name]), name
        assert np.array_equal(runs[0][name], runs[2][name]), name
        scale = max(float(np.abs(value).max(initial=0.0)), 1e-9)
        error = float(np.abs(runs[0][name] - value).max(initial=0.0)) / scale
        assert error < 1e-12, f"{name}: {error:.1e}"
    return expected


def test_all_operations_on_a_model_made_by_hand() -> None:
    """Every kind of term, riding atoms and bonds to symmetry copies."""
    xyz, top, box = random_model()
    expected = compare(xyz, np.linspace(10.0, 40.0, len(xyz)), top, box)
    assert all(np.abs(value).max() > 0 for value in expected.values())
    assert {f"{kind} record" for kind in ("vdw", "vdw_symmetry", "adp", "adp_rigid_bond")} <= set(expected)


def test_all_operations_on_the_example(example: Any) -> None:
    structure = gemmi.read_structure(str(example[0]))
    structure.setup_entities()
    box = crystal_from_gemmi(structure.cell, structure.find_spacegroup())
    model = build_model(structure, box, ChemistryOptions())
    assert model.atoms.is_hydrogen.sum() > 1000
    b_iso = model.atoms.b_iso + np.arange(len(model.atoms)) % 7
    expected = compare(model.atoms.xyz, b_iso, model.topology, box)
    assert len(expected["contacts"]) > 10000


def straight(bend: float) -> Any:
    """Four atoms of which the first three lie in line but for ``bend`` Å, with a linear and a bent angle."""
    return np.array([[0.0, 0, 0], [1.2, bend, 0], [2.4, 0, 0], [3.0, 1.3, 0.2]])


@pytest.mark.parametrize("bend", [0.0, 1e-12, 0.05])
def test_straight_angles_and_angles_that_should_be(bend: float) -> None:
    top = topology(4, bonds([(0, 1, 1.2, 0.02)]), [(0, 1, 2, np.pi, 0.05), (1, 2, 3, 2.0, 0.05), (0, 1, 2, 3.1, 0.05)])
    expected = compare(straight(bend), np.full(4, 20.0), top, crystal())
    assert np.isfinite(expected["geometry off"]).all()


def test_planes_of_all_sizes_and_atoms_in_line() -> None:
    rng = np.random.default_rng(3)
    n = 30
    xyz = rng.uniform(0, 8, (n, 3))
    xyz[:4] = np.arange(4)[:, None] * [1.0, 0.5, 0.2]
    planes = [(list(range(4)), 0.02)]
    planes += [([int(k) for k in rng.choice(n, size, replace=False)], 0.02) for size in (3, 4, 5, 6, 9, 12, 20)]
    top = topology(n, plane=planes)
    box = crystal()
    cuda, expected = (GeometryRestraints(top, box, ops) for ops in (RestraintOps(ShimDevice()), REFERENCE))
    # four atoms in line have no plane: its value is 0 and its normal anything, so only the others are compared
    assert cuda.value(xyz) == pytest.approx(expected.value(xyz), rel=1e-12)
    compare(xyz, np.full(n, 20.0), topology(n, plane=planes[1:]), box)


@pytest.mark.parametrize("kind", ["bond", "angle", "torsion", "chiral", "plane", "none"])
def test_one_kind_of_term_alone(kind: str) -> None:
    """Empty tables of the other kinds."""
    xyz = np.array([[0.0, 0, 0], [1.4, 0.1, 0], [2.0, 1.3, 0.3], [3.3, 1.4, 1.0]])
    given: dict[str, Any] = {
        "bond": {"bond": bonds([(0, 1, 1.5, 0.02)])}, "angle": {"angle": [(0, 1, 2, 1.9, 0.05)]},
        "torsion": {"torsion": [(0, 1, 2, 3, 0.5, 0.3, 3)]}, "chiral": {"chiral": [(1, 0, 2, 3, 2.5, 0.2, 1)]},
        "plane": {"plane": [([0, 1, 2, 3], 0.02)]}, "none": {},
    }[kind]
    expected = compare(xyz, np.full(4, 20.0), topology(4, **given), crystal())
    assert (expected["geometry value"] > 0).all() == (kind != "none")


def test_one_atom_without_contacts_and_one_that_meets_its_mates() -> None:
    for cell, some in (((50.0, 50.0, 50.0, 90.0, 90.0, 90.0), False), ((50.0, 5.2, 50.0, 90.0, 90.0, 90.0), True)):
        expected = compare(np.array([[1.0, 1.0, 1.0]]), np.array([20.0]), topology(1), crystal("P 1 21 1", cell))
        assert (len(expected["contacts"]) > 0) == some


def test_special_positions_and_alternative_conformers() -> None:
    xyz = np.array([[0.0, 3.0, 0.0], [0.1, 5.9, 0.0], [2.0, 4.5, 0.4], [2.1, 4.3, 0.2], [3.0, 6.0, 0.0]])
    top = topology(
        5, bonds([(2, 4, 1.8, 0.02)]), altloc=np.array([0, 0, 1, 2, 0], np.int8),
        occ=np.array([0.5, 0.5, 0.6, 0.4, 1.0]), parent={3: 1},
    )
    expected = compare(xyz, np.linspace(10, 20, 5), top, crystal("C 1 2 1"))
    assert expected["sites"].max() == 2
    own = {(a, b) for a, b, *image in expected["contacts"][:, :6].tolist() if not any(image)}
    assert (2, 3) not in own and (0, 2) in own


def many(n: int, **given: Any) -> ContactRules:
    return ContactRules(**({
        "radius": np.full(n, 1.8), "heavy": np.ones(n, bool), "altloc": np.zeros(n, np.int8), "occ": np.ones(n),
        "excluded_start": np.zeros(n + 1, np.int32), "excluded_atom": np.zeros(0, np.int32),
        "excluded_kind": np.zeros(0, np.int8), "margin": 0.6, "heavy_cutoff": 4.0, "self_distance": 0.5,
    } | given))


def test_more_contacts_than_there_was_memory_for() -> None:
    """A crowded cell far smaller than the cut-off; then the memory stays."""
    n = 7
    box = crystal("P 31 2 1", (6.0, 6.0, 7.0, 90.0, 90.0, 120.0))
    xyz = np.random.default_rng(5).uniform(-0.3, 1.4, (n, 3)) @ box.orth.T
    symmetry, rules = symmetry_arrays(box), many(n)
    ops = RestraintOps(ShimDevice())
    expected = REFERENCE.find_contacts(xyz, symmetry, rules)
    assert len(expected) > START_CAPACITY * n
    for repeat in range(2):
        found = ops.find_contacts(xyz, symmetry, rules)
        assert ops.device.launches["contact_fill"] == 2 + repeat
        rows = [
            sorted(map(tuple, np.column_stack([c.first, c.second, c.op, c.shift]).tolist())) for c in (found, expected)
        ]
        assert rows[0] == rows[1]
        assert np.all(np.diff(found.first) >= 0)
        np.testing.assert_array_equal(found.site_multiplicity, expected.site_multiplicity)


def test_contacts_outlive_the_next_search_and_others_are_left_to_the_host() -> None:
    xyz, box = np.random.default_rng(2).uniform(0, 9, (20, 3)), crystal("P 1 21 1")
    symmetry, rules = symmetry_arrays(box), many(20)
    ops = RestraintOps(ShimDevice())
    first = ops.find_contacts(xyz, symmetry, rules)
    expected = REFERENCE.find_contacts(xyz, symmetry, rules)
    second = ops.find_contacts(1.1 * xyz, symmetry, rules)
    assert len(first) == len(expected)
    np.testing.assert_allclose(np.sort(first.distance), np.sort(expected.distance))
    top = topology(20)
    classes = NonbondedRestraints(top, box, ops)._classes
    assert ops.near_contacts(second, classes, 0.6, symmetry) is not None
    for other in (first, expected):
        assert ops.near_contacts(other, classes, 0.6, symmetry) is None
        bonded = AdpRestraints(top, box, ops)._bonded_neighbours
        assert ops.similar_pairs(xyz, other, bonded, 5, 4.0, np.ones(6)) is None


def test_a_bonded_pair_whose_mates_are_nearer() -> None:
    """The bond says how the two are related, the mate how far apart they are."""
    box = crystal("P 1", (6.0, 20.0, 20.0, 90.0, 90.0, 90.0))
    xyz = np.array([[1.0, 1, 1], [4.5, 1, 1], [1.0, 3, 1]])
    expected = compare(xyz, np.array([10.0, 20, 30]), topology(3, bonds([(0, 1, 1.5, 0.02)])), box)
    assert expected["adp relation"].tolist() == [0, 5, 5]
    np.testing.assert_allclose(expected["adp distance"], [2.5, 2.0, np.hypot(2.5, 2.0)])
    np.testing.assert_allclose(expected["adp line"][0], [1.0, 0, 0])


def test_all_kinds_of_contacts() -> None:
    """Ions, donors, acceptors, hydrogens, torsions and pairs two bonds apart, close together."""
    n = 60
    rng = np.random.default_rng(8)
    hydrogen = rng.random(n) < 0.3
    hydrogen[0] = False
    polar = np.where(hydrogen, rng.choice([0, 4], n), rng.integers(0, 4, n)).astype(np.int8)
    top = topology(
        n, bonds([(k, k + 1, 1.5, 0.02) for k in range(n - 1)]),
        [(k, k + 1, k + 2, 1.9, 0.05) for k in range(0, n - 2, 2)],
        hydrogen=tuple(np.flatnonzero(hydrogen)), hb_type=polar, is_metal=rng.random(n) < 0.2,
        ion_radius=np.where(rng.random(n) < 0.5, rng.uniform(0.6, 1.4, n), np.nan),
        element=np.where(hydrogen, 1, rng.choice([6, 7, 8, 16], n)).astype(np.int8),
        vdw_radius=rng.uniform(1.2, 2.3, n),
    )
    box = crystal("P 1 21 1")
    xyz = rng.uniform(0, 9, (n, 3))
    xyz[5::8] = xyz[3:-2:8] + 0.5
    expected = compare(xyz, rng.uniform(10, 40, n), top, box)
    assert set(expected["near"][:, -1].tolist()) == {0, 1, 2, 3, 4}


def test_results_are_added_to_what_is_there_on_either_side() -> None:
    xyz, top, box = random_model()
    ops = RestraintOps(ShimDevice())
    restraints = GeometryRestraints(top, box, ops)
    plan, n, m = restraints._plan, len(xyz), len(restraints.pattern.pairs)
    host = [np.full(shape, 2.0) for shape in ((n, 3), (n, 3, 3), (m, 3, 3))]
    device = [ops.device.upload(part) for part in host]
    result = restraints.evaluate(xyz, True)
    ops.geometry(plan, xyz, *host)
    ops.geometry(plan, ops.device.upload(xyz), *device)
    matrix = result.matrices[0]
    for at, on, expected in zip(host, device, (result.gradient, matrix.diagonal, matrix.off), strict=True):
        expected = on_host(expected)
        np.testing.assert_allclose(at, expected + 2.0, rtol=0, atol=1e-12 * np.abs(expected).max())
        assert isinstance(on, type(ops.device.upload(xyz)))
        np.testing.assert_allclose(ops.device.download(on), at, rtol=1e-14)


def test_nothing_is_allocated_after_the_first_cycle() -> None:
    """A diagonal and an off-diagonal array for each of the three, which stay on the device."""
    xyz, top, box = random_model()
    ops = RestraintOps(ShimDevice())
    geometry, nonbonded, adp = (
        kind(top, box, ops) for kind in (GeometryRestraints, NonbondedRestraints, AdpRestraints)
    )
    made = []
    for cycle in range(3):
        contacts = nonbonded.update(xyz + 0.001 * cycle)
        adp.update(xyz, contacts)
        before = ops.device.allocations
        nonbonded.overlap_sums(xyz), adp.deviation_sums(np.full(len(xyz), 20.0))
        for restraints, at in ((geometry, xyz), (nonbonded, xyz), (adp, np.full(len(xyz), 20.0))):
            result = restraints.evaluate(at, True)  # type: ignore[attr-defined]
            assert all(ops.device.holds(part) for m in result.matrices for part in (m.diagonal, m.off))
            restraints.value(at)  # type: ignore[attr-defined]
        made.append(ops.device.allocations - before)
    assert made[0] > 0 and made[1:] == [0, 0]
