"""Restraints on anisotropic displacement parameters, compiled by numba.

One thread, in the order of the pairs: two pairs may share both atoms' rows, and the bits must not depend on threads.
"""

from __future__ import annotations

import numpy as np

from ..blocks import BlockMatrix, project_blocks
from ..gaussians import full_tensors
from ..ops_adp import F64, I32, Flags, TensorTerms
from .jit import njit

ROW = np.array([0, 1, 2, 0, 0, 1])
COLUMN = np.array([0, 1, 2, 1, 2, 2])
PLACE = np.array([[0, 3, 4], [3, 1, 5], [4, 5, 2]])
"""Where element (i, j) of a tensor stands in its six-vector."""

_BLOCKS = np.zeros((0, 6, 6))
_VECTORS = np.zeros((0, 6))


@njit(cache=True, error_model="numpy")
def _product_trace(a: F64, b: F64) -> float:
    """tr(A B) of six-vectors."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + 2.0 * (a[3] * b[3] + a[4] * b[4] + a[5] * b[5])


@njit(cache=True, error_model="numpy")
def _turned(turn: F64, six: F64, out: F64) -> None:
    for i in range(6):
        total = 0.0
        for j in range(6):
            total += turn[i, j] * six[j]
        out[i] = total


@njit(cache=True, error_model="numpy")
def _slope(a: F64, b: F64, one: F64, other: F64, out: F64) -> None:
    """out: B − A·U₂·A, off-diagonal elements twice, where A = U₁⁻¹ (six-vectors; ``other`` is U₂)."""
    m = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            m[i, j] = (
                other[PLACE[i, 0]] * a[PLACE[0, j]] + other[PLACE[i, 1]] * a[PLACE[1, j]]
                + other[PLACE[i, 2]] * a[PLACE[2, j]]
            )
    for k in range(6):
        i, j = ROW[k], COLUMN[k]
        value = b[k] - (a[PLACE[i, 0]] * m[0, j] + a[PLACE[i, 1]] * m[1, j] + a[PLACE[i, 2]] * m[2, j])
        out[k] = value if k < 3 else 2.0 * value


@njit(cache=True, error_model="numpy")
def _metric(a: F64, b: F64, weight: float, out: F64) -> None:
    """out (6, 6) = weight tr(E_p A E_q B), E_p what component p of a six-vector moves."""
    for p in range(6):
        i, j = ROW[p], COLUMN[p]
        for q in range(p, 6):
            k, l = ROW[q], COLUMN[q]  # noqa: E741
            value = (
                a[PLACE[j, k]] * b[PLACE[l, i]] + a[PLACE[i, k]] * b[PLACE[l, j]]
                + a[PLACE[j, l]] * b[PLACE[k, i]] + a[PLACE[i, l]] * b[PLACE[k, j]]
            )
            if p < 3:
                value *= 0.5
            if q < 3:
                value *= 0.5
            out[p, q] = weight * value
            out[q, p] = weight * value


@njit(cache=True, error_model="numpy")
def _flatten_rows(block: F64) -> None:
    """Rows projected onto the isotropic tensors."""
    for j in range(6):
        mean = (block[0, j] + block[1, j] + block[2, j]) / 3.0
        block[0, j] = block[1, j] = block[2, j] = mean
        block[3, j] = block[4, j] = block[5, j] = 0.0


@njit(cache=True, error_model="numpy")
def _flatten_columns(block: F64) -> None:
    for i in range(6):
        mean = (block[i, 0] + block[i, 1] + block[i, 2]) / 3.0
        block[i, 0] = block[i, 1] = block[i, 2] = mean
        block[i, 3] = block[i, 4] = block[i, 5] = 0.0


@njit(cache=True, error_model="numpy")
def _add_slope(six: F64, factor: float, aniso: bool, out: F64) -> None:
    if aniso:
        for i in range(6):
            out[i] += factor * six[i]
        return
    mean = factor * (six[0] + six[1] + six[2]) / 3.0
    for i in range(3):
        out[i] += mean


@njit(cache=True, error_model="numpy")
def pair_terms(
    first: I32, second: I32, op: I32, weight: F64, rigid: F64, direction: F64, turn: F64, is_aniso: Flags, u: F64,
    inverse: F64, want_gradient: bool, gradient: F64, want_blocks: bool, diagonal: F64, off: F64, values: F64,
) -> None:
    """Similarity and rigid bonds: values[0] and values[1], gradient and blocks."""
    two, b, along, slope = np.empty(6), np.empty(6), np.empty(6), np.empty(6)
    turned, block, left = np.empty(6), np.empty((6, 6)), np.empty((6, 6))
    for k in range(len(first)):
        i, j, g = first[k], second[k], op[k]
        one, a = u[i], inverse[i]
        if g:
            _turned(turn[g], u[j], two)
            _turned(turn[g], inverse[j], b)
        else:
            two[:] = u[j]
            b[:] = inverse[j]
        values[0] += weight[k] / 6.0 * (_product_trace(a, two) + _product_trace(b, one) - 6.0)
        p, q, r = 1.0, 1.0, rigid[k]
        if r > 0.0:
            x, y, z = direction[k, 0], direction[k, 1], direction[k, 2]
            along[0], along[1], along[2] = x * x, y * y, z * z
            along[3], along[4], along[5] = 2.0 * x * y, 2.0 * x * z, 2.0 * y * z
            p, q = 0.0, 0.0
            for m in range(6):
                p += along[m] * one[m]
                q += along[m] * two[m]
            values[1] += 0.5 * r * (p - q) * (p - q) / (p * q)
        if want_gradient:
            _slope(a, b, one, two, slope)
            _add_slope(slope, weight[k] / 6.0, is_aniso[i], gradient[i])
            _slope(b, a, two, one, slope)
            for m in range(6):
                slope[m] *= weight[k] / 6.0
            if r > 0.0:
                _add_slope(along, 0.5 * r * (1.0 / q - q / (p * p)), is_aniso[i], gradient[i])
                for m in range(6):
                    slope[m] += 0.5 * r * (1.0 / p - p / (q * q)) * along[m]
            if g:
                _turned(turn[g].T, slope, turned)
                _add_slope(turned, 1.0, is_aniso[j], gradient[j])
            else:
                _add_slope(slope, 1.0, is_aniso[j], gradient[j])
        if want_blocks:
            _metric(a, b, weight[k] / 3.0, block)
            if r > 0.0:
                for m in range(6):
                    for n in range(6):
                        block[m, n] += r / (p * q) * along[m] * along[n]
            left[:] = block
            if not is_aniso[i]:
                _flatten_rows(left)
                _flatten_columns(left)
            diagonal[i] += left
            right = block
            if g:
                right = block @ turn[g]
            if not is_aniso[j]:
                _flatten_columns(right)
            left[:] = right
            if not is_aniso[i]:
                _flatten_rows(left)
            off[k] -= left
            if g:
                right = turn[g].T @ right
            if not is_aniso[j]:
                _flatten_rows(right)
            diagonal[j] += right


@njit(cache=True, error_model="numpy")
def sphericity(
    u: F64, weight: F64, is_aniso: Flags, want_gradient: bool, gradient: F64, want_blocks: bool, diagonal: F64
) -> float:
    """½ Σ w |U − ū|²/ū²."""
    total = 0.0
    for i in range(len(u)):
        w = weight[i]
        if not is_aniso[i] or w == 0.0:
            continue
        t = u[i]
        mean = (t[0] + t[1] + t[2]) / 3.0
        square = _product_trace(t, t)
        inner = w / (mean * mean)
        total += 0.5 * inner * (square - 3.0 * mean * mean)
        if want_gradient:
            for m in range(3):
                gradient[i, m] += inner * (t[m] - square / (3.0 * mean))
                gradient[i, m + 3] += 2.0 * inner * t[m + 3]
        if want_blocks:
            for m in range(3):
                for n in range(3):
                    diagonal[i, m, n] += inner * ((1.0 if m == n else 0.0) - 1.0 / 3.0)
                diagonal[i, m + 3, m + 3] += 2.0 * inner
    return total


class AdpOps:
    """See :class:`gpurefine.backend.ops_adp.AdpOps`."""

    def project_tensors(self, matrix: BlockMatrix, atoms: I32, projectors: F64) -> None:
        """Few atoms lie on special positions."""
        project_blocks(matrix, atoms, projectors)

    def tensor_restraints(
        self, terms: TensorTerms, u: F64, gradient: F64 | None, diagonal: F64 | None, off: F64 | None
    ) -> F64:
        """Values (3,), gradient and curvature."""
        inverse = np.linalg.inv(full_tensors(u))[:, ROW, COLUMN]
        u, inverse = np.ascontiguousarray(u), np.ascontiguousarray(inverse)
        want_gradient, want_blocks = gradient is not None, diagonal is not None and off is not None
        gradient = gradient if gradient is not None else _VECTORS
        diagonal, off = diagonal if diagonal is not None else _BLOCKS, off if off is not None else _BLOCKS
        values = np.zeros(3)
        pair_terms(
            terms.first, terms.second, terms.op, terms.weight, terms.rigid, terms.direction, terms.turn,
            terms.is_aniso, u, inverse, want_gradient, gradient, want_blocks, diagonal, off, values,
        )
        values[2] = sphericity(u, terms.sphericity, terms.is_aniso, want_gradient, gradient, want_blocks, diagonal)
        return values
