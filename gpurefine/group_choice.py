"""From options to groups: what the files and the model say, and what refinement is to make of it."""

from __future__ import annotations

from dataclasses import replace

from .config import Config
from .config_groups import DFRACTION_SIGMA
from .errors import UsageError
from .io.b_groups import find_b_groups
from .io.deuterium import find_deuterium_sites
from .io.occupancy_groups import find_occupancy_groups
from .io.rigid_groups import find_rigid_groups, names_of
from .io.structure import InputModel
from .io.tls_groups import find_tls_groups, has_polymer, words
from .io.topology import ChemicalModel
from .params.grouped import GroupedB
from .refinement.choose_terms import automatic_kind
from .refinement.groups import MovingGroups, RigidPlan, TlsPlan


def decide_displacements(config: Config, chemistry: ChemicalModel, n_work: int) -> tuple[Config, list[str]]:
    """The options with ``--adp auto`` decided by ``n_work`` working reflections, and what the user is to be told.

    Too few reflections for six parameters an atom suffice for twenty a domain: isotropic B come with TLS, where the
    model has a polymer and no option names TLS groups.
    """
    if config.refine.adp != "auto":
        return config, []
    kind, reason = automatic_kind(chemistry.atoms, n_work)
    groups, words = config.groups, {"aniso": "anisotropic", "iso": "isotropic"}[kind]
    if kind == "iso" and not groups.wants_tls and has_polymer(chemistry):
        groups, words = replace(groups, tls="domains"), "isotropic, with TLS groups of about 100 residues"
    chosen = replace(config, refine=replace(config.refine, adp=kind), groups=groups)
    return chosen, [f"Displacement parameters: {words} ({reason})."]


def choose_groups(
    config: Config, model: InputModel, chemistry: ChemicalModel
) -> tuple[MovingGroups, ChemicalModel, list[str]]:
    """The groups that ``config`` asks for, the model as these want it, and what the user is to be told.

    Raises:
        InputError, UsageError: groups are not understood, share atoms, or do not exist.
    """
    options = config.groups
    messages: list[str] = []
    rigid = None
    if options.rigid_search and not options.wants_rigid:
        raise UsageError("--rigid-search is for rigid bodies; add --rigid, --rigid-domain or --rigid-file.")
    if options.wants_rigid:
        found = find_rigid_groups(options, chemistry)
        messages += [*found.messages, f"Rigid bodies: {names_of(found)}."]
        rigid = RigidPlan(found.names, found.member, options.rigid_cycles, options.rigid_start, options.rigid_search)
    tls = None
    if options.wants_tls:
        if options.tls_groups is not None and options.tls is not None:
            raise UsageError("Give the TLS groups either by --tls or by --tls-groups, not by both.")
        groups, told = find_tls_groups(options.tls or "auto", options.tls_groups, options.tls_reset, model, chemistry)
        messages += [*told, f"TLS groups: {words(groups)}."]
        tls = TlsPlan(groups, options.tls_cycles)
    grouped = None
    if config.refine.adp == "grouped":
        shared, told = find_b_groups(options.b_groups or "residue", chemistry)
        grouped = GroupedB(shared.member, shared.count)
        messages += told
    elif options.b_groups is not None:
        raise UsageError("--b-groups needs --adp grouped.")
    occupancies = None
    if options.wants_occupancies:
        occupancies, told = find_occupancy_groups(options, chemistry)
        messages += told
    deuterium = None
    if options.refine_dfraction:
        chemistry, deuterium, told = find_deuterium_sites(chemistry, occupancies)
        messages += told
    moving = MovingGroups(
        rigid, tls, occupancies, options.occupancy_cycles, deuterium, options.dfraction_sigma or DFRACTION_SIGMA,
        grouped,
    )
    return moving, chemistry, messages
