"""Automatic weight of the likelihood against the restraints."""

from __future__ import annotations

import math

RESPONSE = 1.5
"""How strongly the weight answers to a bond r.m.s.Z outside the band: r.m.s.Z grows about as
weight^(1/2)…weight^(2/3)."""


def starting_weight(d_min: float) -> float:
    """exp(0.9104 d_min + 0.2162), the dependence on resolution (Å) that servalcat found over many structures."""
    return math.exp(0.9104 * d_min + 0.2162)


def next_weight(
    weight: float, rmsz: float | None, previous: float | None, band: tuple[float, float], most: float = math.inf
) -> float:
    """Weight of the next cycle, steering bond r.m.s.Z into ``band``, at most to ``most``.

    Lowered in proportion to the excess when the r.m.s.Z is above the band and no longer falling by itself, as it
    does in the first cycles from a distorted start; raised gently, and only where bonds are tighter than the band
    and not still relaxing.
    """
    low, high = band
    if rmsz is None or rmsz <= 0.0:
        return weight
    if rmsz > high and (previous is None or rmsz > 0.97 * previous):
        return weight * max(0.5, math.pow(high / rmsz, RESPONSE))
    if rmsz < low and previous is not None and rmsz < previous * 1.02:
        return min(weight * min(1.3, math.pow(low / rmsz, RESPONSE)), max(most, weight))
    return weight
