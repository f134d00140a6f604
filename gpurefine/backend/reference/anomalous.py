"""The reference backend's likelihoods of Friedel pairs: the integrals by dense quadrature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..anomalous_cases import empty_result, siras_by_cases
from ..information import DRAWS, drawn_errors
from ..ops_anomalous import AnomalousResult
from ..ops_reflections import Array
from .likelihood import TargetOps
from .pairs import pair_moments
from .siras import joint

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

class AnomalousOps:
    """Likelihoods in vectorised NumPy."""

    def sad(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        want_information: bool,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        n = f_obs.shape[1]
        result = empty_result(n, 2, 2, 4)
        measured = ~np.isnan(f_obs)
        pair = measured.all(axis=0) & ~centric
        alone = measured.any(axis=0) & ~pair
        if alone.any():
            _alone(result, np.flatnonzero(alone), f_obs, sigma, f_calc, d, s, epsilon, centric)
        if pair.any():
            _pairs(result, np.flatnonzero(pair), f_obs, sigma, f_calc, d, s, epsilon, DRAWS if want_information else 0)
        return result

    def siras(
        self, f_obs: F64, sigma: F64, f_calc: C128, d: F64, s: F64, epsilon: F64, centric: NDArray[np.bool_],
        want_information: bool, scale: Array = None,
    ) -> AnomalousResult:
        """See :class:`gpurefine.backend.ops_anomalous.AnomalousOps`."""
        return siras_by_cases(
            joint, self.sad, f_obs, sigma, f_calc, d, s, epsilon, centric, want_information, scale
        )


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
