"""Radii of the solvent mask by what fits the working reflections best (``--optimise-mask``)."""

from __future__ import annotations

from ..backend.plans import Scatterers
from .experiment import Experiment
from .objective import Objective, State

STEPS = (0.2, 0.1)
"""Å, of the search."""

FARTHEST = 0.4
"""Å from the radii asked for."""


def optimise_mask(objective: Objective, state: State) -> list[str]:
    """Search probe and shrink radii, leave the experiment fitted with the best, and say (one sentence) what they are.

    Neighbours on a grid are tried from the radii in use, first with wide and then with narrow steps; R on working
    reflections decides, and a radius that does not lower it stays.
    """
    experiment, atoms = objective.experiment, objective.scatterers(state.values)
    if experiment.mask is None:
        return []
    first = here = (0.0, experiment.mask.shrink_radius)
    known = {here: _r_work(experiment, atoms, state, here)}
    for size in STEPS:
        while True:
            around = [
                (round(here[0] + size * a, 3), round(here[1] + size * b, 3))
                for a, b in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1))
            ]
            for radii in around:
                inside = max(abs(radii[0] - first[0]), abs(radii[1] - first[1])) <= FARTHEST + 1e-9
                if inside and radii not in known and radii[1] >= 0.0:
                    known[radii] = _r_work(experiment, atoms, state, radii)
            best = min(known, key=lambda radii: (known[radii], radii != first))
            if best == here:
                break
            here = best
    _r_work(experiment, atoms, state, here)
    change = f"{here[0]:+.1f} Å" if here[0] else "unchanged"
    return [
        f"Solvent mask: probe radii {change}, shrink radius {here[1]:.1f} Å, R_work {known[first]:.4f} → "
        f"{known[here]:.4f} (--optimise-mask, {len(known)} masks)."
    ]


def _r_work(experiment: Experiment, atoms: Scatterers, state: State, radii: tuple[float, float]) -> float:
    experiment.set_mask(*radii)
    experiment.update(atoms, state.f_calc)
    return experiment.agreement()[0].r or 0.0
