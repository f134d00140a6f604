"""Estimated standard uncertainty (ESU) of coordinates, overall, for an atom of average B.

From R: σ = (N/(n − p))^½ C^(−⅓) R d_min; from R_free: σ = (N/n)^½ C^(−⅓) R_free d_min, with N fully
occupied atoms, n reflections, p parameters and the completeness C (Cruickshank 1999, Acta
Cryst. D55, 583; Murshudov & Dodson 1997, CCP4 Newsletter 33, 31).  By maximum likelihood: the inverse root of the mean
expected information of the working reflections about a coordinate, restraints left out.
"""

from __future__ import annotations

import math

import numpy as np

from ..model.records import CoordinateError, CycleRecord
from .objective import Objective, State


def coordinate_error(objective: Objective, state: State, final: CycleRecord) -> CoordinateError:
    """ESU (Å) of the model at the last update; what cannot be estimated is None."""
    experiment, atoms = objective.experiment, objective.atoms
    refined = atoms.refined & ~atoms.is_hydrogen & (state.values.occ > 0.0)
    n_atom, r = float(state.values.occ[refined].sum()), experiment.reflections
    n_obs, n_work = int(r.observed.sum()), len(experiment.work)
    inside = r.inv_d2 >= r.inv_d2[r.observed].min()
    completeness = n_obs / max(1, int(inside.sum()))
    by_atom = [term.kind.shape[1] for term in objective.terms if term.kind.shape[0] == len(refined)]
    spare = n_work - int(refined.sum()) * sum(by_atom)
    scale = completeness ** (-1.0 / 3.0) * r.d_min
    by_r = math.sqrt(n_atom / spare) * scale * final.r_work if spare > 0 and final.r_work is not None else None
    by_free = math.sqrt(n_atom / n_obs) * scale * final.r_free if final.r_free is not None and n_obs else None
    whole = experiment.information(objective.scatterers(state.values))
    information = whole.xyz if objective.copies is None else objective.copies.blocks(whole.xyz)
    information = information[refined]
    mean = float(np.mean(np.trace(information, axis1=1, axis2=2)) / 3.0) if len(information) else 0.0
    by_likelihood = 1.0 / math.sqrt(mean) if mean > 0.0 else None
    return CoordinateError(by_r, by_free, by_likelihood)
