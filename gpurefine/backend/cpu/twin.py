"""The cpu backend's likelihood of a twin."""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from numpy.typing import NDArray

from ..ops_twin import TwinGroups, TwinPosterior
from ..quadrature import bessel_table
from .jit import njit
from .rows import Array
from .threads import Threads
from .twin_group import group_integral
from .twin_pair import MOST_NODES, N_MOMENTS, pair_integral, single_integral

F64 = NDArray[np.float64]

SHARPEST = 1e-5
"""Least uncertainty of a measurement, in units of the spread of the intensity under the model, in groups of three and
more: finer ones would leave too few digits to the normal distributions, and none is known so well."""
CHUNKS = 64
"""Shares of the groups, each with working memory of its own."""


@njit(parallel=True, cache=True, error_model="numpy")
def _twin(
    start: Array, mate: Array, fractions: Array, i_obs: Array, sigma: Array, mean: Array, variance: Array,
    centric: Array, table: Array, largest: int, minus_ll: Array, posterior: Array, slope: Array
) -> None:
    n_group = len(start) - 1
    for chunk in nb.prange(CHUNKS):
        inner, work, out = np.empty((5, MOST_NODES)), np.empty(MOST_NODES), np.empty(N_MOMENTS)
        response, measured, x = np.zeros((largest, largest)), np.zeros(largest), np.zeros(largest)
        width = np.zeros(largest)
        means, products = np.zeros((4, largest)), np.zeros((largest, largest))
        centre, covariance = np.zeros(largest), np.zeros((largest, largest))
        for g in range(chunk, n_group, CHUNKS):
            s = start[g]
            n = start[g + 1] - s
            b, y = response[:n, :n], measured[:n]
            log_p, used = 0.0, 0
            for j in range(n):
                x[j] = mean[s + j] / math.sqrt(variance[s + j])
            for j in range(n):
                y[j] = 0.0
                b[j, :] = 0.0
                width[j] = sigma[s + j]
                if not width[j] > 0.0:
                    continue
                used += 1
                spread = 0.0
                for d in range(mate.shape[1]):
                    k = mate[s + j, d]
                    if k >= 0:
                        b[j, k] += fractions[d] * variance[s + k]
                        spread = max(spread, b[j, k] * (1.0 + x[k]))
                if n > 2:
                    width[j] = max(width[j], SHARPEST * spread)
                y[j] = i_obs[s + j] / width[j]
                b[j, :] /= width[j]
                log_p -= 0.5 * math.log(2.0 * math.pi) + math.log(width[j])
            if used == 0:
                continue
            flags = centric[s : s + n]
            if n == 1:
                single_integral(table, b[0, 0], y[0], x[0], flags[0], inner, work, out)
                log_p += out[0]
                means[:, 0] = out[1:5]
                products[0, 0] = out[9]
            elif n == 2:
                pair_integral(table, b, y, x, flags, inner, work, out)
                log_p += out[0]
                means[:, 0], means[:, 1] = out[1:5], out[5:9]
                products[0, 0], products[1, 1] = out[9], out[11]
                products[0, 1], products[1, 0] = out[10], out[10]
            else:
                log_p += group_integral(table, b, y, x[:n], flags, means[:, :n], centre[:n], covariance[:n, :n])
                for k in range(n):
                    for q in range(n):
                        products[k, q] = covariance[k, q] + centre[k] * centre[q]
            minus_ll[g] = -log_p
            for k in range(n):
                root = math.sqrt(variance[s + k])
                posterior[0, s + k] = root * means[0, k]
                posterior[1, s + k] = variance[s + k] * means[1, k]
                posterior[2, s + k] = root * means[2, k]
                posterior[3, s + k] = means[3, k]
            for j in range(n):
                if not sigma[s + j] > 0.0:
                    continue
                for d in range(mate.shape[1]):
                    k = mate[s + j, d]
                    if k < 0:
                        continue
                    # ⟨(Σ_l b_jl t_l − y_j) t_k⟩
                    value = -y[j] * (means[1, k] if n < 3 else centre[k])
                    for q in range(n):
                        value += b[j, q] * products[q, k]
                    slope[g, d] += value * variance[s + k] / width[j]


class TwinOps(Threads):
    """Likelihood of a twin compiled by numba."""

    def twin(
        self, groups: TwinGroups, fractions: F64, i_obs: F64, sigma: F64, mean: F64, variance: F64,
        centric: NDArray[np.bool_],
    ) -> TwinPosterior:
        """See :class:`gpurefine.backend.ops_twin.TwinOps`."""
        n_group, n_member = len(groups.start) - 1, len(groups.member)
        self.use(5.0 * n_member)
        minus_ll, posterior = np.zeros(n_group), np.zeros((4, n_member))
        slope = np.zeros((n_group, len(fractions)))
        largest = max(int(np.diff(groups.start).max(initial=1)), 2)
        _twin(
            groups.start, groups.mate, fractions, i_obs, sigma, mean, variance, centric, bessel_table(),
            largest, minus_ll, posterior, slope,
        )
        return TwinPosterior(minus_ll, posterior[0], posterior[1], posterior[2], posterior[3], slope)
