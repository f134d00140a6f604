"""Occupancies of groups, kept between 0 and 1 and, in complete sets, at a sum of one (method 6)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..backend.plans import AtomInformation, DensityGradient
from ..model.occupancy import OccupancyGroups
from .values import AtomTangent, AtomValues

F64 = NDArray[np.float64]

MOST_STEPS = 500
"""Of the search for the lowest allowed point; two or three groups need ten or twenty."""


def nearest_allowed(q: F64, complete: bool) -> F64:
    """The point nearest to ``q`` (k,) with no element negative and the sum 1 (``complete``) or at most 1.

    Projection onto the simplex: the elements are lowered by one common number and cut off at zero.
    """
    positive = np.maximum(q, 0.0)
    if not complete and positive.sum() <= 1.0:
        return positive
    ordered = np.sort(q)[::-1]
    excess = (np.cumsum(ordered) - 1.0) / np.arange(1, len(q) + 1)
    last = int(np.flatnonzero(ordered > excess)[-1])
    cut = np.maximum(q - excess[last], 0.0)
    return np.asarray(cut / cut.sum())


def _lowest(here: F64, gradient: F64, block: F64, complete: bool) -> F64:
    """The allowed point (k,) where gᵀx + ½ xᵀHx is lowest, x from ``here`` (k,): by projected gradients."""
    size = 1.0 / max(float(np.linalg.eigvalsh(block)[-1]), 1e-300)
    point = here
    for _ in range(MOST_STEPS):
        last, point = point, nearest_allowed(point - size * (gradient + block @ (point - here)), complete)
        if np.abs(point - last).max() < 1e-7:
            break
    return point


@dataclass(frozen=True, slots=True, eq=False)
class GroupOccupancies:
    """One block a set: shifts (m, k) of the occupancies of its up to k groups.

    Only directions that keep the sum of a complete set are taken; bounds are kept by :func:`nearest_allowed`.

    Attributes:
        groups: the sets.
        slot: (m, k) int: the group in each place, −1 where a set has fewer.
    """

    groups: OccupancyGroups
    slot: NDArray[np.intp]
    name: str = "occupancies"
    limit: float = 1.0
    by_occupancy: bool = True

    @staticmethod
    def of(groups: OccupancyGroups) -> GroupOccupancies:
        """The parameters of ``groups``."""
        most = max(len(members) for members in groups.sets)
        slot = np.full((len(groups.sets), most), -1, np.intp)
        for row, members in enumerate(groups.sets):
            slot[row, : len(members)] = members
        return GroupOccupancies(groups, slot)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, k)."""
        return self.slot.shape[0], self.slot.shape[1]

    def begin(self, values: AtomValues) -> AtomValues:
        """The atoms with one occupancy a group, as near to theirs as the constraints allow."""
        return self._with(values, self.groups.occupancies(values.occ))

    def move(self, values: AtomValues, shift: F64) -> AtomValues:
        """New occupancies, every set at the allowed point nearest to where the shift leads."""
        q = self.groups.occupancies(values.occ)
        used = self.slot >= 0
        q[self.slot[used]] += shift[used]
        return self._with(values, q)

    def within(self, values: AtomValues, gradient: F64, blocks: F64) -> F64:
        """The gradient (m, k) with which a full step ends at allowed occupancies: −H x for the shifts x at which the
        quadratic model is lowest among those.  The allowed points are convex, so shorter steps are allowed as well.
        """
        q = self.groups.occupancies(values.occ)
        out = gradient.copy()
        steps = -np.einsum("mij,mj->mi", np.linalg.pinv(blocks, rcond=1e-8, hermitian=True), gradient)
        for row, (members, complete) in enumerate(zip(self.groups.sets, self.groups.complete, strict=True)):
            here, n = q[list(members)], len(members)
            target = here + steps[row, :n]
            if np.abs(nearest_allowed(target, complete) - target).max() < 1e-9:
                continue
            found = _lowest(here, gradient[row, :n], blocks[row, :n, :n], complete)
            out[row, :n] = -blocks[row, :n, :n] @ (found - here)
        return out

    def tangent(self, values: AtomValues, shift: F64) -> AtomTangent:
        """The projected shift, atom by atom."""
        by_group = np.zeros(len(self.groups))
        used = self.slot >= 0
        allowed = np.einsum("mij,mj->mi", self._projectors, shift)
        by_group[self.slot[used]] = allowed[used]
        inside = self.groups.member >= 0
        out = AtomTangent.zero(len(inside))
        out.occ[inside] = by_group[self.groups.member[inside]]
        return out

    def pull(self, values: AtomValues, slope: DensityGradient) -> F64:
        """Slopes summed by group, projected onto the allowed directions."""
        raw = self._by_set(slope.weight)
        return np.asarray(np.einsum("mij,mj->mi", self._projectors, raw))

    def pull_blocks(self, values: AtomValues, information: AtomInformation) -> F64:
        """Curvature of each group on the diagonal, projected as the sums of the set demand."""
        diagonal = self._by_set(information.weight)[:, :, None] * np.eye(self.shape[1])
        project = self._projectors
        return project @ diagonal @ project

    def constrain(self, gradient: F64) -> F64:
        """No restraint acts on occupancies."""
        return gradient

    def _with(self, values: AtomValues, q: F64) -> AtomValues:
        for members, complete in zip(self.groups.sets, self.groups.complete, strict=True):
            index = list(members)
            q[index] = nearest_allowed(q[index], complete)
        inside = self.groups.member >= 0
        occ = values.occ.copy()
        occ[inside] = q[self.groups.member[inside]]
        return replace(values, occ=occ)

    def _by_set(self, per_atom: F64) -> F64:
        inside = self.groups.member >= 0
        by_group = np.bincount(self.groups.member[inside], per_atom[inside], minlength=len(self.groups))
        return np.where(self.slot >= 0, by_group[np.maximum(self.slot, 0)], 0.0)

    @property
    def _projectors(self) -> F64:
        """(m, k, k): onto the directions that keep the sums of complete sets; empty places stay."""
        used = (self.slot >= 0).astype(np.float64)
        mean = used[:, :, None] * used[:, None, :] / used.sum(axis=1)[:, None, None]
        held = np.array(self.groups.complete, np.float64)[:, None, None]
        return np.asarray(used[:, :, None] * np.eye(self.shape[1]) - held * mean)
