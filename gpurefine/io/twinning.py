"""Twin laws of a crystal and what they do to its reflections, as plain arrays for the likelihood of a twin.

The crystal's point group P (rotations only) and the laws T make a group G of the lattice.  A domain of law T adds
|F(hT)|² to the intensity of h, and hTR with R in P is equivalent to hT, so that a law stands for its coset TP:
I(h) = Σ_k α_k |F(hT_k)|² over the cosets, T_0 = 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..model.crystal import Crystal
from ..target.data_quality import RelatedIntensities, related_intensities
from .lattice import MAX_OBLIQUITY, TwinLaw, lattice_rotations, obliquity, orbits
from .measurements import positions
from .symmetry import asu_hkl, gemmi_cell, gemmi_group, reflection_flags

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

ABSENT, UNLISTED = -1, -2
"""Instead of the index of a twin mate: its F is 0 by symmetry; it lies outside the list of reflections."""

LARGEST_R = 0.5
"""R_merge of intensities that have nothing to do with each other: a law that reaches it is dropped."""
LARGEST_GROUP = 24
"""Rotations of the highest lattice symmetry."""


@dataclass(frozen=True, slots=True, eq=False)
class Twinning:
    """A twin's laws and the reflections they relate.

    Attributes:
        laws: k ≥ 1 laws, one of each coset of the point group except the point group itself.
        obliquity: (k,) degrees, 0 for merohedral laws.
        mates: (1 + k, n) int64; row 0 is 0 … n − 1, row j the index of h T_j in the list, ABSENT where its F is 0 by
            symmetry, UNLISTED where it lies outside the list.
        orbit: (n,) number of the set of reflections that symmetry and laws relate to each other.
    """

    laws: tuple[TwinLaw, ...]
    obliquity: tuple[float, ...]
    mates: I64
    orbit: NDArray[np.intp]

    @property
    def n_domains(self) -> int:
        """Number of fractions: the untwinned domain and one of each law."""
        return 1 + len(self.laws)


@dataclass(frozen=True, slots=True)
class LawStatistics:
    """A law with what the measured intensities say of it; ``related`` is None where there are too few pairs."""

    law: TwinLaw
    obliquity: float
    related: RelatedIntensities | None

    @property
    def refuted(self) -> bool:
        """Related intensities differ as unrelated ones do."""
        return self.related is not None and self.related.r_merge >= LARGEST_R

    def words(self) -> str:
        """ "-h,k,-l (R_merge 0.21, H-test fraction 0.34)"."""
        slant = "" if self.obliquity < 0.005 else f"obliquity {self.obliquity:.2f}°, "
        if self.related is None:
            return f"{self.law.name} ({slant}too few pairs to judge)"
        r = self.related
        return f"{self.law.name} ({slant}R_merge {r.r_merge:.2f}, H-test fraction {r.fraction:.2f})"


def law_of(text: str, crystal: Crystal, max_obliquity: float = MAX_OBLIQUITY) -> TwinLaw:
    """A law that the user wrote, such as "k,h,-l" or "-h,1/2*h+k,-l".

    Raises:
        UsageError: it is no such triplet, not in the symmetry of the lattice, or in that of the crystal.
    """
    try:
        op = gemmi.parse_triplet(text.replace(" ", "").lower())
        matrix = np.array(op.rot, dtype=np.int64)
    except (RuntimeError, ValueError):
        raise UsageError(f"The twin law '{text}' is no change of indices such as k,h,-l.") from None
    wanted = _key(matrix), _key(-matrix)
    group = {_key(r): r for r in lattice_rotations(crystal, max_obliquity)}
    own = {_key(r) for r in _point_group(crystal)}
    if wanted[0] in own or wanted[1] in own:
        raise UsageError(f"The twin law {text} is a symmetry of {crystal.hm} itself; it cannot twin this crystal.")
    found = next((group[key] for key in wanted if key in group), None)
    if found is None:
        cell = " ".join(f"{x:.2f}" for x in crystal.cell)
        raise UsageError(
            f"The twin law {text} is no symmetry of the lattice ({cell}) within {max_obliquity:g}°; gpurefine models "
            "twins whose lattices coincide."
        )
    return TwinLaw(op.triplet() if _key(found) == wanted[0] else _name(found), found)


def possible_laws(crystal: Crystal, max_obliquity: float = MAX_OBLIQUITY) -> list[TwinLaw]:
    """One law of every coset of the point group in the symmetry of the lattice, in gemmi's order; perhaps none."""
    every = gemmi.find_twin_laws(gemmi_cell(crystal), gemmi_group(crystal), max_obliquity, True)
    point = _point_group(crystal)
    seen: set[bytes] = set()
    laws = []
    for op in every:
        matrix = np.array(op.rot, dtype=np.int64)
        if _key(matrix) not in seen:
            laws.append(TwinLaw(op.as_hkl().triplet(), matrix))
            seen |= _coset(matrix, point)
    return laws


def closed(crystal: Crystal, laws: Sequence[TwinLaw]) -> tuple[TwinLaw, ...]:
    """The laws with all that follow from them: together with the point group they make a group.

    Raises:
        UsageError: they make more than any lattice can have.
    """
    point = _point_group(crystal)
    kept: list[TwinLaw] = []
    covered: set[bytes] = {_key(r) for r in point}
    waiting = list(laws)
    while waiting:
        law = waiting.pop(0)
        if _key(law.matrix) in covered:
            continue
        kept.append(law)
        covered |= _coset(law.matrix, point)
        if len(covered) > LARGEST_GROUP:
            raise UsageError("The twin laws do not belong to one lattice: they make no group; give fewer of them.")
        for first in (*(k.matrix for k in kept), *point):
            for second in (k.matrix for k in kept):
                for product in (first @ second // gemmi.Op.DEN, second @ first // gemmi.Op.DEN):
                    if _key(product) not in covered:
                        waiting.append(TwinLaw(_name(product), product))
    return tuple(kept)


def twinning(crystal: Crystal, hkl: NDArray[np.int32], laws: Sequence[TwinLaw]) -> Twinning:
    """The closed set of laws on a list of unique reflections.

    Args:
        hkl: (n, 3) every unique reflection between the limits of resolution; laws: at least one.

    Raises:
        UsageError: the laws belong to no one lattice.
    """
    laws = closed(crystal, laws)
    mates = np.empty((1 + len(laws), len(hkl)), dtype=np.int64)
    mates[0] = np.arange(len(hkl))
    for row, law in zip(mates[1:], laws, strict=True):
        related = asu_hkl(crystal, law.apply(hkl))
        row[:] = positions(related, hkl)
        lost = np.flatnonzero(row < 0)
        absent = np.asarray(gemmi_group(crystal).operations().systematic_absences(related[lost]), dtype=bool)
        row[lost] = np.where(absent, ABSENT, UNLISTED)
    point = _point_group(crystal)
    whole = np.concatenate([point, *((law.matrix @ point) // gemmi.Op.DEN for law in laws)])
    _, orbit = orbits(hkl, whole)
    return Twinning(laws, tuple(obliquity(crystal, law.matrix) for law in laws), mates, orbit)


def law_statistics(
    crystal: Crystal, hkl: NDArray[np.int32], intensity: F64, sigma: F64, laws: Sequence[TwinLaw]
) -> list[LawStatistics]:
    """R_merge and H-test of every law, in the order given.

    Args:
        hkl: (n, 3) unique measured reflections; intensity, sigma: (n,), sigma > 0.
    """
    centric, _ = reflection_flags(crystal, hkl)
    found = []
    for law in laws:
        partner = positions(asu_hkl(crystal, law.apply(hkl)), hkl)
        related = related_intensities(intensity, sigma, partner, ~centric)
        found.append(LawStatistics(law, obliquity(crystal, law.matrix), related))
    return found


def free_disagreements(orbit: NDArray[np.intp], free: NDArray[np.bool_], observed: NDArray[np.bool_]) -> int:
    """Number of orbits with observed reflections both inside and outside the test set."""
    n = int(orbit.max(initial=-1)) + 1
    inside = np.bincount(orbit[observed & free], minlength=n)
    return int(((inside > 0) & (inside < np.bincount(orbit[observed], minlength=n))).sum())


def consistent_free(
    hkl: NDArray[np.int32], orbit: NDArray[np.intp], free: NDArray[np.bool_], observed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """A test set (n,) in which related reflections go together and which is as large as the old one.

    An orbit whose members disagree joins the test set with the probability that is their free part; the choice
    depends on its indices alone.
    """
    n = int(orbit.max(initial=-1)) + 1
    inside = np.bincount(orbit[observed & free], minlength=n)
    share = inside / np.maximum(np.bincount(orbit[observed], minlength=n), 1)
    first = np.full(n, len(hkl), dtype=np.intp)
    np.minimum.at(first, orbit, np.arange(len(hkl)))
    h = hkl[np.minimum(first, len(hkl) - 1)].astype(np.int64)
    mixed = ((h @ np.array([73856093, 19349663, 83492791])) * 2654435761) % (1 << 32)
    return np.asarray((share > mixed / float(1 << 32))[orbit] & observed)


def _point_group(crystal: Crystal) -> I64:
    """(m, 3, 3) int64 in 1/24: the crystal's rotations, made proper and each once."""
    rotations = np.linalg.det(crystal.rotations).round()[:, None, None] * crystal.rotations * gemmi.Op.DEN
    return np.unique(rotations, axis=0).astype(np.int64)


def _coset(matrix: I64, point: I64) -> set[bytes]:
    return {_key(matrix @ r // gemmi.Op.DEN) for r in point}


def _key(matrix: I64) -> bytes:
    return np.ascontiguousarray(matrix, dtype=np.int64).tobytes()


def _name(matrix: I64) -> str:
    op = gemmi.Op()
    op.rot = matrix.tolist()
    op.tran = [0, 0, 0]
    return op.as_hkl().triplet()
