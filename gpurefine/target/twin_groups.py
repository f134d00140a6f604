"""Groups of reflections that twinning relates, and what their intensities tell of each member."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_twin import TwinGroups
from ..model.measured import TwinInput

F64 = NDArray[np.float64]


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


def response_variance(
    groups: TwinGroups, fractions: F64, sigma: F64, variance: F64
) -> F64:
    """Σ_j a_jk²/Var(I_j) (n_member,): 1/variance with which |F_k|² is measured, other members left to the model.

    Args:
        sigma: (n_member,) uncertainties of I, 0 where not measured; variance: (n_member,) of |F|² under the model.
    """
    mates = groups.mates()
    measured = sigma > 0.0
    n_domain = mates.shape[1]
    # domains that contribute the same member add up before they are squared
    total = sigma**2
    weights = np.zeros(mates.shape)
    for d in range(n_domain):
        same = (mates == mates[:, d : d + 1]) & (mates[:, d : d + 1] >= 0)
        whole = (same * fractions).sum(axis=1)
        firstly = ~same[:, :d].any(axis=1)
        weights[:, d] = np.where(firstly, whole, 0.0)
        total = total + weights[:, d] ** 2 * np.append(variance, 0.0)[mates[:, d]]
    inverse = np.where(measured, 1.0 / np.where(measured, total, 1.0), 0.0)
    told = np.zeros(len(sigma) + 1)
    for d in range(n_domain):
        np.add.at(told, mates[:, d], weights[:, d] ** 2 * inverse)
    return told[:-1]
