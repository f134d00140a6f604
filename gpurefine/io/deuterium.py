"""Hydrogen and deuterium at one site: found in the model, and made one atom."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..model.deuterium import DeuteriumSites
from ..model.occupancy import OccupancyGroups
from .scattering import deuterium_part, neutron_gaussians
from .topology import ChemicalModel
from .water_hydrogens import EXCHANGEABLE, LONGEST_BOND, carrier_of, exchanges

SAME_SITE = 0.3
"""Å: an H and a D of different conformers that are nearer than this are one site."""


def exchanged(structure: gemmi.Structure) -> bool:
    """Whether the model has deuterium where a solvent of heavy water would put it: on N, O or S, or beside hydrogen."""
    for residue in (residue for chain in structure[0] for residue in chain):
        for atom in residue:
            if atom.is_hydrogen() and (atom.element.name == "D" or atom.fraction > 0.0):
                if exchanges(carrier_of(residue, atom)):
                    return True
                if 0.0 < atom.fraction < 1.0 or any(_one_site(light, atom) for light in residue):
                    return True
    return False


def shared_sites_merged(structure: gemmi.Structure) -> tuple[gemmi.Structure, list[str]]:
    """A copy in which every pair of H and D at one site is one hydrogen with a part of deuterium.

    Depositors write such a site as two alternatives, whose occupancies add up to that of the site.  Where the
    atom that carries them has the same alternatives, H and D belong to conformers and stay apart.
    """
    st = structure.clone()
    st.store_deuterium_as_fraction(True)
    merged = 0
    for chain in st[0]:
        for residue in chain:
            names = {(atom.name, atom.altloc) for atom in residue}
            for atom in residue:  # gemmi gives the name back its D where the site is written as one
                plain = "H" + atom.name[1:]
                if atom.is_hydrogen() and atom.name[0] == "D" and (plain, atom.altloc) not in names:
                    atom.name = plain
            for k in reversed(range(len(residue))):
                atom = residue[k]
                shared = atom.is_hydrogen() and atom.fraction >= 0.5 and atom.has_altloc()
                if not shared or _on_conformer(residue, atom):
                    continue
                light = next((other for other in residue if _one_site(other, atom)), None)
                if light is None:
                    continue
                total = light.occ + atom.occ
                share = atom.occ / total if total > 0.0 else 0.5
                light.fraction = (1.0 - share) * light.fraction + share * atom.fraction
                light.pos = light.pos + (atom.pos - light.pos) * share
                light.b_iso += share * (atom.b_iso - light.b_iso)
                light.occ, light.altloc = total, "\0"
                del residue[k]
                merged += 1
    told = [f"{merged} sites that H and D share are refined as one hydrogen each."] if merged else []
    return st, told


def _on_conformer(residue: gemmi.Residue, hydrogen: gemmi.Atom) -> bool:
    """Whether the atom that carries it has the same alternative."""
    return any(
        not atom.is_hydrogen() and atom.altloc == hydrogen.altloc and atom.pos.dist(hydrogen.pos) < LONGEST_BOND
        for atom in residue
    )


def _one_site(light: gemmi.Atom, heavy: gemmi.Atom) -> bool:
    return (
        light.is_hydrogen() and light.fraction < 0.5 and light.has_altloc() and light.altloc != heavy.altloc
        and light.pos.dist(heavy.pos) < SAME_SITE
    )


def find_deuterium_sites(
    model: ChemicalModel, occupancies: OccupancyGroups | None
) -> tuple[ChemicalModel, DeuteriumSites, list[str]]:
    """The sites whose part of deuterium is refined: on N, O and S, and those that H and D share in the model.

    The model comes back with these scattering as deuterium.  Hydrogens whose occupancy is refined keep their fraction.

    Raises:
        UsageError: there are none.
    """
    atoms = model.atoms
    part = [deuterium_part(name) for name in atoms.scatterer_names]
    own = np.array([np.nan if p is None else p for p in part])[atoms.scatterer]
    elements = np.array([name.partition("+")[0] for name in atoms.scatterer_names])
    on = np.isin(elements, EXCHANGEABLE)[atoms.scatterer][atoms.parent]
    site = atoms.is_hydrogen & (on | ((own > 0.0) & (own < 1.0))) & (atoms.occ > 0.0)
    told: list[str] = []
    if occupancies is not None and (site & (occupancies.member >= 0)).any():
        held = int((site & (occupancies.member >= 0)).sum())
        told.append(f"{held} hydrogens whose occupancy is refined keep their part of deuterium.")
        site &= occupancies.member < 0
    index = np.flatnonzero(site)
    if len(index) == 0:
        raise UsageError(
            "--refine-dfraction finds no hydrogen on N, O or S and none that shares its site with deuterium; give "
            "--fix-dfraction instead, or add hydrogens with --hydrogens add."
        )
    exact = _fractions(model.structure)[index]
    names = (*atoms.scatterer_names, *(() if "D" in atoms.scatterer_names else ("D",)))
    kind = atoms.scatterer.copy()
    kind[index] = names.index("D")
    lengths = neutron_gaussians(["H", "D"])[0][:, 0]
    sites = DeuteriumSites(index, exact, tuple(model.labels[k] for k in index), float(lengths[0] / lengths[1]))
    told.append(
        f"Parts of deuterium in {len(index)} hydrogen sites are refined, mean {exact.mean():.2f} at the start; "
        "--fix-dfraction keeps them."
    )
    return replace(model, atoms=replace(atoms, scatterer=kind, scatterer_names=names)), sites, told


def _fractions(st: gemmi.Structure) -> NDArray[np.float64]:
    """Part of deuterium of every atom (n,)."""
    return np.array([cra.atom.fraction for cra in st[0].all()])
