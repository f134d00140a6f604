"""Phases from outside brought to the origin and the hand of the model."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..backend.plans import Scatterers
from ..errors import InputError
from ..forward.density import plan_transform, smallest_b
from ..model.atoms import Atoms
from ..model.crystal import Crystal
from ..model.phases import PriorPhases, restricted_phase
from ..model.reflections import Reflections
from ..target.phase_information import phase_summary
from ..target.phase_origin import Placement, find_placement, permitted

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

SIGNIFICANT = 5.0
"""Agreements below this many standard uncertainties of chance mean nothing."""


def place_by_atoms(
    backend: Backend,
    phases: PriorPhases,
    crystal: Crystal,
    reflections: Reflections,
    atoms: Atoms,
    form_factors: tuple[F64, F64],
) -> tuple[PriorPhases, list[str]]:
    """:func:`place_phases` by the structure factors of ``atoms``, whose Gaussians are a, b (n_scatterer, n_gauss)."""
    scatterers = Scatterers(
        atoms.xyz, atoms.b_iso, atoms.u_aniso, atoms.is_aniso, atoms.scattering_weight, atoms.scatterer
    )
    transform = plan_transform(
        backend, crystal, reflections.hkl, smallest_b(scatterers), atoms.scatterer, *form_factors
    )
    return place_phases(phases, crystal, reflections, transform.structure_factors(scatterers))


def place_phases(
    phases: PriorPhases, crystal: Crystal, reflections: Reflections, f_model: C128
) -> tuple[PriorPhases, list[str]]:
    """The phases at the permitted origin and of the hand that agree best with the model's, and what is to be told.

    Weights are the figure of merit times the normalised amplitude.

    Args:
        f_model: (n,) structure factors of the model's atoms.

    Raises:
        InputError: no change of origin or hand leads from the phases' space group to the crystal's.
    """
    r = reflections
    summary = phase_summary(phases.hl, restricted_phase(phases.origin, r.hkl))
    weight = normalised_amplitudes(r)
    placements = find_placement(crystal, phases.origin, r.hkl, summary.centroid, f_model, weight)
    found = [p for p in placements if p is not None]
    if not found:
        raise InputError(
            f"The phases in {phases.path} obey a space group from which no change of origin or hand leads to "
            f"{crystal.hm}; give phases of this crystal form."
        )
    best = max(found, key=lambda p: p.agreement)
    other = next((p for p in found if p is not best), None)
    told = [_words(best, other)]
    meaningless = best.agreement < SIGNIFICANT * best.noise
    if meaningless and permitted(crystal, phases.origin, np.zeros((1, 3)), False)[0]:
        return phases, told
    return phases.moved(r.hkl, crystal, np.array(best.shift), best.inverted), told


def normalised_amplitudes(reflections: Reflections) -> F64:
    """F_obs over its root mean square in shells of resolution, (n,), 0 where not observed."""
    r = reflections
    size = np.where(r.observed, np.nan_to_num(r.f) / np.sqrt(r.epsilon), 0.0)
    index = np.flatnonzero(r.observed)
    order = index[np.argsort(r.inv_d2[index], kind="stable")]
    for part in np.array_split(order, max(1, len(order) // 200)):
        size[part] /= max(float(np.sqrt(np.mean(size[part] ** 2))), 1e-300)
    return size


def _words(best: Placement, other: Placement | None) -> str:
    if best.agreement < SIGNIFICANT * best.noise:
        return (
            f"Warning: the phases agree with the model's at no permitted origin and in neither hand (at best ⟨cos Δφ⟩ "
            f"{best.agreement:.2f}, by chance {3 * best.noise:.2f}); they are used nevertheless, but may not belong to "
            "this model."
        )
    where = "as they are" if best.is_identity else f"after a shift of the origin by {shift_words(best.shift)}"
    if best.inverted:
        where = "in the other hand" + (
            "" if best.shift == (0.0, 0.0, 0.0) else f" and {where.removeprefix('as they are')}"
        )
    rest = "" if other is None else f"; the {'given' if best.inverted else 'other'} hand reaches {other.agreement:.2f}"
    verb = "agree with" if best.is_identity else "are brought into agreement with"
    return f"Phases: they {verb} the model's {where} (⟨cos Δφ⟩ {best.agreement:.2f}{rest})."


def shift_words(shift: tuple[float, float, float]) -> str:
    """ "0, 0, 1/2" of a shift in fractions of the cell; three decimals where it is no simple fraction."""
    words = []
    for x in shift:
        fraction = Fraction(round(24.0 * x), 24)
        words.append(str(fraction) if abs(float(fraction) - x) < 1e-4 else f"{x:.3f}")
    return ", ".join(words)
