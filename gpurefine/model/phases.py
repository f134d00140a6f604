"""Prior phase information on the unique reflections of a crystal, and how it transforms.

The probability of the phase φ is exp(A cos φ + B sin φ + C cos 2φ + D sin 2φ) up to a constant (Hendrickson & Lattman
1970, Acta Cryst. B26, 136).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .crystal import Crystal

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PriorPhases:
    """Phase information from outside.

    Attributes:
        hl: (n, 4) float64 A, B, C, D of every listed reflection, 0 where nothing is known.
        labels: columns read; path: their file.
        origin: the operations that the phases obey, on the axes of the crystal; its origin and hand are theirs.
    """

    hl: F64
    labels: tuple[str, ...]
    path: str
    origin: Crystal

    def __len__(self) -> int:
        return len(self.hl)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(n,) bool: something is known."""
        return np.asarray(self.hl.any(axis=1))

    def moved(self, hkl: NDArray[np.int32], crystal: Crystal, shift: F64, inverted: bool) -> PriorPhases:
        """The same information in a crystal described by x' = σx + s, whose operations are those of ``crystal``.

        Args:
            hkl: (n, 3) of the reflections; shift: s (3,) in fractions of the cell; inverted: σ = −1.
        """
        turns = np.asarray(hkl @ np.asarray(shift, np.float64), np.float64)
        hl = turned(self.hl, turns, np.full(len(self.hl), inverted))
        return replace(self, hl=hl, origin=crystal)


def turned(hl: F64, turns: F64, conjugate: NDArray[np.bool_]) -> F64:
    """Coefficients (n, 4) of φ' = s φ + 2π ``turns`` from those of φ; s = −1 where ``conjugate`` (n,), else 1.

    Exact: cos φ and sin φ are linear in cos φ' and sin φ', and likewise of the doubled angles.
    """
    sign = np.where(conjugate, -1.0, 1.0)
    new = np.empty_like(hl, dtype=np.float64)
    for order in (1, 2):
        cosine, sine = np.cos(2.0 * np.pi * order * turns), np.sin(2.0 * np.pi * order * turns)
        even, odd = hl[:, 2 * order - 2], sign * hl[:, 2 * order - 1]
        new[:, 2 * order - 2] = even * cosine - odd * sine
        new[:, 2 * order - 1] = even * sine + odd * cosine
    return new


def restricted_phase(crystal: Crystal, hkl: NDArray[np.int32]) -> F64:
    """The phase in 0…π that a centric reflection may have (the other is π more); (n,), NaN where acentric.

    An operation with hR = −h demands φ = π h·t (mod π).
    """
    allowed = np.full(len(hkl), np.nan)
    for rotation, translation in zip(crystal.rotations, crystal.translations, strict=True):
        reversed_ = (hkl @ rotation == -hkl).all(axis=1)
        turns = np.mod(np.round(hkl[reversed_] @ translation, 9), 1.0)
        allowed[reversed_] = np.pi * turns
    return allowed
