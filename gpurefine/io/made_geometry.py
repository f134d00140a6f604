"""Ideal values for a residue that no dictionary knows, from its own coordinates in a model.

Bonds and angles are means over the copies of the residue; flat atoms and rings make planes, and centres that are not
flat keep their hand.  Such values hold a ligand together; they repeat the mistakes of the model.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import gemmi
import numpy as np
from numpy.typing import NDArray

from .residue_bonds import distance_bonds, neighbours

F64 = NDArray[np.float64]

BOND_SIGMA, ANGLE_SIGMA, PLANE_SIGMA = 0.02, 3.0, 0.02
"""Å, degrees, Å: those of the monomer library for bonds, twice as wide for angles."""

FLAT = 0.15
"""Å from the plane of its three neighbours up to which an atom is taken to be flat (a tetrahedral one is at 0.5)."""

RING_FLAT = 0.08
"""Å: r.m.s. distance from its plane of a flat ring."""

LINEAR = 165.0


@dataclass(slots=True)
class MadeGeometry:
    """Restraints by names of atoms.

    Attributes:
        elements: of every atom other than hydrogen, in the order of the residue.
        bonds: Å; angles: degrees, the apex in the middle; planes: names; chirals: centre and three neighbours with
            "positive" or "negative".
        types: energy types.
        copies: number of residues averaged.
        xyz: (copies, n, 3) Å, atoms in the order of ``elements``.
    """

    elements: dict[str, str]
    xyz: F64
    bonds: dict[tuple[str, str], float] = field(default_factory=dict)
    angles: dict[tuple[str, str, str], float] = field(default_factory=dict)
    planes: list[tuple[str, ...]] = field(default_factory=list)
    chirals: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    copies: int = 1

    def out_of_plane(self, names: Sequence[str]) -> float:
        """R.m.s. distance Å of atoms from their best plane."""
        order = list(self.elements)
        return _spread(self.xyz[:, [order.index(name) for name in names]])

    def around(self) -> dict[str, list[str]]:
        """Bonded atoms of every atom."""
        names = list(self.elements)
        index = {name: k for k, name in enumerate(names)}
        lists = neighbours(len(names), [(index[a], index[b]) for a, b in self.bonds])
        return {name: [names[k] for k in lists[index[name]]] for name in names}


def heavy_atoms(residue: gemmi.Residue) -> list[gemmi.Atom]:
    """Atoms other than hydrogen of the first conformer."""
    chosen: dict[str, gemmi.Atom] = {}
    for atom in residue:
        if not atom.is_hydrogen():
            chosen.setdefault(atom.name, atom)
    return list(chosen.values())


def measure(copies: Sequence[gemmi.Residue]) -> MadeGeometry:
    """Restraints from the coordinates of all copies that have as many atoms as the most complete one."""
    lists = [heavy_atoms(residue) for residue in copies]
    best = max(lists, key=len)
    names = [atom.name for atom in best]
    whole = [{atom.name: atom for atom in atoms} for atoms in lists if {a.name for a in atoms} >= set(names)]
    xyz = np.array([[one[name].pos.tolist() for name in names] for one in whole], dtype=np.float64)
    made = MadeGeometry({atom.name: atom.element.name for atom in best}, xyz, copies=len(whole))
    pairs = distance_bonds(best)
    around = neighbours(len(names), pairs)
    for i, j in pairs:
        made.bonds[names[i], names[j]] = float(np.linalg.norm(xyz[:, i] - xyz[:, j], axis=1).mean())
    for centre, partners in enumerate(around):
        for i, j in itertools.combinations(partners, 2):
            made.angles[names[i], names[centre], names[j]] = float(_angle(xyz, i, centre, j).mean())
    flat = [_flatness(xyz, centre, partners) for centre, partners in enumerate(around)]
    _planes(made, names, xyz, around, flat)
    _chirals(made, names, xyz, around, flat)
    made.types = {name: _energy_type(k, best, xyz, around, flat) for k, name in enumerate(names)}
    return made


def _angle(xyz: F64, i: int, centre: int, j: int) -> F64:
    """Angles in degrees (copies,)."""
    a, b = xyz[:, i] - xyz[:, centre], xyz[:, j] - xyz[:, centre]
    cosine = np.einsum("ck,ck->c", a, b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))), np.float64)


def _flatness(xyz: F64, centre: int, partners: list[int]) -> float:
    """Mean signed distance Å of an atom from the plane of its three neighbours; infinite for other numbers."""
    if len(partners) != 3:
        return np.inf
    a, b, c = (xyz[:, k] for k in partners)
    normal = np.cross(b - a, c - a)
    length = np.linalg.norm(normal, axis=1)
    if not np.all(length > 1e-3):
        return np.inf
    return float(np.mean(np.einsum("ck,ck->c", normal, xyz[:, centre] - a) / length))


def _planes(made: MadeGeometry, names: list[str], xyz: F64, around: list[list[int]], flat: list[float]) -> None:
    """Flat rings with what is bonded to them, and flat atoms of three neighbours that no ring holds."""
    inside: set[int] = set()
    for ring in _rings(around):
        if _spread(xyz[:, ring]) < RING_FLAT:
            members = list(ring)
            members += sorted({
                k for atom in ring for k in around[atom] if k not in ring and abs(flat[atom]) < FLAT
            })
            made.planes.append(tuple(names[k] for k in members))
            inside |= set(ring)
    for centre, partners in enumerate(around):
        if centre not in inside and abs(flat[centre]) < FLAT:
            made.planes.append((names[centre], *(names[k] for k in partners)))


def _spread(points: F64) -> float:
    """R.m.s. distance Å of points (copies, k, 3) from the best plane of each copy."""
    centred = points - points.mean(axis=1, keepdims=True)
    return float(np.sqrt(np.mean(np.linalg.svd(centred, compute_uv=False)[:, 2] ** 2 / points.shape[1])))


def _rings(around: list[list[int]]) -> list[tuple[int, ...]]:
    """Rings of five to seven atoms, every one once."""
    found: dict[frozenset[int], tuple[int, ...]] = {}
    for start in range(len(around)):
        stack: list[tuple[int, ...]] = [(start,)]
        while stack:
            path = stack.pop()
            for following in around[path[-1]]:
                if following == start and len(path) >= 5:
                    found.setdefault(frozenset(path), path)
                elif following > start and following not in path and len(path) < 7:
                    stack.append((*path, following))
    # a ring that is two smaller ones together says nothing new
    return [path for atoms, path in found.items() if not any(other < atoms for other in found)]


def _chirals(made: MadeGeometry, names: list[str], xyz: F64, around: list[list[int]], flat: list[float]) -> None:
    """Centres of three or four neighbours that are not flat, with their hand."""
    for centre, partners in enumerate(around):
        three = partners[:3]
        if len(partners) not in (3, 4) or made.elements[names[centre]] not in ("C", "P", "S", "Si"):
            continue
        if len(partners) == 3 and abs(flat[centre]) < FLAT:
            continue
        arms = xyz[:, three] - xyz[:, [centre]]
        volume = np.linalg.det(arms)
        terminal = [k for k in partners if len(around[k]) == 1]
        alike = len({made.elements[names[k]] for k in terminal}) < len(terminal)
        if not alike and (np.all(volume > 0.5) or np.all(volume < -0.5)):
            sign = "positive" if volume[0] > 0.0 else "negative"
            made.chirals.append((names[centre], *(names[k] for k in three), sign))  # type: ignore[arg-type]


def _energy_type(k: int, atoms: list[gemmi.Atom], xyz: F64, around: list[list[int]], flat: list[float]) -> str:
    """Energy type by element, number of neighbours and geometry."""
    element, partners = atoms[k].element.name, around[k]
    n = len(partners)
    lengths = [float(np.linalg.norm(xyz[:, k] - xyz[:, j], axis=1).mean()) for j in partners]
    if element == "C":
        if n == 2 and _angle(xyz, partners[0], k, partners[1]).mean() > LINEAR:
            return "CSP"
        trigonal = abs(flat[k]) < FLAT if n == 3 else n < 3 and min(lengths, default=2.0) < 1.44
        if trigonal:
            return {3: "C", 2: "C1", 1: "C2"}.get(n, "C")
        return {0: "CH3", 1: "CH3", 2: "CH2", 3: "CH1"}.get(n, "CT")
    if element == "N":
        if n >= 4:
            return "NT"
        if n == 3:
            return "N" if abs(flat[k]) < FLAT else "NT"
        return "NH1" if n == 2 else "NH2"
    if element == "O":
        if n == 2:
            return "O2"
        heavy = n == 1 and atoms[partners[0]].element.name in ("P", "S")
        if n == 0:
            return "OH2"
        return "OP" if heavy else "O" if lengths[0] < 1.30 else "OH1"
    return element.upper()
