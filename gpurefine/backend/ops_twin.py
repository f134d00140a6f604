"""The likelihood of a twin: operations that every backend performs (paper (8), method 4.6).

Reflections that the twin laws relate make a group.  The measured intensity of member j is normal about
Σ_d α_d F²_{k(j, d)} with the standard uncertainty σ_j, where α_d is the fraction of domain d and k(j, d) the member
that domain d contributes; every true amplitude F_k has Rice's distribution about D|F_c,k| with variance Σ_k = ε S.  All
amplitudes of a group are integrated out together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_reflections import Array

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]

LARGEST_GROUP = 12
"""Members: as many as cosets of the point group in the highest symmetry of a lattice can relate, and more than do."""


@dataclass(frozen=True, slots=True, eq=False)
class TwinGroups:
    """Groups of related reflections.

    Attributes:
        start: (n_group + 1,) int32: group g has the members ``start[g]`` … ``start[g + 1] − 1``.
        member: (n_member,) int32, the reflection of each member.
        mate: (n_member, n_domain) int32, the member (counted within the group) that each domain contributes, −1 where
            its F is 0 by symmetry; column 0 is the member itself.
    """

    start: I32
    member: I32
    mate: I32

    @property
    def group(self) -> NDArray[np.intp]:
        """(n_member,) group of every member."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))

    def mates(self) -> NDArray[np.intp]:
        """(n_member, n_domain) the contributing members counted through all groups, −1 for none."""
        first = self.start[:-1][self.group][:, None]
        return np.where(self.mate >= 0, self.mate + first, -1).astype(np.intp)


@dataclass(frozen=True, slots=True, eq=False)
class TwinPosterior:
    """What data and model say of the true amplitudes.

    ``minus_ll`` (n_group,) −log likelihood of each group's data; posterior means of every member (n_member,): ``f``
    ⟨F⟩, ``f2`` ⟨F²⟩, ``fm`` ⟨F cos(φ − φ_c)⟩, ``m`` ⟨cos(φ − φ_c)⟩; ``fraction_slope`` (n_group, n_domain)
    ∂(−LL)/∂α_d, each fraction by itself.
    """

    minus_ll: Array
    f: Array
    f2: Array
    fm: Array
    m: Array
    fraction_slope: Array


class TwinOps(Protocol):
    """Likelihood of twinned intensities."""

    def twin(
        self, groups: TwinGroups, fractions: F64, i_obs: F64, sigma: F64, mean: F64, variance: F64,
        centric: NDArray[np.bool_],
    ) -> TwinPosterior:
        """Integrate the true amplitudes of every group out.

        Args:
            fractions: (n_domain,) α > 0, domain 0 being the crystal itself.
            i_obs, sigma: (n_member,) measured intensities and uncertainties; σ ≤ 0 where nothing was measured.
            mean, variance, centric: (n_member,) D|F_c|, Σ = ε S and whether the phase is restricted.

        Groups of one and two are exact to about 1e-6; larger ones are integrated by expectation propagation
        (docs/likelihood_twin.md has the errors).
        """
