"""Figure of merit, best phase and Hendrickson–Lattman coefficients from each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]

NODES = 360
"""Equidistant phases for the integrals: exact to rounding up to |HL| of about 200, good to 1e-3 in m at 2000."""
SUREST = 0.999
"""Figures of merit above this are taken for this: a phase is never beyond doubt."""


@dataclass(frozen=True, slots=True, eq=False)
class PhaseSummary:
    """``centroid`` (n,) complex128: ⟨exp(iφ)⟩; ``fom`` (n,) its size; ``phase`` (n,) its angle, radians."""

    centroid: NDArray[np.complex128]

    @property
    def fom(self) -> F64:
        """(n,) figure of merit."""
        return np.asarray(np.abs(self.centroid))

    @property
    def phase(self) -> F64:
        """(n,) best phase, radians."""
        return np.asarray(np.angle(self.centroid))


def phase_summary(hl: F64, restricted: F64) -> PhaseSummary:
    """Centroid of the phase probability.

    Args:
        hl: (n, 4); restricted: (n,) one of the two phases of a centric reflection, NaN of an acentric one.
    """
    centroid = np.zeros(len(hl), np.complex128)
    centric = np.isfinite(restricted)
    angle = np.where(centric, restricted, 0.0)
    exponent = hl[:, 0] * np.cos(angle) + hl[:, 1] * np.sin(angle)
    centroid[centric] = (np.tanh(exponent) * np.exp(1j * angle))[centric]
    phi = 2.0 * np.pi * np.arange(NODES) / NODES
    basis = np.stack([np.cos(phi), np.sin(phi), np.cos(2 * phi), np.sin(2 * phi)])
    open_ = np.flatnonzero(~centric)
    for part in np.array_split(open_, max(1, len(open_) // 20000)):
        log_p = hl[part] @ basis
        p = np.exp(log_p - log_p.max(axis=1, keepdims=True))
        centroid[part] = (p @ np.exp(1j * phi)) / p.sum(axis=1)
    return PhaseSummary(centroid)


def coefficients_of(phase: F64, fom: F64, centric: NDArray[np.bool_]) -> F64:
    """A, B, C = D = 0 (n, 4) with this best phase (radians) and figure of merit.

    A² + B² = X² with m = I₁(X)/I₀(X) (Sim 1959) of an acentric and m = tanh X of a centric reflection.
    """
    m = np.clip(fom, 0.0, SUREST)
    x = np.where(centric, np.arctanh(m), inverse_sim(m))
    return np.stack([x * np.cos(phase), x * np.sin(phase), np.zeros_like(x), np.zeros_like(x)], axis=1)


def inverse_sim(m: F64) -> F64:
    """X (n,) with I₁(X)/I₀(X) = m, 0 ≤ m < 1, by Newton's method from Best and Fisher's approximation."""
    from scipy.special import i0e, i1e  # loaded only where there are phases

    start = np.where(m < 0.53, 2 * m + m**3 + 5 * m**5 / 6, np.where(
        m < 0.85, -0.4 + 1.39 * m + 0.43 / (1 - m), 1 / np.maximum(m**3 - 4 * m**2 + 3 * m, 1e-12)))  # fmt: skip
    x = np.asarray(start, np.float64)
    for _ in range(8):
        ratio = i1e(x) / i0e(x)
        slope = 1.0 - ratio**2 - np.where(x > 1e-8, ratio / np.maximum(x, 1e-8), 0.5)
        x = np.maximum(x - (ratio - m) / np.maximum(slope, 1e-12), 0.0)
    return x
