"""All covalent restraints in one pass: each thread does its part of every kind."""

from __future__ import annotations

from numba import prange

from ..ops_restraints import F64, I32, Flags
from .gather import half_squares
from .geometry_terms import bent_terms, bond_terms, chiral_terms, linear_terms, torsion_terms
from .jit import njit
from .planes import plane_frames

CHUNKS = 32
"""Parts: their number is fixed, so that sums have the same bits for any number of threads."""


@njit()
def _part(chunk: int, n: int) -> tuple[int, int]:
    return chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS


@njit(cache=True, parallel=True, error_model="numpy")
def covalent_terms(
    xyz: F64, bond_atoms: I32, bond_ideal: F64, bond_sigma: F64, bond_op: I32, bond_shift: I32, rotation: F64,
    translation: F64, orth: F64, angle_atoms: I32, angle_ideal: F64, angle_sigma: F64, bent: I32, linear: I32,
    torsion_atoms: I32, torsion_ideal: F64, torsion_sigma: F64, torsion_period: I32, chiral_atoms: I32,
    chiral_ideal: F64, chiral_sigma: F64, chiral_both: Flags, plane_start: I32, plane_atoms: I32, plane_sigma: F64,
    z: F64, jacobian: F64, frame: F64, member: F64, derivative: bool, sums: F64,
) -> None:
    """z (m,) and, if ``derivative``, J̃ of bonds, bent and linear angles, torsions and chirals, and all planes.

    ``sums`` (CHUNKS, 5) is overwritten with ½ Σ z² of bonds, angles, torsions, chirals and planes.
    """
    n_bond, n_bent, n_linear = len(bond_ideal), len(bent), len(linear)
    n_torsion, n_chiral, n_plane = len(torsion_ideal), len(chiral_ideal), len(plane_sigma)
    e0 = n_bond
    e1 = e0 + n_bent
    e2 = e1 + 3 * n_linear
    e3 = e2 + n_torsion
    r1 = 2 * n_bond
    r2 = r1 + 3 * n_bent
    r3 = r2 + 9 * n_linear
    r4 = r3 + 4 * n_torsion
    for chunk in prange(CHUNKS):
        first, last = _part(chunk, n_bond)
        bond_terms(
            first, last, xyz, bond_atoms, bond_ideal, bond_sigma, bond_op, bond_shift, rotation, translation, orth,
            z, jacobian, 0, derivative,
        )
        sums[chunk, 0] = half_squares(z, first, last)
        first, last = _part(chunk, n_bent)
        bent_terms(
            first, last, xyz, angle_atoms, angle_ideal, angle_sigma, bent, z[e0:], jacobian, r1, derivative
        )
        sums[chunk, 1] = half_squares(z, e0 + first, e0 + last)
        first, last = _part(chunk, n_linear)
        linear_terms(first, last, xyz, angle_atoms, angle_sigma, linear, z[e1:], jacobian, r2, derivative)
        sums[chunk, 1] += half_squares(z, e1 + 3 * first, e1 + 3 * last)
        first, last = _part(chunk, n_torsion)
        torsion_terms(
            first, last, xyz, torsion_atoms, torsion_ideal, torsion_sigma, torsion_period, z[e2:], jacobian, r3,
            derivative,
        )
        sums[chunk, 2] = half_squares(z, e2 + first, e2 + last)
        first, last = _part(chunk, n_chiral)
        chiral_terms(
            first, last, xyz, chiral_atoms, chiral_ideal, chiral_sigma, chiral_both, z[e3:], jacobian, r4, derivative
        )
        sums[chunk, 3] = half_squares(z, e3 + first, e3 + last)
        first, last = _part(chunk, n_plane)
        plane_frames(first, last, xyz, plane_start, plane_atoms, plane_sigma, frame, member)
        total = 0.0
        for plane in range(first, last):
            total += frame[plane, 15]
        sums[chunk, 4] = total


@njit(cache=True, error_model="numpy")
def straight_angles(xyz: F64, atoms: I32, ideal: F64, sigma: F64, linear: I32, z: F64, jacobian: F64) -> None:
    """z (m,) = (angle − ideal)/σ of the angles ``linear`` (m,) as if they were bent; ``jacobian`` stays as it is."""
    bent_terms(0, len(linear), xyz, atoms, ideal, sigma, linear, z, jacobian, 0, False)
