"""Lengths of complex numbers."""

from __future__ import annotations

import math

from .jit import njit


@njit(inline="always")
def modulus(z: complex) -> float:
    """|z| of a structure factor, to the last digit or the one before.

    ``abs`` takes care that numbers above 10¹⁵⁴ do not overflow and those below 10⁻¹⁵⁴ do not vanish, and fifteen times
    as long.
    """
    return math.sqrt(z.real * z.real + z.imag * z.imag)
