"""The reference backend's likelihood of a native with the Friedel pair of a derivative, by dense quadrature."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from ..anomalous_cases import empty_result
from ..information import DRAWS_SIRAS, drawn_errors
from ..ops_anomalous import AnomalousResult
from .pairs import pair_moments

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]
Moments = tuple[F64, C128, C128, F64, F64]
"""log P (n,); ⟨u⟩ (3, n) with u = C⁻¹(z − μ); ⟨z⟩ (3, n); Re⟨u u†⟩ (3, 3, n); C⁻¹ (3, 3, n).  What is missing is 0."""

POINTS = 512
"""Points on the circle of the native's phase; sharper distributions than exp(−(φ/0.03)²) need more."""


def covariance(sigma: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_]) -> F64:
    """C (3, 3, n) of native and both mates."""
    noise = np.where(centric, 1.0, 2.0) * sigma**2
    own_n, shared, each = s[:3] * epsilon
    across = s[3] * np.sqrt(own_n * shared)
    c = np.array([[own_n, across, across], [across, shared + each, shared], [across, shared, shared + each]])
    for k in range(3):
        c[k, k] += noise[k]
    return c


def _triples(a: F64, mu: C128, c: F64) -> Moments:
    """Acentric: the native's phase on a dense circle, the pair's given it."""
    n = a.shape[1]
    c_nn, k = c[0, 0], c[0, 1] / c[0, 0]
    z_n = (a[0][:, None] * np.exp(2j * np.pi * np.arange(POINTS) / POINTS) * np.exp(1j * np.angle(mu[0]))[:, None])
    e_n = z_n - mu[0][:, None]
    inner = c[1:, 1:] - k * c[0, 1]
    log_p, u, z, uu = pair_moments(
        np.repeat(a[1:], POINTS, axis=1), np.repeat(mu[1:], POINTS, axis=1) + (k[:, None] * e_n).ravel(),
        np.repeat(inner, POINTS, axis=2),
    )
    log_f = log_p.reshape(n, POINTS) - np.abs(e_n) ** 2 / c_nn[:, None]
    top = log_f.max(axis=1)
    f = np.exp(log_f - top[:, None])
    total = f.sum(axis=1)
    f /= total[:, None]
    u = u.reshape(2, n, POINTS)
    u = np.concatenate([(e_n / c_nn[:, None] - k[:, None] * u.sum(axis=0))[None], u])
    pair_uu = uu.reshape(2, 2, n, POINTS)
    full = np.zeros((3, 3, n, POINTS))
    full[1:, 1:] = pair_uu
    scaled = e_n / c_nn[:, None]
    for i in (0, 1):
        full[0, 1 + i] = full[1 + i, 0] = (scaled * u[1 + i].conj()).real - k[:, None] * pair_uu[:, i].sum(axis=0)
    full[0, 0] = (
        np.abs(scaled) ** 2 - 2.0 * k[:, None] * (scaled * (u[1] + u[2]).conj()).real
        + k[:, None] ** 2 * pair_uu.sum(axis=(0, 1))
    )
    z = np.concatenate([z_n[None], z.reshape(2, n, POINTS)])
    front = np.log(np.maximum(a[0], 1e-30) / (np.pi * c_nn) * total * 2.0 * np.pi / POINTS)
    return front + top, (u * f).sum(-1), (z * f).sum(-1), (full * f).sum(-1), _inverse(c)


def _native_and_mate(a: F64, mu: C128, c: F64, row: int) -> Moments:
    """Acentric: native and the mate ``row`` alone."""
    rows = np.array([row, 0])
    log_p, u, z, uu = pair_moments(a[rows], mu[rows], c[np.ix_(rows, rows)])
    return log_p, _rows(u, rows), _rows(z, rows), _block(uu, rows), _block(_inverse(c[np.ix_(rows, rows)]), rows)


def _centric(a: F64, mu: C128, c: F64, row: int) -> Moments:
    """Real Gaussian variables along one line, summed over both signs of both."""
    rows = np.array([0, row])
    size = np.abs(mu[rows])
    unit = np.divide(mu[rows], size, out=np.ones_like(mu[rows]), where=size > 0.0)
    unit[1] = np.where(size[1] > 0.0, unit[1], unit[0])
    # along the native's direction; the derivative's mean may point the other way
    unit[1] *= np.where((unit[0] * unit[1].conj()).real >= 0.0, 1.0, -1.0)
    mean = np.array([size[0], (mu[row] * unit[1].conj()).real])
    part = c[np.ix_(rows, rows)]
    inverse = _inverse(part)
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=2)))
    z = signs[:, :, None] * a[rows]
    u = np.einsum("ijn,sjn->sin", inverse, z - mean)
    log_f = -0.5 * ((z - mean) * u).sum(axis=1)
    top = log_f.max(axis=0)
    f = np.exp(log_f - top)
    total = f.sum(axis=0)
    f /= total
    det = part[0, 0] * part[1, 1] - part[0, 1] ** 2
    log_p = top + np.log(total / (2.0 * np.pi * np.sqrt(det)))
    mean_u, mean_z = np.einsum("sn,sin->in", f, u), np.einsum("sn,sin->in", f, z)
    uu = np.einsum("sn,sin,sjn->ijn", f, u, u)
    return log_p, _rows(mean_u * unit, rows), _rows(mean_z * unit, rows), _block(uu, rows), _block(inverse, rows)


def _inverse(c: F64) -> F64:
    return np.asarray(np.moveaxis(np.linalg.inv(np.moveaxis(c, 2, 0)), 0, 2))


def _rows(x: C128, rows: NDArray[np.intp]) -> C128:
    out = np.zeros((3, x.shape[1]), np.complex128)
    out[rows] = x
    return out


def _block(x: F64, rows: NDArray[np.intp]) -> F64:
    out = np.zeros((3, 3, x.shape[2]))
    out[np.ix_(rows, rows)] = x
    return out


def joint(
    f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
    want_information: bool,
) -> AnomalousResult:
    """Native with one or both mates; see :meth:`gpurefine.backend.ops_anomalous.AnomalousOps.siras`."""
    n = f_obs.shape[1]
    out = empty_result(n, 3, 3, 7)
    measured = np.isfinite(f_obs)
    both = measured[1:].all(axis=0) & ~centric
    row = np.where(measured[1], 1, 2)
    part = 1j * d[2] * f_calc[2]
    main = d[1] * (f_calc[0] + f_calc[1])
    mu = np.array([d[0] * f_calc[0], main + part, main - part])
    c = covariance(np.where(measured, sigma, 0.0), s, epsilon, centric)
    errors = drawn_errors(n, DRAWS_SIRAS, 4) if want_information else np.zeros((0, 4, n), np.complex128)
    cases = [((0, False), both)]
    cases += [((k, cen), ~both & (row == k) & (centric == cen)) for k in (1, 2) for cen in (False, True)]
    for case, take in cases:
        k = np.flatnonzero(take)
        if not len(k):
            continue
        moments = _moments(case, f_obs[:, k], mu[:, k], c[:, :, k])
        half = 0.5 if case[1] else 1.0
        out.minus_ll[k], out.phased[:, k] = -moments[0], moments[2]
        out.gradient[:, k], out.slope[:, k], out.bound[:, k] = _derivatives(
            moments, f_calc[:, k], d[:, k], s[:, k], epsilon[k], half
        )
        for x in errors[:, :, k]:
            a = _simulated(mu[:, k], c[:, :, k], s[:, k], epsilon[k], x, case[1])
            u = _moments(case, a, mu[:, k], c[:, :, k])[1]
            by_main = d[1, k] * (u[1] + u[2])
            change = np.array([d[0, k] * u[0] + by_main, by_main, d[2, k] * (u[1] - u[2])])
            out.information[:, k] += 4.0 * half**2 / len(errors) * np.abs(change) ** 2
        if case[1]:
            size = np.abs(mu[case[0], k]) ** 2
            for i, x in ((1, main[k]), (2, part[k])):
                share = np.divide(np.abs(x) ** 2, size, out=np.ones_like(size), where=size > 0.0)
                out.information[i, k] *= np.minimum(share, 1.0)
    return out


def _moments(case: tuple[int, bool], a: F64, mu: C128, c: F64) -> Moments:
    row, centric = case
    if row == 0:
        return _triples(a, mu, c)
    return _centric(a, mu, c, row) if centric else _native_and_mate(a, mu, c, row)


def _simulated(mu: C128, c: F64, s: F64, epsilon: F64, x: C128, centric: bool) -> F64:
    """Amplitudes (3, n) drawn from the model with the normal numbers ``x`` (4, n)."""
    k, shared = c[0, 1] / c[0, 0], s[1] * epsilon
    own = np.array([c[1, 1], c[2, 2]]) - shared
    e_n = np.sqrt(c[0, 0]) * x[0]
    common = k * e_n + np.sqrt(np.maximum(shared - c[0, 1] * k, 0.0)) * x[1]
    e = np.concatenate([e_n[None], common + np.sqrt(own) * x[2:]])
    if centric:
        size = np.abs(mu[0])
        e = np.sqrt(2.0) * e.real * np.divide(mu[0], size, out=np.ones_like(mu[0]), where=size > 0.0)
    return np.asarray(np.abs(mu + e))


def _derivatives(
    moments: Moments, f_calc: C128, d: F64, s: F64, epsilon: F64, half: float
) -> tuple[C128, F64, F64]:
    """Gradient (3, n), slopes and bounds (7, n)."""
    _, u, _, uu, inverse = moments
    n = f_calc.shape[1]
    own_n, shared, each = s[:3] * epsilon
    across = s[3] * np.sqrt(own_n * shared)
    change = np.zeros((4, 3, 3, n))
    change[0, 0, 0] = own_n
    change[1, 1:, 1:] = shared
    change[2, 1, 1] = change[2, 2, 2] = each
    for parameter, link in ((0, 0.5 * across), (1, 0.5 * across), (3, across * (1.0 - s[3]))):
        change[parameter, 0, 1:] = change[parameter, 1:, 0] = link
    both, apart = u[1] + u[2], u[1] - u[2]
    main, anomalous = f_calc[0] + f_calc[1], 1j * f_calc[2]
    # F_N is a part of both means
    gradient = -2.0 * half * np.array([d[0] * u[0] + d[1] * both, d[1] * both, -1j * d[2] * apart])
    by_d = -2.0 * half * np.array([
        (f_calc[0].conj() * u[0]).real, (main.conj() * both).real, (anomalous.conj() * apart).real
    ])
    by_c = half * np.einsum("pijn,ijn->pn", change, inverse - uu)
    pair = inverse[1, 1] + inverse[2, 2]
    bound_d = 2.0 * half * np.abs(np.array([f_calc[0], main, anomalous])) ** 2 * np.array([
        inverse[0, 0], pair + 2.0 * inverse[1, 2], pair - 2.0 * inverse[1, 2]
    ])
    product = np.einsum("ijn,pjkn->pikn", inverse, change)
    bound_c = half * np.einsum("pikn,pkin->pn", product, product)
    slope = np.asarray(np.concatenate([by_d, by_c]), np.float64)
    return np.asarray(gradient, np.complex128), slope, np.asarray(np.concatenate([bound_d, bound_c]), np.float64)
