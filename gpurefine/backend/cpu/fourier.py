"""Symmetry sum in reciprocal space and its exact adjoint (method 1 and 2)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .jit import njit
from .rows import Array


@njit()
def phase_table() -> tuple[Array, Array]:
    """cos and sin of 2π k/24: every crystallographic translation is a whole number of 24ths."""
    cosine = np.empty(24, np.float64)
    sine = np.empty(24, np.float64)
    for k in range(24):
        cosine[k] = math.cos(2.0 * math.pi * k / 24.0)
        sine[k] = math.sin(2.0 * math.pi * k / 24.0)
    return cosine, sine


@njit(parallel=True, cache=True)
def extract(
    half: Array, hkl: Array, rotations: Array, translations24: Array, factor: Array, out: Array
) -> None:
    """out[h] = factor Σ_ops conj(half)[hR] exp(2πi h·t) from the transform ``half`` (nu, nk, nl) of :mod:`.transforms`.

    The transform has exp(−2πi), structure factors have exp(+2πi): hence the conjugate.
    """
    nu, nv = half.shape[0], half.shape[1]
    cosine, sine = phase_table()
    for n in nb.prange(len(hkl)):
        h, k, l = hkl[n, 0], hkl[n, 1], hkl[n, 2]  # noqa: E741
        re, im = 0.0, 0.0
        for op in range(len(rotations)):
            r = rotations[op]
            hh = h * r[0, 0] + k * r[1, 0] + l * r[2, 0]
            kk = h * r[0, 1] + k * r[1, 1] + l * r[2, 1]
            ll = h * r[0, 2] + k * r[1, 2] + l * r[2, 2]
            t = translations24[op]
            phase = (h * t[0] + k * t[1] + l * t[2]) % 24
            if ll >= 0:
                value = half[hh % nu, kk % nv, ll]
                vr, vi = value.real, -value.imag
            else:
                value = half[(-hh) % nu, (-kk) % nv, -ll]
                vr, vi = value.real, value.imag
            re += vr * cosine[phase] - vi * sine[phase]
            im += vr * sine[phase] + vi * cosine[phase]
        out[n] = complex(re * factor[n], im * factor[n])


@njit(parallel=True, cache=True)
def insert(
    half: Array, hkl: Array, rotations: Array, translations24: Array, factor: Array, gradient: Array
) -> None:
    """Adjoint of :func:`extract` followed by the transform: overwrite ``half`` so that its inverse real
    transform *without* normalisation is dL/dρ on the grid, given dL/dF = ∂L/∂Re F + i ∂L/∂Im F.

    Orbits of different unique reflections are disjoint, so the loop over reflections has no races.
    """
    nu, nv = half.shape[0], half.shape[1]
    cosine, sine = phase_table()
    for u in nb.prange(nu):
        half[u] = 0.0
    for n in nb.prange(len(hkl)):
        h, k, l = hkl[n, 0], hkl[n, 1], hkl[n, 2]  # noqa: E741
        gr = gradient[n].real * factor[n]
        gi = -gradient[n].imag * factor[n]
        for op in range(len(rotations)):
            r = rotations[op]
            hh = h * r[0, 0] + k * r[1, 0] + l * r[2, 0]
            kk = h * r[0, 1] + k * r[1, 1] + l * r[2, 1]
            ll = h * r[0, 2] + k * r[1, 2] + l * r[2, 2]
            t = translations24[op]
            phase = (h * t[0] + k * t[1] + l * t[2]) % 24
            vr = gr * cosine[phase] - gi * sine[phase]
            vi = gr * sine[phase] + gi * cosine[phase]
            if ll > 0:
                half[hh % nu, kk % nv, ll] += complex(0.5 * vr, 0.5 * vi)
            elif ll < 0:
                half[(-hh) % nu, (-kk) % nv, -ll] += complex(0.5 * vr, -0.5 * vi)
            else:
                # both halves of the l = 0 plane are stored
                half[hh % nu, kk % nv, 0] += complex(0.5 * vr, 0.5 * vi)
                half[(-hh) % nu, (-kk) % nv, 0] += complex(0.5 * vr, -0.5 * vi)
