"""The cpu backend's operations on arrays over reflections, compiled by numba."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from ..ops_reflections import F64, Array, Groups, Hats, HostReflections, Index, ScaleCurve, ScaleFactors
from .jit import njit
from .modulus import modulus
from .rows import Array as Argument
from .threads import Threads

CHUNKS = 32
"""Partial sums: their number is fixed, so that the result has the same bits for any number of threads."""

CELLS = 512
"""Equal steps over the range of the knots that tell near which knot to begin looking."""


@njit()
def _looked_up(knots: Argument, cells: Argument) -> float:
    """Fill ``cells`` (CELLS,) with the last knot at or before the start of each step; steps per unit."""
    n = len(knots)
    length = knots[n - 1] - knots[0]
    per_unit = CELLS / length if length > 0.0 else 0.0
    k = 0
    for cell in range(CELLS):
        start = knots[0] + cell / per_unit if per_unit > 0.0 else knots[0]
        while k + 2 < n and knots[k + 1] <= start:
            k += 1
        # a step back, lest rounding put a value into the next cell
        cells[cell] = max(k - 1, 0)
    return per_unit


@njit(inline="always")
def _interpolated(x: float, knots: Argument, values: Argument, cells: Argument, per_unit: float) -> float:
    """NumPy's ``interp`` for one x: constant outside the knots."""
    last = len(knots) - 1
    if x <= knots[0]:
        return values[0]
    if x >= knots[last]:
        return values[last]
    k = cells[min(int((x - knots[0]) * per_unit), CELLS - 1)]
    while knots[k + 1] < x:
        k += 1
    return values[k] + (values[k + 1] - values[k]) / (knots[k + 1] - knots[k]) * (x - knots[k])


@njit(parallel=True, cache=True)
def _scale_factors(
    s: Argument, columns: Argument, tensor: Argument, log_k: float, b_overall: float, k_sol: float, b_sol: float,
    mask: Argument, iso: Argument, babinet_k: float, babinet_b: float, parts: bool, factor: Argument, k_mask: Argument,
    k_aniso: Argument, k_iso: Argument,
) -> None:
    """``mask``, ``iso`` (2, m): knots and values, m = 0 where there are none."""
    mask_cells, iso_cells = np.zeros(CELLS, np.int32), np.zeros(CELLS, np.int32)
    by_mask, by_iso = mask.shape[1] > 0, iso.shape[1] > 0
    mask_step = _looked_up(mask[0], mask_cells) if by_mask else 0.0
    iso_step = _looked_up(iso[0], iso_cells) if by_iso else 0.0
    n = len(s)
    for chunk in nb.prange(CHUNKS):
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            x = s[i]
            s2 = x * x
            if by_mask:
                k_mask[i] = _interpolated(x, mask[0], mask[1], mask_cells, mask_step)
            else:
                k_mask[i] = k_sol * math.exp(-0.25 * b_sol * s2) if k_sol != 0.0 else 0.0
            log_iso = _interpolated(x, iso[0], iso[1], iso_cells, iso_step) if by_iso else 0.0
            log_aniso = 0.0
            for m in range(len(tensor)):
                log_aniso += columns[i, m] * tensor[m]
            value = math.exp(log_k - 0.25 * b_overall * s2 + log_aniso + log_iso)
            if babinet_k != 0.0:
                value *= 1.0 - babinet_k * math.exp(-0.25 * babinet_b * s2)
            factor[i] = value
            if parts:
                k_aniso[i], k_iso[i] = math.exp(log_aniso), math.exp(log_iso)


@njit(parallel=True, cache=True)
def _scaled_total(f_calc: Argument, factor: Argument, k_mask: Argument, f_mask: Argument, out: Argument) -> None:
    n = len(factor)
    for chunk in nb.prange(CHUNKS):
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            out[0, i] = factor[i] * (f_calc[0, i] + k_mask[i] * f_mask[i])
            for row in range(1, len(f_calc)):
                out[row, i] = factor[i] * f_calc[row, i]


@njit(parallel=True, cache=True)
def _error_values(
    x: Argument, knots: Argument, d: Argument, log_s: Argument, k_aniso: Argument, out_d: Argument, out_s: Argument
) -> None:
    cells = np.zeros(CELLS, np.int32)
    step = _looked_up(knots, cells)
    n = len(x)
    for chunk in nb.prange(CHUNKS):
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            out_d[i] = _interpolated(x[i], knots, d, cells, step)
            out_s[i] = math.exp(_interpolated(x[i], knots, log_s, cells, step)) * k_aniso[i] ** 2


@njit(parallel=True, cache=True)
def _hat_values(
    left: Argument, weight: Argument, d: Argument, log_s: Argument, k_aniso: Argument, out_d: Argument, out_s: Argument
) -> None:
    next_one = 1 if len(d) > 1 else 0
    n = len(left)
    for chunk in nb.prange(CHUNKS):
        for i in range(chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS):
            k, b = left[i], weight[i]
            out_d[i] = (1.0 - b) * d[k] + b * d[k + next_one]
            out_s[i] = math.exp((1.0 - b) * log_s[k] + b * log_s[k + next_one]) * k_aniso[i] ** 2


@njit(parallel=True, cache=True)
def _hat_sums(left: Argument, weight: Argument, slope: Argument, information: Argument, n: int, out: Argument) -> None:
    """out (CHUNKS, 3, m): Σ h g, and of Σ w hᵢ hⱼ the diagonal and what couples a knot with the next."""
    size = len(left)
    for chunk in nb.prange(CHUNKS):
        sums = out[chunk]
        for i in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            k, b = left[i], weight[i]
            a = 1.0 - b
            sums[0, k] += a * slope[i]
            sums[1, k] += a * a * information[i]
            if n > 1:
                sums[0, k + 1] += b * slope[i]
                sums[1, k + 1] += b * b * information[i]
                sums[2, k] += a * b * information[i]


@njit(parallel=True, cache=True)
def _group_sums(among: Argument, label: Argument, columns: Argument, weight: Argument, out: Argument) -> None:
    """out (CHUNKS, groups, n_column) of ``columns`` (n_column, n)."""
    size = len(among)
    for chunk in nb.prange(CHUNKS):
        sums = out[chunk]
        for k in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            i, g = among[k], label[k]
            for c in range(len(columns)):
                sums[g, c] += weight[i] * columns[c, i]


@njit(parallel=True, cache=True)
def _pair_sums(
    among: Argument, label: Argument, x: Argument, values: Argument, divisor: Argument, divide: bool, square: bool,
    means: Argument, about_means: bool, out: Argument
) -> None:
    """out (CHUNKS, groups, 3): Σx, Σy, Σ|x − y|, or about the ``means`` (groups, 2) Σxx, Σyy, Σxy."""
    size = len(among)
    for chunk in nb.prange(CHUNKS):
        sums = out[chunk]
        for k in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            i, g = among[k], label[k]
            a, b = x[i], values[i]
            if divide:
                b /= divisor[i]
            if square:
                b *= b
            if about_means:
                a -= means[g, 0]
                b -= means[g, 1]
                sums[g, 0] += a * a
                sums[g, 1] += b * b
                sums[g, 2] += a * b
            else:
                sums[g, 0] += a
                sums[g, 1] += b
                sums[g, 2] += abs(a - b)


@njit(parallel=True, cache=True)
def _take(values: Argument, index: Argument, out: Argument) -> None:
    for i in nb.prange(len(index)):
        out[i] = values[index[i]]


@njit(parallel=True, cache=True)
def _put(values: Argument, index: Argument, out: Argument) -> None:
    for i in nb.prange(len(out)):
        out[i] = 0
    for k in nb.prange(len(index)):
        out[index[k]] = values[k]


@njit(parallel=True, cache=True)
def _product(values: Argument, factor: Argument, power: int, out: Argument) -> None:
    for i in nb.prange(len(out)):
        out[i] = values[i] * (factor[i] if power == 1 else factor[i] * factor[i])


@njit(parallel=True, cache=True)
def _magnitude(values: Argument, out: Argument) -> None:
    for i in nb.prange(len(out)):
        out[i] = modulus(values[i])


_NONE = np.zeros((2, 0))

_COMPILED = (np.dtype(np.float64), np.dtype(np.complex128))
"""What compiled loops take, put and multiply.

NumPy would do it as fast, but on one core, which fetches half of the numbers from the other one's cache and then has
them in its own.
"""


def _is_list(*arrays: Array) -> bool:
    return all(a.ndim == 1 and a.dtype in _COMPILED and a.flags.c_contiguous for a in arrays)


class ReflectionOps(Threads, HostReflections):
    """The definition compiled for all threads."""

    def take(self, values: Array, index: Index) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not _is_list(values):
            return super().take(values, index)
        out = np.empty(len(index), values.dtype)
        self.use(0.005 * len(index))
        _take(values, index, out)
        return out

    def put(self, values: Array, index: Index, n: int) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not _is_list(values):
            return super().put(values, index, n)
        out = np.empty(n, values.dtype)
        self.use(0.005 * n)
        _put(values, index, out)
        return out

    def product(self, values: Array, factor: Array, power: int) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not _is_list(values, factor) or len(values) != len(factor):
            return super().product(values, factor, power)
        out = np.empty(len(values), np.result_type(values, factor))
        self.use(0.005 * len(out))
        _product(values, factor, power, out)
        return out

    def magnitude(self, values: Array) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if not _is_list(values) or values.dtype != np.complex128:
            return super().magnitude(values)
        out = np.empty(len(values))
        self.use(0.005 * len(out))
        _magnitude(values, out)
        return out

    def scale_factors(self, curve: ScaleCurve, near: Array, parts: bool) -> ScaleFactors:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        n, c = len(curve.s), curve
        factor, k_mask = np.empty(n), np.empty(n)
        k_aniso, k_iso = (np.empty(n), np.empty(n)) if parts else (factor, factor)
        self.use(0.03 * n)
        _scale_factors(
            c.s, c.columns, c.tensor, float(c.log_k), float(c.b_overall), float(c.k_sol), float(c.b_sol),
            _NONE if c.mask_knots is None else c.mask_knots, _NONE if c.iso_knots is None else c.iso_knots,
            float(c.babinet_k), float(c.babinet_b), parts, factor, k_mask, k_aniso, k_iso,
        )
        return ScaleFactors(factor, k_mask, k_aniso, k_iso) if parts else ScaleFactors(factor, k_mask)

    def scaled_total(self, f_calc: Array, factor: Array, k_mask: Array, f_mask: Array | None) -> Array:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        if f_mask is None or len(f_calc) == 0:
            return super().scaled_total(f_calc, factor, k_mask, f_mask)
        out = np.empty(f_calc.shape, np.complex128)
        self.use(0.01 * f_calc.size)
        _scaled_total(f_calc, factor, k_mask, f_mask, out)
        return out

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        out_d, out_s = np.empty(len(inv_d2)), np.empty(len(inv_d2))
        self.use(0.02 * len(inv_d2))
        _error_values(inv_d2, knots, d, log_s, k_aniso, out_d, out_s)
        return out_d, out_s

    def hat_values(self, hats: Hats, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        out_d, out_s = np.empty(len(hats.left)), np.empty(len(hats.left))
        self.use(0.015 * len(hats.left))
        _hat_values(hats.left, hats.weight, d, log_s, k_aniso, out_d, out_s)
        return out_d, out_s

    def hat_sums(self, hats: Hats, slope: Array, information: Array) -> tuple[F64, F64]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        self.use(0.006 * len(slope))
        sums = np.zeros((CHUNKS, 3, hats.n))
        _hat_sums(hats.left, hats.weight, slope, information, hats.n, sums)
        gradient, diagonal, next_one = sums.sum(axis=0)
        bands = np.zeros((3, hats.n))
        bands[2], bands[1, 1:] = diagonal, next_one[:-1]
        return gradient, bands

    def group_sums(self, groups: Groups, columns: F64, weight: Array) -> F64:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        self.use(0.001 * len(groups.among) * len(columns))
        sums = np.zeros((CHUNKS, groups.n, len(columns)))
        _group_sums(groups.among, groups.label, columns, weight, sums)
        return np.asarray(sums.sum(axis=0))

    def pair_sums(self, groups: Groups, x: F64, values: Array, divisor: Array | None, square: bool) -> F64:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        self.use(0.005 * len(groups.among))
        sums, means = np.zeros((2, CHUNKS, groups.n, 3)), np.zeros((groups.n, 2))
        given = (groups.among, groups.label, x, values, values if divisor is None else divisor, divisor is not None)
        _pair_sums(*given, square, means, False, sums[0])
        plain = sums[0].sum(axis=0)
        means[:] = plain[:, :2] / np.maximum(np.diff(groups.start), 1)[:, None]
        _pair_sums(*given, square, means, True, sums[1])
        return np.concatenate([plain, sums[1].sum(axis=0)], axis=1)
