"""Sums of Gaussians and their derivatives along one grid row.

Written out for three and for five Gaussians, because only loops without an inner loop become SIMD code.  Form factors
are padded with Gaussians of no weight to the next of the two.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .exponential import exp2_negative
from .rows import Array

SIZES = (3, 5)

LOG2_E = np.float32(1.4426950408889634)

# rate = −α log₂e and x = rate·A·e, hence 2αAe = −2 x/log₂e, and with ρ_B = A (αr² − 3/2) (α/4π²) e:
# ρ_B = (rate·x r² + (3/2) log₂e x) / (4π² log₂e²)
RADIAL = np.float32(-2.0 / 1.4426950408889634)
THERMAL = np.float32(1.0 / (4.0 * math.pi**2 * 1.4426950408889634**2))
MINUS_LOG = np.float32(1.5 * 1.4426950408889634)


@nb.njit(fastmath=True)
def density_row(c0: float, c1: float, c2: float, amp: Array, rate: Array, row: Array) -> None:
    """row[t] = Σ_g amp_g 2^(rate_g r²) with r² = c0 + c1 t + c2 t²."""
    a0, a1, a2 = amp[0], amp[1], amp[2]
    b0, b1, b2 = rate[0], rate[1], rate[2]
    if len(amp) == 3:
        for t in range(len(row)):
            k = np.float32(t)
            r2 = c0 + k * (c1 + k * c2)
            row[t] = a0 * exp2_negative(b0 * r2) + a1 * exp2_negative(b1 * r2) + a2 * exp2_negative(b2 * r2)
        return
    a3, a4, b3, b4 = amp[3], amp[4], rate[3], rate[4]
    for t in range(len(row)):
        k = np.float32(t)
        r2 = c0 + k * (c1 + k * c2)
        value = a0 * exp2_negative(b0 * r2) + a1 * exp2_negative(b1 * r2) + a2 * exp2_negative(b2 * r2)
        row[t] = value + a3 * exp2_negative(b3 * r2) + a4 * exp2_negative(b4 * r2)


@nb.njit(fastmath=True)
def derivative_rows(c0: float, c1: float, c2: float, amp: Array, rate: Array, radial: Array, thermal: Array) -> None:
    """radial = Σ 2 α A e, thermal = Σ A (α r² − 3/2) (α/4π²) e, with e = exp(−α r²)."""
    b0, b1, b2 = rate[0], rate[1], rate[2]
    a0, a1, a2 = b0 * amp[0], b1 * amp[1], b2 * amp[2]
    if len(amp) == 3:
        for t in range(len(radial)):
            k = np.float32(t)
            r2 = c0 + k * (c1 + k * c2)
            x0 = a0 * exp2_negative(b0 * r2)
            x1 = a1 * exp2_negative(b1 * r2)
            x2 = a2 * exp2_negative(b2 * r2)
            total = x0 + x1 + x2
            radial[t] = RADIAL * total
            thermal[t] = THERMAL * ((b0 * x0 + b1 * x1 + b2 * x2) * r2 + MINUS_LOG * total)
        return
    b3, b4 = rate[3], rate[4]
    a3, a4 = b3 * amp[3], b4 * amp[4]
    for t in range(len(radial)):
        k = np.float32(t)
        r2 = c0 + k * (c1 + k * c2)
        x0 = a0 * exp2_negative(b0 * r2)
        x1 = a1 * exp2_negative(b1 * r2)
        x2 = a2 * exp2_negative(b2 * r2)
        x3 = a3 * exp2_negative(b3 * r2)
        x4 = a4 * exp2_negative(b4 * r2)
        total = x0 + x1 + x2 + x3 + x4
        second = b0 * x0 + b1 * x1 + b2 * x2 + b3 * x3 + b4 * x4
        radial[t] = RADIAL * total
        thermal[t] = THERMAL * (second * r2 + MINUS_LOG * total)
