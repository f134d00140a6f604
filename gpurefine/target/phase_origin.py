"""Where the origin of phases from outside lies, and of which hand they are, judged by the phases of a model.

Phases belong to an origin and a hand.  A crystal described by x' = σx + s, σ = ±1, has the structure factors
F'(h) = exp(2πi h·s) F(σh), and the operations (R, s − Rs + σt) where it had (R, t).  Permitted are the σ and s that
turn the operations of the phases' space group into those of the crystal: single points, lines along a polar axis, or
all of space in P 1.  The sum of w cos(φ_model − φ') over reflections is one Fourier transform for all s at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

SEARCH_RESOLUTION = 2.8
"""Å: reflections beyond this do not take part in the search."""
LARGEST_GRID = 5_000_000
DEN = 24
"""Origins that differ by a symmetry element lie on twenty-fourths of the cell."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A permitted change x' = σx + s of phases.

    ``shift``: s in fractions of the cell, 0 ≤ s < 1; ``inverted``: σ = −1; ``agreement``: mean of cos(φ_model − φ')
    with the weights of the search; ``noise``: the standard uncertainty that this mean has for unrelated phases.
    """

    shift: tuple[float, float, float]
    inverted: bool
    agreement: float
    noise: float

    @property
    def is_identity(self) -> bool:
        """Nothing changes."""
        return not self.inverted and self.shift == (0.0, 0.0, 0.0)


def find_placement(
    crystal: Crystal, origin: Crystal, hkl: NDArray[np.int32], prior: C128, model: C128, weight: F64
) -> tuple[Placement | None, Placement | None]:
    """The best placement of each hand, None where no placement of the hand is permitted.

    Args:
        crystal: whose operations the model obeys; origin: those that the phases obey, on the same axes.
        hkl: (n, 3); prior: (n,) m exp(iφ) from outside; model: (n,) the model's structure factors; weight: (n,) ≥ 0.
    """
    s2 = crystal.inv_d2(hkl)
    use = (weight > 0.0) & (np.abs(prior) > 0.0) & (np.abs(model) > 0.0)
    near = use & (s2 <= SEARCH_RESOLUTION**-2)
    use = near if near.sum() >= 200 else use
    if not use.any():
        return None, None
    h, w = hkl[use], weight[use] * np.abs(prior[use])
    w = w / w.sum()
    turn_model = model[use] / np.abs(model[use])
    turn_prior = prior[use] / np.abs(prior[use])
    found: list[Placement | None] = []
    for inverted in (False, True):
        # the conjugate: cos(φ_model − φ') = Re [exp(−iφ_model) exp(iσφ) exp(2πi h·s)]
        terms = w * np.conj(turn_model) * (np.conj(turn_prior) if inverted else turn_prior)
        found.append(_best(crystal, origin, h, terms, inverted))
    return found[0], found[1]


def permitted(crystal: Crystal, origin: Crystal, shifts: F64, inverted: bool) -> NDArray[np.bool_]:
    """Which shifts s (m, 3), in fractions of the cell, turn the operations of ``origin`` into those of ``crystal``."""
    sign = -1.0 if inverted else 1.0
    lattice = crystal.translations[:: crystal.n_primitive] - crystal.translations[0]
    good = np.ones(len(shifts), dtype=bool)
    ours = crystal.rotations[: crystal.n_primitive]
    theirs = {r.tobytes(): t for r, t in zip(origin.rotations, origin.translations, strict=True)}
    for rotation, translation in zip(ours, crystal.translations, strict=False):
        other = theirs.get(rotation.tobytes())
        if other is None:
            return np.zeros(len(shifts), dtype=bool)
        miss = shifts[good] @ (np.eye(3) - rotation).T + (sign * other - translation)
        away = miss[:, None, :] - lattice
        near = (np.abs(away - np.rint(away)) < 1e-4).all(axis=2).any(axis=1)
        good[np.flatnonzero(good)[~near]] = False
        if not good.any():
            break
    return good


def free_directions(crystal: Crystal) -> F64:
    """(k, 3) orthonormal directions in fractions along which the origin may be anywhere; k is 0 to 3."""
    stacked = np.concatenate([r - np.eye(3) for r in crystal.rotations[: crystal.n_primitive]])
    _, size, vectors = np.linalg.svd(stacked)
    return np.asarray(vectors[size < 1e-8], np.float64)


def _best(
    crystal: Crystal, origin: Crystal, h: NDArray[np.int32], terms: C128, inverted: bool
) -> Placement | None:
    """The permitted shift with the largest Re Σ terms exp(2πi h·s)."""
    shape = _shape(h)
    grid = np.zeros(shape, np.complex128)
    np.add.at(grid, tuple((h % np.array(shape)).T), terms)
    score = np.fft.ifftn(grid).real * grid.size
    places, values = _candidates(crystal, origin, score, inverted)
    if len(places) == 0:
        return None
    shift, agreement = places[int(np.argmax(values))], float(values.max())
    still = float(terms.sum().real)
    noise = float(np.sqrt(0.5 * np.sum(np.abs(terms) ** 2)))
    free = free_directions(crystal)
    if len(free):
        shift, agreement = _refined(h, terms, shift, free)
    if not inverted and agreement - still < 0.01 and permitted(crystal, origin, np.zeros((1, 3)), False)[0]:
        return Placement((0.0, 0.0, 0.0), False, still, noise)
    shift = np.mod(np.round(shift, 6), 1.0)
    return Placement((float(shift[0]), float(shift[1]), float(shift[2])), inverted, agreement, noise)


def _shape(h: NDArray[np.int32]) -> tuple[int, int, int]:
    """Grid points in multiples of 24, three or more to the shortest wave where that is not too many."""
    reach = np.abs(h).max(axis=0) + 1
    for points in (3.0, 2.1):
        shape = [int(DEN * np.ceil(points * r / DEN)) for r in reach]
        if np.prod(shape) <= LARGEST_GRID:
            break
    return shape[0], shape[1], shape[2]


def _candidates(crystal: Crystal, origin: Crystal, score: F64, inverted: bool) -> tuple[F64, F64]:
    """Permitted grid points (m, 3) and their scores (m,)."""
    free = free_directions(crystal)
    shape = np.array(score.shape)
    if len(free) == 3:
        order = np.argpartition(score.ravel(), -1)[-1:]
        return np.stack(np.unravel_index(order, score.shape), axis=1) / shape, score.ravel()[order]
    along = [k for k in range(3) if len(free) and np.allclose(np.abs(free).sum(axis=0)[k], 0.0)]
    steps = [
        np.arange(shape[k]) if len(free) and k not in along else np.arange(DEN) * (shape[k] // DEN) for k in range(3)
    ]
    index = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    good = permitted(crystal, origin, index / shape, inverted)
    index = index[good]
    return index / shape, score[tuple(index.T)]


def _refined(h: NDArray[np.int32], terms: C128, shift: F64, free: F64) -> tuple[F64, float]:
    """The nearest maximum along the free directions (k, 3)."""

    def minus(step: F64) -> tuple[float, F64]:
        phase = np.exp(2j * np.pi * (h @ (shift + step @ free)))
        slope = -np.real(2j * np.pi * ((terms * phase) @ (h @ free.T)))
        return -float(np.sum(terms * phase).real), np.asarray(slope, np.float64)

    from scipy.optimize import minimize  # a tenth of a second that runs without phases do not spend

    result = minimize(minus, np.zeros(len(free)), jac=True, method="BFGS", options={"gtol": 1e-7})
    return np.asarray(shift + result.x @ free), -float(result.fun)
