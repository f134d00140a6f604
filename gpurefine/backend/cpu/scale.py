"""Normal equations of the scale fit in one pass over the reflections."""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..plans import ScaleEquations, ScaleSystem
from .jit import njit
from .modulus import modulus
from .rows import Array
from .threads import Threads

CHUNKS = 32
"""Partial sums: their number is fixed, so that the result has the same bits for any number of threads."""


@njit(parallel=True, cache=True)
def _residuals(
    f_obs: Array, factor: Array, k_mask: Array, f_protein: Array, f_mask: Array, absolute: bool, out: Array, sums: Array
) -> None:
    """F_o − |F_total| or its absolute value; ``sums`` (CHUNKS,) of the latter."""
    size = len(f_obs)
    for chunk in nb.prange(CHUNKS):
        total = 0.0
        for n in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            residual = f_obs[n] - factor[n] * modulus(f_protein[n] + k_mask[n] * f_mask[n])
            total += abs(residual)
            out[n] = abs(residual) if absolute else residual
        sums[chunk] = total


@njit(parallel=True, cache=True)
def _accumulate(
    f_obs: Array, factor: Array, k_mask: Array, f_protein: Array, f_mask: Array, common: Array, by_mask: Array,
    mask_left: Array, mask_weight: Array, n_mask: int, iso_left: Array, iso_weight: Array, n_iso: int, floor: float,
    normal: Array, right: Array,
) -> None:
    """``normal`` and ``right`` of each part: rows not below the column, in the order of the parameters.

    A reflection knows all of the first parameters and two neighbours of the mask's and of the isotropic knots.
    """
    size = len(f_obs)
    n_common, n_dense = common.shape[1], common.shape[1] + by_mask.shape[1]
    first_iso = n_dense + n_mask
    for chunk in nb.prange(CHUNKS):
        value, knot, place = np.zeros(n_dense), np.zeros(4), np.zeros(4, np.uint64)
        h, g = normal[chunk], right[chunk]
        for n in range(chunk * size // CHUNKS, (chunk + 1) * size // CHUNKS):
            inner = f_protein[n] + k_mask[n] * f_mask[n]
            length = modulus(inner)
            amplitude = factor[n] * length
            residual = f_obs[n] - amplitude
            weight = 1.0 / max(abs(residual), floor)
            slope = 0.0
            if length > 0.0:
                slope = factor[n] * (inner.real * f_mask[n].real + inner.imag * f_mask[n].imag) / length
            for k in range(n_common):
                value[k] = amplitude * common[n, k]
            for k in range(n_common, n_dense):
                value[k] = slope * by_mask[n, k - n_common]
            count = 0
            if n_mask > 0:
                knot[0], place[0] = slope * (1.0 - mask_weight[n]), n_dense + mask_left[n]
                knot[1], place[1] = slope * mask_weight[n], n_dense + mask_left[n] + 1
                count = 2
            if n_iso > 0:
                knot[count], place[count] = amplitude * (1.0 - iso_weight[n]), first_iso + iso_left[n]
                knot[count + 1], place[count + 1] = amplitude * iso_weight[n], first_iso + iso_left[n] + 1
                count += 2
            for i in range(n_dense):
                scaled, row = weight * value[i], h[i]
                g[i] += scaled * residual
                for j in range(i + 1):
                    row[j] += scaled * value[j]
            for i in range(count):
                scaled, row = weight * knot[i], h[place[i]]
                g[place[i]] += scaled * residual
                for j in range(n_dense):
                    row[j] += scaled * value[j]
                for j in range(i + 1):
                    row[place[j]] += scaled * knot[j]


class ScaleOps(Threads):
    """The scale fit's sums compiled by numba."""

    def scale_residuals(self, system: ScaleSystem) -> NDArray[np.float64]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        return self._residuals(system, False)[0]

    def scale_misfit(self, system: ScaleSystem, want_median: bool) -> tuple[float, float]:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        size, total = self._residuals(system, True)
        return total, float(np.median(size)) if want_median else 0.0

    def _residuals(self, system: ScaleSystem, absolute: bool) -> tuple[NDArray[np.float64], float]:
        self.use(0.02 * len(system.f_obs))
        out, sums = np.empty(len(system.f_obs)), np.empty(CHUNKS)
        _residuals(
            system.f_obs, system.factor, system.k_mask, system.f_protein, system.f_mask, absolute, out, sums
        )
        return out, float(sums.sum())

    def scale_equations(self, system: ScaleSystem, floor: float) -> ScaleEquations:
        """See :class:`gpurefine.backend.ops.ScaleOps`."""
        self.use(0.25 * len(system.f_obs))
        total = system.n_parameters
        normal, right = np.zeros((CHUNKS, total, total)), np.zeros((CHUNKS, total))
        _accumulate(
            system.f_obs, system.factor, system.k_mask, system.f_protein, system.f_mask, system.all_common,
            system.by_mask, system.mask_left, system.mask_weight, system.n_mask, system.iso_left, system.iso_weight,
            system.n_iso, floor, normal, right,
        )
        lower = normal.sum(axis=0)
        # entries (i, j) were added once for i ≥ j in the order of the columns, which is the order of the parameters
        full = np.tril(lower) + np.triu(lower, 1).T
        return ScaleEquations(full + np.tril(full, -1).T, right.sum(axis=0))
