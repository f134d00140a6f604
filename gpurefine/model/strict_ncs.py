"""Copies of a molecule that strict non-crystallographic symmetry makes: one asymmetric unit out of one copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .atoms import Atoms
from .crystal import Crystal
from .tensors import tensor_rotation
from .topology import Angles, Bonds, Chirals, Loose, Planes, Topology, Torsions

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

SAME_PLACE = 1.0
"""Å r.m.s.: copies that crystallographic symmetry brings nearer to each other than this are one and the same."""

SAMPLE = 60
"""Atoms that are looked at for that."""


@dataclass(frozen=True, slots=True, eq=False)
class StrictNcs:
    """Operators x ↦ R x + t that make copies of the atoms given; the copies follow one another, the given one first.

    Attributes:
        names: what the model's file calls each operator; "1" for the identity.
        rotations: (k, 3, 3) Cartesian, the first the identity.
        translations: (k, 3) Å, the first zero.
    """

    names: tuple[str, ...]
    rotations: F64
    translations: F64

    def __len__(self) -> int:
        return len(self.rotations)

    @property
    def tensor_rotations(self) -> F64:
        """(k, 6, 6) what turns the six-vector of a tensor into that of each copy's."""
        return np.array([tensor_rotation(turn) for turn in self.rotations])

    def positions(self, xyz: F64) -> F64:
        """Positions (k n, 3) Å of all copies of atoms at ``xyz`` (n, 3) Å."""
        moved = np.einsum("kij,nj->kni", self.rotations, xyz) + self.translations[:, None, :]
        moved[0] = xyz  # to the last bit
        return np.asarray(moved.reshape(-1, 3))

    def tensors(self, u: F64) -> F64:
        """Tensors (k n, 6) Å² of all copies of atoms whose are ``u`` (n, 6) Å²."""
        if not u.any():
            return np.zeros((len(self) * len(u), 6))
        turned = np.einsum("kij,nj->kni", self.tensor_rotations, u)
        turned[0] = u
        return np.asarray(turned.reshape(-1, 6))

    def each(self, values: NDArray[Any]) -> NDArray[Any]:
        """What is alike in all copies: ``values`` (n, …) so many times as there are copies, (k n, …)."""
        return np.tile(values, (len(self), *[1] * (values.ndim - 1)))

    def labels(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Names (k n,) of the atoms of all copies, those of the given one unchanged."""
        made = [f"{label} (copy {name})" for name in self.names[1:] for label in labels]
        return (*labels, *made)

    def atoms(self, atoms: Atoms) -> Atoms:
        """The atoms of all copies."""
        return replace(
            atoms, xyz=self.positions(atoms.xyz), b_iso=self.each(atoms.b_iso), u_aniso=self.tensors(atoms.u_aniso),
            is_aniso=self.each(atoms.is_aniso), occ=self.each(atoms.occ), scatterer=self.each(atoms.scatterer),
            is_hydrogen=self.each(atoms.is_hydrogen), parent=self._indices(atoms.parent, len(atoms)),
            site_multiplicity=self.each(atoms.site_multiplicity),
            scattering_weight=self.each(atoms.scattering_weight),
        )  # fmt: skip

    def topology(self, topology: Topology) -> Topology:
        """The restraints of all copies; bonds to crystallographic mates are those of the given copy alone."""
        n, t = topology.n_atoms, topology
        b, a, r, c, p = t.bonds, t.angles, t.torsions, t.chirals, t.planes
        inside = (b.image == 0) & ~b.shift.any(axis=1)
        others = np.flatnonzero(np.concatenate([np.ones(len(inside), bool), np.tile(inside, len(self) - 1)]))
        residues = int(t.nonbonded.residue.max(initial=-1)) + 1
        sizes = self.each(np.diff(p.start))
        types = {f: self.each(getattr(t.nonbonded, f)) for f in t.nonbonded.__dataclass_fields__ if f != "residue"}
        return Topology(
            n_atoms=n * len(self),
            bonds=Bonds(
                self._indices(b.atoms, n)[others], self.each(b.ideal)[others], self.each(b.sigma)[others],
                self.each(b.image)[others], self.each(b.shift)[others],
            ),
            angles=Angles(self._indices(a.atoms, n), self.each(a.ideal), self.each(a.sigma)),
            torsions=Torsions(
                self._indices(r.atoms, n), self.each(r.ideal), self.each(r.sigma), self.each(r.period)
            ),
            chirals=Chirals(self._indices(c.atoms, n), self.each(c.ideal), self.each(c.sigma), self.each(c.both)),
            planes=Planes(
                np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32), self._indices(p.atoms, n),
                self.each(p.sigma),
            ),
            nonbonded=replace(t.nonbonded, residue=self._indices(t.nonbonded.residue, residues), **types),
            parent=self._indices(t.parent, n),
            is_hydrogen=self.each(t.is_hydrogen),
            loose=Loose(self._indices(t.loose.atoms, n), self._indices(t.loose.bonds, n)),
        )  # fmt: skip

    def repeated_by(self, crystal: Crystal, xyz: F64) -> tuple[int, int] | None:
        """Two copies of atoms at ``xyz`` (n, 3) Å that lie on each other or that ``crystal`` makes of each other."""
        some = xyz[np.linspace(0, len(xyz) - 1, min(len(xyz), SAMPLE)).astype(int)]
        places = (self.positions(some) @ crystal.frac.T).reshape(len(self), len(some), 3)
        images = np.einsum("oij,knj->koni", crystal.rotations, places) + crystal.translations[:, None, :]
        for second in range(1, len(self)):
            apart = images[:second] - places[second]
            apart -= np.rint(apart.mean(axis=2, keepdims=True))
            distance = np.sqrt(np.mean(np.sum((apart @ crystal.orth.T) ** 2, axis=-1), axis=-1))
            if distance.min() < SAME_PLACE:
                return int(np.unravel_index(int(distance.argmin()), distance.shape)[0]), second
        return None

    def _indices(self, index: I32, count: int) -> I32:
        """Indices among ``count`` things, for every copy in turn."""
        offset = np.arange(len(self), dtype=np.int64) * count
        return (offset.reshape(-1, *[1] * index.ndim) + index).reshape(-1, *index.shape[1:]).astype(np.int32)


@dataclass(frozen=True, slots=True)
class NcsRecord:
    """What is told of strict symmetry: ``n_operators`` beside the identity, atoms of one copy and of all."""

    n_operators: int
    n_atoms_copy: int
    n_atoms: int
