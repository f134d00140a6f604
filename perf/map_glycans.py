"""Mean 2mFo−DFc value at given residues of a model, in several maps.

    python -m perf.map_glycans MODEL MAP.mtz [MAP.mtz …] [--residues NAG,NDG,BMA,MAN,FUC,GAL] [--out FILE.json]

Maps are read from FWT, PHWT (or 2FOFCWT, PH2FOFCWT) and scaled to their r.m.s.  MODEL is the deposited one: all maps
are asked at the same positions, whatever their refinement did to the residues.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from .machine import save
from .summary import align

GLYCANS = "NAG,NDG,BMA,MAN,FUC,FUL,GAL,GLA,BGC,GLC,SIA,XYP"
LABELS = (("FWT", "PHWT"), ("2FOFCWT", "PH2FOFCWT"))
SAMPLE_RATE = 4.0
"""Grid points per d_min: interpolation then costs nothing to speak of."""


def load_map(path: Path) -> gemmi.FloatGrid:
    """The 2mFo−DFc map of an MTZ file, in units of its r.m.s. about its mean.

    Raises:
        SystemExit: the file has no such map.
    """
    mtz = gemmi.read_mtz_file(str(path))
    columns = mtz.column_labels()
    for f, phi in LABELS:
        if f in columns and phi in columns:
            grid = mtz.transform_f_phi_to_map(f, phi, sample_rate=SAMPLE_RATE)
            grid.normalize()
            return grid
    raise SystemExit(f"{path} has no 2mFo−DFc map (FWT, PHWT); its columns are {' '.join(columns)}.")


def positions(model: Path, names: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Residue (as "NAG A/501") and position (n, 3) Å of every atom, hydrogens apart, of residues called ``names``."""
    found = [
        (f"{cra.residue.name} {cra.chain.name}/{cra.residue.seqid}", cra.atom.pos.tolist())
        for cra in gemmi.read_structure(str(model))[0].all()
        if cra.residue.name in names and not cra.atom.is_hydrogen()
    ]
    if not found:
        raise SystemExit(f"{model} has no residue called {', '.join(names)}.")
    return [name for name, _ in found], np.array([position for _, position in found])


def values_at(grid: gemmi.FloatGrid, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map values (n,) at positions (n, 3) Å, cubic interpolation."""
    return np.array([grid.interpolate_value(gemmi.Position(*row), order=3) for row in xyz])


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line a residue, one column a map, and the means."""
    parser = argparse.ArgumentParser(prog="python -m perf.map_glycans", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("maps", type=Path, nargs="+", metavar="MAP.mtz")
    parser.add_argument("--residues", default=GLYCANS, help="residue names separated by commas")
    parser.add_argument("--out", type=Path, help="save as JSON")
    given = parser.parse_args(arguments)
    residues, xyz = positions(given.model, given.residues.split(","))
    labels = [f"{path.resolve().parent.name}/{path.name}" for path in given.maps]
    if len(set(labels)) < len(labels):
        labels = [str(path) for path in given.maps]
    values = {label: values_at(load_map(path), xyz) for label, path in zip(labels, given.maps, strict=True)}
    order = list(dict.fromkeys(residues))
    member = np.array([order.index(name) for name in residues])
    lines: list[tuple[str, ...]] = [("residue", "atoms", *values)]
    for k, name in enumerate(order):
        lines.append((name, str((member == k).sum()), *(f"{v[member == k].mean():.3f}" for v in values.values())))
    lines.append(("all", str(len(member)), *(f"{v.mean():.3f}" for v in values.values())))
    print(f"Mean 2mFo−DFc in r.m.s. units at the atoms of {given.model.name}")
    print(align(lines))
    if given.out:
        by_map = {
            label: {"mean": v.mean(), **{name: v[member == k].mean() for k, name in enumerate(order)}}
            for label, v in values.items()
        }
        save(given.out, {"what": "map_glycans", "model": str(given.model), "atoms": len(member), "maps": by_map})


if __name__ == "__main__":
    main()
