"""Real Fourier transforms of which only the coefficients at low frequency are computed.

A grid fine enough for the density of atoms holds several times the coefficients that the data reach.  Transforms along
b and a are left out for columns in which none is wanted, and the first two axes are done for a few planes at a
time, which then stay in the cache.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..plans import FourierPlan
from .memory import empty
from .pocketfft import transforms
from .threads import in_chunks

CHUNK = 200_000
"""Grid points transformed at a time along the second and third axis."""


@lru_cache(maxsize=8)
def columns(plan: FourierPlan) -> tuple[int, int]:
    """Numbers of coefficients to keep along b (0 … K, −K … −1) and c (0 … L) for all equivalents of the reflections."""
    _, nv, nw = plan.shape
    most = np.zeros(3, np.int64)
    for rotation in plan.rotations:
        most = np.maximum(most, np.abs(plan.hkl @ rotation).max(axis=0, initial=0))
    return min(2 * int(most[1]) + 1, nv), min(int(most[2]), nw // 2) + 1


def _first_axis(half: NDArray[np.complex64], is_forward: bool, threads: int) -> None:
    """Transform ``half`` along its first axis in place."""
    fft, columns_of_part = transforms(), -(-half.shape[1] // (4 * threads))
    in_chunks(lambda part: fft.complex(half[:, part], 0, is_forward), half.shape[1], columns_of_part, threads)


def forward(density: NDArray[np.float32], keep: tuple[int, int], threads: int) -> NDArray[np.complex64]:
    """Σ ρ exp(−2πi …) of a map (nu, nv, nw) at the columns to keep: (nu, keep[0], keep[1]), negative indices last."""
    nu, nv, nw = density.shape
    nk, nl = keep
    positive = nk // 2 + 1
    out = empty("spectrum", (nu, nk, nl), np.complex64)
    fft = transforms()

    def planes(u: slice) -> None:
        rows = fft.from_real(density[u])[:, :, :nl]
        fft.complex(rows, 1, True)
        out[u, :positive] = rows[:, :positive]
        out[u, positive:] = rows[:, nv - nk + positive :]

    in_chunks(planes, nu, CHUNK // (nv * nw), threads)
    _first_axis(out, True, threads)
    return out


def backward(half: NDArray[np.complex64], shape: tuple[int, int, int], threads: int) -> NDArray[np.float32]:
    """The map of ``shape`` whose coefficients are ``half`` (nu, nk, nl), overwritten, as :func:`forward` orders them.

    Not normalised; of the plane l = 0 both halves are given, of others one.
    """
    nu, nv, nw = shape
    _, nk, nl = half.shape
    positive = nk // 2 + 1
    _first_axis(half, False, threads)
    out = empty("map", shape, np.float32)
    fft = transforms()

    def planes(u: slice) -> None:
        rows = np.zeros((u.stop - u.start, nv, nw // 2 + 1), np.complex64)
        rows[:, :positive, :nl] = half[u, :positive]
        rows[:, nv - nk + positive :, :nl] = half[u, positive:]
        fft.complex(rows[:, :, :nl], 1, False)
        fft.to_real(rows, out[u])

    in_chunks(planes, nu, CHUNK // (nv * nw), threads)
    return out
