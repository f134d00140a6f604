"""What the intensities say about the crystal before there is a model: twinning, pseudo-translation, anisotropy.

Twinning: second moment ⟨Z²⟩ of normalised acentric intensities, 2 untwinned and 1.5 for a perfect twin (Wilson 1949;
Stanley 1972), and the local statistic L = (I₁ − I₂)/(I₁ + I₂) of neighbouring reflections, ⟨|L|⟩ = 1/2 and 3/8
(Padilla & Yeates 2003, Acta Cryst. D59, 1124), which anisotropy and pseudo-translation hardly touch.  A twin law:
H = |I₁ − I₂|/(I₁ + I₂) of related reflections, ⟨H⟩ = 1/2 − α (Yeates 1988, Acta Cryst. A44, 142).  Pseudo-translation:
the highest peak of a Patterson function at low resolution away from the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal

F64 = NDArray[np.float64]

STRONG = 4.0
"""Intensity statistics use shells up to the resolution where the median I/σ falls below this."""
N_SHELL = 20
PATTERSON_RANGE = (10.0, 5.0)
"""Å: low-order reflections tell of solvent, high-order ones of atoms."""
PATTERSON_DISTANCE = 15.0
"""Å from the origin (and its copies by centring) within which the packing of one molecule makes peaks."""
PATTERSON_REFLECTIONS = 150
"""Fewer reflections than this in the range make a Patterson function of noise."""


@dataclass(frozen=True, slots=True)
class PattersonPeak:
    """``height`` as a fraction of the origin's; ``position`` in fractions of the cell; ``distance`` in Å."""

    height: float
    position: tuple[float, float, float]
    distance: float


@dataclass(frozen=True, slots=True)
class RelatedIntensities:
    """Reflections related by a twin law.

    ``r_merge``: Σ|I₁ − I₂| / Σ(I₁ + I₂); ``r_noise``: what the standard uncertainties alone would make of it;
    ``fraction``: 1/2 − ⟨H⟩ of acentric pairs; ``n_pairs``.
    """

    r_merge: float
    r_noise: float
    fraction: float
    n_pairs: int


def strong_enough(inv_d2: F64, intensity: F64, sigma: F64) -> NDArray[np.bool_]:
    """(n,) bool: reflections in the shells from low resolution on in which the median I/σ is at least ``STRONG``.

    Args:
        inv_d2: (n,) 1/d² in Å⁻²; intensity, sigma: (n,), sigma > 0.
    """
    order = np.argsort(inv_d2, kind="stable")
    keep = np.zeros(len(inv_d2), dtype=bool)
    for part in np.array_split(order, N_SHELL):
        if len(part) == 0 or np.median(intensity[part] / sigma[part]) < STRONG:
            break
        keep[part] = True
    return keep


def second_moment(intensity: F64, sigma: F64, expected: F64) -> float:
    """⟨Z²⟩/⟨Z⟩² without the part of the noise; 2 for acentric intensities, 1.5 for those of a perfect twin.

    Args:
        intensity, sigma: (n,) acentric intensities; expected: (n,) ε Σ(s).
    """
    z, noise = intensity / expected, sigma / expected
    return float((np.mean(z * z) - np.mean(noise * noise)) / np.mean(z) ** 2)


def local_statistic(hkl: NDArray[np.int32], intensity: F64, acentric: NDArray[np.bool_]) -> float | None:
    """⟨|L|⟩ of neighbouring acentric reflections; None where there are fewer than 500 pairs.

    Args:
        hkl: (n, 3) unique indices; intensity: (n,); acentric: (n,) bool.
    """
    first, second = _neighbours(hkl, acentric)
    total = intensity[first] + intensity[second]
    usable = total > 0.0
    if usable.sum() < 500:
        return None
    ratio = np.abs(intensity[first] - intensity[second])[usable] / total[usable]
    return float(np.mean(np.minimum(ratio, 1.0)))


def _neighbours(hkl: NDArray[np.int32], acentric: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of acentric reflections whose indices differ by even numbers, so that pseudo-translations by half a cell
    edge do not part them; (p,) and (p,)."""
    index = np.flatnonzero(acentric)
    h = hkl[index].astype(np.int64)
    if len(h) == 0:
        return index, index
    base = int(np.abs(h).max()) * 2 + 9
    keys = (h[:, 0] * base + h[:, 1]) * base + h[:, 2]
    order = np.argsort(keys)
    pairs = []
    for step in ((2, 0, 0), (0, 2, 0), (0, 0, 2), (2, 2, 0), (2, 0, 2), (0, 2, 2), (2, -2, 0), (2, 0, -2), (0, 2, -2)):
        wanted = keys + (step[0] * base + step[1]) * base + step[2]
        at = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
        found = keys[order][at] == wanted
        pairs.append((index[found], index[order[at[found]]]))
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])


def patterson_peak(crystal: Crystal, hkl: NDArray[np.int32], intensity: F64) -> PattersonPeak | None:
    """The highest Patterson peak away from the origin; None where too little was measured or the cell is too small.

    Args:
        hkl: (n, 3) unique indices; intensity: (n,) I/ε.
    """
    s2 = crystal.inv_d2(hkl)
    use = (s2 >= PATTERSON_RANGE[0] ** -2) & (s2 <= PATTERSON_RANGE[1] ** -2)
    if use.sum() < PATTERSON_REFLECTIONS:
        return None
    reach = np.floor(crystal.cell[:3] / PATTERSON_RANGE[1]).astype(int)
    shape = tuple(int(n) for n in 4 * (reach + 1))
    grid = np.zeros(shape)
    for rotation in np.unique(crystal.rotations, axis=0):
        h = hkl[use] @ rotation
        for sign in (1, -1):
            grid[sign * h[:, 0], sign * h[:, 1], sign * h[:, 2]] = intensity[use]
    # A real and even function: its transform is real, and that along the last axis needs half of it.
    density = np.fft.irfftn(grid[:, :, : shape[2] // 2 + 1], s=shape, axes=(0, 1, 2))
    origin = float(density[0, 0, 0])
    if origin <= 0.0:
        return None
    candidates = np.argwhere(density > 0.05 * origin)
    position = candidates / np.array(shape)
    distance = _distance_from_origins(crystal, position)
    far = distance > PATTERSON_DISTANCE
    if not far.any():
        return None
    heights = density[tuple(candidates[far].T)] / origin
    best = int(np.argmax(heights))
    place = position[far][best]
    return PattersonPeak(
        float(heights[best]), (float(place[0]), float(place[1]), float(place[2])), float(distance[far][best])
    )


def _distance_from_origins(crystal: Crystal, position: F64) -> F64:
    """Distance (n,) in Å of fractional positions (n, 3) from the nearest lattice point, centring included."""
    nearest = np.full(len(position), np.inf)
    shifts = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)], dtype=np.float64)
    for centring in crystal.translations[:: crystal.n_primitive] - crystal.translations[0]:
        delta = position - centring
        delta -= np.round(delta)
        for shift in shifts:
            nearest = np.minimum(nearest, np.linalg.norm((delta + shift) @ crystal.orth.T, axis=1))
    return nearest


def related_intensities(
    intensity: F64, sigma: F64, partner: NDArray[np.int64], acentric: NDArray[np.bool_]
) -> RelatedIntensities | None:
    """Statistics of the pairs that a twin law makes; None where there are fewer than 200.

    Args:
        intensity, sigma: (n,); partner: (n,) index of the related reflection, −1 where it was not measured or is the
            reflection itself; acentric: (n,) bool.
    """
    first = np.flatnonzero((partner >= 0) & acentric)
    first = first[partner[first] > first]
    second = partner[first]
    total, difference = intensity[first] + intensity[second], np.abs(intensity[first] - intensity[second])
    noise = np.sqrt(sigma[first] ** 2 + sigma[second] ** 2)
    # Pairs within the noise say nothing of the law; of the others both members count, weak ones too.
    clear = total > 3.0 * noise
    if clear.sum() < 200:
        return None
    total, difference, noise = total[clear], difference[clear], noise[clear]
    return RelatedIntensities(
        r_merge=float(difference.sum() / total.sum()),
        r_noise=float(np.sqrt(2.0 / np.pi) * noise.sum() / total.sum()),
        fraction=float(np.clip(0.5 - np.mean(np.minimum(difference / total, 1.0)), 0.0, 0.5)),
        n_pairs=int(clear.sum()),
    )
