"""Phase error of refinements from shaken models, with one likelihood or another.

    python -m perf.phase_error MODEL DATA [options of gpurefine refine as KEY=VALUE …] [--runs NAME:KEY=VALUE,… …]
        [--rms 0.5] [--seeds 10] [--cycles 10] [--out FILE.json]

A reference are the model phases after 30 cycles from MODEL as it is, one for each run's likelihood.  Every run then
starts from MODEL with all atoms moved at random by ``--rms`` Å r.m.s., seed by seed.  Told are the means of |Δφ| over
observed acentric reflections, weighted with the run's figures of merit, of its model phases and of its best phases
(which differ from the model's where the measurements tell phases), against every reference.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gpurefine

from .machine import save
from .summary import align

REFERENCE_CYCLES = 30


def options_of(texts: Sequence[str]) -> dict[str, Any]:
    """Options by name from texts KEY=VALUE; values of several are separated by ``|``."""
    found: dict[str, Any] = {}
    for text in texts:
        key, _, value = text.partition("=")
        if value in ("true", "false", ""):
            found[key] = value != "false"
        elif key in ("anomalous_factors", "ligand"):
            found[key] = tuple(value.split("|"))
        else:
            try:
                found[key] = float(value) if "." in value else int(value)
            except ValueError:
                found[key] = value
    return found


def phases(result: Any) -> dict[str, NDArray[np.complex128]]:
    """Model and best F (n,) complex; the latter is ⟨F⟩."""
    maps, r = result.report.maps, result.problem.data.reflections
    return {"model": maps.f_total, "best": np.where(r.centric, maps.fwt, maps.fwt - maps.delfwt)}


def phase_error(f: NDArray[np.complex128], reference: NDArray[np.complex128], weight: NDArray[np.float64]) -> float:
    """Mean |Δφ| in degrees, weighted."""
    error = np.degrees(np.abs(np.angle(f * reference.conj())))
    return float((weight * error).sum() / weight.sum())


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line a seed and run, then the means."""
    parser = argparse.ArgumentParser(prog="python -m perf.phase_error", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--runs", nargs="+", default=["rice:"], metavar="NAME:KEY=VALUE,…")
    parser.add_argument("--rms", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--out", type=Path, help="save as JSON")
    given = parser.parse_args(arguments)
    common = options_of(given.options)
    runs = {}
    for text in given.runs:
        name, _, rest = text.partition(":")
        runs[name] = common | options_of([part for part in rest.split(",") if part])
    references = {
        name: gpurefine.read(given.model, given.data, **options, cycles=REFERENCE_CYCLES).refine().report.maps.f_total
        for name, options in runs.items()
    }
    kinds = [(which, name) for which in ("model", "best") for name in references]
    errors: dict[str, list[list[float]]] = {name: [] for name in runs}
    records = []
    for seed in range(given.seeds):
        for name, options in runs.items():
            shaken = {**options, "shake": given.rms, "shake_seed": seed, "cycles": given.cycles}
            result = gpurefine.read(given.model, given.data, **shaken).refine()
            r = result.problem.data.reflections
            fom = result.report.maps.fom * (r.observed & ~r.centric)
            found = phases(result)
            row = [phase_error(found[which], references[reference], fom) for which, reference in kinds]
            errors[name].append(row)
            r_free, mean_fom = result.report.cycles[-1].r_free, float(fom.sum() / (r.observed & ~r.centric).sum())
            records.append({
                "seed": seed, "run": name, "r_free": r_free, "fom": mean_fom,
                "errors": {f"{which} phases against {ref}": e for (which, ref), e in zip(kinds, row, strict=True)},
            })
            print(seed, name, f"R_free {r_free:.4f} ⟨m⟩ {mean_fom:.3f}", *(f"{e:.2f}" for e in row), flush=True)
    lines: list[tuple[str, ...]] = [("mean of", *(f"{which}, ref. {name}" for which, name in kinds))]
    lines += [(name, *(f"{e:.2f}°" for e in np.mean(rows, axis=0))) for name, rows in errors.items()]
    print(align(lines))
    if given.out:
        save(given.out, {"what": "phase_error", "rms": given.rms, "cycles": given.cycles, "runs": records})


if __name__ == "__main__":
    main()
