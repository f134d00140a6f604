"""Pairs of amplitudes: their probability and the moments of the phases, by dense quadrature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

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
