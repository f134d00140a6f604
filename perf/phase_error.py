"""Phase error of refinements from shaken models, with one likelihood or another.

    python -m perf.phase_error MODEL DATA [options of gpurefine refine as KEY=VALUE …] [--runs NAME:KEY=VALUE,… …]
        [--rms 0.5] [--seeds 10] [--cycles 10] [--out FILE.json]

Every run starts from MODEL with all atoms moved at random by ``--rms`` Å r.m.s., seed by seed; among the options of a
run may be ``model`` and ``data``, files of its own.  A reference are the model phases after 30 cycles from the model as
it is, one for each run's likelihood, and the mean direction over all runs of the same files (``mean``), which favours
none of them: a likelihood's own reference shares its bias, which then counts for nothing.

Told are the means of |Δφ| over observed acentric reflections, weighted with the run's figures of merit, of its model
phases and of its best phases (which differ from the model's where the measurements tell phases), against every
reference.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gpurefine

from .machine import describe, save
from .summary import align

REFERENCE_CYCLES = 30
MEAN = "mean"

C128 = NDArray[np.complex128]
Phases = dict[tuple[int, int, int], complex]


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


def phases(result: Any) -> dict[str, C128]:
    """Model and best F (n,) complex; the latter is ⟨F⟩."""
    maps, r = result.report.maps, result.problem.data.reflections
    return {"model": maps.f_total, "best": np.where(r.centric, maps.fwt, maps.fwt - maps.delfwt)}


def phase_error(f: C128, reference: C128, weight: NDArray[np.float64]) -> float:
    """Mean |Δφ| in degrees, weighted; where the reference is 0 nothing is known of it."""
    weight = np.where(np.abs(reference) > 0.0, weight, 0.0)
    error = np.degrees(np.abs(np.angle(f * reference.conj())))
    return float((weight * error).sum() / weight.sum())


def mean_direction(all_phases: Sequence[Phases]) -> Phases:
    """The direction of the mean of unit vectors, where all have one."""
    common = set(all_phases[0]).intersection(*all_phases[1:])
    return {h: sum(one[h] / (abs(one[h]) or 1.0) for one in all_phases) for h in common}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line a seed and run, then the means with their standard errors."""
    parser = argparse.ArgumentParser(prog="python -m perf.phase_error", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--runs", nargs="+", default=["rice:"], metavar="NAME:KEY=VALUE,…")
    parser.add_argument("--rms", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--out", type=Path, help="save as JSON, after every seed")
    given = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "perf.phase_error", *(sys.argv[1:] if arguments is None else arguments)])
    about = describe() | {"command": command}
    common = options_of(given.options)
    runs, files = {}, {}
    for text in given.runs:
        name, _, rest = text.partition(":")
        runs[name] = common | options_of([part for part in rest.split(",") if part])
        files[name] = (str(runs[name].pop("model", given.model)), str(runs[name].pop("data", given.data)))
    references: dict[str, Phases] = {}
    for name, options in runs.items():
        result = gpurefine.read(*files[name], **options, cycles=REFERENCE_CYCLES).refine()
        hkl = [(int(h), int(k), int(m)) for h, k, m in result.problem.data.reflections.hkl]
        references[name] = dict(zip(hkl, result.report.maps.f_total.tolist(), strict=True))
        print("reference", name, f"R_free {result.report.cycles[-1].r_free:.4f}", flush=True)
    means = {
        name: mean_direction([references[other] for other in runs if files[other] == files[name]]) for name in runs
    }
    kinds = [(which, name) for which in ("model", "best") for name in (*references, MEAN)]
    errors: dict[str, list[list[float]]] = {name: [] for name in runs}
    records: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        for name, options in runs.items():
            shaken = {**options, "shake": given.rms, "shake_seed": seed, "cycles": given.cycles}
            result = gpurefine.read(*files[name], **shaken).refine()
            r = result.problem.data.reflections
            hkl = [(int(h), int(k), int(m)) for h, k, m in r.hkl]
            fom = result.report.maps.fom * (r.observed & ~r.centric)
            found = phases(result)
            row = []
            for which, reference in kinds:
                known = means[name] if reference == MEAN else references[reference]
                row.append(phase_error(found[which], np.array([known.get(h, 0.0) for h in hkl], complex), fom))
            errors[name].append(row)
            r_free, mean_fom = result.report.cycles[-1].r_free, float(fom.sum() / (r.observed & ~r.centric).sum())
            records.append({
                "seed": seed, "run": name, "r_free": r_free, "fom": mean_fom,
                "errors": {f"{which} phases against {ref}": e for (which, ref), e in zip(kinds, row, strict=True)},
            })
            print(seed, name, f"R_free {r_free:.4f} ⟨m⟩ {mean_fom:.3f}", *(f"{e:.2f}" for e in row), flush=True)
        if given.out:
            save(given.out, about | {
                "what": "phase_error", "rms": given.rms, "cycles": given.cycles, "runs": records
            }, tell=seed == given.seeds - 1)
    lines: list[tuple[str, ...]] = [("mean of", *(f"{which}, ref. {name}" for which, name in kinds))]
    for name, rows in errors.items():
        mean, spread = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1 if len(rows) > 1 else 0)
        lines.append((name, *(f"{m:.2f}±{s / np.sqrt(len(rows)):.2f}°" for m, s in zip(mean, spread, strict=True))))
    print(align(lines))


if __name__ == "__main__":
    main()
