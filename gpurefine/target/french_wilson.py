"""Amplitudes from intensities by Bayes' theorem with Wilson's prior (French & Wilson 1978, Acta Cryst. A34, 517).

The true intensity J = F² is positive and, before it is measured, distributed as Wilson (1949) says with mean
Σ(s).  With a normal error of the measured I, the posterior of x = F/√σ is, up to a constant,

    acentric  x exp(−(x² − h)²/2),   h = I/σ − σ/Σ
    centric     exp(−(x² − h)²/2),   h = I/σ − σ/(2Σ)

so that both need one family of integrals of one variable, done here by Gauss–Legendre quadrature over the part of
the axis where the exponent is above −40.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backend.hats import hat_matrix
from ..model.crystal import Crystal

F64 = NDArray[np.float64]

_EXPONENT_DROP = 40.0
"""The quadrature ends where the integrand has fallen by exp(−40)."""
_NODES = 64
_SHARP = 1e8
_CHUNK = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Amplitudes:
    """Posterior mean ``f`` (n,) and standard deviation ``sigma`` (n,) of F; ``wilson_mean`` (n,) is Σ, ε included."""

    f: F64
    sigma: F64
    wilson_mean: F64


def posterior_amplitude(
    intensity: F64, sigma: F64, centric: NDArray[np.bool_], wilson_mean: F64
) -> tuple[F64, F64]:
    """Posterior mean and standard deviation of F.

    Args:
        intensity: (n,) measured intensities, negative ones included.
        sigma: (n,) their standard uncertainties, positive.
        centric: (n,) bool.
        wilson_mean: (n,) expected intensity ε Σ(s), positive, in the units of ``intensity``.

    Returns:
        (f, sigma_f), each (n,) float64, in the square root of the units of ``intensity``.
    """
    intensity = np.asarray(intensity, dtype=np.float64)
    sigma = np.asarray(sigma, dtype=np.float64)
    h = intensity / sigma - sigma / np.where(centric, 2.0 * wilson_mean, wilson_mean)
    mean = np.empty(len(h))
    spread = np.empty(len(h))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    for start in range(0, len(h), _CHUNK):
        part = slice(start, start + _CHUNK)
        mean[part], spread[part] = _moments(np.minimum(h[part], _SHARP), centric[part], nodes, weights)
    # Far from 0 the posterior is normal in x² with width 1: x = √h ± 1/(2√h); the quadrature would lose its nodes.
    sharp = h > _SHARP
    mean[sharp] = np.sqrt(h[sharp])
    spread[sharp] = 0.5 / mean[sharp]
    root = np.sqrt(sigma)
    return mean * root, spread * root


def _moments(h: F64, centric: NDArray[np.bool_], nodes: F64, weights: F64) -> tuple[F64, F64]:
    """Mean and standard deviation of x under x^k exp(−(x² − h)²/2), k = 0 centric, 1 acentric; h (m,)."""
    reach = np.sqrt(2.0 * _EXPONENT_DROP)
    # h ≥ 0: the peak is at x² = h.  h < 0: the largest value is at x = 0; solve t²/2 + |h| t = 40 for t = x².
    high = np.where(h >= 0.0, h + reach, reach**2 / (np.abs(h) + np.sqrt(h * h + reach**2)))
    low = np.sqrt(np.maximum(h - reach, 0.0))
    half = 0.5 * (np.sqrt(high) - low)
    x = (low + half)[:, None] + half[:, None] * nodes
    t = x * x
    # exponent relative to its largest value, written without the cancellation of h² for very negative h
    negative = np.minimum(h, 0.0)[:, None]
    positive = np.maximum(h, 0.0)[:, None]
    exponent = -0.5 * (t - positive) ** 2 + negative * t
    density = np.exp(exponent) * weights
    density *= np.where(centric[:, None], 1.0, x)
    total = density.sum(axis=1)
    mean = (density * x).sum(axis=1) / total
    variance = (density * (x - mean[:, None]) ** 2).sum(axis=1) / total
    return mean, np.sqrt(variance)


@dataclass(frozen=True, slots=True, eq=False)
class WilsonFit:
    """``mean`` (n,): expected intensity ε Σ(s), positive; ``b_aniso`` (3, 3): the traceless Cartesian B of Σ, Å²."""

    mean: F64
    b_aniso: F64

    @property
    def b_range(self) -> float:
        """Difference between the largest and the smallest eigenvalue of ``b_aniso``, Å²."""
        return float(np.ptp(np.linalg.eigvalsh(self.b_aniso)))


def wilson_mean(
    crystal: Crystal,
    hkl: NDArray[np.int32],
    intensity: F64,
    sigma: F64,
    centric: NDArray[np.bool_],
    epsilon: F64,
    per_knot: int = 400,
    max_knots: int = 30,
) -> F64:
    """Expected intensity ε Σ(s) (n,) alone; see :func:`wilson_fit`."""
    return wilson_fit(crystal, hkl, intensity, sigma, centric, epsilon, per_knot, max_knots).mean


def wilson_fit(
    crystal: Crystal,
    hkl: NDArray[np.int32],
    intensity: F64,
    sigma: F64,
    centric: NDArray[np.bool_],
    epsilon: F64,
    per_knot: int = 400,
    max_knots: int = 30,
) -> WilsonFit:
    """Expected intensity ε Σ(s) (n,) with a smooth dependence on resolution and direction.

    ln Σ is piecewise linear in 1/d² plus −sᵀ B s/2 with a traceless B that has the symmetry of the crystal.  The
    coefficients maximise the quasi-likelihood of intensities with mean εΣ and variance ε²Σ² (acentric) or 2ε²Σ²
    (centric) plus σ², by iteratively reweighted least squares; negative intensities take part.

    Args:
        crystal: cell and symmetry.
        hkl: (n, 3) Miller indices.
        intensity, sigma: (n,) measured intensities and standard uncertainties (> 0).
        centric: (n,) bool; epsilon: (n,) symmetry factor without centring.
        per_knot: reflections wanted for each knot in resolution; max_knots: most knots used.

    Returns:
        The expected intensities and the anisotropy of their fall-off.
    """
    inv_d2 = crystal.inv_d2(hkl)
    n_knots = int(np.clip(len(hkl) // per_knot, 2, max_knots))
    design = np.hstack([_hats(inv_d2, n_knots), _anisotropy_terms(crystal, hkl, inv_d2)])
    y = intensity / epsilon
    noise = (sigma / epsilon) ** 2
    statistic = np.where(centric, 2.0, 1.0)
    # Where hardly anything is measured Σ cannot fall below a small part of the noise: ln Σ stays finite.
    floor = 0.02 * np.sqrt(np.exp(_smooth_log(inv_d2, noise, n_knots)))
    start = np.maximum(_shell_means(inv_d2, y, n_knots), floor)
    coefficients = np.linalg.lstsq(design, np.log(start), rcond=1e-8)[0]
    penalty = _roughness(n_knots, design.shape[1])
    for _ in range(30):
        mean = np.maximum(np.exp(np.clip(design @ coefficients, -300.0, 300.0)), floor)
        weight = mean * mean / (statistic * mean * mean + noise)
        residual = np.clip((y - mean) / mean, -5.0, 5.0)
        normal = design.T @ (design * weight[:, None]) + penalty
        right = design.T @ (weight * residual) - penalty @ coefficients
        shift = np.linalg.lstsq(normal, right, rcond=1e-9)[0]
        change = float(np.abs(design @ shift).max())
        coefficients = coefficients + shift / max(1.0, change)
        if change < 1e-4:
            break
    mean = np.maximum(np.exp(np.clip(design @ coefficients, -300.0, 300.0)), floor)
    b_aniso = _symmetric_b(crystal, np.asarray(coefficients[n_knots:], np.float64), float(inv_d2.max()))
    return WilsonFit(np.asarray(mean * epsilon), b_aniso)


def _symmetric_b(crystal: Crystal, six: F64, largest_inv_d2: float) -> F64:
    """B (3, 3) in Å² of the coefficients (6,) of :func:`_anisotropy_terms`, averaged over the point group."""
    b11, b22, b33, b12, b13, b23 = six / max(largest_inv_d2, 1e-12)
    tensor = np.array([[b11, b12, b13], [b12, b22, b23], [b13, b23, b33]])
    rotations = crystal.cartesian_rotations()
    tensor = np.einsum("nij,ik,nkl->jl", rotations, tensor, rotations) / len(rotations)
    return np.asarray(tensor - np.eye(3) * np.trace(tensor) / 3.0)


def french_wilson(
    crystal: Crystal,
    hkl: NDArray[np.int32],
    intensity: F64,
    sigma: F64,
    centric: NDArray[np.bool_],
    epsilon: F64,
) -> Amplitudes:
    """Amplitudes of merged intensities; arguments as in :func:`wilson_mean`, all (n,), sigma > 0."""
    expected = wilson_mean(crystal, hkl, intensity, sigma, centric, epsilon)
    f, sigma_f = posterior_amplitude(intensity, sigma, centric, expected)
    return Amplitudes(f, sigma_f, expected)


def _knots(inv_d2: F64, n_knots: int) -> F64:
    """Knots in 1/d² with equal numbers of reflections between them, ends included."""
    return np.unique(np.quantile(inv_d2, np.linspace(0.0, 1.0, n_knots)))


def _hats(inv_d2: F64, n_knots: int) -> F64:
    """(n, k) values of the piecewise linear basis at 1/d²; k = n_knots unless reflections coincide."""
    knots = _knots(inv_d2, n_knots)
    hats = np.zeros((len(inv_d2), n_knots))
    hats[:, : len(knots)] = hat_matrix(inv_d2, knots)
    return hats


def _anisotropy_terms(crystal: Crystal, hkl: NDArray[np.int32], inv_d2: F64) -> F64:
    """(n, 6) products −s_i s_j/2 averaged over the point group, minus their isotropic part."""
    rotations = np.unique(crystal.rotations.astype(np.float64), axis=0)
    terms = np.zeros((len(hkl), 6))
    pairs = ((0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0), (0, 1, 2.0), (0, 2, 2.0), (1, 2, 2.0))
    for rotation in rotations:
        s = (hkl @ rotation) @ crystal.frac
        for k, (i, j, factor) in enumerate(pairs):
            terms[:, k] += factor * s[:, i] * s[:, j]
    terms /= len(rotations)
    terms[:, :3] -= inv_d2[:, None] / 3.0
    scale = max(float(inv_d2.max()), 1e-12)
    terms /= scale
    # Symmetry leaves rounding noise where the exact term is zero; it must not become a parameter.
    terms[:, np.abs(terms).max(axis=0) < 1e-9] = 0.0
    return -0.5 * terms


def _shell_of(inv_d2: F64, n_knots: int) -> NDArray[np.intp]:
    """Shell number 0 … n_knots − 2 of each reflection (n,)."""
    return np.clip(np.searchsorted(_knots(inv_d2, n_knots), inv_d2, side="right") - 1, 0, n_knots - 2)


def _shell_means(inv_d2: F64, values: F64, n_knots: int) -> F64:
    """(n,) mean of ``values`` (n,) in the shell of each reflection."""
    shell = _shell_of(inv_d2, n_knots)
    counts = np.maximum(np.bincount(shell, minlength=n_knots), 1)
    return np.asarray((np.bincount(shell, weights=values, minlength=n_knots) / counts)[shell])


def _smooth_log(inv_d2: F64, values: F64, n_knots: int) -> F64:
    """(n,) logarithm of the shell means of positive ``values`` (n,)."""
    return np.log(np.maximum(_shell_means(inv_d2, values, n_knots), 1e-300))


def _roughness(n_knots: int, n_parameters: int) -> F64:
    """Weak penalty (p, p) on second differences of neighbouring knots and on the anisotropy."""
    second = np.zeros((max(n_knots - 2, 0), n_parameters))
    for k in range(len(second)):
        second[k, k : k + 3] = (1.0, -2.0, 1.0)
    penalty = 0.5 * second.T @ second
    penalty[np.arange(n_knots, n_parameters), np.arange(n_knots, n_parameters)] += 1e-3
    return np.asarray(penalty)
