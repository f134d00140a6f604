"""Hydrogens whose place their neighbours leave open: those of water, hydroxyl, ammonium and methyl groups."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..model.topology import Bonds, Planes

Flags = NDArray[np.bool_]


def turning_hydrogens(
    st: gemmi.Structure, bonds: Bonds, planes: Planes, parent: NDArray[np.int32], hydrogen: Flags
) -> Flags:
    """Which hydrogens (n,) can turn about a bond, or stand on a lone atom, without breaking a restraint.

    Bond lengths and angles fix the place of a hydrogen whose parent has two neighbours besides hydrogen.  Where it has
    one, a plane must (amide, amino and guanidinium groups); where it has none, as in water, nothing does.  Alternative
    conformers of a neighbour count as one.

    Args:
        st: the structure that the arrays were made of; parent: (n,) what each hydrogen is bonded to, itself where
            nothing is near; hydrogen: (n,).
    """
    site, seen = np.empty(len(parent), np.int64), dict[tuple[int, str], int]()
    k = 0
    for number, residue in enumerate(residue for chain in st[0] for residue in chain):
        for atom in residue:
            site[k] = seen.setdefault((number, atom.name), len(seen))
            k += 1
    pairs = np.concatenate([bonds.atoms, bonds.atoms[:, ::-1]])
    pairs = pairs[~hydrogen[pairs].any(axis=1)]
    neighbours = np.zeros(len(parent), np.int64)
    first, _ = np.unique(np.stack([pairs[:, 0].astype(np.int64), site[pairs[:, 1]]], axis=1), axis=0).T
    np.add.at(neighbours, first, 1)
    flat = np.zeros(len(parent), bool)
    flat[planes.atoms] = True
    around = neighbours[parent]
    return np.asarray(hydrogen & ((around == 0) | ((around == 1) & ~flat)))
