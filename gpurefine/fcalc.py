"""Structure factors of a model by FFT and by exact summation: the program checks itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .backend import create
from .errors import InputError
from .forward.density import plan_transform, smallest_b
from .io.fcalc_files import model_scatterers, write_structure_factors
from .io.scattering import form_factors
from .io.source import source_of_method
from .io.structure import read_model, structure_crystal
from .io.symmetry import unique_hkl
from .model.crystal import Crystal

N_SHELL = 10


@dataclass(frozen=True, slots=True)
class ShellDifference:
    """One shell: limits in Å, number of reflections, r.m.s. |F| and r.m.s. |ΔF| / r.m.s. |F|.

    The last is None without exact summation.
    """

    d_max: float
    d_min: float
    count: int
    rms_f: float
    relative_difference: float | None


@dataclass(frozen=True, slots=True, eq=False)
class StructureFactors:
    """F_calc of a model's atoms on all unique reflections.

    Attributes:
        hkl: (n, 3) int32; f: (n,) complex128, in electrons (neutrons: fm, electrons: Å); direct: the same by exact
            summation, or None.
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
        columns = {"FC": self.f} if self.direct is None else {"FC": self.f, "FC_DIRECT": self.direct}
        write_structure_factors(path, self.crystal, self.hkl, columns)


def _rms(values: NDArray[np.complex128]) -> float:
    return float(np.sqrt(np.mean(np.abs(values) ** 2)))


def structure_factors(
    model: str | Path, d_min: float, direct: bool = False, threads: int = 0, source: str = "auto"
) -> StructureFactors:
    """Structure factors of the atoms of a model file, hydrogens as given, without bulk solvent.

    Args:
        model: PDB or mmCIF file; d_min: high-resolution limit in Å; direct: sum exactly too (slow); threads: 0 for all;
        source: "xray", "neutron", "electron", or "auto" by the model's experimental method.

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
    atoms, names = model_scatterers(structure)
    smallest = smallest_b(atoms)
    table = form_factors(names, source_of_method(structure)[0] if source == "auto" else source)
    transform = plan_transform(create("cpu", threads), crystal, hkl, smallest, atoms.kind, *table)
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
