"""Water for a model that has none: refine, place, refine, until no more is found.

    python -m perf.complete_model MODEL DATA OUT.pdb [options of gpurefine refine as KEY=VALUE …]
        [--rounds 3] [--cycles 5] [--sigma 3.5]

In every round waters that have become weak (2mFo−DFc below 1 r.m.s., B above 80 Å²) are taken out, and put where the
difference map has a peak of ``--sigma`` r.m.s. or more, 2mFo−DFc 1 r.m.s., a nitrogen, oxygen or water within
2.3 to 3.5 Å and nothing nearer than 2.3 Å (carbon: 3.0 Å).  A reference for other programs of this folder, no tool for
a model that is to be deposited: nobody has looked at the waters.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np

import gpurefine

from .phase_error import options_of

SAMPLE_RATE = 4.0
NEAREST, NEAREST_CARBON, FURTHEST = 2.3, 3.0, 3.5
LEAST_DENSITY = 1.0
LARGEST_B = 80.0
CHAIN = "w"


def maps(result: gpurefine.Result) -> tuple[gemmi.FloatGrid, gemmi.FloatGrid]:
    """2mFo−DFc and mFo−DFc in r.m.s. units."""
    r, found = result.problem.data.reflections, result.report.maps
    cell, group = result.structure.cell, result.structure.find_spacegroup()
    grids = []
    for coefficients in (found.fwt, found.delfwt):
        asu = gemmi.ComplexAsuData(cell, group, r.hkl, coefficients.astype(np.complex64))
        grid = asu.transform_f_phi_to_map(sample_rate=SAMPLE_RATE)
        grid.normalize()
        grids.append(grid)
    return grids[0], grids[1]


def peaks(grid: gemmi.FloatGrid, least: float) -> list[gemmi.Position]:
    """Local maxima of at least ``least``, highest first, one of every set of symmetry mates."""
    grid.symmetrize_max()
    values = np.array(grid, copy=True)
    top = values >= least
    for axis in range(3):
        for shift in (-1, 1):
            top &= values >= np.roll(values, shift, axis)
    points = np.argwhere(top)
    points = points[np.argsort(-values[tuple(points.T)], kind="stable")]
    asu = grid.masked_asu()
    inside = np.array(asu.mask_array, copy=False) == 0
    return [grid.get_position(*(int(i) for i in point)) for point in points if inside[tuple(point)]]


def prune(structure: gemmi.Structure, density: gemmi.FloatGrid) -> int:
    """Take out weak waters; how many."""
    out = 0
    for chain in structure[0]:
        if chain.name != CHAIN:
            continue
        for k in range(len(chain) - 1, -1, -1):
            atom = chain[k][0]
            if atom.b_iso > LARGEST_B or density.interpolate_value(atom.pos, order=1) < LEAST_DENSITY:
                del chain[k]
                out += 1
    structure.remove_empty_chains()
    return out


def place(structure: gemmi.Structure, density: gemmi.FloatGrid, difference: gemmi.FloatGrid, least: float) -> int:
    """Add waters at peaks of the difference map; how many."""
    model, cell, added = structure[0], structure.cell, 0
    if all(chain.name != CHAIN for chain in model):
        model.add_chain(gemmi.Chain(CHAIN))
    chain = next(chain for chain in model if chain.name == CHAIN)
    mean_b = float(np.mean([cra.atom.b_iso for cra in model.all()]))
    number = max((residue.seqid.num for residue in chain), default=0)
    for position in peaks(difference, least):
        if density.interpolate_value(position, order=1) < LEAST_DENSITY:
            continue
        search = gemmi.NeighborSearch(model, cell, 5.0).populate(include_h=False)
        near = [
            (mark.element.name, search.dist(position, mark.pos))
            for mark in search.find_atoms(position, "\0", radius=FURTHEST)
        ]
        if any(d < (NEAREST_CARBON if name == "C" else NEAREST) for name, d in near):
            continue
        if not any(name in ("N", "O") for name, _ in near):
            continue
        number += 1
        added += 1
        residue, atom = gemmi.Residue(), gemmi.Atom()
        residue.name, residue.seqid, residue.het_flag = "HOH", gemmi.SeqId(str(number)), "H"
        atom.name, atom.element, atom.b_iso, atom.pos = "O", gemmi.Element("O"), mean_b + 5.0, position
        residue.add_atom(atom)
        chain.add_residue(residue)
    return added


def main(arguments: Sequence[str] | None = None) -> None:
    """One line a round; the model is written after each."""
    parser = argparse.ArgumentParser(prog="python -m perf.complete_model", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cycles", type=int, default=5)
    parser.add_argument("--sigma", type=float, default=3.5)
    given = parser.parse_args(arguments)
    options = options_of(given.options) | {"cycles": given.cycles, "quiet": True}
    model = given.model
    for turn in range(given.rounds + 1):
        result = gpurefine.read(str(model), str(given.data), **options).refine()
        structure, last = result.structure, result.report.cycles[-1]
        line = f"round {turn}: R {last.r_work:.4f} R_free {last.r_free:.4f}"
        if turn < given.rounds:
            density, difference = maps(result)
            line += f", {prune(structure, density)} waters taken out"
            line += f", {place(structure, density, difference, given.sigma)} placed"
        structure.write_pdb(str(given.out))
        model = given.out
        print(line, flush=True)


if __name__ == "__main__":
    main()
