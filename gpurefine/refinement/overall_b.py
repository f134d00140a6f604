"""One B for the whole model: what the overall scale finds is given to the atoms (``--adp overall``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..constants import B_MIN, EIGHT_PI2
from ..forward.density import smallest_b
from ..model.tensors import TRACE
from .objective import Objective, State

NEGLIGIBLE = 0.05
"""Å²: what is left to the scale."""


def give_overall_b(objective: Objective, state: State) -> None:
    """Shift every B of ``state`` by the overall B of the fitted scale, and fit the scale anew.

    A scale that is fitted in every cycle leaves no gradient for a common shift of all B: the two are one parameter.
    No atom falls below B_MIN; what cannot be given stays in the scale.
    """
    experiment = objective.experiment
    shift = experiment.fitted.scale.b_overall
    shift = max(shift, B_MIN - float(smallest_b(objective.scatterers(state.values)).min()))
    if abs(shift) < NEGLIGIBLE:
        return
    values, is_aniso = state.values, objective.composition.is_aniso
    u = values.u_aniso + np.where(is_aniso[:, None], shift / EIGHT_PI2 * TRACE, 0.0)
    moved = objective.state(replace(values, b_iso=values.b_iso + shift, u_aniso=u))
    state.values, state.f_calc = moved.values, moved.f_calc
    experiment.take_from_scale(shift)
    experiment.update(objective.scatterers(state.values), state.f_calc)
