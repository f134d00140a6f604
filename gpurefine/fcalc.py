"""Structure factors of a model by FFT and by exact summation: the program checks itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from .backend import create
from .backend.plans import Scatterers
from .errors import InputError
from .forward.density import plan_transform
from .io.atomic import write_whole
from .io.scattering import xray_gaussians
from .io.structure import read_model, structure_crystal
from .io.symmetry import gemmi_cell, gemmi_group, unique_hkl
from .model.crystal import Crystal

N_SHELL = 10


@dataclass(frozen=True, slots=True)
class ShellDifference:
    """One shell: limits in Å, number of reflections, r.m.s. |F| and r.m.s. |ΔF| / r.m.s. |F| (None without summation)."""

    d_max: float
    d_min: float
    count: int
    rms_f: float
    relative_difference: float | None


@dataclass(frozen=True, slots=True, eq=False)
class StructureFactors:
    """F_calc of a model's atoms on all unique reflections.

    Attributes:
        hkl: (n, 3) int32; f: (n,) complex128, electrons; direct: the same by exact summation, or None.
    """

    crystal: Crystal
    hkl: NDArray[np.int32]
    f: NDArray[np.complex128]
    direct: NDArray[np.complex128] | None
    shells: tuple[ShellDifference, ...]

    @property
    def count(self) -> int:
        """Number of reflections."""
        return len(self.hkl)

    @property
    def rms_f(self) -> float:
        """r.m.s. |F| over all reflections."""
        return _rms(self.f)

    @property
    def relative_difference(self) -> float | None:
        """r.m.s. |F_FFT − F_direct| / r.m.s. |F_direct| over all reflections."""
        return None if self.direct is None else _rms(self.f - self.direct) / _rms(self.direct)

    def write(self, path: str | Path) -> None:
        """Write an MTZ file with columns FC and PHIC (and FC_DIRECT, PHIC_DIRECT after exact summation).

        Raises:
            OutputError: the file cannot be written.
        """
        mtz = gemmi.Mtz(with_base=True)
        mtz.spacegroup = gemmi_group(self.crystal)
        mtz.set_cell_for_all(gemmi_cell(self.crystal))
        mtz.add_dataset("gpurefine")
        columns = [self.hkl.astype(float)]
        for name, values in (("FC", self.f), ("FC_DIRECT", self.direct)):
            if values is not None:
                mtz.add_column(name, "F")
                mtz.add_column(name.replace("FC", "PHIC"), "P")
                columns += [np.abs(values)[:, None], np.degrees(np.angle(values))[:, None]]
        mtz.set_data(np.concatenate(columns, axis=1).astype(np.float32))
        write_whole(str(path), mtz.write_to_bytes())


def _rms(values: NDArray[np.complex128]) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def structure_factors(model: str | Path, d_min: float, direct: bool = False, threads: int = 0) -> StructureFactors:
    """Structure factors of the atoms of a model file, hydrogens as given, without bulk solvent.

    Args:
        model: PDB or mmCIF file; d_min: high-resolution limit in Å; direct: sum exactly too (slow); threads: 0 for all.

    Raises:
        InputError: the file cannot be read, or has no unit cell.
    """
    path = str(model)
    structure = read_model(path).structure
    crystal = structure_crystal(structure)
    if crystal is None:
        raise InputError(f"{path} has no unit cell and space group (CRYST1); structure factors need one.")
    hkl = unique_hkl(crystal, d_min)
    if len(hkl) == 0:
        raise InputError(f"{path} has no reflection with d ≥ {d_min:g} Å; give a smaller --d-min.")
    atoms, names = _scatterers(structure)
    smallest = np.where(
        atoms.is_aniso, 8.0 * np.pi**2 * _smallest_eigenvalue(atoms.u_aniso), atoms.b_iso
    )
    transform = plan_transform(create("cpu", threads), crystal, hkl, smallest, atoms.kind, *xray_gaussians(names))
    f = transform.structure_factors(atoms)
    exact = transform.direct_summation(atoms) if direct else None
    order = np.argsort(crystal.inv_d2(hkl), kind="stable")
    s2 = crystal.inv_d2(hkl)
    shells = []
    for part in np.array_split(order, min(N_SHELL, len(order))):
        difference = None if exact is None else _rms(f[part] - exact[part]) / _rms(exact[part])
        shells.append(
            ShellDifference(
                float(s2[part].min() ** -0.5), float(s2[part].max() ** -0.5), len(part), _rms(f[part]), difference
            )
        )
    return StructureFactors(crystal, hkl, f, exact, tuple(shells))


def _smallest_eigenvalue(six: NDArray[np.float64]) -> NDArray[np.float64]:
    full = np.empty((len(six), 3, 3))
    for k, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))):
        full[:, i, j] = full[:, j, i] = six[:, k]
    return np.asarray(np.linalg.eigvalsh(full)[:, 0])


def _scatterers(structure: gemmi.Structure) -> tuple[Scatterers, list[str]]:
    """Atoms of the first model as scatterers, occupancies as given, and the elements their kinds index."""
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
