"""Crystal and topology in the plain arrays that the backend's restraint operations take."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_restraints import GeometryTerms, SymmetryArrays
from ..model.crystal import Crystal
from ..model.topology import Topology

I32 = NDArray[np.int32]


def symmetry_arrays(crystal: Crystal) -> SymmetryArrays:
    """All operations of ``crystal`` for fractional and Cartesian positions."""
    return SymmetryArrays(
        orth=np.ascontiguousarray(crystal.orth), frac=np.ascontiguousarray(crystal.frac),
        frac_rotation=np.ascontiguousarray(crystal.rotations, dtype=np.int32),
        frac_translation=np.ascontiguousarray(crystal.translations),
        rotation=np.ascontiguousarray(crystal.cartesian_rotations()),
        translation=np.ascontiguousarray(crystal.translations @ crystal.orth.T),
    )


def no_symmetry() -> SymmetryArrays:
    """The identity alone, in a cell of 1 Å."""
    one, zero = np.eye(3), np.zeros((1, 3))
    return SymmetryArrays(one, one, np.eye(3, dtype=np.int32)[None], zero, one[None], zero)


def geometry_terms(topology: Topology, symmetry: SymmetryArrays) -> GeometryTerms:
    """The covalent restraints of ``topology``."""
    t = topology
    return GeometryTerms(
        n_atoms=t.n_atoms, symmetry=symmetry,
        bond_atoms=t.bonds.atoms, bond_ideal=t.bonds.ideal, bond_sigma=t.bonds.sigma,
        bond_op=t.bonds.image, bond_shift=t.bonds.shift,
        angle_atoms=t.angles.atoms, angle_ideal=t.angles.ideal, angle_sigma=t.angles.sigma,
        torsion_atoms=t.torsions.atoms, torsion_ideal=t.torsions.ideal, torsion_sigma=t.torsions.sigma,
        torsion_period=np.maximum(t.torsions.period, 1),
        chiral_atoms=t.chirals.atoms, chiral_ideal=t.chirals.ideal, chiral_sigma=t.chirals.sigma,
        chiral_both=t.chirals.both,
        plane_start=t.planes.start, plane_atoms=t.planes.atoms, plane_sigma=t.planes.sigma,
    )


def term_pairs(terms: GeometryTerms) -> tuple[tuple[I32, I32], ...]:
    """Pairs of atoms (first (k,), second (k,)) that bonds, angles, torsions, chirals and planes couple."""
    result = [
        _all_pairs(atoms)
        for atoms in (terms.bond_atoms, terms.angle_atoms, terms.torsion_atoms, terms.chiral_atoms)
    ]
    counts = np.diff(terms.plane_start)
    first, second = [np.zeros(0, np.int32)], [np.zeros(0, np.int32)]
    for size in np.unique(counts):
        start = terms.plane_start[:-1][counts == size]
        a, b = _all_pairs(terms.plane_atoms[start[:, None] + np.arange(size)])
        first.append(a)
        second.append(b)
    return (*result, (np.concatenate(first), np.concatenate(second)))


def _all_pairs(atoms: I32) -> tuple[I32, I32]:
    """All pairs among the columns of ``atoms`` (m, k)."""
    columns = list(itertools.combinations(range(atoms.shape[1]), 2))
    if not columns:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    a, b = np.array(columns).T
    return atoms[:, a].ravel(), atoms[:, b].ravel()
