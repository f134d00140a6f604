"""R factors and correlations of a cycle, by sums where the structure factors lie (method 9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.ops_reflections import Array, Groups, PairSums, ReflectionOps
from ..model.reflections import Reflections

F64 = NDArray[np.float64]
Index = NDArray[np.intp]

N_SHELL = 20
MIN_PER_SHELL = 10
STRONG = 2.0
"""I/σ(I) from which on an intensity counts for R1."""


def statistics_shells(inv_d2: F64, observed: NDArray[np.bool_], n_free: int) -> Index:
    """Shell (n,) of every reflection, equal numbers of observed ones, the first at lowest resolution.

    At most 20 shells, fewer where a shell would hold under ten free reflections.
    """
    n_shell = int(np.clip(observed.sum() // 200, 1, N_SHELL))
    if n_free:
        n_shell = int(np.clip(n_free // MIN_PER_SHELL, 1, n_shell))
    ordered = np.sort(inv_d2[observed])
    edges = ordered[(np.arange(1, n_shell) * len(ordered)) // n_shell]
    return np.searchsorted(edges, inv_d2, side="right")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one set of reflections agrees with the model; None where it is not defined.

    ``r`` and ``r_plain``, without k_iso; ``cc``, the mean of the shells' correlations weighted by their numbers of
    reflections; of intensities ``r1`` = Σ|√I − |F_c|| / Σ√I over I ≥ 2σ and ``cci``, the correlation of I and |F_c|².
    """

    r: float | None
    r_plain: float | None
    cc: float | None
    r1: float | None = None
    cci: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class AgreementPlan:
    """One set of reflections in its shells.

    Attributes:
        backend: performs the sums.
        f_obs: (n,); root, intensity: (n,) √I and I, None without intensities.
        shells: of the set; strong: those of it that count for R1, in one group.
    """

    backend: ReflectionOps
    f_obs: F64
    root: F64 | None
    intensity: F64 | None
    shells: Groups
    strong: Groups | None

    def measure(self, amplitude: Array, k_iso: Array) -> Agreement:
        """For model amplitudes (n,) of which k_iso (n,) is a factor."""
        return measured([self], amplitude, k_iso)[0]

    def calls(self, amplitude: Array, k_iso: Array) -> list[PairSums]:
        """The sums that :meth:`agreement` takes."""
        made = [
            PairSums(self.shells, self.f_obs, amplitude, None, False),
            PairSums(self.shells, self.f_obs, amplitude, k_iso, False),
        ]
        if self.root is not None and self.intensity is not None and self.strong is not None:
            made.append(PairSums(self.strong, self.root, amplitude, None, False))
            made.append(PairSums(self.shells, self.intensity, amplitude, None, True))
        return made

    def agreement(self, found: Sequence[F64]) -> Agreement:
        """From the sums of :meth:`calls`."""
        sums, plain = found[:2]
        if len(found) == 2:
            return Agreement(_r(sums), _r(plain), self._cc(sums))
        return Agreement(_r(sums), _r(plain), self._cc(sums), _r(found[2]), self._cc(found[3]))

    def _cc(self, sums: F64) -> float | None:
        """Mean of the shells' correlations; shells of fewer than three reflections, or without spread, do not count."""
        count = np.diff(self.shells.start)
        norm = np.sqrt(sums[:, 3] * sums[:, 4])
        known = (count >= 3) & (norm > 0.0)
        if not known.any():
            return None
        return float(np.average(sums[known, 5] / norm[known], weights=count[known]))


def measured(plans: Sequence[AgreementPlan], amplitude: Array, k_iso: Array) -> list[Agreement]:
    """Of several sets of reflections, whose sums come to the host together."""
    calls = [plan.calls(amplitude, k_iso) for plan in plans]
    found = iter(plans[0].backend.all_pair_sums([call for each in calls for call in each]))
    return [plan.agreement([next(found) for _ in each]) for plan, each in zip(plans, calls, strict=True)]


def _r(sums: F64) -> float | None:
    total = float(sums[:, 0].sum())
    return float(sums[:, 2].sum()) / total if total > 0.0 else None


def plan_agreement(backend: ReflectionOps, reflections: Reflections, index: Index, n_free: int) -> AgreementPlan:
    """Plan for the reflections ``index`` (k,) in the shells of all observed ones, of which ``n_free`` are free."""
    r = reflections
    shell = statistics_shells(r.inv_d2, r.observed, n_free)
    shells = Groups.of(shell[index], int(shell.max(initial=0)) + 1, index)
    if r.intensity is None or r.sigma_intensity is None:
        return AgreementPlan(backend, r.f, None, None, shells, None)
    strong = index[r.intensity[index] >= STRONG * r.sigma_intensity[index]]
    root = np.sqrt(np.maximum(r.intensity, 0.0))
    return AgreementPlan(
        backend, r.f, root, r.intensity, shells, Groups.of(np.zeros(len(strong), np.intp), 1, strong)
    )
