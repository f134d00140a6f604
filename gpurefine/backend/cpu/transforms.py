"""Real Fourier transforms of which only the coefficients at low frequency are computed.

A grid fine enough for the density of atoms holds several times the coefficients that the data reach.  Transforms along
b and a are left out for columns in which none is wanted, and the first two axes are done for a few planes at a
time, which then stay in the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ..plans import FourierPlan

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


def _in_chunks(work: Callable[[slice], None], shape: tuple[int, ...], threads: int) -> None:
    """Do ``work`` for all planes of the first axis, some at a time."""
    n = max(1, CHUNK // (shape[1] * shape[2]))
    slices = [slice(u, u + n) for u in range(0, shape[0], n)]
    if threads == 1 or len(slices) == 1:
        for planes in slices:
            work(planes)
        return
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, slices))


def forward(density: NDArray[np.float32], keep: tuple[int, int], threads: int) -> NDArray[np.complex64]:
    """Σ ρ exp(−2πi …) of a map (nu, nv, nw) at the columns to keep: (nu, keep[0], keep[1]), negative indices last."""
    nu, nv, _ = density.shape
    nk, nl = keep
    positive = nk // 2 + 1
    out = np.empty((nu, nk, nl), np.complex64)

    def planes(u: slice) -> None:
        rows = scipy.fft.rfft(density[u], axis=2)[:, :, :nl]
        full = scipy.fft.fft(rows, axis=1)
        if nk == nv:
            out[u] = full
        else:
            out[u, :positive] = full[:, :positive]
            out[u, positive:] = full[:, nv - nk + positive :]

    _in_chunks(planes, density.shape, threads)
    return np.asarray(scipy.fft.fft(out, axis=0, overwrite_x=True, workers=threads), np.complex64)


def backward(half: NDArray[np.complex64], shape: tuple[int, int, int], threads: int) -> NDArray[np.float32]:
    """The map of ``shape`` whose coefficients are ``half`` (nu, nk, nl), overwritten, as :func:`forward` orders them.

    Not normalised; of the plane l = 0 both halves are given, of others one.
    """
    _, nv, nw = shape
    _, nk, nl = half.shape
    positive = nk // 2 + 1
    half = scipy.fft.ifft(half, axis=0, norm="forward", overwrite_x=True, workers=threads)
    out = np.empty(shape, np.float32)

    def planes(u: slice) -> None:
        if nk == nv:
            full = half[u]
        else:
            full = np.zeros((len(half[u]), nv, nl), np.complex64)
            full[:, :positive] = half[u, :positive]
            full[:, nv - nk + positive :] = half[u, positive:]
        rows = scipy.fft.ifft(full, axis=1, norm="forward", overwrite_x=True)
        out[u] = scipy.fft.irfft(rows, n=nw, axis=2, norm="forward", overwrite_x=True)

    _in_chunks(planes, shape, threads)
    return out
