"""Small crystals and topologies made by hand for tests of restraints."""

from __future__ import annotations

from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from gpurefine.backend.blocks import BlockMatrix
from gpurefine.io.symmetry import crystal_from_gemmi
from gpurefine.model.crystal import Crystal
from gpurefine.model.topology import Angles, Bonds, Chirals, NonbondedTypes, Planes, Topology, Torsions

F64 = NDArray[np.float64]

CELLS = {
    "P 1": (21.0, 23.0, 25.0, 81.0, 97.0, 105.0),
    "P 1 21 1": (22.0, 24.0, 26.0, 90.0, 103.0, 90.0),
    "C 1 2 1": (34.0, 22.0, 24.0, 90.0, 111.0, 90.0),
    "I 21 3": (37.0, 37.0, 37.0, 90.0, 90.0, 90.0),
    "P 31 2 1": (28.0, 28.0, 33.0, 90.0, 90.0, 120.0),
}


def crystal(hm: str = "P 1", cell: tuple[float, ...] | None = None) -> Crystal:
    """A crystal of space group ``hm``."""
    return crystal_from_gemmi(gemmi.UnitCell(*(cell or CELLS[hm])), gemmi.SpaceGroup(hm))


def bonds(
    rows: list[tuple[int, int, float, float]], images: list[tuple[int, int, int, int]] | None = None
) -> Bonds:
    """Bonds (i, j, ideal, σ) with the image (operation, three shifts) of each second atom."""
    where = np.array(images or [(0, 0, 0, 0)] * len(rows), np.int32).reshape(-1, 4)
    table = np.array(rows, np.float64).reshape(-1, 4)
    ideal, sigma = table[:, 2:].T.copy()
    return Bonds(table[:, :2].astype(np.int32), ideal, sigma, where[:, 0].copy(), where[:, 1:].copy())


def _terms(rows: list[tuple[float, ...]], atoms: int) -> tuple[NDArray[np.int32], F64, F64, F64]:
    table = np.array(rows, np.float64).reshape(len(rows), -1) if rows else np.zeros((0, atoms + 3))
    padded = np.concatenate([table, np.zeros((len(table), atoms + 3 - table.shape[1]))], axis=1)
    ideal, sigma, last = padded[:, atoms:].T.copy()
    return padded[:, :atoms].astype(np.int32), ideal, sigma, last


def topology(
    n: int, bond: Bonds | None = None, angle: list[Any] | None = None, torsion: list[Any] | None = None,
    chiral: list[Any] | None = None, plane: list[tuple[list[int], float]] | None = None,
    parent: dict[int, int] | None = None, hydrogen: tuple[int, ...] = (), **types: Any,
) -> Topology:
    """A topology of ``n`` atoms; rows hold atoms, ideal, σ (and period, or 1 for either hand)."""
    a, t, c = _terms(angle or [], 3), _terms(torsion or [], 4), _terms(chiral or [], 4)
    planes = plane or []
    owner = np.arange(n, dtype=np.int32)
    for child, of in (parent or {}).items():
        owner[child] = of
    is_hydrogen = np.zeros(n, bool)
    is_hydrogen[[*(parent or {}), *hydrogen]] = True
    given = {
        "vdw_radius": np.full(n, 1.8), "ion_radius": np.full(n, np.nan), "hb_type": np.zeros(n, np.int8),
        "element": np.where(is_hydrogen, 1, 6).astype(np.int8), "is_metal": np.zeros(n, bool),
        "altloc": np.zeros(n, np.int8), "residue": np.zeros(n, np.int32), "occ": np.ones(n),
    } | types
    return Topology(
        n_atoms=n, bonds=bond or bonds([]), angles=Angles(a[0], a[1], a[2]),
        torsions=Torsions(t[0], t[1], t[2], t[3].astype(np.int32)), chirals=Chirals(c[0], c[1], c[2], c[3] > 0),
        planes=Planes(
            np.cumsum([0, *(len(p[0]) for p in planes)]).astype(np.int32),
            np.array([k for p in planes for k in p[0]], np.int32), np.array([p[1] for p in planes], np.float64),
        ),
        nonbonded=NonbondedTypes(**given), parent=owner, is_hydrogen=is_hydrogen,
    )


def random_model(seed: int = 0) -> tuple[F64, Topology, Crystal]:
    """Sixteen atoms with every kind of restraint, riding hydrogens and bonds to symmetry copies, in P3121."""
    rng = np.random.default_rng(seed)
    box = crystal("P 31 2 1")
    assert not np.allclose(box.cartesian_rotations()[1], box.cartesian_rotations()[1].T)
    xyz = np.concatenate([rng.uniform(0, 4.5, (1, 3))])
    while len(xyz) < 16:
        trial = rng.uniform(0, 4.5, 3)
        if np.linalg.norm(xyz - trial, axis=1).min() > 1.1:
            xyz = np.vstack([xyz, trial])

    def some(k: int) -> list[int]:
        return [int(a) for a in rng.choice(16, k, replace=False)]

    rows = [(*some(2), rng.uniform(1, 3), 0.1) for _ in range(12)]
    images = [(0, 0, 0, 0)] * 12
    for row in ((0, 1), (5, 5), (7, 13)):
        rows.append((*row, 8.0, 0.2))
        images.append((1, 0, -1, 1))
    top = topology(
        16, bonds(rows, images), [(*some(3), rng.uniform(1.5, 2.4), 0.1) for _ in range(10)],
        [(*some(4), rng.uniform(-3, 3), 0.3, period) for period in (1, 1, 2, 2, 3, 3, 6, 6)],
        [(*some(4), rng.uniform(-3, 3), 0.5, k % 2) for k in range(6)],
        [(some(k), 0.1) for k in (3, 4, 4, 5, 6, 7)], parent={12: 2, 13: 2, 14: 6, 15: 7},
    )
    return xyz, top, box


def on_host(array: Any) -> Any:
    """``array`` as NumPy's, also one of a device (CuPy's) or of the stand-in for one."""
    return array.get() if hasattr(array, "get") else getattr(array, "memory", array)


def dense(matrices: list[BlockMatrix]) -> F64:
    """The sum of block matrices as one full array."""
    n, side = matrices[0].diagonal.shape[:2]
    full = np.zeros((n, side, n, side))
    for matrix in matrices:
        full[np.arange(n), :, np.arange(n), :] += on_host(matrix.diagonal)
        for (i, j), block in zip(matrix.pattern.pairs, on_host(matrix.off), strict=True):
            full[i, :, j, :] += block
            full[j, :, i, :] += block.T
    return full.reshape(n * side, n * side)


def ride(xyz: F64, shift: F64, parent: NDArray[np.int32]) -> F64:
    """Positions when every atom moves with the shift (n, 3) of the atom it rides on."""
    return xyz + shift[parent]
