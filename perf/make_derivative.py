"""A simulated native and its derivative, whose phases are known: what phases of a refinement can be compared with.

    python -m perf.make_derivative MODEL SITES FOLDER [--d-min 1.8] [--shift 0,0,0] [--occupancy 1] [--moved 0.07]
        [--wavelength 1.5418] [--seed 1]

MODEL is as complete as can be, SITES the derivative's heavy atoms alone (moved by ``--shift``, fractions of the cell,
occupancies multiplied).  Written are ``native.mtz`` (FP, SIGFP), ``derivative.mtz`` (Friedel pairs), ``free.mtz``,
``native_phases.mtz`` (Hendrickson–Lattman coefficients), and the true phases ``native_truth.mtz``,
``derivative_truth.mtz`` (FC, PHIC: F without f″).

The native's F are those of atoms and flat solvent and a complex Gaussian error, :data:`MODEL_ERROR`, for what no model
explains.  The derivative has the same error, its atoms are displaced by ``--moved`` Å r.m.s. (half of it whole
residues), a tenth of the waters are missing, and the sites are added: it is not quite isomorphous.  σ is a part
:data:`NOISE` of the r.m.s. amplitude everywhere.  The phases of the coefficients err by von Mises' distribution, whose
concentration :data:`CERTAINTY` falls towards high resolution; their figures of merit are right.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from .make_box import shell_mean, shells, structure_factors

F64 = NDArray[np.float64]
C128 = NDArray[np.complex128]

MODEL_ERROR = 0.15
NOISE = 0.04
FREE_CLASSES = 10
LOST_WATERS = 0.1
CERTAINTY = 4.0, 0.5
"""Concentrations of the prior phases at infinite and at the highest resolution; between, by a Gaussian in 1/d."""


def derivative(
    native: gemmi.Structure, sites: gemmi.Structure, shift: Sequence[float], occupancy: float, moved: float,
    rng: np.random.Generator,
) -> gemmi.Structure:
    """The native's atoms displaced, and the sites in a chain of their own."""
    structure = native.clone()
    part = moved / np.sqrt(6.0)
    for chain in structure[0]:
        for residue in chain:
            common = rng.normal(scale=part, size=3)
            lost = residue.name == "HOH" and rng.random() < LOST_WATERS
            for atom in residue:
                atom.pos += gemmi.Position(*(common + rng.normal(scale=part, size=3)))
                atom.occ = 0.0 if lost else atom.occ
    chain = gemmi.Chain("sites")
    for number, cra in enumerate(sites[0].all(), 1):
        residue, atom = cra.residue.clone(), cra.atom.clone()
        residue.seqid = gemmi.SeqId(str(number))
        place = native.cell.fractionalize(atom.pos).tolist()
        atom.pos = native.cell.orthogonalize(gemmi.Fractional(*(x + d for x, d in zip(place, shift, strict=True))))
        atom.occ *= occupancy
        while len(residue):
            del residue[0]
        residue.add_atom(atom)
        chain.add_residue(residue)
    structure[0].add_chain(chain)
    return structure


def anomalous(structure: gemmi.Structure, hkl: NDArray[np.int32], energy: float) -> tuple[C128, C128]:
    """What f′ adds to F, and F″ (n,), both of real densities, at ``energy`` eV."""
    elements = {cra.atom.element.name: cra.atom.element for cra in structure[0].all()}
    totals = []
    for which in (None, 0, 1):
        calculator = gemmi.StructureFactorCalculatorX(structure.cell)
        for element in elements.values():
            if which is not None and element.atomic_number > 1:
                calculator.addends.set(element, gemmi.cromer_liberman(element.atomic_number, energy)[which])
        totals.append(np.array([calculator.calculate_sf_from_model(structure[0], h) for h in hkl.tolist()]))
    return totals[1] - totals[0], totals[2] - totals[0]


def prior_phases(
    f: C128, inv_d2: F64, centric: NDArray[np.bool_], rng: np.random.Generator
) -> list[tuple[str, str, F64]]:
    """Hendrickson–Lattman columns HLA to HLD of phases that were measured with errors as they say."""
    low, high = CERTAINTY
    certainty = low * (high / low) ** (inv_d2 / inv_d2.max())
    flipped = rng.random(len(f)) < 1.0 / (1.0 + np.exp(2.0 * certainty))
    error = np.where(centric, np.pi * flipped, rng.vonmises(0.0, certainty))
    prior, nothing = certainty * f / np.abs(f) * np.exp(1j * error), np.zeros(len(f))
    return [("HLA", "A", prior.real), ("HLB", "A", prior.imag), ("HLC", "A", nothing), ("HLD", "A", nothing)]


def write(
    path: Path, structure: gemmi.Structure, hkl: NDArray[np.int32], wavelength: float,
    columns: Sequence[tuple[str, str, F64]],
) -> None:
    """MTZ file of columns (label, type, values (n,)), measured at a wavelength in Å."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = "Simulated"
    mtz.spacegroup = structure.find_spacegroup()
    mtz.set_cell_for_all(structure.cell)
    mtz.add_dataset("simulated").wavelength = wavelength
    for label, kind, _ in columns:
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, *(values for _, _, values in columns)]).astype(np.float32))
    mtz.write_to_file(str(path))


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m perf.make_derivative", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("sites", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--d-min", type=float, default=1.8)
    parser.add_argument("--shift", default="0,0,0", help="fractions of the cell that are added to the sites")
    parser.add_argument("--occupancy", type=float, default=1.0, help="factor on the sites' occupancies")
    parser.add_argument("--moved", type=float, default=0.07, help="Å r.m.s. between native and derivative")
    parser.add_argument("--wavelength", type=float, default=1.5418, help="Å")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    rng = np.random.default_rng(given.seed)
    native, sites = gemmi.read_structure(str(given.model)), gemmi.read_structure(str(given.sites))
    shift = [float(x) for x in given.shift.split(",")]
    other = derivative(native, sites, shift, given.occupancy, given.moved, rng)
    hkl, f, inv_d2 = structure_factors(native, given.d_min)
    same, g, _ = structure_factors(other, given.d_min)
    assert np.array_equal(hkl, same)
    # the error of a centric reflection keeps to the line of its phases
    operations = native.find_spacegroup().operations()
    centric = np.array([operations.is_reflection_centric(h) for h in hkl.tolist()])
    spread = MODEL_ERROR * np.sqrt(shell_mean(np.abs(f) ** 2, shells(inv_d2)) / 2.0)
    error = spread * (rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f)))
    line = f / np.abs(f)
    error = np.where(centric, line * np.sqrt(2.0) * (error * line.conj()).real, error)
    prime, second = anomalous(other, hkl, gemmi.hc / given.wavelength)
    f, g = f + error, g + error + prime

    given.folder.mkdir(parents=True, exist_ok=True)
    sigma = np.full(len(f), NOISE * float(np.sqrt(np.mean(np.abs(f) ** 2))))

    def measured(amplitude: F64) -> F64:
        return np.maximum(amplitude + sigma * rng.standard_normal(len(f)), 0.05 * sigma)

    plus, minus = measured(np.abs(g + 1j * second)), measured(np.abs(g - 1j * second))
    minus = np.where(centric, plus, minus)
    files = {
        "native": [("FP", "F", measured(np.abs(f))), ("SIGFP", "Q", sigma)],
        "derivative": [("F(+)", "G", plus), ("SIGF(+)", "L", sigma), ("F(-)", "G", minus), ("SIGF(-)", "L", sigma)],
        "native_truth": [("FC", "F", np.abs(f)), ("PHIC", "P", np.degrees(np.angle(f)))],
        "derivative_truth": [("FC", "F", np.abs(g)), ("PHIC", "P", np.degrees(np.angle(g)))],
        "free": [("FREE", "I", rng.integers(0, FREE_CLASSES, len(f)) * 1.0)],
        "native_phases": prior_phases(f, inv_d2, centric, rng),
    }
    for name, columns in files.items():
        write(given.folder / f"{name}.mtz", native, hkl, given.wavelength, columns)
    change = float(np.mean(np.abs(np.abs(f) - np.abs(g))) / np.mean(np.abs(f)))
    bijvoet = float(np.mean(np.abs(plus - minus)[~centric]) / np.mean(plus[~centric]))
    print(f"{len(f)} reflections; differences: isomorphous {change:.1%} of the amplitude, Bijvoet {bijvoet:.1%}")


if __name__ == "__main__":
    main()
