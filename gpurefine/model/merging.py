"""How well repeated measurements of the same reflections agree."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MergingShell:
    """One shell of resolution, or all data; what cannot be known is None.

    ``d_max``, ``d_min`` Å; numbers of ``observations`` and of ``unique`` reflections (Friedel mates apart);
    ``mean_i_over_sigma`` of the merged mates; ``r_merge``, ``r_meas`` and ``r_pim``; ``cc_half`` between random halves,
    mates apart, and ``cc_star`` = √(2 CC½/(1 + CC½)), the correlation of the data with the truth (Karplus & Diederichs
    2012, Science 336, 1030), which CC_work cannot exceed without fitting noise.
    """

    d_max: float
    d_min: float
    observations: int
    unique: int
    mean_i_over_sigma: float | None
    r_merge: float | None
    r_meas: float | None
    r_pim: float | None
    cc_half: float | None
    cc_star: float | None

    @property
    def multiplicity(self) -> float:
        """Observations of a unique reflection, on average."""
        return self.observations / max(self.unique, 1)


@dataclass(frozen=True, slots=True)
class Merging:
    """``overall`` and ``shells``, low resolution first."""

    overall: MergingShell
    shells: tuple[MergingShell, ...]
