"""Warnings before refinement: twinning, pseudo-translation, doubtful symmetry and anisotropy, one line each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.crystal import Crystal
from ..target.data_quality import (
    RelatedIntensities,
    local_statistic,
    patterson_peak,
    related_intensities,
    second_moment,
    strong_enough,
)
from ..target.french_wilson import wilson_fit
from .lattice import TwinLaw, twin_laws
from .measurements import positions
from .symmetry import asu_hkl

F64 = NDArray[np.float64]

TWINNED_L, TWINNED_MOMENT = 0.45, 1.85
"""⟨|L|⟩ and ⟨Z²⟩ must both lie below these for a warning (untwinned 0.5 and 2; a twin fraction of 0.1: 0.46, 1.82)."""
TWIN_FRACTION, TWIN_R = 0.07, 0.40
"""A law is named where it makes at least this fraction, with R_merge below this (unrelated intensities: 0.5)."""
SYMMETRY_R = 0.20
"""Without signs of twinning, a law with a smaller R_merge looks like missing symmetry."""
PATTERSON_HEIGHT = 0.20
ANISOTROPY = 25.0
"""Å²: difference of B between directions that is worth a line."""
SAMPLE = 15_000
"""So many reflections suffice for the fall-off of intensities with resolution."""
FEWEST = 500


def data_signs(
    crystal: Crystal,
    hkl: NDArray[np.int32],
    intensity: F64,
    sigma: F64,
    centric: NDArray[np.bool_],
    epsilon: F64,
    twin: bool = False,
) -> list[str]:
    """What the measured intensities warn of.

    Args:
        crystal: cell and symmetry; hkl: (n, 3) unique reflections in the asymmetric unit, absences left out.
        intensity, sigma: (n,) measured, sigma > 0; centric: (n,) bool; epsilon: (n,).
        twin: the crystal is refined as a twin, which then need not be advised.
    """
    told = _pseudo_translation(crystal, hkl, intensity / epsilon)
    strong = strong_enough(crystal.inv_d2(hkl), intensity, sigma)
    if (strong & ~centric).sum() < FEWEST:
        return told
    at = np.flatnonzero(strong)
    part = at[:: max(1, len(at) // SAMPLE)]
    wilson = wilson_fit(
        crystal, hkl[part], intensity[part], sigma[part], centric[part], epsilon[part], per_knot=1500
    )
    single = ~centric[part]
    moment = second_moment(intensity[part][single], sigma[part][single], wilson.mean[single])
    l_abs = local_statistic(hkl[at], intensity[at], ~centric[at])
    related = _related(crystal, hkl[at], intensity[at], sigma[at], ~centric[at])
    told += _twinning(moment, l_abs, related, crystal.hm, twin)
    if wilson.b_range > ANISOTROPY:
        told.append(
            f"Anisotropy: B of the data differs by {wilson.b_range:.0f} Å² between directions; the resolution in the "
            "weakest direction is lower than the file says."
        )
    return told


def _pseudo_translation(crystal: Crystal, hkl: NDArray[np.int32], intensity: F64) -> list[str]:
    peak = patterson_peak(crystal, hkl, intensity)
    if peak is None or peak.height < PATTERSON_HEIGHT:
        return []
    place = ", ".join(f"{x:.2f}" for x in peak.position)
    return [
        f"Pseudo-translation: the Patterson function at 10 to 5 Å has a peak of {100 * peak.height:.0f} % of the "
        f"origin's at ({place}), {peak.distance:.0f} Å from it; R values run higher then."
    ]


def _related(
    crystal: Crystal, hkl: NDArray[np.int32], intensity: F64, sigma: F64, acentric: NDArray[np.bool_]
) -> list[tuple[TwinLaw, RelatedIntensities]]:
    """Statistics of every law of the lattice that has enough pairs, the law with the smallest R_merge first."""
    found = []
    for law in twin_laws(crystal):
        partner = positions(asu_hkl(crystal, law.apply(hkl)), hkl)
        statistics = related_intensities(intensity, sigma, partner, acentric)
        if statistics is not None:
            found.append((law, statistics))
    return sorted(found, key=lambda pair: pair[1].r_merge)


def _twinning(
    moment: float, l_abs: float | None, related: list[tuple[TwinLaw, RelatedIntensities]], group: str,
    twin: bool,
) -> list[str]:
    if l_abs is None:
        return []
    if l_abs < TWINNED_L and moment < TWINNED_MOMENT:
        head = (
            f"Twinning: the intensities are distributed as those of a twin (⟨|L|⟩ {l_abs:.2f}, untwinned 0.50; "
            f"⟨I²⟩/⟨I⟩² {moment:.2f}, untwinned 2.00)"
        )
        laws = [(law, s) for law, s in related if s.r_merge < TWIN_R and s.fraction > TWIN_FRACTION]
        if not laws:
            return [
                f"{head}, though no law of the lattice relates them; they may have been merged in too high a symmetry "
                f"({group})."
            ]
        words = [f"{law.name} with R_merge {s.r_merge:.2f}, fraction about {s.fraction:.2f}" for law, s in laws]
        end = "tested and refined, since --twin is given" if twin else "--twin models it"
        return [f"{head}; twin law {'; '.join(words)}: {end}."]
    close = [(law, s) for law, s in related if s.r_merge < SYMMETRY_R]
    if close:
        law, s = close[0]
        return [
            f"Symmetry: {law.name}, which is no symmetry of {group}, relates intensities with R_merge "
            f"{s.r_merge:.2f} without signs of twinning; the true symmetry may be higher."
        ]
    return []
