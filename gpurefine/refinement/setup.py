"""Composition of a refinement problem from plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..backend.ops import Backend
from ..config import RefineOptions, SolventOptions
from ..errors import UsageError
from ..model.anomalous import AnomalousInput, Derivative
from ..model.atoms import Atoms
from ..model.crystal import Crystal
from ..model.measured import Measured
from ..model.reflections import Reflections
from ..model.strict_ncs import StrictNcs
from ..model.topology import Topology
from ..params.atomic import Positions
from ..params.copies import Copies
from ..params.deuterium import DeuteriumFractions
from ..params.values import Composition
from ..restraints.adp import AdpRestraints
from ..restraints.deuterium import FractionRestraints
from ..restraints.geometry import GeometryRestraints
from ..restraints.nonbonded import NonbondedRestraints
from ..restraints.positions import kept_positions, no_positions
from ..restraints.riding import HydrogenIdealiser
from .choose_likelihood import choose_likelihood
from .choose_terms import choose_displacements, displacement_terms
from .data_parameters import choose_data_parameters
from .experiment import Experiment
from .groups import MovingGroups, rigid_stages, start_occupancies, tls_stage
from .ncs_contacts import too_near
from .objective import Objective
from .special_sites import place_on_special_positions
from .starting_values import starting_atoms
from .terms import FractionTerms, PositionTerms, Stage, Term, over
from .timing import Timer
from .tls_start import start_motion, tls_limits

F64 = NDArray[np.float64]


SOLVENT_RADIUS = {6: 2.0, 7: 1.12, 8: 1.08}
"""Å by atomic number: radii for the bulk-solvent mask that REFMAC found to give the best fit (as tabulated in
gemmi); hydrogens are part of the carbon's radius."""

SOLVENT_RADIUS_OTHER = 1.6


def solvent_radii(atoms: Atoms, topology: Topology, options: SolventOptions) -> tuple[NDArray[np.intp], F64]:
    """Atoms that exclude solvent and their radii (Å) with the probe: ionic for metals, REFMAC's otherwise."""
    types = topology.nonbonded
    index = np.flatnonzero(~atoms.is_hydrogen & (atoms.occ > 0.0))
    ionic = types.is_metal[index] & np.isfinite(types.ion_radius[index])
    radius = np.where(
        ionic,
        np.nan_to_num(types.ion_radius[index], nan=1.0) + options.ion_probe_radius,
        np.array([SOLVENT_RADIUS.get(int(z), SOLVENT_RADIUS_OTHER) for z in types.element[index]])
        + options.probe_radius,
    )
    return index, radius


def build_objective(
    backend: Backend,
    atoms: Atoms,
    topology: Topology,
    labels: Sequence[str],
    crystal: Crystal,
    reflections: Reflections,
    form_factors: Sequence[tuple[F64, F64]],
    solvent: SolventOptions,
    options: RefineOptions,
    timer: Timer,
    anomalous: AnomalousInput | None = None,
    groups: MovingGroups | None = None,
    measured: Measured | None = None,
    derivative: Derivative | None = None,
    ncs: StrictNcs | None = None,
) -> tuple[Objective, list[str]]:
    """Everything a refinement needs, and what the user is to be told.

    Args:
        labels: (n,) names of the atoms; form_factors: Gaussians a, b (n_scatterer, n_gauss) of every row of
            structure factors; anomalous: Friedel pairs to refine against; groups: what is refined as one;
            measured: prior phases and twin laws; ncs: makes the asymmetric unit out of the atoms.

    Raises:
        UsageError: options that cannot be used together.
    """
    groups = MovingGroups() if groups is None else groups
    if ncs is not None and groups.rigid is not None and groups.rigid.wanted is not None:
        raise UsageError(
            "--rigid-search does not know strict non-crystallographic symmetry; search with all copies written out."
        )
    messages: list[str] = []
    atoms, special, told = place_on_special_positions(atoms, crystal, labels)
    messages += told
    given = atoms.xyz
    atoms, told = starting_atoms(atoms, special, options)
    messages += told
    chosen = choose_displacements(atoms, options, int(np.count_nonzero(reflections.work)))
    atoms = chosen.atoms
    messages += chosen.messages
    tls = None
    if groups.tls is not None:
        atoms, tls, told = start_motion(atoms, groups.tls.groups, special, options.reset_b is not None)
        chosen = replace(chosen, atoms=atoms)
        messages += [*told, *tls_limits(tls, chosen.kind, None if groups.rigid is None else groups.rigid.member)]
    occupancies = None
    if groups.occupancies is not None:
        atoms, occupancies = start_occupancies(atoms, groups.occupancies)
        chosen = replace(chosen, atoms=atoms)
    # scattering, solvent and restraints are those of the asymmetric unit, parameters those of one copy
    copies = None if ncs is None else Copies(ncs, len(atoms))
    everything, everywhere = (atoms, topology) if ncs is None else (ncs.atoms(atoms), ncs.topology(topology))
    with timer("plan"):
        likelihood = choose_likelihood(backend, crystal, reflections, anomalous, measured, derivative)
        experiment = Experiment(
            backend, crystal, reflections, likelihood, form_factors, solvent_radii(everything, everywhere, solvent),
            solvent.scale, solvent.solvent, solvent.shrink_radius, timer, solvent.refine_solvent,
        )
        if not likelihood.uses_free:
            n_free = len(experiment.free)
            reason = "there is no free set" if n_free == 0 else f"the free set has only {n_free} reflections"
            messages.append(
                f"Warning: {reason}; model error is estimated from the working reflections, which makes it too small."
            )
        refined = experiment.scaling if solvent.refine_solvent else None
        data = choose_data_parameters(likelihood, anomalous, refined)
        geometry = GeometryRestraints(everywhere, crystal, backend)
        nonbonded = NonbondedRestraints(everywhere, crystal, backend)
        adp = AdpRestraints(everywhere, crystal, backend, options.adp_weight)
        if copies is not None:
            messages += too_near(nonbonded.update(everything.xyz), copies.ncs, labels, atoms.is_hydrogen)
        terms = []
        if not options.fix_xyz:
            held = kept_positions(everywhere, given if ncs is None else ncs.positions(given))
            if groups.rigid is not None and len(held):
                messages.append("Atoms without restraints are not held in place after rigid-body refinement.")
                held = no_positions(everywhere)
            positions = PositionTerms(geometry, nonbonded, held)
            terms.append(Term(Positions(topology.parent, special), over(positions, copies, backend)))
        displacements, tensors = displacement_terms(chosen, special, adp, backend, copies, groups.grouped_b, tls)
        terms += displacements
        if occupancies is not None:
            terms.append(Term(occupancies, within=occupancies.within))
        stages: tuple[Stage, ...] = (Stage("atoms", options.cycles, tuple(terms)),)
        if occupancies is not None:
            alone = Term(occupancies, within=occupancies.within)
            stages = (Stage("occupancies", groups.occupancy_cycles, (alone,)), *stages)
        if groups.deuterium is not None:
            # alone first: B of a hydrogen taken for deuterium would grow
            alike = FractionTerms(FractionRestraints(len(groups.deuterium), groups.deuterium_sigma))
            fractions = DeuteriumFractions(groups.deuterium)
            share = Term(fractions, alike, held=fractions.held)
            stages = (*stages[:-1], replace(stages[-1], terms=(*stages[-1].terms, share)))
            stages = (Stage("deuterium", groups.occupancy_cycles, (share,)), *stages)
        if groups.tls is not None and tls is not None:
            stages = (tls_stage(groups.tls, tls, atoms.is_aniso), *stages)
        if groups.rigid is not None:
            stages = (*rigid_stages(groups.rigid, atoms.xyz, reflections.d_min, tls), *stages)
        objective = Objective(
            backend=backend, atoms=atoms, topology=everywhere, experiment=experiment,
            composition=Composition.of(atoms, tls, groups.deuterium), stages=stages, stage=stages[0], geometry=geometry,
            nonbonded=nonbonded, adp=adp, tensors=tensors, hydrogens=HydrogenIdealiser(topology, backend), timer=timer,
            data=data, overall_b=chosen.kind == "overall", search_mask=solvent.optimise_mask, copies=copies,
            bodies=None if groups.rigid is None else groups.rigid.wanted,
        )
    return objective, messages
