"""What ``gpurefine fcalc`` reads and writes: a model's atoms as they stand, and an MTZ file of structure factors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..backend.plans import Scatterers
from ..model.crystal import Crystal
from .atomic import write_whole
from .symmetry import gemmi_cell, gemmi_group


def model_scatterers(structure: gemmi.Structure) -> tuple[Scatterers, list[str]]:
    """Atoms of the first model as scatterers, occupancies as given, and the elements their kinds index.

    Copies that strict non-crystallographic symmetry makes are among them.
    """
    if any(not operator.given for operator in structure.ncs):
        structure = structure.clone()
        structure.expand_ncs(gemmi.HowToNameCopiedChain.Dup, merge_dist=0.0)
    atoms = [cra.atom for cra in structure[0].all()]
    names = sorted({atom.element.name for atom in atoms})
    u = np.array([atom.aniso.elements_pdb() for atom in atoms], np.float64).reshape(-1, 6)
    scatterers = Scatterers(
        xyz=np.array([atom.pos.tolist() for atom in atoms]),
        b_iso=np.array([atom.b_iso for atom in atoms], np.float64),
        u_aniso=u,
        is_aniso=np.any(u != 0.0, axis=1),
        weight=np.array([atom.occ for atom in atoms], np.float64),
        kind=np.array([names.index(atom.element.name) for atom in atoms], np.int32),
    )
    return scatterers, names


def write_structure_factors(
    path: str | Path, crystal: Crystal, hkl: NDArray[np.int32], columns: Mapping[str, NDArray[np.complex128]]
) -> None:
    """Write an MTZ file of amplitudes and phases.

    Args:
        hkl: (n, 3); columns: structure factors (n,) by the label of their amplitude, "FC" giving FC and PHIC.

    Raises:
        OutputError: the file cannot be written.
    """
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi_group(crystal)
    mtz.set_cell_for_all(gemmi_cell(crystal))
    mtz.add_dataset("gpurefine")
    table = [hkl.astype(float)]
    for name, values in columns.items():
        mtz.add_column(name, "F")
        mtz.add_column(name.replace("FC", "PHIC"), "P")
        table += [np.abs(values)[:, None], np.degrees(np.angle(values))[:, None]]
    mtz.set_data(np.concatenate(table, axis=1).astype(np.float32))
    write_whole(str(path), mtz.write_to_bytes())
