"""Phase error of refinements from shaken models, with one likelihood or another.

    python -m perf.phase_error MODEL DATA [options of gpurefine refine as KEY=VALUE …] [--runs NAME:KEY=VALUE,… …]
        [--references NAME:KEY=VALUE,… …] [--rms 0.5] [--seeds 10] [--cycles 10] [--out FILE.json]

Every run starts from MODEL with all atoms moved at random by ``--rms`` Å r.m.s., seed by seed; among the options of a
run may be ``model`` and ``data``, files of its own.  A reference are the model phases after 30 cycles from the model as
it is, one for each run's likelihood, and the mean direction over all runs of the same files (``mean``), which favours
none of them: a likelihood's own reference shares its bias, which then counts for nothing.

``--references`` are further ones, nearer to the truth than what MODEL can become: a completed model (see
:mod:`perf.complete_model`) refined for 30 cycles too, or ``phases=FILE.mtz``, an amplitude and a phase column of known
phases, beside which the runs of that data file need no references of their own.  ``truth`` is the mean direction over
all those of a run's data file.

Told are the means of |Δφ| over observed acentric reflections, of a run's model phases and of its best phases (which
differ from the model's where the measurements tell phases), against every reference.  Weights are the run's figures
of merit; 1; and, so that runs are asked about the same reflections, the figures of merit of the first run of the same
data file and seed (its *base*).  Printed at the end are means with their standard errors, and for both kinds of common
weights the mean difference to the base, seed by seed.  Where true phases are known the file also has how well the
figures of merit foretell the cosines of the best phases' errors.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

import gpurefine

from .machine import describe, save
from .summary import align

REFERENCE_CYCLES = 30
MEAN, TRUTH = "mean", "truth"
WEIGHTS = {"own": "errors", "base": "errors with weights of the base", "one": "errors with weights of 1"}
"""Figures of merit of the run, of its base, and none: what their errors are called in the file."""

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
    """Mean |Δφ| in degrees, weighted; where the reference is 0 nothing is known of it (NaN if that is all)."""
    weight = np.where(np.abs(reference) > 0.0, weight, 0.0)
    if not weight.any():
        return math.nan
    error = np.degrees(np.abs(np.angle(f * reference.conj())))
    return float((weight * error).sum() / weight.sum())


def named(texts: Sequence[str], common: dict[str, Any], files: tuple[Path, Path]) -> dict[str, Task]:
    """From texts NAME:KEY=VALUE,…; ``model`` and ``data`` among the keys replace ``files``."""
    found = {}
    for text in texts:
        name, _, rest = text.partition(":")
        options = common | options_of([part for part in rest.split(",") if part])
        found[name] = Task(str(options.pop("model", files[0])), str(options.pop("data", files[1])), options)
    return found


@dataclass(frozen=True)
class Task:
    """Files and options of a refinement."""

    model: str
    data: str
    options: dict[str, Any]

    def refine(self, **more: Any) -> Any:
        """The refinement with ``more`` options."""
        return gpurefine.read(self.model, self.data, **{**self.options, **more}).refine()

    def reference(self, name: str) -> Phases:
        """Known phases, or the model's after :data:`REFERENCE_CYCLES`."""
        if "phases" in self.options:
            return known_phases(Path(self.options["phases"]))
        result = self.refine(cycles=REFERENCE_CYCLES)
        print("reference", name, f"R_free {result.report.cycles[-1].r_free:.4f}", flush=True)
        return dict(zip(indices(result), result.report.maps.f_total.tolist(), strict=True))


def indices(result: Any) -> list[tuple[int, int, int]]:
    """h, k, l of a result's reflections."""
    return [(int(h), int(k), int(m)) for h, k, m in result.problem.data.reflections.hkl]


def known_phases(path: Path) -> Phases:
    """From the first amplitude and phase columns of an MTZ file."""
    mtz = gemmi.read_mtz_file(str(path))
    amplitude, phase = (mtz.columns_with_type(kind)[0].array for kind in "FP")
    values = amplitude * np.exp(1j * np.radians(phase))
    return {(int(h), int(k), int(m)): f for (h, k, m), f in zip(mtz.make_miller_array(), values.tolist(), strict=True)}


def calibration(f: C128, reference: C128, fom: NDArray[np.float64], used: NDArray[np.bool_]) -> list[list[float]]:
    """Number of reflections, mean figure of merit and mean cosine of the error, for tenths of the figure of merit."""
    cosine = np.cos(np.angle(f * reference.conj()))
    part = np.minimum((10.0 * fom).astype(int), 9)
    rows = (used & (part == k) & (np.abs(reference) > 0.0) for k in range(10))
    return [[int(at.sum()), float(fom[at].mean()), float(cosine[at].mean())] for at in rows if at.any()]


def mean_with_error(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over seeds (seeds, kinds) and its standard error, which is 0 of one seed."""
    return rows.mean(axis=0), rows.std(axis=0, ddof=1 if len(rows) > 1 else 0) / math.sqrt(len(rows))


def paired(
    errors: dict[str, list[list[float]]], base: dict[str, str], row: dict[str, list[list[float]]]
) -> list[tuple[str, ...]]:
    """Table rows: per run the mean difference of ``errors`` (seeds, kinds) to its base's, with its standard error.

    ``row``: the base's own errors, which have the same weights.
    """
    lines = []
    for name, rows in errors.items():
        if base[name] == name or len(rows) < 2:
            continue
        mean, error = mean_with_error(np.array(rows) - np.array(row[name]))
        lines.append((f"{name} − {base[name]}", *(f"{m:+.2f}±{e:.2f}°" for m, e in zip(mean, error, strict=True))))
    return lines


def known_only(labels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """By label, without NaN."""
    return {label: value for label, value in zip(labels, values, strict=True) if not math.isnan(value)}


def mean_direction(all_phases: Sequence[Phases]) -> Phases:
    """The direction of the mean of unit vectors, where all have one; of none, none."""
    if not all_phases:
        return {}
    common = set(all_phases[0]).intersection(*all_phases[1:])
    return {h: sum(one[h] / (abs(one[h]) or 1.0) for one in all_phases) for h in common}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line a seed and run, then the means with their standard errors."""
    parser = argparse.ArgumentParser(prog="python -m perf.phase_error", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--runs", nargs="+", default=["rice:"], metavar="NAME:KEY=VALUE,…")
    parser.add_argument("--references", nargs="+", default=[], metavar="NAME:KEY=VALUE,…")
    parser.add_argument("--rms", type=float, default=0.5)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--out", type=Path, help="save as JSON, after every seed")
    given = parser.parse_args(arguments)
    command = shlex.join(["python", "-m", "perf.phase_error", *(sys.argv[1:] if arguments is None else arguments)])
    about = describe() | {"command": command}
    common, files = options_of(given.options), (given.model, given.data)
    runs, further = named(given.runs, common, files), named(given.references, common, files)
    known = {task.data for task in further.values() if "phases" in task.options}
    refined = {name: run for name, run in runs.items() if run.data not in known}
    references = {name: task.reference(name) for name, task in [*refined.items(), *further.items()]}
    means: dict[tuple[str, str], Phases] = {}
    for name, run in runs.items():
        same = [references[k] for k, task in refined.items() if (task.model, task.data) == (run.model, run.data)]
        means[name, MEAN] = mean_direction(same)
        means[name, TRUTH] = mean_direction([references[k] for k, task in further.items() if task.data == run.data])
    against = [*references, *([MEAN] if refined else []), *([TRUTH] if further else [])]
    kinds = [(which, name) for which in ("model", "best") for name in against]
    base = {name: next(k for k, other in runs.items() if other.data == run.data) for name, run in runs.items()}
    errors: dict[str, dict[str, list[list[float]]]] = {key: {name: [] for name in runs} for key in WEIGHTS}
    records: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        weights: dict[str, dict[tuple[int, int, int], float]] = {}
        for name, run in runs.items():
            result = run.refine(shake=given.rms, shake_seed=seed, cycles=given.cycles)
            r = result.problem.data.reflections
            hkl = indices(result)
            acentric = r.observed & ~r.centric
            one = acentric.astype(np.float64)
            fom = result.report.maps.fom * one
            if base[name] == name:
                weights[name] = dict(zip(hkl, fom.tolist(), strict=True))
            common = np.array([weights[base[name]].get(h, 0.0) for h in hkl]) * one
            found = phases(result)
            rows: dict[str, list[float]] = {key: [] for key in WEIGHTS}
            foretold = {}
            for which, reference in kinds:
                right = references.get(reference) or means[name, reference]
                f = np.array([right.get(h, 0.0) for h in hkl], complex)
                for key, weight in (("own", fom), ("base", common), ("one", one)):
                    rows[key].append(phase_error(found[which], f, weight))
                task = further.get(reference)
                if which == "best" and task and task.data == run.data and "phases" in task.options:
                    foretold[reference] = calibration(found[which], f, fom, acentric)
            for key, row in rows.items():
                errors[key][name].append(row)
            r_free, mean_fom = result.report.cycles[-1].r_free, float(fom.sum() / one.sum())
            labels = [f"{which} phases against {reference}" for which, reference in kinds]
            records.append(
                {"seed": seed, "run": name, "base": base[name], "r_free": r_free, "fom": mean_fom}
                | {WEIGHTS[key]: known_only(labels, row) for key, row in rows.items()}
                | ({"reflections, mean figure of merit, mean cosine": foretold} if foretold else {})
            )
            print(seed, name, f"R_free {r_free:.4f} ⟨m⟩ {mean_fom:.3f}", *(f"{e:.2f}" for e in rows["own"]), flush=True)
        if given.out:
            save(given.out, about | {
                "what": "phase_error", "rms": given.rms, "cycles": given.cycles, "runs": records
            }, tell=seed == given.seeds - 1)
    heads = [f"{which}, ref. {name}" for which, name in kinds]
    lines: list[tuple[str, ...]] = [("mean of", *heads)]
    for name, rows_of in errors["own"].items():
        mean, error = mean_with_error(np.array(rows_of))
        lines.append((name, *(f"{m:.2f}±{e:.2f}°" for m, e in zip(mean, error, strict=True))))
    print(align(lines))
    for key, text in (("base", "weights of the base"), ("one", "weights of 1")):
        # the base's weights are its own figures of merit
        of_base = errors["own" if key == "base" else "one"]
        lines = [(text, *heads), *paired(errors[key], base, {name: of_base[base[name]] for name in runs})]
        if len(lines) > 1:
            print(align(lines))


if __name__ == "__main__":
    main()
