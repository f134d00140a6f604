"""Between the structure factors of a twin's reflections and the groups that their likelihood integrates over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .ops_reflections import Array
from .ops_twin import TwinGroups, TwinPosterior
from .posterior import posterior_gradient

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TwinMeasured:
    """Groups with what was measured of their members (n_member,): ``intensity``, ``sigma`` (0 where nothing was),
    ``epsilon`` and ``centric``; ``n`` reflections in all."""

    groups: TwinGroups
    intensity: F64
    sigma: F64
    epsilon: F64
    centric: NDArray[np.bool_]
    n: int


@dataclass(frozen=True, slots=True, eq=False)
class TwinModel:
    """What the model says of every member (n_member,): ``mean`` D|F_c| and ``variance`` ε S."""

    mean: Array
    variance: Array


@dataclass(frozen=True, slots=True, eq=False)
class TwinSlopes:
    """On all reflections (n,), 0 outside the groups: ``minus_ll``, a group's shared equally by its measurements;
    ``gradient`` by F_c (∂/∂Re + i ∂/∂Im) and expected ``information`` about |F_c|, None unless asked for."""

    minus_ll: Array
    gradient: Array = None
    information: Array = None


class TwinMemberOps(Protocol):
    """Operations on all reflections (n,) of a twin; results lie where the structure factors lie."""

    def twinned(self, mates: NDArray[np.signedinteger[Any]], fractions: F64, f: Array, f_obs: F64 | None) -> Array:
        """√(Σ_d α_d |F_k(d)|²) (n,) of ``f`` (n,), or if ``f_obs`` (n,) is given, the share of f_obs that is the
        crystal's own: f_obs |F| over that root, f_obs where it is 0.

        ``mates`` (n_domain, n): the reflection that each domain contributes, negative for none.
        """
        ...

    def twin_model(self, measured: TwinMeasured, f: Array, d: Array, s: Array) -> TwinModel:
        """Means and variances of the members from F_c, D and k_aniso² Σ_mod of all reflections (n,)."""
        ...

    def twin_slopes(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array,
        derivatives: bool,
    ) -> TwinSlopes:
        """−LL and its derivatives from the posterior means ``found`` of the members."""
        ...

    def twin_errors(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array
    ) -> Array:
        """(4, n): slope and information by D, and by ln S; 0 outside the groups."""
        ...

    def centred_products(self, slopes: Array) -> tuple[F64, F64]:
        """Σ x (d,) and Σ x xᵀ (d, d) over the rows x of ``slopes`` (g, d), each with its mean taken off."""
        ...


class HostTwinMembers:
    """The definition, in NumPy."""

    def twinned(self, mates: NDArray[np.signedinteger[Any]], fractions: F64, f: Array, f_obs: F64 | None) -> Array:
        """See :class:`TwinMemberOps`."""
        square = np.append(np.abs(f) ** 2, 0.0)  # absent mates contribute nothing
        whole = np.sqrt(fractions @ square[np.where(mates >= 0, mates, len(f))])
        if f_obs is None:
            return whole
        return f_obs * np.divide(np.abs(f), whole, out=np.ones(len(f)), where=whole > 0.0)

    def twin_model(self, measured: TwinMeasured, f: Array, d: Array, s: Array) -> TwinModel:
        """See :class:`TwinMemberOps`."""
        at = measured.groups.member
        return TwinModel(d[at] * np.abs(f[at]), s[at] * measured.epsilon)

    def twin_slopes(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array,
        derivatives: bool,
    ) -> TwinSlopes:
        """See :class:`TwinMemberOps`."""
        groups, n = measured.groups, measured.n
        at, group, seen = groups.member, groups.group, measured.sigma > 0.0
        count = np.bincount(group, weights=seen, minlength=len(groups.start) - 1)
        minus_ll = np.zeros(n)
        minus_ll[at[seen]] = (found.minus_ll / np.maximum(count, 1.0))[group[seen]]
        if not derivatives:
            return TwinSlopes(minus_ll)
        gradient, information = np.zeros(n, np.complex128), np.zeros(n)
        gradient[at] = posterior_gradient(found.fm, f[at], d[at], model.variance, measured.centric)
        information[at] = 4.0 * d[at] ** 2 * model.mean**2 * _told(measured, fractions, model)
        return TwinSlopes(minus_ll, gradient, information)

    def twin_errors(
        self, measured: TwinMeasured, fractions: F64, found: TwinPosterior, model: TwinModel, f: Array, d: Array
    ) -> Array:
        """See :class:`TwinMemberOps`."""
        at, mean, v = measured.groups.member, model.mean, model.variance
        fc, half = np.abs(f[at]), np.where(measured.centric, 0.5, 1.0)
        misfit = found.f2 + mean**2 - 2.0 * mean * found.fm
        told = _told(measured, fractions, model)
        share, weak = _spread(measured, model) * told, v / (v + 2.0 * mean**2)
        out = np.zeros((4, measured.n))
        out[0, at] = 2.0 * half * fc * (mean - found.fm) / v
        out[1, at] = np.minimum(2.0 * half * fc * fc / v, 5.0 * fc * fc * mean**2 * told)
        out[2, at] = half * (1.0 - misfit / v)
        out[3, at] = half * (weak * share + (1.0 - weak) * share * share)
        return out

    def centred_products(self, slopes: Array) -> tuple[F64, F64]:
        """See :class:`TwinMemberOps`."""
        each = slopes - slopes.mean(axis=1, keepdims=True)
        return each.sum(axis=0), each.T @ each


def _spread(measured: TwinMeasured, model: TwinModel) -> F64:
    """Variance of |F|² (n_member,) under the model."""
    v = model.variance
    return np.asarray((v * v + 2.0 * model.mean**2 * v) * np.where(measured.centric, 2.0, 1.0))


def _told(measured: TwinMeasured, fractions: F64, model: TwinModel) -> F64:
    return response_variance(measured.groups, fractions, measured.sigma, _spread(measured, model))


def response_variance(
    groups: TwinGroups, fractions: F64, sigma: F64, variance: F64
) -> F64:
    """Σ_j a_jk²/Var(I_j) (n_member,): 1/variance with which |F_k|² is measured, other members left to the model.

    Args:
        sigma: (n_member,) uncertainties of I, 0 where not measured; variance: (n_member,) of |F|² under the model.
    """
    mates = groups.mates()
    measured = sigma > 0.0
    n_domain = mates.shape[1]
    # domains that contribute the same member add up before they are squared
    total = sigma**2
    weights = np.zeros(mates.shape)
    for d in range(n_domain):
        same = (mates == mates[:, d : d + 1]) & (mates[:, d : d + 1] >= 0)
        whole = (same * fractions).sum(axis=1)
        firstly = ~same[:, :d].any(axis=1)
        weights[:, d] = np.where(firstly, whole, 0.0)
        total = total + weights[:, d] ** 2 * np.append(variance, 0.0)[mates[:, d]]
    inverse = np.where(measured, 1.0 / np.where(measured, total, 1.0), 0.0)
    told = np.zeros(len(sigma) + 1)
    for d in range(n_domain):
        np.add.at(told, mates[:, d], weights[:, d] ** 2 * inverse)
    return told[:-1]
