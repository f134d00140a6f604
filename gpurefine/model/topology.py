"""Restraints of a model as plain arrays (index tables into :class:`~gpurefine.model.atoms.Atoms`).

Built by :mod:`gpurefine.io.topology` from the monomer library; nothing here knows about files.
A restraint can reach a symmetry copy of its last atom: ``image`` is the index of the crystal's
operation and ``shift`` the whole-cell translation applied after it (0 and (0, 0, 0) for the atom itself).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Bonds:
    """atoms (m, 2) int32; ideal, sigma (m,) Å; image (m,) int32, shift (m, 3) int32 of the second atom."""

    atoms: I32
    ideal: F64
    sigma: F64
    image: I32
    shift: I32


@dataclass(frozen=True, slots=True, eq=False)
class Angles:
    """atoms (m, 3) int32, the middle one is the apex; ideal, sigma (m,) radians."""

    atoms: I32
    ideal: F64
    sigma: F64


@dataclass(frozen=True, slots=True, eq=False)
class Torsions:
    """atoms (m, 4) int32; ideal, sigma (m,) radians; period (m,) int32 ≥ 1."""

    atoms: I32
    ideal: F64
    sigma: F64
    period: I32


@dataclass(frozen=True, slots=True, eq=False)
class Chirals:
    """atoms (m, 4) int32, the centre first; ideal (m,) signed volume, sigma (m,) Å³; both (m,) bool: either sign."""

    atoms: I32
    ideal: F64
    sigma: F64
    both: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Planes of ≥ 3 atoms: plane p holds atoms[start[p]:start[p+1]]; sigma (n_plane,) Å."""

    start: I32
    atoms: I32
    sigma: F64


@dataclass(frozen=True, slots=True, eq=False)
class NonbondedTypes:
    """What the non-bonded rules need of each atom.

    Attributes:
        vdw_radius: (n,) Å (with implicit-hydrogen radii when the model has no hydrogens).
        ion_radius: (n,) Å, NaN where the library has none.
        hb_type: (n,) int8: 0 none, 1 donor, 2 acceptor, 3 both, 4 hydrogen that can donate.
        element: (n,) int8 atomic number.
        is_metal: (n,) bool.
        altloc: (n,) int8: 0 for atoms of every conformer, else a number per altloc character.
        residue: (n,) int32 index of the residue.
        occ: (n,) occupancy.
    """

    vdw_radius: F64
    ion_radius: F64
    hb_type: NDArray[np.int8]
    element: NDArray[np.int8]
    is_metal: NDArray[np.bool_]
    altloc: NDArray[np.int8]
    residue: I32
    occ: F64


@dataclass(frozen=True, slots=True, eq=False)
class Loose:
    """Atoms of residues that no dictionary knows.

    ``atoms`` (m,) int32, ascending.  ``bonds`` (k, 2) int32: pairs, at least one of them loose, that are bonded by
    their distance; no restraint follows, but they are no contacts, and their B are neighbours'.
    """

    atoms: I32
    bonds: I32

    @staticmethod
    def none() -> Loose:
        """Every residue is known."""
        return Loose(np.zeros(0, np.int32), np.zeros((0, 2), np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Topology:
    """All restraints of a model and what is needed to find the non-bonded ones."""

    n_atoms: int
    bonds: Bonds
    angles: Angles
    torsions: Torsions
    chirals: Chirals
    planes: Planes
    nonbonded: NonbondedTypes
    parent: I32
    is_hydrogen: NDArray[np.bool_]
    loose: Loose = field(default_factory=Loose.none)
