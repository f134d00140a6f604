"""The reference backend's likelihood of a twin: products of dense quadratures over all amplitudes of a group."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..ops_twin import TwinGroups, TwinPosterior
from .intensity import TAIL, log_density, panel_nodes

F64 = NDArray[np.float64]

ORDER = 10
PANELS = {1: 60, 2: 60, 3: 12, 4: 4, 5: 2}
"""Panels of ORDER nodes a variable, by the size of the group; one panel for groups of six and more."""


class TwinOps:
    """Likelihood of a twin by its definition, one group at a time."""

    def twin(
        self, groups: TwinGroups, fractions: F64, i_obs: F64, sigma: F64, mean: F64, variance: F64,
        centric: NDArray[np.bool_],
    ) -> TwinPosterior:
        """See :class:`gpurefine.backend.ops_twin.TwinOps`."""
        n_group, n_member = len(groups.start) - 1, len(groups.member)
        minus_ll, posterior = np.zeros(n_group), np.zeros((4, n_member))
        slope = np.zeros((n_group, len(fractions)))
        for g in range(n_group):
            at = slice(groups.start[g], groups.start[g + 1])
            if not (sigma[at] > 0.0).any():
                continue
            mate = groups.mate[at]
            measured = sigma[at] > 0.0
            n = len(mate)
            domain = np.zeros((len(fractions), n, n))  # which amplitude a domain adds to which measurement
            for d in range(len(fractions)):
                for j in range(n):
                    if measured[j] and mate[j, d] >= 0:
                        domain[d, j, mate[j, d]] = 1.0
            response = np.einsum("d,djk->jk", fractions, domain)
            found = _integrate(
                response[measured], i_obs[at][measured], sigma[at][measured], mean[at], variance[at], centric[at],
                domain[:, measured],
            )
            minus_ll[g], posterior[:, at], slope[g] = found
        return TwinPosterior(minus_ll, posterior[0], posterior[1], posterior[2], posterior[3], slope)


def _integrate(
    response: F64, i_obs: F64, sigma: F64, mean: F64, variance: F64, centric: NDArray[np.bool_], domain: F64
) -> tuple[float, F64, F64]:
    """−log likelihood, means (4, n) and slopes by the fractions of one group."""
    n = len(mean)
    node, weight = panel_nodes(PANELS.get(n, 1), ORDER)
    spread = np.sqrt(np.where(centric, 2.0, 1.0) * variance)
    limits = np.stack([np.maximum(mean - 12.0 * spread, 0.0), mean + 12.0 * spread])
    for _ in range(4):
        # shrink to where the integrand is within exp(−TAIL) of its maximum; more amplitudes, wider meshes
        log_p, f, *_ = _log_integrand(node, limits, response, i_obs, sigma, mean, variance, centric)
        inside = log_p >= log_p.max() - TAIL
        for k in range(n):
            seen = np.flatnonzero(inside.any(axis=tuple(q for q in range(n) if q != k)))
            low, high = max(int(seen[0]) - 1, 0), min(int(seen[-1]) + 1, len(node) - 1)
            if low > 0:
                limits[0, k] = f[k][low]
            if high < len(node) - 1:
                limits[1, k] = f[k][high]
    log_p, f, cosine, residuals = _log_integrand(node, limits, response, i_obs, sigma, mean, variance, centric)
    top = float(log_p.max())
    p = np.exp(log_p - top)
    for k in range(n):
        p = p * _along(weight * (limits[1, k] - limits[0, k]), k, n)
    total = float(p.sum())
    minus_ll = -top - np.log(total) + float(np.sum(0.5 * np.log(2.0 * np.pi) + np.log(sigma)))
    means = np.empty((4, n))
    for k in range(n):
        marginal = p.sum(axis=tuple(q for q in range(n) if q != k)) / total
        for row, values in enumerate((f[k], f[k] ** 2, f[k] * cosine[k], cosine[k])):
            means[row, k] = marginal @ values
    slope = np.zeros(len(domain))
    for j, residual in enumerate(residuals):
        for k in range(n):
            share = float((p * residual * _along(f[k] ** 2, k, n)).sum()) / (total * sigma[j] ** 2)
            slope += share * domain[:, j, k]
    return float(minus_ll), means, slope


def _along(values: F64, axis: int, n: int) -> F64:
    """``values`` as an array of n dimensions that varies along one of them."""
    return values.reshape([-1 if q == axis else 1 for q in range(n)])


def _log_integrand(
    node: F64, limits: F64, response: F64, i_obs: F64, sigma: F64, mean: F64, variance: F64,
    centric: NDArray[np.bool_],
) -> tuple[F64, list[F64], list[F64], list[F64]]:
    """Log of densities times measurements on the mesh, its axes, mean cosines and Σ a F² − I of each measurement."""
    n = len(mean)
    f = [limits[0, k] + (limits[1, k] - limits[0, k]) * node for k in range(n)]
    log_p: F64 = np.zeros((1,) * n)
    cosine = []
    for k in range(n):
        log_k, m = log_density(f[k], mean[k], variance[k], np.full(len(node), centric[k]))
        cosine.append(m)
        log_p = log_p + _along(log_k, k, n)
    residuals = []
    for j in range(len(i_obs)):
        residual: F64 = np.full((1,) * n, -i_obs[j])
        for k in range(n):
            residual = residual + response[j, k] * _along(f[k] ** 2, k, n)
        log_p = log_p - 0.5 * (residual / sigma[j]) ** 2
        residuals.append(residual)
    return log_p, f, cosine, residuals
