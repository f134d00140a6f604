"""The compiled restraint operations against the reference, on a real model with hydrogens, and their determinism."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device

from gpurefine.backend import create
from gpurefine.backend.blocks import BlockPattern
from gpurefine.backend.cuda.restraints import RestraintOps
from gpurefine.config import ChemistryOptions
from gpurefine.constants import EIGHT_PI2
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import build_model
from gpurefine.model.special import find_special_positions
from gpurefine.model.tensors import TRACE
from gpurefine.restraints.adp import AdpRestraints
from gpurefine.restraints.adp_tensors import TensorRestraints
from gpurefine.restraints.arrays import geometry_terms, no_symmetry, term_pairs
from gpurefine.restraints.geometry import GeometryRestraints
from gpurefine.restraints.nonbonded import NonbondedRestraints
from gpurefine.restraints.riding import idealise_hydrogens
from gpurefine.restraints.statistics import COVALENT_KINDS, OVERLAP_KINDS, restraint_statistics


@pytest.fixture(scope="module")
def real(example: tuple[Any, Any]) -> tuple[Any, Any]:
    """The shaken example with its hydrogens, and its crystal."""
    structure = gemmi.read_structure(str(example[0]))
    structure.setup_entities()
    box = crystal_from_gemmi(structure.cell, structure.find_spacegroup())
    return build_model(structure, box, ChemistryOptions()), box


def evaluate(model: Any, box: Any, ops: Any) -> dict[str, Any]:
    """Everything that restraints compute, as named arrays."""
    xyz, b = model.atoms.xyz, model.atoms.b_iso + np.arange(len(model.atoms)) % 7
    geometry = GeometryRestraints(model.topology, box, ops)
    nonbonded = NonbondedRestraints(model.topology, box, ops)
    contacts = nonbonded.update(xyz)
    adp = AdpRestraints(model.topology, box, ops)
    adp.update(xyz, contacts)
    result: dict[str, Any] = {}
    table = np.column_stack([contacts.first, contacts.second, contacts.op, contacts.shift, contacts.relation])
    result["contacts"] = table[np.lexsort(table.T[::-1])]
    result["multiplicity"] = contacts.site_multiplicity
    for name, r in (
        ("geometry", geometry.evaluate(xyz, True)),
        ("vdw", nonbonded.evaluate(xyz, True)),
        ("adp", adp.evaluate(b, True)),
    ):
        result[name] = np.array([r.value])
        result[name + " gradient"] = r.gradient
        result[name + " diagonal"] = r.matrices[0].diagonal
        result[name + " off"] = r.matrices[0].off
        result[name + " pairs"] = r.matrices[0].pattern.pairs
    is_aniso = ~model.atoms.is_hydrogen & (np.arange(len(xyz)) % 5 > 0)
    tensors = TensorRestraints(adp, find_special_positions(box, xyz), is_aniso, ops)
    u = b[:, None] / EIGHT_PI2 * (TRACE + np.random.default_rng(0).uniform(-0.2, 0.2, (len(xyz), 6)))
    u[~is_aniso] = b[~is_aniso, None] / EIGHT_PI2 * TRACE
    r6 = tensors.evaluate(u, True)
    result["tensors"] = np.array(list(r6.values.values()))
    result["tensor gradient"], matrix = r6.gradient, r6.matrices[0]
    result["tensor diagonal"], result["tensor off"] = matrix.diagonal, matrix.off
    product, pattern = np.zeros_like(u), matrix.pattern
    ops.block_product(
        pattern.row_start, pattern.column, pattern.slot, pattern.transposed, matrix.diagonal, matrix.off, u, product
    )
    result["tensor product"] = product
    residuals = geometry.residuals(xyz)
    for kind in ("bond", "angle", "torsion", "chiral"):
        result[kind] = getattr(residuals, kind)
    result["plane"] = np.abs(residuals.plane)
    records = {r.kind: r for r in restraint_statistics(xyz, model.topology, geometry, nonbonded, adp, b)}
    for kind in (*(name for name, _ in COVALENT_KINDS), *OVERLAP_KINDS, "adp"):
        if kind in records:
            r = records[kind]
            result["statistics of " + kind] = np.array([r.count, r.rmsd, r.rmsz, r.mean_sigma])
    assert len(records) > 10
    result["riding"] = idealise_hydrogens(xyz, model.topology, ops, 5)
    return result


def test_compiled_against_reference(real: tuple[Any, Any]) -> None:
    model, box = real
    assert model.atoms.is_hydrogen.sum() > 1000
    cpu = evaluate(model, box, create("cpu", 2))
    reference = evaluate(model, box, create("reference", 2))
    assert len(reference["contacts"]) > 10000
    assert cpu.keys() == reference.keys()
    for name, expected in reference.items():
        assert cpu[name].shape == expected.shape, name
        scale = float(np.abs(expected).max())
        assert scale > 0, name
        error = float(np.abs(cpu[name] - expected).max()) / scale
        assert error < (1e-9 if expected.dtype.kind == "f" else 1e-15), f"{name}: {error:.1e}"


def test_same_bits_again_and_with_other_thread_counts(real: tuple[Any, Any]) -> None:
    model, box = real
    one, two, again = (evaluate(model, box, create("cpu", threads)) for threads in (1, 2, 2))
    for name, expected in one.items():
        assert np.array_equal(expected, two[name]), name
        assert np.array_equal(expected, again[name]), name


@pytest.mark.parametrize("name", ["reference", "cpu", "cuda"])
def test_atoms_that_stand_still_take_nothing(real: tuple[Any, Any], name: str) -> None:
    """Gradient and blocks of the others are those of all atoms moving."""
    if name == "cuda" and shim_device.compiler() is None:
        pytest.skip("g++ is not installed")
    ops: Any = RestraintOps(shim_device.ShimDevice()) if name == "cuda" else create(name, 2)
    model = real[0]
    n, xyz, moves = len(model.atoms), model.atoms.xyz, model.atoms.is_hydrogen
    terms = geometry_terms(model.topology, no_symmetry())
    first, second = (np.concatenate(part) for part in zip(*term_pairs(terms), strict=True))
    made = []
    for owner, keep in (
        (np.arange(n), first >= 0),
        (np.where(moves, np.arange(n), -1), moves[first] & moves[second]),
    ):
        pairs = BlockPattern.from_pairs(n, first[keep], second[keep]).pairs
        plan = ops.plan_geometry(terms, owner.astype(np.int32), pairs)
        gradient, diagonal, off = np.zeros((n, 3)), np.zeros((n, 3, 3)), np.zeros((len(pairs), 3, 3))
        value = np.asarray(ops.geometry(plan, xyz, gradient, diagonal, off))
        made.append((value, gradient, diagonal, off, pairs))
    (value, gradient, diagonal, off, pairs), some = made
    both = moves[pairs].all(axis=1)
    assert 0 < len(some[4]) < len(pairs) and np.array_equal(some[4], pairs[both])
    np.testing.assert_array_equal(some[0], value)
    assert not some[1][~moves].any() and not some[2][~moves].any() and gradient[~moves].any()
    np.testing.assert_array_equal(some[1][moves], gradient[moves])
    np.testing.assert_array_equal(some[2][moves], diagonal[moves])
    np.testing.assert_array_equal(some[3], off[both])
