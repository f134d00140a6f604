"""The cpu backend's operations on arrays over reflections."""

from __future__ import annotations

from dataclasses import replace

import numba as nb
import numpy as np

from ..ops_reflections import F64, Array, Hats, HostReflections, ScaleCurve, ScaleFactors
from .jit import njit
from .rows import Array as Argument
from .threads import Threads, in_chunks

AT_A_TIME = 16_384
"""Reflections at a time: what is between the steps of array code then stays in the cache."""

CHUNKS = 32
"""Partial sums: their number is fixed, so that the result has the same bits for any number of threads."""


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


class ReflectionOps(Threads, HostReflections):
    """The definition for some reflections at a time, by all threads; sums compiled by numba."""

    def scale_factors(self, curve: ScaleCurve, near: Array, parts: bool) -> ScaleFactors:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        n = len(curve.s)
        out = [np.empty(n) for _ in range(4 if parts else 2)]

        def some(rows: slice) -> None:
            part = replace(curve, s=curve.s[rows], columns=curve.columns[rows])
            found = HostReflections.scale_factors(self, part, near, parts)
            for whole, piece in zip(out, (found.factor, found.k_mask, found.k_aniso, found.k_iso), strict=False):
                whole[rows] = piece

        in_chunks(some, n, AT_A_TIME, self.threads)
        return ScaleFactors(*out)

    def error_values(self, inv_d2: F64, knots: F64, d: F64, log_s: F64, k_aniso: Array) -> tuple[Array, Array]:
        """See :class:`gpurefine.backend.ops_reflections.ReflectionOps`."""
        out_d, out_s = np.empty(len(inv_d2)), np.empty(len(inv_d2))

        def some(rows: slice) -> None:
            out_d[rows], out_s[rows] = HostReflections.error_values(self, inv_d2[rows], knots, d, log_s, k_aniso[rows])

        in_chunks(some, len(inv_d2), AT_A_TIME, self.threads)
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
