"""Error of F by FFT against exact summation, over grid, blur and cut-off.

What the constants in forward/density.py rest on.

    python perf/sweep_sampling.py [--seeds N]

Random atoms (half of them anisotropic, B log-uniform over 2–200 Å²) in three space groups, each at its own resolution.
Every row is one setting; columns give the worst of all cases: r.m.s.|ΔF|/r.m.s.|F| over all data and in the tenth of
the reflections at highest resolution, then grid points and seconds of one transform, as multiples of the first row's.
The tolerances of method 1 are 1e-4 and 1e-3.  A star marks the settings
that keep both.

Measured (three seeds; times depend on the machine and are left out):

    sampling   B/d²  cut-off       all       top  points
        1.50    8.0  7.0e-06  6.72e-05  1.96e-04    1.00  *
        1.50    8.0  7.0e-07  5.89e-05  1.86e-04    1.00  *
        1.50    8.0  2.1e-06  5.92e-05  1.87e-04    1.00  *
        1.50    8.0  3.5e-06  6.05e-05  1.89e-04    1.00  *
        1.50    8.0  1.4e-05  1.22e-04  3.11e-04    1.00
        1.50    8.0  2.8e-05  2.41e-04  6.49e-04    1.00
        1.20    8.0  7.0e-06  1.67e-02  4.98e-02    0.48
        1.35    8.0  7.0e-06  6.21e-04  1.98e-03    0.76
        1.75    8.0  7.0e-06  6.17e-05  1.75e-04    1.51  *
        2.00    8.0  7.0e-06  6.12e-05  1.72e-04    2.20  *
        1.50    4.0  7.0e-06  3.22e-03  8.19e-03    1.00
        1.50    6.0  7.0e-06  4.17e-04  1.21e-03    1.00
        1.50    7.0  7.0e-06  1.58e-04  4.78e-04    1.00
        1.50    9.0  7.0e-06  6.40e-05  2.07e-04    1.00  *
        1.50   11.0  7.0e-06  7.08e-05  2.51e-04    1.00  *
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from crystals import ELEMENTS, make_crystal, rms, scatter_atoms, smallest_b

from gpurefine.backend import create
from gpurefine.forward.density import CUTOFF, MIN_B_PER_D2, SAMPLING, plan_transform
from gpurefine.io.scattering import xray_gaussians
from gpurefine.io.symmetry import unique_hkl

CASES = (("P 1", 16.0, 0.9), ("P 21 21 21", 32.0, 2.0), ("I 21 3", 90.0, 4.0))
N_ATOMS = 200


def measure(sampling: float, blur: float, cutoff: float, seeds: int) -> tuple[float, float, float, float]:
    """Worst error over all data, worst error in the top tenth, grid points, seconds."""
    backend = create("cpu")
    overall, top, points, seconds = 0.0, 0.0, 0.0, 0.0
    for hm, length, d_min in CASES:
        crystal = make_crystal(hm, length)
        hkl = unique_hkl(crystal, d_min)
        s2 = crystal.inv_d2(hkl)
        outer = s2 >= np.quantile(s2, 0.9)
        for seed in range(seeds):
            atoms = scatter_atoms(crystal, N_ATOMS, seed)
            transform = plan_transform(
                backend, crystal, hkl, smallest_b(atoms), atoms.kind, *xray_gaussians(ELEMENTS), sampling, blur, cutoff
            )
            transform.structure_factors(atoms)
            began = time.perf_counter()
            f = transform.structure_factors(atoms)
            seconds += time.perf_counter() - began
            exact = transform.direct_summation(atoms)
            overall = max(overall, rms(f - exact) / rms(exact))
            top = max(top, rms((f - exact)[outer]) / rms(exact[outer]))
            points += float(np.prod(transform.density_plan.shape))
    return overall, top, points, seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Error of F against grid, blur and cut-off.")
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    settings = [(SAMPLING, MIN_B_PER_D2, CUTOFF)]
    settings += [(SAMPLING, MIN_B_PER_D2, CUTOFF * factor) for factor in (0.1, 0.3, 0.5, 2.0, 4.0)]
    settings += [(sampling, MIN_B_PER_D2, CUTOFF) for sampling in (1.2, 1.35, 1.75, 2.0)]
    settings += [(SAMPLING, blur, CUTOFF) for blur in (4.0, 6.0, 7.0, 9.0, 11.0)]
    print(f"{'sampling':>8} {'B/d²':>6} {'cut-off':>8} {'all':>9} {'top':>9} {'points':>7} {'time':>6}")
    base = measure(*settings[0], seeds)
    for k, setting in enumerate(settings):
        overall, top, points, seconds = base if k == 0 else measure(*setting, seeds)
        kept = "*" if overall <= 1e-4 and top <= 1e-3 else " "
        print(
            f"{setting[0]:8.2f} {setting[1]:6.1f} {setting[2]:8.1e} {overall:9.2e} {top:9.2e}"
            f" {points / base[2]:7.2f} {seconds / base[3]:6.2f} {kept}"
        )


if __name__ == "__main__":
    main()
