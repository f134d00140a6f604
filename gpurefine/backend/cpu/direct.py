"""Structure factors by exact summation over atoms: the slow twin that checks the FFT."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from .jit import njit
from .rows import Array


@njit(parallel=True, cache=True)
def structure_factors(
    hkl: Array, frac: Array, rotations: Array, translations: Array, fractional: Array, factor_a: Array, factor_b: Array,
    b_iso: Array, u: Array, is_aniso: Array, weight: Array, kind: Array, out: Array
) -> None:
    """F(h) = Σ_ops Σ_atoms q f(s) exp(−T) exp(2πi h(Rx + t)), float64, cost n_refl × n_op × n_atom."""
    two_pi = 2.0 * math.pi
    for n in nb.prange(len(hkl)):
        h, k, l = float(hkl[n, 0]), float(hkl[n, 1]), float(hkl[n, 2])  # noqa: E741
        sx = h * frac[0, 0] + k * frac[1, 0] + l * frac[2, 0]
        sy = h * frac[0, 1] + k * frac[1, 1] + l * frac[2, 1]
        sz = h * frac[0, 2] + k * frac[1, 2] + l * frac[2, 2]
        quarter_s2 = 0.25 * (sx * sx + sy * sy + sz * sz)
        form = np.empty(len(factor_a))
        for c in range(len(factor_a)):
            total = 0.0
            for g in range(factor_a.shape[1]):
                total += factor_a[c, g] * math.exp(-factor_b[c, g] * quarter_s2)
            form[c] = total
        re, im = 0.0, 0.0
        for op in range(len(rotations)):
            r = rotations[op]
            hh = h * r[0, 0] + k * r[1, 0] + l * r[2, 0]
            kk = h * r[0, 1] + k * r[1, 1] + l * r[2, 1]
            ll = h * r[0, 2] + k * r[1, 2] + l * r[2, 2]
            t = translations[op]
            shift = h * t[0] + k * t[1] + l * t[2]
            qx = hh * frac[0, 0] + kk * frac[1, 0] + ll * frac[2, 0]
            qy = hh * frac[0, 1] + kk * frac[1, 1] + ll * frac[2, 1]
            qz = hh * frac[0, 2] + kk * frac[1, 2] + ll * frac[2, 2]
            for a in range(len(weight)):
                if is_aniso[a]:
                    exponent = 2.0 * math.pi**2 * (
                        u[a, 0] * qx * qx + u[a, 1] * qy * qy + u[a, 2] * qz * qz
                        + 2.0 * (u[a, 3] * qx * qy + u[a, 4] * qx * qz + u[a, 5] * qy * qz)
                    )
                else:
                    exponent = b_iso[a] * quarter_s2
                f = weight[a] * form[kind[a]] * math.exp(-exponent)
                x = fractional[a]
                phase = two_pi * (hh * x[0] + kk * x[1] + ll * x[2] + shift)
                re += f * math.cos(phase)
                im += f * math.sin(phase)
        out[n] = complex(re, im)
