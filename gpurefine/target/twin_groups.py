"""Groups of reflections that twinning relates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_twin import TwinGroups
from ..model.measured import TwinInput


def plan_groups(twin: TwinInput, used: NDArray[np.bool_]) -> TwinGroups:
    """The groups of which at least one measurement is ``used`` (n,), with all their members."""
    n_orbit = int(twin.orbit.max(initial=-1)) + 1
    wanted = np.bincount(twin.orbit[used], minlength=n_orbit) > 0
    member = np.flatnonzero(wanted[twin.orbit])
    member = member[np.argsort(twin.orbit[member], kind="stable")]
    # those of a kind together, so that threads get equal shares: singles, pairs, ...
    size = np.bincount(twin.orbit[member], minlength=n_orbit)[twin.orbit[member]]
    member = member[np.argsort(size, kind="stable")]
    orbit = twin.orbit[member]
    first = np.flatnonzero(np.concatenate([[True], orbit[1:] != orbit[:-1]])) if len(member) else np.zeros(0, np.intp)
    start = np.append(first, len(member)).astype(np.int32)
    rank = np.full(len(used), -1, np.int64)
    rank[member] = np.arange(len(member)) - np.repeat(first, np.diff(start))
    mates = twin.mates[:, member]
    mate = np.where(mates >= 0, rank[np.maximum(mates, 0)], -1)
    return TwinGroups(start, member.astype(np.int32), np.ascontiguousarray(mate.T.astype(np.int32)))
