"""What was scattered, X-rays, neutrons or electrons, and what follows from it for the options."""

from __future__ import annotations

from dataclasses import replace

import gemmi

from ..config import Config
from ..errors import UsageError
from .deuterium import exchanged
from .scattering import ELECTRON, NEUTRON, XRAY

METHODS = {XRAY: "X-RAY DIFFRACTION", NEUTRON: "NEUTRON DIFFRACTION", ELECTRON: "ELECTRON CRYSTALLOGRAPHY"}
"""Source → _exptl.method and pdbx_refine_id."""
WORDS = {XRAY: "X-rays", NEUTRON: "neutrons", ELECTRON: "electrons"}


def resolved(config: Config, structure: gemmi.Structure) -> tuple[Config, list[str]]:
    """The options with --source auto and --hydrogens auto decided, and what the user is to be told.

    Of neutrons the model's hydrogens are kept and written: they were seen.  So are hydrogens that are refined.  Where
    hydrogens have been exchanged for deuterium, how far is refined.

    Raises:
        UsageError: anomalous scattering, parts of deuterium or a derivative is asked for where there is none.
    """
    source = config.data.source
    source, told = source_of_method(structure) if source == "auto" else (source, contradiction(source, structure))
    asked = config.anomalous.named
    if source != XRAY and asked:
        verb, them = ("is", "it") if len(asked) == 1 else ("are", "them")
        raise UsageError(
            f"{', '.join(asked)} {verb} for X-rays, but the source is {source}; leave {them} out, or give "
            "--source xray if the data were measured with X-rays."
        )
    fractions = [
        flag for flag, given in (
            ("--refine-dfraction", config.groups.refine_dfraction), ("--fix-dfraction", config.groups.fix_dfraction),
            ("--dfraction-sigma", config.groups.dfraction_sigma is not None),
        ) if given
    ]  # fmt: skip
    if fractions and source != NEUTRON:
        raise UsageError(
            f"{fractions[0]} is for neutrons, but the source is {source}; leave it out, or give --source neutron "
            "if the data were measured with neutrons."
        )
    hydrogens = config.chemistry.hydrogens
    has_some = any(cra.atom.is_hydrogen() for cra in structure[0].all())
    if hydrogens == "auto":
        hydrogens = "keep" if source == NEUTRON and has_some else "add"
    if config.chemistry.turning_waters and (source != NEUTRON or hydrogens not in ("keep", "refine")):
        raise UsageError(
            "--turning-waters is for neutrons and the model's own hydrogens (--source neutron, --hydrogens keep or "
            f"refine), but here the source is {source} and hydrogens are to be: {hydrogens}; leave it out."
        )
    groups = config.groups
    if not (groups.refine_dfraction or groups.fix_dfraction) and source == NEUTRON and hydrogens in ("keep", "refine"):
        groups = replace(groups, refine_dfraction=exchanged(structure))
    if groups.dfraction_sigma is not None and not groups.refine_dfraction:
        raise UsageError(
            "--dfraction-sigma is given, but the model has no deuterium whose part is refined by itself; add "
            "--refine-dfraction, or leave it out."
        )
    own = hydrogens == "refine" or (source == NEUTRON and hydrogens == "keep")
    write = config.chemistry.write_hydrogens or own
    chemistry = replace(config.chemistry, hydrogens=hydrogens, write_hydrogens=write)
    return replace(config, data=replace(config.data, source=source), chemistry=chemistry, groups=groups), told


def method_of(config: Config) -> str:
    """The experimental method as mmCIF names it."""
    return METHODS.get(config.data.source, METHODS[XRAY])


def _methods(structure: gemmi.Structure) -> tuple[str, list[str]]:
    """The experimental method in the model file, and the sources it names."""
    method = structure.info["_exptl.method"].upper() if "_exptl.method" in structure.info else ""
    return method, [s for s, word in ((XRAY, "X-RAY"), (NEUTRON, "NEUTRON"), (ELECTRON, "ELECTRON")) if word in method]


def contradiction(source: str, structure: gemmi.Structure) -> list[str]:
    """What the user is to be told where the model comes from another experiment than ``source``."""
    method, found = _methods(structure)
    if not found or source in found:
        return []
    return [f"Source: {WORDS[source]}, as --source says, though the model's method is {method}."]


def source_of_method(structure: gemmi.Structure) -> tuple[str, list[str]]:
    """Source by the experimental method in the model file; X-rays where that is of no help."""
    method, found = _methods(structure)
    if found == [XRAY] or not found:
        return XRAY, []
    if len(found) > 1:
        return found[0], [
            f"Source: {WORDS[found[0]]}; the model comes from several experiments ({method}), --source chooses another."
        ]
    return found[0], [f"Source: {WORDS[found[0]]}, as the model's method ({method}) says; --source chooses another."]
