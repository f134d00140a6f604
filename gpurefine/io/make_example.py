"""Make the example that is embedded in gpurefine.

    python -m gpurefine.io.make_example SDIST_DIR

``SDIST_DIR`` is the unpacked source distribution of servalcat 0.4.142 (from the Python package index, MPL-2.0), whose
``tests/1l2h`` holds a copy of Protein Data Bank entry 1L2H: human interleukin-1β (mutant F42W/W120F) at 1.54 Å, space
group P 43, one chain, 1,294 atoms, 31,781 merged intensities with a test set (``FreeR_flag`` = 0, 4.8 %).  The crystal
is a merohedral twin; M. G. Rudolph et al. (2003) Acta Cryst. D59, 290-298, https://doi.org/10.1107/S0907444902021704.
Entries of the Protein Data Bank are in the public domain (CC0 1.0).

Two files are written to ``gpurefine/data``:

- ``1l2h.mtz.gz``: the intensities, standard uncertainties and test set, values unchanged.
- ``1l2h_shaken.pdb.gz``: the deposited model without hydrogens, each coordinate moved by a normal deviate so that the
  expected displacement of an atom is 0.25 Å r.m.s. in three dimensions (seed 1), and every B set to the mean B.  It
  stands for a model that has yet to be refined.

The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import gemmi
import numpy as np

SHAKE_RMS = 0.25
"""Expected three-dimensional displacement of an atom, Å r.m.s."""

SEED = 1
TITLE = "Interleukin-1beta F42W/W120F, PDB entry 1L2H"
N_ATOMS = 1294
N_REFLECTIONS = 31781


def shaken_model(source: Path) -> bytes:
    """PDB file (text as bytes) of the deposited model ``source`` after the shake."""
    structure = gemmi.read_structure(str(source))
    structure.remove_hydrogens()
    atoms = [atom for model in structure for chain in model for residue in chain for atom in residue]
    if len(atoms) != N_ATOMS:
        raise SystemExit(f"{source} holds {len(atoms)} atoms, not the {N_ATOMS} of the entry this script was made for.")
    mean_b = float(np.mean([atom.b_iso for atom in atoms]))
    shifts = np.random.default_rng(SEED).normal(scale=SHAKE_RMS / np.sqrt(3.0), size=(len(atoms), 3))
    for atom, shift in zip(atoms, shifts, strict=True):
        atom.pos += gemmi.Position(*shift)
        atom.b_iso = mean_b
        atom.aniso = gemmi.SMat33f(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    remarks = (
        "REMARK   3",
        "REMARK   3  NOT REFINED: PDB ENTRY 1L2H WITH COORDINATES SHAKEN BY 0.25 A R.M.S.",
        "REMARK   3  AND EVERY B SET TO THE MEAN; THE STARTING POINT OF GPUREFINE'S EXAMPLE.",
    )
    structure.raw_remarks = [line.ljust(80) for line in remarks]
    return str(structure.make_pdb_string()).encode("ascii")


def measured_intensities(source: Path) -> bytes:
    """MTZ file of the intensities ``source``, unchanged apart from title and history."""
    mtz = gemmi.read_mtz_file(str(source))
    labels = mtz.column_labels()
    if labels != ["H", "K", "L", "FreeR_flag", "IMEAN", "SIGIMEAN"] or mtz.nreflections != N_REFLECTIONS:
        raise SystemExit(f"{source} is not 1L2H as this script knows it (columns {' '.join(labels)}).")
    mtz.title = TITLE
    mtz.history = ["Intensities of PDB entry 1L2H as in the test data of servalcat 0.4.142"]
    return bytes(mtz.write_to_bytes())


def write(sdist: Path, folder: Path) -> list[Path]:
    """Write both files into ``folder``; returns their paths."""
    source = sdist / "tests" / "1l2h"
    contents = {
        "1l2h.mtz.gz": measured_intensities(source / "1l2h.mtz.gz"),
        "1l2h_shaken.pdb.gz": shaken_model(source / "1l2h.cif.gz"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in contents.items():
        path = folder / name
        path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))
        paths.append(path)
    return paths


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python -m gpurefine.io.make_example SDIST_DIR")
    for written in write(Path(sys.argv[1]), Path(__file__).resolve().parents[1] / "data"):
        print(f"{written.name}: {written.stat().st_size} bytes")
