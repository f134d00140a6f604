"""A vectorisable single-precision 2^x.

numba calls the C library for exp, one value at a time; this polynomial is inlined and becomes SIMD
code.  Relative error below 3e-7 for −120 ≤ x ≤ 0, the only range the Gaussians need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .jit import njit

LOG2_E = np.float32(1.4426950408889634)

# Chebyshev fit of 2^x on [-1, 0], degree 5, highest power first.
COEFFICIENTS = tuple(
    np.float32(c) for c in (
        0.000947553645469896, 0.009210875560605078, 0.055299607117258724, 0.24017948948880394, 0.6931432016425457,
        0.9999999452374331,
    )
)
_P5, _P4, _P3, _P2, _P1, _P0 = COEFFICIENTS


@intrinsic
def _clamped(_context: Any, _x: Any) -> Any:
    """max(x, −120) as one select; Python's max also tests for NaN and would not vectorise."""

    def codegen(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        low = ir.Constant(ir.FloatType(), -120.0)
        return builder.select(builder.fcmp_ordered(">", args[0], low), args[0], low)

    return types.float32(types.float32), codegen


@intrinsic
def _truncated(_context: Any, _x: Any) -> Any:
    """x rounded towards zero, as float32 through a 32-bit integer (Python's int would be 64 bits wide)."""

    def codegen(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        return builder.sitofp(builder.fptosi(args[0], ir.IntType(32)), ir.FloatType())

    return types.float32(types.float32), codegen


@intrinsic
def _power_of_two(_context: Any, _x: Any) -> Any:
    """2^x for whole x, by writing the exponent bits."""

    def codegen(_ctx: Any, builder: Any, _sig: Any, args: Any) -> Any:
        whole = ir.IntType(32)
        bits = builder.add(builder.fptosi(args[0], whole), ir.Constant(whole, 127))
        return builder.bitcast(builder.shl(bits, ir.Constant(whole, 23)), ir.FloatType())

    return types.float32(types.float32), codegen


@njit(inline="always", fastmath=True)
def exp2_negative(x: float) -> float:
    """2^x for x ≤ 0 (float32); values below 2⁻¹²⁰ are returned as about 2⁻¹²⁰."""
    x = _clamped(np.float32(x))
    whole = _truncated(x)
    f = x - whole
    p = _P5 * f + _P4
    p = p * f + _P3
    p = p * f + _P2
    p = p * f + _P1
    p = p * f + _P0
    return p * _power_of_two(whole)
