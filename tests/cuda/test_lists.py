"""Lists of contacts and pairs, and the matrices made of them, stay on the device; results come down together."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device
from counting import Counting
from restraint_models import crystal, on_host, random_model, topology
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.posted import LEAST_ROOM, PostingOps
from gpurefine.backend.cuda.restraints import RestraintOps
from gpurefine.backend.cuda.statistics import StatisticsOps
from gpurefine.config import ChemistryOptions
from gpurefine.constants import EIGHT_PI2
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import build_model
from gpurefine.model.special import find_special_positions
from gpurefine.params.values import AtomValues
from gpurefine.refinement.terms import IsotropicTerms, PositionTerms
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.adp_tensors import TensorRestraints
from gpurefine.restraints.geometry import GeometryRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from gpurefine.restraints.positions import no_positions

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def test_only_counts_sums_and_gradients_come_down(example: Any) -> None:
    structure = gemmi.read_structure(str(example[0]))
    structure.setup_entities()
    box = crystal_from_gemmi(structure.cell, structure.find_spacegroup())
    model = build_model(structure, box, ChemistryOptions())
    xyz, n, ops = model.atoms.xyz, len(model.atoms), RestraintOps(Counting())
    b_iso = model.atoms.b_iso + np.arange(n) % 7
    nonbonded, adp = NonbondedRestraints(model.topology, box, ops), AdpRestraints(model.topology, box, ops)
    device: Any = ops.device

    def lists() -> None:
        adp.update(xyz, nonbonded.update(xyz))

    def statistics() -> None:
        sums = nonbonded.overlap_sums(xyz), adp.deviation_sums(b_iso)
        assert all(np.asarray(part).any() for part in sums)

    def matrix() -> None:
        begun = nonbonded.evaluate(xyz, True), adp.evaluate(b_iso, True)
        assert all(part.gradient.any() and len(part.matrices[0].pattern) > 1000 for part in begun)

    def tensors() -> None:
        result = anisotropic.evaluate(u, True)
        assert result.gradient.any() and len(result.matrices[0].pattern) > 1000
        assert np.asarray(anisotropic.deviation_sums(u))[:, 0].all()

    anisotropic = TensorRestraints(adp, find_special_positions(box, xyz), ~model.topology.is_hydrogen, ops)
    u = np.outer(b_iso / EIGHT_PI2, [1.2, 0.9, 0.9, 0.05, 0.0, 0.0])
    # three lengths; two sums a table; the value, the number of blocks and the gradient; three values, gradient, sums
    for call, most in (
        (lists, 4 + 4 + 8), (statistics, 32 * 6), (matrix, 8 * (2 + 3 * n + 1 + n)), (tensors, 8 * (3 + 6 * n + 12))
    ):
        _, _, down = device.since(call)
        assert down <= most, (call.__name__, down, most)
    assert len(nonbonded._listed()) > 10000 and len(adp.pairs) > 5000


def test_restraints_of_all_kinds_come_down_in_one_copy() -> None:
    xyz, top, box = random_model()
    n = len(xyz)
    values = AtomValues(xyz, np.linspace(10.0, 40.0, n), np.zeros((n, 6)), np.ones(n))
    found = []
    for ops in (RestraintOps(Counting()), create("reference")):
        geometry, nonbonded, adp = (
            kind(top, box, ops) for kind in (GeometryRestraints, NonbondedRestraints, AdpRestraints)
        )
        nonbonded._crossing = nonbonded._crossing[:0]
        adp._crossing = tuple(part[:0] for part in adp._crossing)  # type: ignore[assignment]
        adp.update(xyz, nonbonded.update(xyz))
        terms = PositionTerms(geometry, nonbonded, no_positions(top)), IsotropicTerms(adp)
        for _ in range(2):  # room for all is found the first time
            downs = ops.device.downs if isinstance(ops, RestraintOps) else 0
            begun = [term.begin(values) for term in terms]
            sums = [value() for value in begun]
            begun_slopes = [term.linearise(values) for term in terms]
            slopes = [slope.gradient() for slope in begun_slopes]
            counts = [len(matrix.pattern) for slope in begun_slopes for matrix in slope.matrices()]
        if isinstance(ops, RestraintOps):
            assert ops.device.downs == downs + 2  # type: ignore[attr-defined]
        found.append((sums, slopes, counts))
    (sums, slopes, counts), (expected, expected_slopes, expected_counts) = found
    np.testing.assert_allclose(sums, expected, rtol=1e-12)
    assert counts == expected_counts and min(counts) > 0
    for slope, wanted in zip(slopes, expected_slopes, strict=True):
        np.testing.assert_allclose(slope, wanted, rtol=0, atol=1e-12 * np.abs(wanted).max())


def test_what_was_read_takes_no_more() -> None:
    ops = RestraintOps(ShimDevice())
    slope = ops.new_gradient((3, 3))
    assert not np.asarray(slope).any()
    with pytest.raises(ValueError, match="was read before"):
        ops.target("slope", slope)


def test_lists_can_be_read_after_others_were_made() -> None:
    xyz, top, box = random_model()
    ops, reference = RestraintOps(ShimDevice()), create("reference")
    made = []
    for backend in (ops, reference):
        nonbonded, adp = NonbondedRestraints(top, box, backend), AdpRestraints(top, box, backend)
        adp._crossing = tuple(part[:0] for part in adp._crossing)  # type: ignore[assignment]
        nonbonded._crossing = nonbonded._crossing[:0]
        adp.update(xyz, nonbonded.update(xyz))
        kept = nonbonded.repulsions, nonbonded.kind if backend is reference else nonbonded._kind, adp.pairs
        blocks = nonbonded.evaluate(xyz, True).matrices[0]
        for scale in (1.01, 1.02):
            adp.update(scale * xyz, nonbonded.update(scale * xyz))
            nonbonded.evaluate(scale * xyz, True)
        made.append((*kept, blocks))
    (found, kind, pairs, blocks), (expected, expected_kind, expected_pairs, expected_blocks) = made
    assert found is not None and expected is not None and len(found) == len(expected) > 20
    order, expected_order = (np.lexsort((p.op, *p.shift.T, p.second, p.first)) for p in (found, expected))
    for name in ("first", "second", "op", "shift", "critical", "sigma"):
        np.testing.assert_allclose(getattr(found, name)[order], getattr(expected, name)[expected_order], rtol=1e-14)
    np.testing.assert_array_equal(np.asarray(kind)[order], expected_kind[expected_order])
    for name in ("first", "second", "relation", "op", "distance", "line", "weight"):
        np.testing.assert_allclose(getattr(pairs, name), getattr(expected_pairs, name), rtol=1e-12, err_msg=name)
    for one, other in ((blocks.pattern, expected_blocks.pattern), (pairs.pattern, expected_pairs.pattern)):
        assert len(one) == len(other)
        for name in ("pairs", "row_start", "column", "slot", "transposed"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    np.testing.assert_allclose(on_host(blocks.off), expected_blocks.off, rtol=1e-9, atol=1e-9)


def crowd(n: int, riding: int) -> tuple[Any, Any, Any]:
    """Atoms that nearly all overlap each other, the last of them riding on the first few."""
    rng = np.random.default_rng(n)
    box = crystal("P 21 21 21", (7.0, 8.0, 9.0, 90.0, 90.0, 90.0))
    top = topology(n, parent={n - 1 - k: k % 3 for k in range(riding)})
    return rng.uniform(0.0, 1.0, (n, 3)) @ box.orth.T, top, box


@pytest.mark.parametrize(("n", "riding"), [(1, 0), (2, 0), (40, 0), (40, 17)])
def test_rows_with_many_pairs(n: int, riding: int) -> None:
    """Several images of one pair are one block; pairs of one owner are on the diagonal."""
    xyz, top, box = crowd(n, riding)
    expected = NonbondedRestraints(top, box, create("reference"))
    expected.update(xyz)
    reference = expected.evaluate(xyz, True)
    runs = []
    for order in (0, 1, 2):
        found = NonbondedRestraints(top, box, RestraintOps(ShimDevice(order)))
        found.update(xyz)
        runs.append(found.evaluate(xyz, True))
    matrix, one = reference.matrices[0], runs[0].matrices[0]
    assert n < 3 or len(matrix.pattern) > 50
    for run in runs:
        assert run.value == pytest.approx(reference.value, rel=1e-12, abs=1e-12)
        np.testing.assert_allclose(run.gradient, reference.gradient, rtol=0, atol=1e-12 * max(reference.value, 1.0))
        np.testing.assert_array_equal(run.gradient, runs[0].gradient)
        own = run.matrices[0]
        for name in ("pairs", "row_start", "column", "slot", "transposed"):
            np.testing.assert_array_equal(getattr(own.pattern, name), getattr(matrix.pattern, name), err_msg=name)
        for name in ("diagonal", "off"):
            values, wanted = on_host(getattr(own, name)), getattr(matrix, name)
            np.testing.assert_array_equal(values, on_host(getattr(one, name)))
            np.testing.assert_allclose(values, wanted, rtol=0, atol=1e-12 * max(np.abs(wanted).max(initial=0.0), 1.0))


@pytest.mark.parametrize("n", [0, 1, 5000, 100_000])
@pytest.mark.parametrize("active", [False, True])
def test_sums_of_deviations_by_kind(n: int, active: bool) -> None:
    rng = np.random.default_rng(n)
    z, limits = rng.normal(size=n) * (rng.random(n) < 0.6), rng.uniform(0.1, 2.0, (n, 2))
    limits[rng.random(n) < 0.1, 1] = 0.0
    kind = rng.integers(-1, 4, n).astype(np.int8)
    runs = []
    for order in (0, 1, 2):
        ops = StatisticsOps(ShimDevice(order))
        there = [ops.device.upload(part) for part in (z, limits.ravel(), kind)]
        runs.append(ops.deviation_sums(there[0], there[1][1:], there[2], n, 4, stride=2, only_active=active))
    expected = np.zeros((4, 4))
    for k in range(4):
        use = (kind == k) & (limits[:, 1] > 0) & (~np.bool_(active) | (z != 0))
        d, sigma = z[use], limits[use, 1]
        expected[k] = use.sum(), np.sum((d * sigma) ** 2), np.sum(d**2), np.sum(sigma)
    np.testing.assert_allclose(runs[0], expected, rtol=1e-12, atol=1e-12)
    for run in runs[1:]:
        np.testing.assert_array_equal(run, runs[0])


def test_what_is_posted_comes_down_in_one_copy() -> None:
    ops = PostingOps(Counting())
    device: Any = ops.device
    a, b, c = ops.post(3), ops.post((2, 2)), ops.post(1)
    ops.device.upload(np.arange(4.0).reshape(2, 2), b.array)
    assert a.shape == (3,) and b.shape == (2, 2) and len(b) == 2 and device.downs == 0
    ops.device.upload(np.array([7.0]), c.array)
    assert float(c) == 7.0 and np.asarray(a).tolist() == [0.0] * 3
    np.testing.assert_array_equal(np.asarray(b), [[0.0, 1.0], [2.0, 3.0]])
    assert device.downs == 1 and device.down == 8 * 8 and b.shape == (2, 2)
    # the memory is another's now; what nobody can read any more is not fetched
    later = ops.post(2)
    ops.device.upload(np.ones(2), later.array)
    assert np.asarray(a).tolist() == [0.0] * 3
    del later
    ops.fetch_posted()
    assert device.downs == 1
    # more than there is room for lies in several buffers once; next time there is room for all
    for copies in (3, 1):
        device.downs = 0
        parts = [ops.post(LEAST_ROOM - 1) for _ in range(3)]
        for k, part in enumerate(parts):
            ops.device.upload(np.full(LEAST_ROOM - 1, float(k)), part.array)
        for k, part in enumerate(parts):
            assert np.asarray(part).tolist() == [float(k)] * (LEAST_ROOM - 1)
        assert device.downs == copies
