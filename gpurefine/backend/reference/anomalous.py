"""The reference backend's likelihoods of Friedel pairs: the integrals by dense quadrature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from ..information import DRAWS, drawn_errors
from ..ops_anomalous import AnomalousResult
from .likelihood import TargetOps

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

MAX_VALUES = 2_000_000
"""Values of an integrand held at a time."""


def pair_moments(a: F64, mu: C128, c: F64) -> tuple[F64, C128, C128, F64]:
    """Acentric pairs of amplitudes ``a`` (2, n), means ``mu`` (2, n), covariance ``c`` (2, 2, n).

    Returns:
        log P (n,); ⟨u⟩ (2, n) with u = C⁻¹(z − μ); ⟨z⟩ (2, n); Re⟨u u†⟩ (2, 2, n).  Row 1's phase is integrated by the
        trapezoid rule on the circle, with as many points as the sharpest integrand needs; row 0's in closed form.
    """
    rho, v = c[0, 1] / c[1, 1], c[0, 0] - c[0, 1] ** 2 / c[1, 1]
    centre, radius = mu[0] - rho * mu[1], rho * a[1]
    small = np.minimum(np.abs(centre), radius)
    sharpness = 2.0 * a[1] * np.abs(mu[1]) / c[1, 1] + 2.0 / v * (small**2 + small * (a[0] + np.abs(centre) + radius))
    points = 2 ** np.ceil(np.log2(64.0 + 12.0 * np.sqrt(sharpness))).astype(int)
    n = a.shape[1]
    log_p, u, z = np.empty(n), np.empty((2, n), np.complex128), np.empty((2, n), np.complex128)
    uu = np.empty((2, 2, n))
    for count in np.unique(points):
        members = np.flatnonzero(points == count)
        for part in np.array_split(members, max(1, len(members) * int(count) // MAX_VALUES)):
            log_p[part], u[:, part], z[:, part], uu[:, :, part] = _pair_part(
                int(count), a[:, part], mu[:, part], c[:, :, part], rho[part], v[part]
            )
    return log_p, u, z, uu


def _pair_part(count: int, a: F64, mu: C128, c: F64, rho: F64, v: F64) -> tuple[F64, C128, C128, F64]:
    z1 = a[1][:, None] * np.exp(2j * np.pi * np.arange(count) / count)
    e1 = z1 - mu[1][:, None]
    m0 = (mu[0] - rho * mu[1])[:, None] + rho[:, None] * z1
    size = np.abs(m0)
    x = 2.0 * a[0][:, None] * size / v[:, None]
    log_f = -(np.abs(e1) ** 2) / c[1, 1][:, None] - (a[0][:, None] - size) ** 2 / v[:, None] + np.log(i0e(x))
    top = log_f.max(axis=1)
    f = np.exp(log_f - top[:, None])
    total = f.sum(axis=1)
    f /= total[:, None]
    ratio = i1e(x) / i0e(x)
    z0 = a[0][:, None] * ratio * np.divide(m0, size, out=np.ones_like(m0), where=size > 0.0)
    e0 = z0 - m0
    square0 = (f * ((a[0][:, None] - size) ** 2 + 2.0 * a[0][:, None] * size * (1.0 - ratio))).sum(axis=1) / v**2
    square1 = (f * np.abs(e1) ** 2).sum(axis=1) / c[1, 1] ** 2
    cross = (f * (e0 * e1.conj()).real).sum(axis=1) / (v * c[1, 1])
    u0 = (f * e0).sum(axis=1) / v
    u1 = (f * e1).sum(axis=1) / c[1, 1] - rho * u0
    # u₀ = e₀/v and u₁ = e₁/C₂₂ − ρ e₀/v, e₀ the error of z₀ given z₁
    uu = np.array([
        [square0, cross - rho * square0], [cross - rho * square0, square1 - 2.0 * rho * cross + rho**2 * square0]
    ])
    front = 2.0 * np.maximum(a[0], 1e-30) * np.maximum(a[1], 1e-30) / (np.pi * c[1, 1] * v)
    log_p = np.log(front * total * 2.0 * np.pi / count) + top
    return log_p, np.array([u0, u1]), np.array([(f * z0).sum(axis=1), (f * z1).sum(axis=1)]), uu


class AnomalousOps:
    """Likelihoods in vectorised NumPy."""

    def sad(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        want_information: bool,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        n = f_obs.shape[1]
        result = AnomalousResult(
            np.zeros(n), np.zeros((2, n), np.complex128), np.zeros((2, n)), np.zeros((2, n), np.complex128),
            np.zeros((4, n)), np.zeros((4, n)),
        )
        measured = ~np.isnan(f_obs)
        pair = measured.all(axis=0) & ~centric
        alone = measured.any(axis=0) & ~pair
        if alone.any():
            _alone(result, np.flatnonzero(alone), f_obs, sigma, f_calc, d, s, epsilon, centric)
        if pair.any():
            _pairs(result, np.flatnonzero(pair), f_obs, sigma, f_calc, d, s, epsilon, DRAWS if want_information else 0)
        return result


def _alone(
    out: AnomalousResult, k: NDArray[np.intp], f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64,
    centric: NDArray[np.bool_],
) -> None:
    """Rice's likelihood with mean D F′ ± i D_Δ F″ and variance ε(Σ_c + Σ_Δ) + (1 or 2) σ²."""
    row = np.where(np.isnan(f_obs[0, k]), 1, 0)
    sign = np.where(row == 0, 1.0, -1.0)
    a, sigma_a, one = f_obs[row, k], sigma[row, k], np.ones(len(k))
    part = np.array([d[0, k] * f_calc[0, k], sign * 1j * d[1, k] * f_calc[1, k]])
    mu = part.sum(axis=0)
    mean = np.abs(mu)
    shared, each = s[0, k] * epsilon[k], s[1, k] * epsilon[k]
    rice = TargetOps().rice(a, sigma_a, mu, one, shared + each, one, centric[k], True)
    known = rice.information
    if centric[k].any():
        # only what lies along the sum of both parts changes a centric amplitude
        share = np.divide(np.abs(part) ** 2, mean**2, out=np.zeros((2, len(k))), where=mean > 0.0)
        known = known * np.where(centric[k], np.minimum(share, 1.0), 1.0)
    total = np.where(centric[k], 1.0, 2.0) * sigma_a**2 + shared + each
    half = np.where(centric[k], 0.5, 1.0)
    misfit = half * (1.0 - (a**2 + mean**2 - 2.0 * rice.fom * a * mean) / total) / total
    g, m = rice.gradient, rice.fom
    out.minus_ll[k] = rice.minus_ll
    out.gradient[:, k] = np.array([d[0, k] * g, sign * -1j * d[1, k] * g])
    out.information[:, k] = d[:, k] ** 2 * known
    out.phased[row, k] = m * a * np.divide(mu, mean, out=np.ones_like(mu), where=mean > 0.0)
    out.slope[:, k] = np.array([
        (f_calc[0, k].conj() * g).real, (sign * (1j * f_calc[1, k]).conj() * g).real, shared * misfit, each * misfit
    ])
    out.bound[:, k] = half * np.array([
        2.0 * np.abs(f_calc[0, k]) ** 2 / total, 2.0 * np.abs(f_calc[1, k]) ** 2 / total,
        (shared / total) ** 2, (each / total) ** 2,
    ])


def _pairs(
    out: AnomalousResult, k: NDArray[np.intp], f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64,
    draws: int,
) -> None:
    """The two-dimensional phase integral."""
    shared, each = s[0, k] * epsilon[k], s[1, k] * epsilon[k]
    main, anomalous = f_calc[0, k], 1j * f_calc[1, k]
    mu = np.array([d[0, k] * main + d[1, k] * anomalous, d[0, k] * main - d[1, k] * anomalous])
    own = each + 2.0 * sigma[:, k] ** 2
    c = np.array([[shared + own[0], shared], [shared, shared + own[1]]])
    log_p, u, z, uu = pair_moments(f_obs[:, k], mu, c)
    inverse = np.moveaxis(np.linalg.inv(np.moveaxis(c, 2, 0)), 0, 2)
    sign = np.array([1.0, -1.0])
    common, difference = inverse.sum(axis=(0, 1)), np.einsum("i,ijn,j->n", sign, inverse, sign)
    out.minus_ll[k] = -log_p
    out.gradient[:, k] = np.array([-2.0 * d[0, k] * (u[0] + u[1]), 2j * d[1, k] * (u[0] - u[1])])
    out.phased[:, k] = z
    out.slope[:, k] = np.array([
        -2.0 * (main.conj() * (u[0] + u[1])).real, -2.0 * (anomalous.conj() * (u[0] - u[1])).real,
        shared * (common - uu.sum(axis=(0, 1))), each * (inverse[0, 0] + inverse[1, 1] - uu[0, 0] - uu[1, 1]),
    ])
    out.bound[:, k] = np.array([
        2.0 * np.abs(main) ** 2 * common, 2.0 * np.abs(anomalous) ** 2 * difference, (shared * common) ** 2,
        each**2 * (inverse**2).sum(axis=(0, 1)),
    ])
    errors = drawn_errors(f_obs.shape[1], draws, 3)[:, :, k]
    for x in errors:
        u = pair_moments(np.abs(mu + np.sqrt(shared) * x[0] + np.sqrt(own) * x[1:]), mu, c)[1]
        out.information[0, k] += 4.0 / draws * (d[0, k] * np.abs(u[0] + u[1])) ** 2
        out.information[1, k] += 4.0 / draws * (d[1, k] * np.abs(u[0] - u[1])) ** 2
