"""P1 boxes of n copies of the embedded example with simulated data, for measurements at any size.

    python -m perf.make_box FOLDER [--copies 4] [--d-min 2.0] [--seed 1] [--shake 0.2]

Writes ``model.cif``, ``model.pdb`` (where the format can hold it) and ``data.mtz`` (FP, SIGFP and a free column whose
value 0 marks the test set).  4, 16 and 80 copies have 5,148, 20,592 and 102,960 atoms without hydrogens.

The copies lie on a grid, each turned by one of the four rotations that leave a box in place and then a little at
random, so that nothing repeats exactly (at low resolution they do, and gpurefine warns of it).

Amplitudes are |F_atoms + k_sol exp(−B_sol s²/4) F_mask + error|: atoms with hydrogens, gemmi's density and mask, a
complex Gaussian error that stands for what no model explains, and measurement noise.  The model that is written lacks
the hydrogens, is shaken, and has one B for all atoms.  The same arguments give the same files.
"""

from __future__ import annotations

import argparse
import gzip
import string
from dataclasses import dataclass
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from .make_unit import UNIT

F64 = NDArray[np.float64]

POSE = (-2.03, 0.46, -0.61)
"""Rotation vector that turns the molecule so that it packs well: 64,000 Å³ a copy, as in an ordinary crystal."""

MIN_DISTANCE = 2.4
"""Å between non-hydrogen atoms of different copies."""

K_SOL, B_SOL = 0.35, 46.0
"""Electrons per Å³ and Å²: an ordinary protein crystal's solvent."""

MODEL_ERROR = 0.20
"""r.m.s. of the error no model explains, as a part of r.m.s. |F| in its shell: gives R of about 0.15."""

NOISE = 0.04
"""σ(F) as a part of F, with as much again of the mean F of the shell."""

FREE_CLASSES = 20
N_SHELL = 40
PDB_CHAINS = string.ascii_uppercase + string.ascii_lowercase + string.digits
PDB_ATOMS = 99_999


@dataclass(frozen=True, slots=True)
class Box:
    """What was written: files (``pdb`` None where the format cannot hold it), atoms without H, reflections."""

    cif: Path
    pdb: Path | None
    mtz: Path
    n_atoms: int
    n_reflections: int

    @property
    def model(self) -> Path:
        """The model as PDB if there is one, else as mmCIF."""
        return self.cif if self.pdb is None else self.pdb


def grid_counts(copies: int, extent: F64) -> tuple[int, int, int]:
    """Copies along three axes, their product ``copies``, for the cell nearest to a cube."""
    shapes = [
        (i, j, copies // (i * j))
        for i in range(1, copies + 1) if copies % i == 0
        for j in range(1, copies // i + 1) if (copies // i) % j == 0
    ]
    return min(shapes, key=lambda n: float(np.ptp(np.log(np.array(n) * extent))))


def place(xyz: F64, heavy: NDArray[np.bool_], copies: int, rng: np.random.Generator) -> tuple[F64, F64]:
    """Positions (copies, n, 3) of every copy of a molecule at ``xyz`` (n, 3), and the cell's edges (3,); Å.

    ``heavy`` (n,): the atoms that must keep their distance.
    """
    centred = xyz - 0.5 * (xyz.max(axis=0) + xyz.min(axis=0))
    turns = [Rotation.identity(), *(Rotation.from_rotvec(np.pi * axis) for axis in np.eye(3))]
    posed = np.empty((copies, *xyz.shape))
    for k in range(copies):
        wobble = Rotation.from_rotvec(np.radians(3.0) * rng.uniform(-1.0, 1.0, 3))
        posed[k] = (wobble * turns[k % 4]).apply(centred) + rng.uniform(-0.4, 0.4, 3)
    extent = np.ptp(centred[heavy], axis=0)
    counts = grid_counts(copies, extent)
    cells = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), axis=-1).reshape(-1, 3)
    copy_of = np.repeat(np.arange(copies), int(heavy.sum()))

    def placed(spacing: F64) -> F64:
        return posed + ((cells + 0.5) * spacing)[:, None, :]

    def clashes(spacing: F64) -> bool:
        edges = spacing * counts
        inside = np.mod(placed(spacing)[:, heavy].reshape(-1, 3), edges)
        pairs = cKDTree(inside, boxsize=edges).query_pairs(MIN_DISTANCE, output_type="ndarray")
        # a copy alone along an axis meets itself there: its own images must keep off as well
        inner = np.linalg.norm(np.diff(placed(spacing)[:, heavy].reshape(-1, 3)[pairs], axis=1)[:, 0], axis=1)
        return bool(np.any(inner > MIN_DISTANCE) or np.any(copy_of[pairs[:, 0]] != copy_of[pairs[:, 1]]))

    spacing = extent + 12.0
    for step in (2.0, 0.5):  # tighten one axis after the other as long as nothing touches
        tighter = True
        while tighter:
            tighter = False
            for axis in range(3):
                trial = spacing - step * np.eye(3)[axis]
                if not clashes(trial):
                    spacing, tighter = trial, True
    return placed(spacing), spacing * counts


def chain_name(k: int) -> str:
    """One character for the first 62 copies, two after that."""
    n = len(PDB_CHAINS)
    return PDB_CHAINS[k] if k < n else PDB_CHAINS[k // n - 1] + PDB_CHAINS[k % n]


def assemble(unit: gemmi.Structure, placed: F64, edges: F64) -> gemmi.Structure:
    """Copies of ``unit`` at ``placed`` (copies, n, 3), a chain each, in a P1 cell of ``edges`` (3,) Å."""
    box = gemmi.Structure()
    box.name = "box"
    box.cell = gemmi.UnitCell(float(edges[0]), float(edges[1]), float(edges[2]), 90.0, 90.0, 90.0)
    box.spacegroup_hm = "P 1"
    model = gemmi.Model(1)
    for k, xyz in enumerate(placed):
        chain = unit[0][0].clone()
        chain.name = chain_name(k)
        for atom, position in zip((a for residue in chain for a in residue), xyz, strict=True):
            atom.pos = gemmi.Position(*position)
        model.add_chain(chain)
    box.add_model(model)
    box.setup_entities()
    box.setup_cell_images()
    return box


def shells(inv_d2: F64) -> NDArray[np.intp]:
    """Shell (n,) of each reflection, all shells equally full."""
    rank = np.argsort(np.argsort(inv_d2, kind="stable"), kind="stable")
    return rank * N_SHELL // len(rank)


def shell_mean(values: F64, shell: NDArray[np.intp]) -> F64:
    """Mean (n,) of ``values`` over each reflection's shell."""
    total = np.bincount(shell, values, N_SHELL)
    return (total / np.maximum(np.bincount(shell, minlength=N_SHELL), 1))[shell]


def structure_factors(box: gemmi.Structure, d_min: float) -> tuple[NDArray[np.int32], NDArray[np.complex128], F64]:
    """Miller indices (n, 3), F of atoms and flat solvent (n,) and 1/d² (n,) of all reflections to ``d_min`` Å."""
    density = gemmi.DensityCalculatorX()
    density.d_min, density.rate = d_min, 1.5
    density.set_refmac_compatible_blur(box[0])
    density.grid.setup_from(box)
    density.put_model_density_on_grid(box[0])
    transform = gemmi.transform_map_to_f_phi(density.grid, half_l=True)
    atoms = transform.prepare_asu_data(dmin=d_min, unblur=density.blur, with_sys_abs=False)
    hkl, inv_d2 = atoms.miller_array, np.asarray(atoms.make_1_d2_array(), np.float64)
    f = np.asarray(atoms.value_array, np.complex128)
    masker = gemmi.SolventMasker(gemmi.AtomicRadiiSet.Refmac)
    mask = gemmi.FloatGrid()
    mask.setup_from(box, min(0.6, d_min / 2.0))
    masker.put_mask_on_float_grid(mask, box[0])
    solvent = gemmi.transform_map_to_f_phi(mask, half_l=True).get_value_by_hkl(hkl)
    f += K_SOL * np.exp(-0.25 * B_SOL * inv_d2) * np.asarray(solvent, np.complex128)
    return np.asarray(hkl, np.int32), f, inv_d2


def simulate(f: NDArray[np.complex128], inv_d2: F64, rng: np.random.Generator) -> tuple[F64, F64]:
    """Amplitudes and σ (n,) as they might be measured of a crystal whose model gives ``f`` (n,)."""
    shell = shells(inv_d2)
    spread = MODEL_ERROR * np.sqrt(shell_mean(np.abs(f) ** 2, shell) / 2.0)
    truth = np.abs(f + spread * (rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f))))
    sigma = NOISE * (truth + shell_mean(truth, shell))
    return np.maximum(truth + sigma * rng.standard_normal(len(f)), 0.05 * sigma), sigma


def write_data(path: Path, box: gemmi.Structure, hkl: NDArray[np.int32], f: F64, sigma: F64, free: F64) -> None:
    """MTZ file of amplitudes (n,) and their test set."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = "Simulated data of a box of copies of 1L2H"
    mtz.spacegroup = gemmi.SpaceGroup("P 1")
    mtz.set_cell_for_all(box.cell)
    mtz.add_dataset("simulated")
    for label, kind in (("FP", "F"), ("SIGFP", "Q"), ("FREE", "I")):
        mtz.add_column(label, kind)
    mtz.set_data(np.column_stack([hkl, f, sigma, free]).astype(np.float32))
    mtz.ensure_asu()
    mtz.write_to_file(str(path))


def shake(box: gemmi.Structure, rms: float, rng: np.random.Generator) -> None:
    """Take the hydrogens off, move every atom by ``rms`` Å on average in three dimensions, make all B their mean."""
    box.remove_hydrogens()
    atoms = [cra.atom for cra in box[0].all()]
    mean_b = float(np.mean([atom.b_iso for atom in atoms]))
    for atom, shift in zip(atoms, rng.normal(scale=rms / np.sqrt(3.0), size=(len(atoms), 3)), strict=True):
        atom.pos += gemmi.Position(*shift)
        atom.b_iso = mean_b


def make_box(folder: Path, copies: int = 4, d_min: float = 2.0, seed: int = 1, rms: float = 0.2) -> Box:
    """Write one box into ``folder`` (made if missing)."""
    unit = gemmi.read_pdb_string(gzip.decompress(UNIT.read_bytes()).decode("ascii"))
    atoms = [cra.atom for cra in unit[0].all()]
    heavy = np.array([not atom.is_hydrogen() for atom in atoms])
    xyz = np.array([atom.pos.tolist() for atom in atoms])
    rng = np.random.default_rng([seed, copies])
    placed, edges = place(Rotation.from_rotvec(POSE).apply(xyz), heavy, copies, rng)
    box = assemble(unit, placed, edges.round(3))
    hkl, f, inv_d2 = structure_factors(box, d_min)
    amplitude, sigma = simulate(f, inv_d2, rng)
    free = rng.integers(0, FREE_CLASSES, len(f)).astype(np.float64)
    shake(box, rms, rng)

    folder.mkdir(parents=True, exist_ok=True)
    n_atoms = box[0].count_atom_sites()
    cif, pdb, mtz = folder / "model.cif", folder / "model.pdb", folder / "data.mtz"
    box.make_mmcif_document().write_file(str(cif))
    fits = copies <= len(PDB_CHAINS) and n_atoms + copies <= PDB_ATOMS
    if fits:
        box.write_pdb(str(pdb))
    write_data(mtz, box, hkl, amplitude, sigma, free)
    return Box(cif, pdb if fits else None, mtz, n_atoms, len(f))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=4)
    parser.add_argument("--d-min", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shake", type=float, default=0.2, help="Å r.m.s.")
    given = parser.parse_args()
    box = make_box(given.folder, given.copies, given.d_min, given.seed, given.shake)
    print(f"{box.model}: {box.n_atoms} atoms; {box.mtz}: {box.n_reflections} reflections")


if __name__ == "__main__":
    main()
