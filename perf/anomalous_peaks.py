"""Heights of an anomalous map at the anomalous scatterers of a model, and its highest peaks elsewhere.

    python -m perf.anomalous_peaks MODEL MAP.mtz [MAP.mtz …] [--elements S,SE,CL] [--labels FAN,PHAN] [--out FILE.json]

Maps are scaled to their r.m.s.; a height is the largest value within half a d_min of the atom.  Peaks elsewhere are
the three highest further than 2 Å from every listed atom: what noise, or a missing scatterer, reaches.
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

SAMPLE_RATE = 4.0
ELSEWHERE = 2.0


def scatterers(model: Path, elements: Sequence[str]) -> tuple[list[str], NDArray[np.float64], gemmi.Structure]:
    """Names ("CYS A/6/SG", with occupancy and B) and positions (n, 3) Å of the atoms of ``elements``."""
    structure = gemmi.read_structure(str(model))
    structure.setup_entities()
    names, positions = [], []
    for cra in structure[0].all():
        if cra.atom.element.name.upper() in elements:
            altloc = "" if cra.atom.altloc == "\0" else f".{cra.atom.altloc}"
            names.append(
                f"{cra.residue.name} {cra.chain.name}/{cra.residue.seqid}/{cra.atom.name}{altloc} "
                f"(q {cra.atom.occ:.2f}, B {cra.atom.b_iso:.0f})"
            )
            positions.append(cra.atom.pos.tolist())
    if not names:
        raise SystemExit(f"{model} has no atom of {', '.join(elements)}.")
    return names, np.array(positions), structure


def load_map(path: Path, labels: Sequence[str]) -> tuple[gemmi.FloatGrid, float]:
    """The map in units of its r.m.s., and d_min in Å."""
    mtz = gemmi.read_mtz_file(str(path))
    missing = [label for label in labels if label not in mtz.column_labels()]
    if missing:
        raise SystemExit(f"{path} has no column {missing[0]}; its columns are {' '.join(mtz.column_labels())}.")
    grid = mtz.transform_f_phi_to_map(*labels, sample_rate=SAMPLE_RATE)
    grid.normalize()
    return grid, mtz.resolution_high()


def heights(grid: gemmi.FloatGrid, positions: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """(n,) largest value within ``reach`` Å of each position."""
    steps = np.linspace(-reach, reach, 7)
    shifts = np.array([(x, y, z) for x in steps for y in steps for z in steps if x * x + y * y + z * z <= reach**2])
    return np.array([
        max(grid.interpolate_value(gemmi.Position(*(position + shift)), order=1) for shift in shifts)
        for position in positions
    ])


def elsewhere(
    grid: gemmi.FloatGrid, structure: gemmi.Structure, positions: NDArray[np.float64], count: int = 3
) -> list[tuple[float, str]]:
    """The highest peaks further than :data:`ELSEWHERE` Å from all positions, with the nearest atom of the model."""
    mask = gemmi.FloatGrid(grid.nu, grid.nv, grid.nw)
    mask.set_unit_cell(grid.unit_cell)
    mask.spacegroup = grid.spacegroup
    for position in positions:
        mask.set_points_around(gemmi.Position(*position), ELSEWHERE, 1.0)
    mask.symmetrize_max()
    values = np.where(np.array(mask, copy=False) > 0.0, -np.inf, np.array(grid, copy=True))
    cell = structure.cell
    search = gemmi.NeighborSearch(structure[0], grid.unit_cell, 8.0).populate()
    found: list[tuple[float, str]] = []
    taken: list[gemmi.Position] = []
    for index in np.argsort(values, axis=None)[::-1]:
        u, v, w = np.unravel_index(index, values.shape)
        place = grid.get_position(int(u), int(v), int(w))
        if any(cell.find_nearest_image(place, other, gemmi.Asu.Any).dist() < 1.5 for other in taken):
            continue
        taken.append(place)
        mark = search.find_nearest_atom(place, radius=8.0)
        near = "no atom near"
        if mark is not None:
            cra = mark.to_cra(structure[0])
            distance = cell.find_nearest_image(place, cra.atom.pos, gemmi.Asu.Any).dist()
            near = f"{distance:.1f} Å from {cra.residue.name} {cra.chain.name}/{cra.residue.seqid}/{cra.atom.name}"
        found.append((float(values.flat[index]), near))
        if len(found) == count:
            break
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line an atom, one column a map, and the highest other peaks."""
    parser = argparse.ArgumentParser(
        prog="python -m perf.anomalous_peaks", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("maps", type=Path, nargs="+", metavar="MAP.mtz")
    parser.add_argument("--elements", default="S,SE", help="elements separated by commas")
    parser.add_argument("--labels", default="FAN,PHAN", help="amplitude and phase column")
    parser.add_argument("--out", type=Path, help="save as JSON")
    given = parser.parse_args(arguments)
    names, positions, structure = scatterers(given.model, given.elements.upper().split(","))
    labels = given.labels.split(",")
    columns, others = {}, {}
    for path in given.maps:
        grid, d_min = load_map(path, labels)
        columns[path.name] = heights(grid, positions, 0.5 * d_min)
        others[path.name] = elsewhere(grid, structure, positions)
    lines: list[tuple[str, ...]] = [("atom", *columns)]
    lines += [(name, *(f"{c[k]:.1f}" for c in columns.values())) for k, name in enumerate(names)]
    print(f"Heights of {given.labels} in r.m.s. units at the atoms of {given.model.name}")
    print(align(lines))
    for name, peaks in others.items():
        print(f"{name}, highest elsewhere: " + "; ".join(f"{height:.1f} ({near})" for height, near in peaks))
    if given.out:
        by_map = {
            name: {
                "heights": dict(zip(names, (float(x) for x in column), strict=True)),
                "elsewhere": [{"height": height, "where": near} for height, near in others[name]],
            }
            for name, column in columns.items()
        }
        save(given.out, {"what": "anomalous_peaks", "model": str(given.model), "maps": by_map})


if __name__ == "__main__":
    main()
