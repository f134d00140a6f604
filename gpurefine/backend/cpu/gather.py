"""Collect derivative rows by atom and by block.

Every output has one writer, so that all thread counts give the same bits.
"""

from __future__ import annotations

from numba import prange

from ..ops_restraints import F64, I32
from .jit import njit
from .planes import add_plane_block, add_plane_gradient


@njit(cache=True, error_model="numpy")
def half_squares(z: F64, begin: int, end: int) -> float:
    """½ Σ z² over ``z[begin:end]`` in a fixed order."""
    total = 0.0
    for k in range(begin, end):
        total += z[k] * z[k]
    return 0.5 * total


@njit(cache=True, parallel=True, error_model="numpy")
def gather_gradient(
    start: I32, order: I32, row_residual: I32, z: F64, jacobian: F64, member_start: I32, member_order: I32,
    member_plane: I32, frame: F64, member: F64, add: bool, gradient: F64,
) -> None:
    """Σ z J̃ over the rows of each atom and δ n/σ² over its planes, added to ``gradient`` (n, 3) or written there."""
    for i in prange(len(gradient)):
        x, y, w = 0.0, 0.0, 0.0
        for e in range(start[i], start[i + 1]):
            r = order[e]
            f = z[row_residual[r]]
            x += f * jacobian[r, 0]
            y += f * jacobian[r, 1]
            w += f * jacobian[r, 2]
        if not add:
            gradient[i, 0] = gradient[i, 1] = gradient[i, 2] = 0.0
        gradient[i, 0] += x
        gradient[i, 1] += y
        gradient[i, 2] += w
        add_plane_gradient(i, member_start, member_order, member_plane, frame, member, gradient)


@njit(cache=True, parallel=True, error_model="numpy")
def gather_blocks(
    start: I32, rows: I32, jacobian: F64, plane_start: I32, plane_members: I32, member_plane: I32, frame: F64,
    member: F64, n: int, add: bool, diagonal: F64, off: F64,
) -> None:
    """Σ J̃_a J̃_bᵀ of each block, added to ``diagonal`` (n, 3, 3) and ``off`` (m, 3, 3) or written there."""
    for b in prange(len(start) - 1):
        b00, b01, b02 = 0.0, 0.0, 0.0
        b10, b11, b12 = 0.0, 0.0, 0.0
        b20, b21, b22 = 0.0, 0.0, 0.0
        for e in range(start[b], start[b + 1]):
            i, j = rows[e, 0], rows[e, 1]
            x, y, z = jacobian[i, 0], jacobian[i, 1], jacobian[i, 2]
            u, v, w = jacobian[j, 0], jacobian[j, 1], jacobian[j, 2]
            b00 += x * u
            b01 += x * v
            b02 += x * w
            b10 += y * u
            b11 += y * v
            b12 += y * w
            b20 += z * u
            b21 += z * v
            b22 += z * w
        k = int(b)
        block = diagonal[k] if k < n else off[k - n]
        if not add:
            for p in range(3):
                for q in range(3):
                    block[p, q] = 0.0
        block[0, 0] += b00
        block[0, 1] += b01
        block[0, 2] += b02
        block[1, 0] += b10
        block[1, 1] += b11
        block[1, 2] += b12
        block[2, 0] += b20
        block[2, 1] += b21
        block[2, 2] += b22
        add_plane_block(k, plane_start, plane_members, member_plane, frame, member, block)
