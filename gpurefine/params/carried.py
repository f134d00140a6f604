"""Motion of TLS groups that goes along with rigid bodies.

The tensors stay written about the groups' origins as given: that of a body which has been turned and shifted is the
same motion seen from elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.tls import Tensors, TlsGroups, cross_matrix

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class CarriedMotion:
    """TLS ``groups`` and the ``body`` (g,) that takes each along, −1 for none."""

    groups: TlsGroups
    body: NDArray[np.int32]

    @staticmethod
    def of(groups: TlsGroups, member: NDArray[np.int32]) -> CarriedMotion:
        """Every group goes with the body that most of its atoms are in; ``member`` (n,) body of each atom or −1."""
        body = np.full(len(groups), -1, np.int32)
        for g in range(len(groups)):
            own = member[groups.member == g]
            counts = np.bincount(own[own >= 0], minlength=1)
            if 2 * counts.max() > len(own):
                body[g] = counts.argmax()
        return CarriedMotion(groups, body)

    def divided(self, member: NDArray[np.int32]) -> list[str]:
        """Names of the groups that rigid bodies of ``member`` (n,) take apart."""
        return [
            name for g, name in enumerate(self.groups.names) if len(np.unique(member[self.groups.member == g])) > 1
        ]

    def moved(self, values: F64, turn: F64, centre: F64, shift: F64) -> F64:
        """Motion (g, 20) after bodies have been turned by ``turn`` (b, 3, 3) about ``centre`` (b, 3) Å and shifted by
        ``shift`` (b, 3) Å."""
        out, own = values.copy(), self.body >= 0
        b = self.body[own]
        arm = self.groups.origin[own] - centre[b]
        step = np.einsum("gij,gj->gi", turn[b] - np.eye(3), arm) + shift[b]
        out[own] = Tensors.of(values[own]).turned(turn[b]).moved(-step).values()
        return out

    def rates(self, values: F64, centre: F64, radius: F64) -> F64:
        """∂motion/∂(turn, shift of the group's body) (g, 20, 6); turns in Å at ``radius`` (b,), zero without a body."""
        out = np.zeros((*values.shape, 6))
        own = np.flatnonzero(self.body >= 0)
        b = self.body[own]
        at = Tensors.of(values[own])
        arm = self.groups.origin[own] - centre[b]
        still = np.zeros((len(own), 3, 3))
        for k, axis in enumerate(np.eye(3)):
            w = -cross_matrix(axis[None])[0] / radius[b, None, None]  # the matrix of ω ×
            turned = Tensors(*(w @ each - each @ w for each in (at.t, at.l, at.s)))
            for column, (change, step) in enumerate((
                (turned, np.einsum("gij,gj->gi", w, arm)), (Tensors(still, still, still), np.tile(axis, (len(own), 1))),
            )):
                d = cross_matrix(-step)
                screw = d @ at.s
                moved = Tensors(
                    change.t + screw + np.swapaxes(screw, 1, 2), change.l, change.s + at.l @ np.swapaxes(d, 1, 2)
                )
                out[own, :, 3 * column + k] = moved.values()
        return out
