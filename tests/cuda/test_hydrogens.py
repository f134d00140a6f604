"""Riding hydrogens relaxed by kernels, executed on the CPU, against the loop on the host."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
import pytest
import shim_device
from restraint_models import bonds, topology
from shim_device import ShimDevice

from gpurefine.backend import create
from gpurefine.backend.cuda.restraints import RestraintOps
from gpurefine.config import ChemistryOptions
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.io.topology import build_model
from gpurefine.restraints.riding import HydrogenIdealiser

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")


def cone(n_hydrogen: int) -> Any:
    """An atom with a neighbour and ``n_hydrogen`` hydrogens that should lie apart from each other."""
    rng = np.random.default_rng(n_hydrogen)
    hydrogens = tuple(range(2, 2 + n_hydrogen))
    xyz = np.vstack([[0.0, 0, 0], [1.53, 0, 0], rng.normal(size=(n_hydrogen, 3)) * 0.4 + [-0.7, 0, 0]])
    angles = [(1, 0, h, 1.9, 0.03) for h in hydrogens]
    angles += [(a, 0, b, 1.9, 0.03) for a in hydrogens for b in hydrogens if a < b]
    top = topology(
        len(xyz), bonds([(0, 1, 1.53, 0.02), *((0, h, 1.09, 0.02) for h in hydrogens)]), angles,
        parent=dict.fromkeys(hydrogens, 0),
    )
    return xyz, top


def relaxed(xyz: Any, top: Any, n_iterations: int) -> Any:
    """Hydrogens as the device leaves them, compared with the reference and with other orders of threads."""
    expected = HydrogenIdealiser(top, create("reference")).idealise(xyz, n_iterations)
    runs = [HydrogenIdealiser(top, RestraintOps(ShimDevice(order))).idealise(xyz, n_iterations) for order in (0, 1, 2)]
    np.testing.assert_allclose(runs[0], expected, rtol=0, atol=1e-8)
    assert np.array_equal(runs[0], runs[1]) and np.array_equal(runs[0], runs[2])
    return runs[0]


@pytest.mark.parametrize("n_hydrogen", [1, 2, 3, 4, 5])
def test_hydrogens_of_one_parent(n_hydrogen: int) -> None:
    """Five are more than the kernel has room for: the host iterates."""
    xyz, top = cone(n_hydrogen)
    for n_iterations in (0, 1, 20):
        moved = relaxed(xyz, top, n_iterations)
        assert np.array_equal(moved[:2], xyz[:2])
        assert (np.abs(moved - xyz).max() > 0.05) == (n_iterations > 0)


def test_the_iterations_stay_on_the_device() -> None:
    xyz, top = cone(3)
    ops = RestraintOps(ShimDevice())
    idealiser = HydrogenIdealiser(top, ops)
    idealiser.idealise(xyz)
    before = ops.device.allocations
    idealiser.idealise(xyz + 0.01)
    assert ops.device.allocations == before
    assert ops.device.launches["hydrogen_shifts"] > 4


def test_a_model_on_the_device_is_left_as_it_is() -> None:
    xyz, top = cone(3)
    ops = RestraintOps(ShimDevice())
    ops.take_up((xyz,))
    moved = HydrogenIdealiser(top, ops).idealise(xyz)
    np.testing.assert_array_equal(moved, HydrogenIdealiser(top, RestraintOps(ShimDevice())).idealise(xyz))
    there: Any = ops.known(xyz)
    np.testing.assert_array_equal(there.memory, xyz)


def test_hydrogens_of_the_example(example: Any) -> None:
    structure = gemmi.read_structure(str(example[0]))
    structure.setup_entities()
    box = crystal_from_gemmi(structure.cell, structure.find_spacegroup())
    model = build_model(structure, box, ChemistryOptions())
    heavy = ~model.topology.is_hydrogen
    xyz = model.atoms.xyz + np.random.default_rng(1).normal(size=model.atoms.xyz.shape) * 0.1 * ~heavy[:, None]
    moved = relaxed(xyz, model.topology, 4)
    assert np.array_equal(moved[heavy], xyz[heavy])
    assert np.linalg.norm(moved - xyz, axis=1).max() > 0.2
