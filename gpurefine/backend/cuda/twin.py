"""The cuda backend's likelihood of a twin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..ops_twin import TwinGroups, TwinPosterior
from ..quadrature import BESSEL_END, BESSEL_STEPS, bessel_table
from .base import DeviceOps
from .device import DeviceArray
from .values import DeviceValues

BLOCK = 64
"""Threads of a block: kernels of many registers."""

MOST_BLOCKS = 256
"""Of groups of three and more, each thread of which has working memory of its own."""


@dataclass(frozen=True, slots=True, eq=False)
class TwinPlan:
    """Groups on the device.

    ``start``, ``member``, ``mate`` as in :class:`TwinGroups`; ``pairs`` lists those of one and two, ``groups`` the
    others, of which the largest has ``largest`` members.
    """

    start: DeviceArray
    member: DeviceArray
    mate: DeviceArray
    pairs: DeviceArray
    groups: DeviceArray
    table: DeviceArray
    largest: int


class TwinOps(DeviceOps):
    """One thread a group."""

    def planned_twin(self, groups: TwinGroups) -> TwinPlan:
        """``groups`` on the device."""
        return self.kept("twin", lambda: self._plan_twin(groups), groups)

    def _plan_twin(self, groups: TwinGroups) -> TwinPlan:
        size = np.diff(groups.start)
        return TwinPlan(
            self.fixed(groups.start, np.int32), self.fixed(groups.member, np.int32),
            self.fixed(groups.mate, np.int32),
            self.fixed(np.flatnonzero(size <= 2), np.int32), self.fixed(np.flatnonzero(size > 2), np.int32),
            self.fixed(bessel_table(), np.float64), int(size.max(initial=0)),
        )

    def twin(
        self, groups: TwinGroups, fractions: Any, i_obs: Any, sigma: Any, mean: Any, variance: Any, centric: Any
    ) -> TwinPosterior:
        """See :class:`gpurefine.backend.ops_twin.TwinOps`."""
        n_group, n_member, n_domain = len(groups.start) - 1, len(groups.member), len(fractions)
        plan, stay = self.planned_twin(groups), isinstance(mean, DeviceValues)
        first, second, end = np.cumsum((n_group, 4 * n_member, n_group * n_domain)).tolist()
        lent = self.lend(end, np.float64) if stay else None
        out = self.buffer("twin", end, np.float64) if lent is None else lent.array
        send = self.unchanged if stay else self.send
        arguments = (
            plan.start, plan.mate, self.send("twin.fractions", fractions, np.float64),
            send("twin.i_obs", i_obs, np.float64), send("twin.sigma", sigma, np.float64),
            self.send("fc_abs", mean, np.float64), self.send("s", variance, np.float64),
            send("twin.centric", centric, np.bool_), np.int32(n_member), np.int32(n_domain), plan.table,
            np.float64(BESSEL_STEPS), np.float64(BESSEL_END), out[:first], out[first:second], out[second:],
        )
        self.launch("twin_pairs", plan.pairs.size, plan.pairs, np.int32(plan.pairs.size), *arguments, block=BLOCK)
        if plan.groups.size:
            threads = BLOCK * min(-(-plan.groups.size // BLOCK), MOST_BLOCKS)
            room = plan.largest * (3 * plan.largest + 7)  # of a TwinGroup (kernels/twin_group.cuh)
            work = self.buffer("twin.work", threads * room, np.float64)
            self.launch(
                "twin_groups", threads, plan.groups, np.int32(plan.groups.size), *arguments, work, block=BLOCK
            )
        if lent is not None:
            rows = [lent.part(out[first + k * n_member : first + (k + 1) * n_member]) for k in range(4)]
            slopes = lent.part(out[second:].reshape(n_group, n_domain))
            return TwinPosterior(lent.part(out[:first]), rows[0], rows[1], rows[2], rows[3], slopes)
        host: NDArray[np.float64] = self.device.download(out)
        posterior = host[first:second].reshape(4, n_member)
        return TwinPosterior(
            host[:first], posterior[0], posterior[1], posterior[2], posterior[3],
            host[second:].reshape(n_group, n_domain),
        )
