"""Rigid bodies: rotation about the centroid and translation, six parameters a group (method 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.gaussians import full_tensors
from ..backend.plans import AtomInformation, DensityGradient
from ..model.tls import TlsGroups, cross_matrix
from .carried import CarriedMotion
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]


def rotation_matrices(turn: F64) -> F64:
    """Rotations (g, 3, 3) about the axes ``turn`` (g, 3) by their lengths in radians (Rodrigues)."""
    angle = np.linalg.norm(turn, axis=1)[:, None, None]
    # r ↦ ω × r is −A(r) ω, the matrix of ω × is −(matrix of × ω)
    w = -cross_matrix(turn)
    squared = w @ w
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.where(angle > 1e-6, np.sin(angle) / angle, 1.0 - angle**2 / 6.0)
        second = np.where(angle > 1e-4, (1.0 - np.cos(angle)) / angle**2, 0.5 - angle**2 / 24.0)
    return np.asarray(np.eye(3) + first * w + second * squared)


@dataclass(frozen=True, slots=True, eq=False)
class BodySearch:
    """Bodies that are looked for: ``names``, ``member`` (n,) body of every atom or −1, and how far (``reach``, Å)."""

    names: tuple[str, ...]
    member: NDArray[np.int32]
    reach: float


@dataclass(frozen=True, slots=True, eq=False)
class RigidBodies:
    """Groups of atoms that move as one: shifts (g, 6), three of rotation and three of translation, all in Å.

    A rotation is measured by how far it moves an atom at the group's radius of gyration, so that one limit and one
    filter serve both.

    Attributes:
        member: (n,) int32 group of every atom, hydrogens included, −1 for atoms that stand still.
        radius: (g,) Å, root-mean-square distance from the centroid, at least 1.
        limit: Å, largest rotation or translation along one axis in one step.
        motion: TLS groups that go along.
    """

    member: NDArray[np.int32]
    radius: F64
    name: str = "rigid bodies"
    limit: float = 2.0
    by_occupancy: bool = False
    motion: CarriedMotion | None = None

    @staticmethod
    def of(member: NDArray[np.int32], xyz: F64, tls: TlsGroups | None = None) -> RigidBodies:
        """The groups ``member`` (n,) of atoms at ``xyz`` (n, 3) Å, some of which may be in TLS groups."""
        motion = None if tls is None else CarriedMotion.of(tls, member)
        bodies = RigidBodies(member, np.ones(int(member.max(initial=-1)) + 1), motion=motion)
        square = bodies._summed(bodies._offsets(xyz) ** 2).sum(axis=1) / np.maximum(bodies._counts(), 1)
        return replace(bodies, radius=np.maximum(np.sqrt(square), 1.0))

    @property
    def shape(self) -> tuple[int, int]:
        """(g, 6)."""
        return len(self.radius), 6

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """Every group turned about its centroid, then translated; anisotropic U and TLS tensors turn with it."""
        inside = self.member >= 0
        own = self.member[inside]
        turn = rotation_matrices(shift[:, :3] / self.radius[:, None])
        offset = self._offsets(values.xyz)
        xyz, u_aniso = values.xyz.copy(), values.u_aniso.copy()
        xyz[inside] += np.einsum("aij,aj->ai", turn[own] - np.eye(3), offset) + shift[own, 3:]
        u_aniso[inside] = _turned(values.u_aniso[inside], turn[own])
        tls = values.tls
        if self.motion is not None:
            tls = self.motion.moved(tls, turn, self._centres(values.xyz), shift[:, 3:])
        return replace(values, xyz=xyz, u_aniso=u_aniso, tls=tls)

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """Positions: λ × r + t; U: W U + U Wᵀ with W the matrix of λ ×, and what the TLS tensors that turn with the
        body change at places that stay."""
        n = len(self.member)
        inside = self.member >= 0
        own = self.member[inside]
        out = AtomTangent.zero(n)
        out.xyz[inside] = np.einsum("aij,aj->ai", self._lever(values.xyz), shift[own])
        w = -cross_matrix(shift[:, :3] / self.radius[:, None])[own]
        half = w @ full_tensors(values.u_aniso[inside])
        out.u_aniso[inside] = _six(half + np.swapaxes(half, 1, 2))
        if self.motion is not None:
            groups, body = self.motion.groups, self.motion.body
            change = np.einsum("gks,gs->gk", self._rates(values), np.where(body[:, None] >= 0, shift[body], 0.0))
            out.u_aniso[:] += groups.displacement(values.xyz, change)
        return out

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Transpose of :meth:`tangent`."""
        inside = self.member >= 0
        out = self._summed(np.einsum("aij,ai->aj", self._lever(values.xyz), slope.xyz[inside]))
        by_u = full_tensors(slope.u_aniso[inside]) * (0.5 + 0.5 * np.eye(3))
        torque = 2.0 * by_u @ full_tensors(values.u_aniso[inside])  # dL/dW
        turn = np.stack(
            [torque[:, 2, 1] - torque[:, 1, 2], torque[:, 0, 2] - torque[:, 2, 0], torque[:, 1, 0] - torque[:, 0, 1]],
            axis=1,
        )
        out[:, :3] += self._summed(turn) / self.radius[:, None]
        if self.motion is not None:
            groups, carried = self.motion.groups, self.motion.body >= 0
            own = groups.inside
            each = np.einsum("aij,ai->aj", groups.design(values.xyz)[own], slope.u_aniso[own])
            by_tensors = np.zeros((len(groups), each.shape[1]))
            np.add.at(by_tensors, groups.member[own], each)
            by_body = np.einsum("gks,gk->gs", self._rates(values), by_tensors)
            np.add.at(out, self.motion.body[carried], by_body[carried])
        return out

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Σ over the atoms of a group of leverᵀ I lever; what turning does to U is left out."""
        lever = self._lever(values.xyz)
        blocks = np.swapaxes(lever, 1, 2) @ information.xyz[self.member >= 0] @ lever
        return self._summed(blocks)

    def constrain(self, gradient: F64) -> F64:
        """All directions are refined."""
        return gradient

    def _counts(self) -> F64:
        return np.bincount(self.member[self.member >= 0], minlength=len(self.radius)).astype(np.float64)

    def _offsets(self, xyz: F64) -> F64:
        """Positions (m, 3) of the atoms inside groups from their group's centroid."""
        inside = self.member >= 0
        return np.asarray(xyz[inside] - self._centres(xyz)[self.member[inside]])

    def _centres(self, xyz: F64) -> F64:
        """Centroids (g, 3) Å."""
        return np.asarray(self._summed(xyz[self.member >= 0]) / np.maximum(self._counts(), 1.0)[:, None])

    def _rates(self, values: AtomValues) -> F64:
        """Change (t, 20, 6) of the tensors of the TLS groups by the shifts of their bodies."""
        assert self.motion is not None
        return self.motion.rates(values.tls, self._centres(values.xyz), self.radius)

    def _lever(self, xyz: F64) -> F64:
        """∂position/∂shift (m, 3, 6) of the atoms inside groups."""
        offset = self._offsets(xyz)
        own = self.member[self.member >= 0]
        lever = np.zeros((len(offset), 3, 6))
        lever[:, :, :3] = cross_matrix(offset) / self.radius[own, None, None]
        lever[:, :, 3:] = np.eye(3)
        return lever

    def _summed(self, each: F64) -> F64:
        """Rows (m, …) of the atoms inside groups summed by group."""
        own = self.member[self.member >= 0]
        flat = each.reshape(len(each), -1)
        out = np.stack([np.bincount(own, column, minlength=len(self.radius)) for column in flat.T], axis=1)
        return out.reshape((len(self.radius), *each.shape[1:]))


def _six(full: F64) -> F64:
    return np.ascontiguousarray(full[:, [0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]])


def _turned(six: F64, turn: F64) -> F64:
    """U (m, 6) after rotations (m, 3, 3)."""
    return _six(turn @ full_tensors(six) @ np.swapaxes(turn, 1, 2))
