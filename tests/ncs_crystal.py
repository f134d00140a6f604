"""A small crystal with strict non-crystallographic symmetry: three copies of a piece of the example, in P 21."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from perf import make_box  # noqa: E402

PIECE = range(42, 78)
"""Residues of the example's chain."""

GAP = 3.0
"""Å between the asymmetric unit and its mates along the longest edge."""


@dataclass(frozen=True, slots=True)
class NcsCrystal:
    """``copy``: one copy with its operators, shaken; ``whole``: all copies of it; ``data``: made of it unshaken."""

    copy: Path
    whole: Path
    data: Path


def make_ncs_crystal(folder: Path, example: Path, d_min: float = 2.6, rms: float = 0.15) -> NcsCrystal:
    """Write the crystal's files into ``folder``."""
    unit = gemmi.read_structure(str(example))
    unit.remove_ligands_and_waters()
    for k in reversed(range(len(unit[0][0]))):
        if unit[0][0][k].seqid.num not in PIECE:
            del unit[0][0][k]
    atoms = [atom for residue in unit[0][0] for atom in residue]
    xyz = np.array([atom.pos.tolist() for atom in atoms])
    rng = np.random.default_rng(4)
    placed, _ = make_box.place(xyz, np.ones(len(xyz), bool), 3, rng)
    turned = Rotation.from_rotvec([0.0, 0.7, 0.0]).apply(placed.reshape(-1, 3)).reshape(placed.shape)
    low, high = turned.min(axis=(0, 1)), turned.max(axis=(0, 1))
    # the screw axis along b puts the mate beside the unit along c; the other edges hold the whole unit
    turned -= low - 0.5 * GAP
    a, b, c = high - low + GAP
    for atom, position in zip(atoms, turned[0], strict=True):
        atom.pos = gemmi.Position(*position)
    unit.cell = gemmi.UnitCell(round(a, 3), round(b, 3), round(2.0 * c, 3), 90.0, 90.0, 90.0)
    unit.spacegroup_hm = "P 1 21 1"
    unit.ncs.clear()
    for k in (1, 2):
        turn, shift = superposition(turned[0], turned[k])
        moved = gemmi.Transform(gemmi.Mat33(np.round(turn, 6)), gemmi.Vec3(*np.round(shift, 5)))
        unit.ncs.append(gemmi.NcsOp(moved, str(k + 1), False))
    files = NcsCrystal(folder / "copy.pdb", folder / "whole.pdb", folder / "data.mtz")
    whole = expanded(unit)
    hkl, f, inv_d2 = make_box.structure_factors(whole, d_min)
    amplitude, sigma = make_box.simulate(f, inv_d2, rng)
    free = rng.integers(0, make_box.FREE_CLASSES, len(f)).astype(float)
    _write_data(files.data, whole, np.column_stack([hkl, amplitude, sigma, free]))
    for atom in atoms:
        atom.pos += gemmi.Position(*rng.normal(scale=rms / np.sqrt(3.0), size=3))
    unit.write_pdb(str(files.copy))
    expanded(gemmi.read_structure(str(files.copy))).write_pdb(str(files.whole))
    return files


def expanded(structure: gemmi.Structure) -> gemmi.Structure:
    """All copies as atoms of a structure without operators."""
    whole = structure.clone()
    whole.expand_ncs(gemmi.HowToNameCopiedChain.Short, merge_dist=0.0)
    whole.ncs.clear()
    whole.setup_entities()
    whole.setup_cell_images()
    return whole


def superposition(first: NDArray[np.float64], second: NDArray[np.float64]) -> tuple[NDArray, NDArray]:
    """R and t that bring ``first`` (n, 3) onto ``second``."""
    turn = Rotation.align_vectors(second - second.mean(axis=0), first - first.mean(axis=0))[0].as_matrix()
    return turn, second.mean(axis=0) - turn @ first.mean(axis=0)


def _write_data(path: Path, whole: gemmi.Structure, table: NDArray[np.float64]) -> None:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup(whole.spacegroup_hm)
    mtz.set_cell_for_all(whole.cell)
    mtz.add_dataset("simulated")
    for label, kind in (("FP", "F"), ("SIGFP", "Q"), ("FREE", "I")):
        mtz.add_column(label, kind)
    mtz.set_data(table.astype(np.float32))
    mtz.write_to_file(str(path))
