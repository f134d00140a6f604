"""Single operations of the cpu backend, beside gemmi, SciPy and cctbx and against what the machine can do.

    python -m perf.bench_ops [SIZE …] [--threads 1,0] [--cctbx PYTHON] [--out FILE.json]

A size is ``1k`` (the embedded example in P 43), ``5k``, ``20k`` or ``100k`` (P1 boxes), or ``box:COPIES[:D_MIN]``;
2.0 Å, no hydrogens.  ``--cctbx`` names the Python of an environment that has cctbx.  perf/README.md explains the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpurefine.backend import create
from gpurefine.backend.create import cpu_count

from .cases import box_case, is_box
from .machine import RESULTS, ROOT, WORK, describe, heading, save
from .programs import blas_threads
from .summary import align, short

D_MIN = 2.0


def inputs(size: str, work: Path) -> tuple[Path, Path, float]:
    """Model, data and resolution (Å) of a size."""
    if size == "1k":
        from gpurefine.io.example import write_example

        model, data = write_example(work.resolve() / "example")
        return model, data, D_MIN
    if not is_box(size):
        raise SystemExit(f"'{size}' is no size: 1k, 5k, 20k, 100k or box:COPIES[:D_MIN].")
    case = box_case(size, work)
    return case.model, case.data, float(size.split(":")[2]) if size.count(":") > 1 else D_MIN


def gemmi_spread(model: Path, d_min: float, blur: float) -> float:
    """Seconds in which gemmi puts the model's density on a grid of the same spacing, with the same blur, one core."""
    import gemmi

    from .ceilings import seconds

    structure = gemmi.read_structure(str(model))
    structure.remove_hydrogens()
    for cra in structure[0].all():
        cra.atom.aniso = gemmi.SMat33f(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    density = gemmi.DensityCalculatorX()
    density.d_min, density.rate, density.blur = d_min, 1.5, blur
    density.grid.setup_from(structure)
    return seconds(lambda: density.put_model_density_on_grid(structure[0]))[0]


def measure(model: Path, data: Path, d_min: float, threads: int) -> dict[str, Any]:
    """Times, floors and companions of every operation on one input with one number of threads, in this process."""
    from . import ceilings
    from .operations import objective_of, operations, plain_fft, points, read

    objective, state = objective_of(read(model, data, d_min), create("cpu", threads))
    top = ceilings.measure(threads)
    found = []
    for operation in operations(objective, state):
        time, shortest = ceilings.seconds(operation.call)
        floor, binding = operation.work.floor(top)
        found.append(
            {
                "operation": operation.name, "seconds": time, "shortest": shortest, "floor": floor, "binding": binding,
                "fraction": floor / time, **asdict(operation.work),
            }
        )
    transform = objective.experiment.transform(objective.scatterers(state.values))
    plan = transform.density_plan
    return {
        "threads": threads, "ceilings": asdict(top), "n_atoms": len(state.xyz), "grid": list(plan.shape),
        "n_reflections": len(objective.experiment.reflections), "n_gauss": plan.gauss_a.shape[1], "blur": plan.blur,
        "points_per_atom": points(objective, state) / len(state.xyz), "operations": found,
        "others": {
            "SciPy rfftn, same grid and threads": ceilings.seconds(plain_fft(objective, state))[0],
            "gemmi spread, 1 thread": gemmi_spread(model, d_min, plan.blur),
        },
    }


def in_child(size: str, threads: int, work: Path) -> dict[str, Any]:
    """:func:`measure` in a process whose linear algebra has the same number of threads.

    Raises:
        SystemExit: the measurement failed; what it said has been printed.
    """
    count = threads or cpu_count()
    command = [sys.executable, "-m", "perf.bench_ops", size, "--threads", str(count), "--work", str(work), "--child"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | blas_threads(count), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(done.returncode)
    result: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def run_cctbx(python: str, model: Path, data: Path, d_min: float) -> dict[str, Any] | None:
    """What perf/cctbx_gradient.py finds; None, and a line that says so, where it cannot be had."""
    command = [python, str(ROOT / "perf" / "cctbx_gradient.py"), str(model), str(data), str(d_min)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | blas_threads(1))
    except (OSError, subprocess.CalledProcessError) as error:
        lines = (getattr(error, "stderr", "") or str(error)).strip().split("\n")
        print(f"cctbx is left out: {lines[-1]} (--cctbx names a Python that has it)")
        return None
    result: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return result


def table(size: str, results: Sequence[dict[str, Any]], cctbx: dict[str, Any] | None) -> str:
    """The table of one input: one column of times a number of threads."""
    first = results[0]
    text = [
        f"\n{size}: {first['n_atoms']} atoms, {first['n_reflections']} reflections, "
        f"grid {' × '.join(map(str, first['grid']))}, {first['points_per_atom']:.0f} points an atom, "
        f"{first['n_gauss']} Gaussians, blur {first['blur']:.1f} Å²"
    ]
    head = ["operation"]
    for result in results:
        head += [f"ms, {result['threads']} thr", "floor ms", "of ceiling"]
    lines = [head + (["speed-up"] if len(results) > 1 else [])]
    for k, operation in enumerate(first["operations"]):
        line = [operation["operation"]]
        for result in results:
            o = result["operations"][k]
            line += [short(1e3 * o["seconds"]), short(1e3 * o["floor"]), f"{o['fraction']:.0%} {o['binding']}"]
        if len(results) > 1:
            line.append(f"{operation['seconds'] / results[-1]['operations'][k]['seconds']:.2f}")
        lines.append(line)
    for name in first["others"]:
        line = [name]
        for result in results:
            line += [short(1e3 * result["others"][name]), "", ""]
        lines.append(line + ([""] if len(results) > 1 else []))
    text.append(align(lines))
    own = {o["operation"]: o["seconds"] for o in first["operations"]}
    spread, fft = first["others"]["gemmi spread, 1 thread"], first["others"]["SciPy rfftn, same grid and threads"]
    text.append(
        f"With {first['threads']} thr: gemmi ÷ ours, spread: {spread / own['spread']:.2f}; ours ÷ SciPy's bare "
        f"transform, map to hkl: {own['map to hkl (FFT, symmetry)'] / fft:.2f}"
    )
    if cctbx is not None:
        text.append(
            f"cctbx {cctbx['version']}, 1 thread: F_c {short(1e3 * cctbx['forward'])} ms, gradients "
            f"{short(1e3 * cctbx['gradient'])} ms, target + gradients {short(1e3 * cctbx['evaluation'])} ms; cctbx ÷ "
            f"ours with {first['threads']} thr, target + gradient: {cctbx['evaluation'] / own['target + gradient']:.2f}"
        )
    return "\n".join(text)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m perf.bench_ops", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("size", nargs="*", default=["1k", "5k", "20k"])
    parser.add_argument("--threads", default="1,0", help="numbers of threads, 0 for all cores")
    parser.add_argument("--cctbx", default=os.environ.get("CCTBX_PYTHON", sys.executable), metavar="PYTHON")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for the inputs")
    parser.add_argument("--out", type=Path, default=RESULTS / "ops.json")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    given = parse(arguments)
    if given.child:
        print(json.dumps(measure(*inputs(given.size[0], given.work), int(given.threads))))
        return
    about = describe()
    print(heading(about), flush=True)
    saved: dict[str, Any] = {"what": "bench_ops", **about, "sizes": []}
    for size in given.size:
        model, data, d_min = inputs(size, given.work)
        results = [in_child(size, int(part), given.work.resolve()) for part in given.threads.split(",")]
        cctbx = run_cctbx(given.cctbx, model, data, d_min)
        if not saved["sizes"]:
            for result in results:
                top = result["ceilings"]
                print(
                    f"Ceilings with {result['threads']} thr: {top['bandwidth'] / 1e9:.1f} GB/s, "
                    f"{top['exps'] / 1e9:.2f}·10⁹ exp/s"
                )
        print(table(size, results, cctbx), flush=True)
        saved["sizes"].append({"size": size, "threads": results, "cctbx": cctbx})
    save(given.out, saved)


if __name__ == "__main__":
    main()
