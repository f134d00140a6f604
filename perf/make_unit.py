"""Make the molecule that the boxes are filled with: ``python -m perf.make_unit``.

The embedded example (1L2H, shaken) is refined for ten cycles by gpurefine and written with hydrogens; the first of
two conformers is kept at full occupancy: 1,287 atoms and their hydrogens.  The file is committed, so that boxes do not
change when the program does.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import gemmi

import gpurefine
from gpurefine.io.example import write_example

UNIT = Path(__file__).with_name("unit.pdb.gz")


def main() -> None:
    """Refine the example and write ``perf/unit.pdb.gz``."""
    with tempfile.TemporaryDirectory() as folder:
        model, data = write_example(Path(folder))
        problem = gpurefine.read(model, data, write_hydrogens=True)
        prefix = str(Path(folder, "unit"))
        problem.refine(cycles=10).write(prefix)
        structure = gemmi.read_structure(prefix + ".pdb")
    structure.remove_alternative_conformations()
    structure.raw_remarks = []
    for cra in structure[0].all():
        cra.atom.occ = 1.0
        cra.atom.aniso = gemmi.SMat33f(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    options = gemmi.PdbWriteOptions(minimal=True, cryst1_record=False, use_linkr=False)
    text = structure.make_pdb_string(options)
    UNIT.write_bytes(gzip.compress(text.encode("ascii"), 9, mtime=0))
    print(f"{UNIT.name}: {structure[0].count_atom_sites()} atoms with hydrogens, {UNIT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
