"""The likelihood of amplitudes with prior phases: operations that every backend performs (paper (6)–(7), method 4.3).

What is known of the phase beforehand is P(φ) = N exp(A cos φ + B sin φ + C cos 2φ + D sin 2φ) (Hendrickson & Lattman
1970), as an average over which Rice's distribution is taken before the phase is integrated out:

    acentric  p = (2F/Σ) exp(−(F² + D²|F_c|²)/Σ) ∫P(φ) exp(X cos(φ − φ_c)) dφ,   X = 2FD|F_c|/Σ
    centric   the sum over the two possible phases instead, X = FD|F_c|/Σ

(as printed, (6) has the factor of a P that is 1 everywhere; here ∫P dφ = 1, so that A = B = C = D = 0 is Rice).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .plans import SigmaaResult

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, eq=False)
class PhasedResult:
    """The likelihood per reflection (n,).

    ``minus_ll``; ``gradient`` ∂/∂Re F_c + i ∂/∂Im F_c and ``information`` ≥ 0, expected squared length of that (zero
    unless asked for); ``direction`` ⟨exp(iφ)⟩, whose absolute value is the figure of merit of the combined phase.
    """

    minus_ll: F64
    gradient: C128
    information: F64
    direction: C128


class PhasedOps(Protocol):
    """Likelihood of amplitudes with Hendrickson–Lattman coefficients."""

    def phased(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_], derivatives: bool,
    ) -> PhasedResult:
        """−log likelihood of amplitudes; ``prior`` (4, n) holds A, B, C, D (all 0: nothing is known of the phase).

        Other arguments as :meth:`TargetOps.rice`.
        """

    def phased_sigmaa(
        self, f_obs: F64, sigma: F64, f_calc: C128, prior: F64, d: F64, s: F64, epsilon: F64,
        centric: NDArray[np.bool_],
    ) -> SigmaaResult:
        """The same likelihood with its derivatives with respect to D and ln S of each reflection."""
