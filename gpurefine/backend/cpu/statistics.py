"""Sums over restraints for the statistics of a cycle, compiled by numba."""

from __future__ import annotations

import math

import numpy as np
from numba import prange

from ..ops_pairs import SimilarPairs
from ..ops_restraints import F64, I8, I32, Flags, GeometryPlan, Repulsions
from .jit import njit
from .restraints import RestraintOps

CHUNKS = 16
"""Partial sums: their number is fixed, so that the result has the same bits for any number of threads."""

BARE, THROUGH_SYMMETRY, OVERLAP_KINDS = 4, 4, 5
"""Kind of a contact that counts as one of kind 0, number of those through symmetry, and how many there are."""


@njit()
def _add(out: F64, z: float, sigma: float) -> None:
    """Add a term to ``out`` (4,): count, Σ (zσ)², Σ z² and Σ σ."""
    out[0] += 1.0
    out[1] += (z * sigma) ** 2
    out[2] += z**2
    out[3] += sigma


@njit(cache=True, parallel=True)
def _sum_terms(z: F64, sigma: F64, kind: I8, sums: F64) -> None:
    """Add terms (m,) to ``sums`` (CHUNKS, n, 4) by kind, none where that is negative."""
    m = len(z)
    for chunk in prange(CHUNKS):
        for k in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            if kind[k] >= 0:
                _add(sums[chunk, kind[k]], z[k], sigma[k])


@njit(cache=True, parallel=True)
def _sum_overlaps(
    z: F64, sigma: F64, first: I32, second: I32, op: I32, shift: I32, kind: I8, heavy: Flags, sums: F64
) -> None:
    """The same for pairs of heavy atoms that overlap."""
    m = len(z)
    for chunk in prange(CHUNKS):
        for k in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            if z[k] > 0.0 and heavy[first[k]] and heavy[second[k]]:
                which = 0 if kind[k] == BARE else kind[k]
                if op[k] != 0 or shift[k, 0] != 0 or shift[k, 1] != 0 or shift[k, 2] != 0:
                    which = THROUGH_SYMMETRY
                _add(sums[chunk, which], z[k], sigma[k])


@njit(cache=True, parallel=True)
def _sum_similar(first: I32, second: I32, weight: F64, b_iso: F64, sums: F64) -> None:
    """The same for pairs with a weight w, z = (B₁ − B₂)/σ and σ² = B₁B₂/w; sums (CHUNKS, 4)."""
    m = len(weight)
    for chunk in prange(CHUNKS):
        for k in range(chunk * m // CHUNKS, (chunk + 1) * m // CHUNKS):
            if weight[k] > 0.0:
                p, q = b_iso[first[k]], b_iso[second[k]]
                sigma = math.sqrt(p * q / weight[k])
                _add(sums[chunk], (p - q) / sigma, sigma)


class StatisticsOps(RestraintOps):
    """See :class:`gpurefine.backend.ops_pairs.RestraintSums`."""

    def geometry_sums(self, plan: GeometryPlan, kinds: I8, n_kind: int, xyz: F64) -> F64:
        """Of covalent restraints by kind."""
        t = plan.terms
        plane = t.plane_sigma[plan.member_plane]
        z = np.concatenate([*self._covalent_residuals(plan, xyz), plan.member[:, 0] / plane])
        sigma = np.concatenate([t.bond_sigma, t.angle_sigma, t.torsion_sigma, t.chiral_sigma, plane])
        sums = np.zeros((CHUNKS, n_kind, 4))
        _sum_terms(z, sigma, kinds, sums)
        return np.asarray(sums.sum(axis=0))

    def overlap_sums(self, pairs: Repulsions, xyz: F64, kind: I8, heavy: Flags) -> F64:
        """Of pairs that overlap by kind."""
        z, sums = np.empty(len(pairs)), np.zeros((CHUNKS, OVERLAP_KINDS, 4))
        self.repulsion(pairs, xyz, z)
        _sum_overlaps(z, pairs.sigma, pairs.first, pairs.second, pairs.op, pairs.shift, kind, heavy, sums)
        return np.asarray(sums.sum(axis=0))

    def similarity_sums(self, pairs: SimilarPairs, b_iso: F64) -> F64:
        """Of pairs with a weight."""
        sums = np.zeros((CHUNKS, 4))
        self.use(0.01 * len(pairs))
        _sum_similar(pairs.first, pairs.second, pairs.weight, b_iso, sums)
        return np.asarray(sums.sum(axis=0, keepdims=True))
