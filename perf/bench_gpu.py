"""The GPU: checks it against the CPU, then times every kernel, a gradient evaluation and a whole cycle.

    python -m perf.bench_gpu [SIZE …] [--device cuda:N] [--out FILE.json]

A size is ``1.2k`` (the embedded example), ``3k``, ``15k``, ``100k`` or ``1M`` (boxes of copies of it), or
``box:COPIES[:D_MIN]``.  Nothing is timed before structure factors and gradients agree with the cpu backend.  Kernels
are timed by events in the GPU's queue while an evaluation and a cycle run; bytes are those of the arrays a kernel is
given, read or written once, operations those of its formula, and both stand beside what this GPU copies and
multiplies at most, measured first.  The likelihoods of other measurements than amplitudes are compared and timed on
made-up reflections, as many as the size has.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from gpurefine.backend import create
from gpurefine.backend.cuda.backend import CudaBackend
from gpurefine.backend.cuda.device import Device
from gpurefine.config import RefineOptions
from gpurefine.refinement import refine as loop
from gpurefine.refinement.objective import Objective, State

from . import gpu_likelihoods
from .bench_ops import inputs
from .gpu_recorder import Recorder, ceilings
from .machine import RESULTS, WORK, describe, heading, save
from .operations import objective_of, points, read
from .summary import align, short

SIZES = {"1.2k": ("1k", 2.0), "3k": ("box:2:2.0", 2.0), "15k": ("box:12:1.6", 1.6), "100k": ("box:80:2.0", 2.0),
         "1M": ("box:780:2.9", 2.9)}
"""Input and resolution (Å) of the sizes with a name."""

AGREEMENT = 2e-5
"""Largest relative r.m.s. difference of F and of gradients between GPU and CPU (single precision)."""

CEILINGS = (1 << 28, 4096, 4096)
"""Bytes copied, multiply-adds in a row and blocks of the two kernels that measure the ceilings."""

FLOPS = {
    "spread_iso": (12, 4), "tangent_iso": (19, 11), "gather_iso": (18, 9),
    "spread_aniso": (12, 24), "tangent_aniso": (12, 54), "gather_aniso": (12, 46),
}
"""Operations a grid point (each, each per Gaussian) of the kernels that walk over spheres; 2^x counts as one."""


def evaluation(objective: Objective, state: State) -> Callable[[], Any]:
    """F_calc, likelihood and gradient of all atoms, as one call."""
    experiment, atoms = objective.experiment, objective.scatterers(state.values)
    transform = experiment.transform(atoms)

    def call() -> Any:
        f = transform.own_structure_factors(atoms)
        return f, transform.adjoint(atoms, experiment.evaluate(f[None], experiment.work, True).gradient[0])

    return call


def check(cpu: Any, gpu: Any) -> float:
    """Largest relative r.m.s. difference between two evaluations.

    Raises:
        SystemExit: it is too large for single precision, so that times would be worthless.
    """
    worst = 0.0
    for a, b in ((cpu[0], np.asarray(gpu[0])), (cpu[1].xyz, gpu[1].xyz), (cpu[1].b_iso, gpu[1].b_iso)):
        worst = max(worst, float(np.linalg.norm(b - a) / max(np.linalg.norm(a), 1e-300)))
    if not worst < AGREEMENT:
        raise SystemExit(f"GPU and CPU differ by {worst:.1e} of the r.m.s. value ({AGREEMENT:.0e} is allowed).")
    return worst


def wall(call: Callable[[], object], repeats: int, finish: Callable[[], None]) -> float:
    """Median seconds of ``call``, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        finish()
        began = time.perf_counter()
        call()
        finish()
        times.append(time.perf_counter() - began)
    return median(times)


def cycles(objective: Objective, repeats: int) -> list[float]:
    """Seconds of each of ``repeats`` whole cycles at fixed weight, after one that is not counted."""
    options = RefineOptions(cycles=repeats + 1, weight="5")
    refinement = loop.start(objective, options)
    times = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        loop.run_cycle(refinement, options)
        times.append(time.perf_counter() - began)
    return times[1:]


def kernel_rows(recorder: Recorder, objective: Objective, state: State, repeats: int) -> list[dict[str, Any]]:
    """Calls, milliseconds, bytes and operations of every kernel over evaluations and one cycle."""
    atoms = objective.scatterers(state.values)
    inside = points(objective, state)
    width = objective.experiment.transform(atoms).density_plan.gauss_a.shape[1]
    call = evaluation(objective, state)
    call()
    recorder.forget()
    for _ in range(repeats):
        call()
    cycles(objective, 1)
    rows = []
    for name, calls in sorted(recorder.finished().items()):
        milliseconds = median(c.milliseconds for c in calls)
        fixed, each = FLOPS.get(name.rpartition("_")[0], (0, 0))
        rows.append({
            "kernel": name, "calls": len(calls), "milliseconds": milliseconds,
            "bytes": median(c.bytes for c in calls), "operations": inside * (fixed + each * width),
        })
    return rows


def measure(size: str, device: Device, work: Path, repeats: int, check_only: bool = False) -> dict[str, Any]:
    """Everything about one size."""
    name, d_min = SIZES.get(size, (size, 0.0))
    model, data, resolution = inputs(name, work)
    problem = read(model, data, d_min or resolution)
    recorder = Recorder(device)
    found: dict[str, Any] = {"size": size}
    evaluations, whole = {}, {}
    backends: dict[str, Any] = {"cpu": create("cpu"), "gpu": CudaBackend(recorder)}
    for side, backend in backends.items():
        objective, state = objective_of(problem, backend)
        call = evaluation(objective, state)
        evaluations[side] = call()
        if side == "gpu":
            found["difference"] = check(evaluations["cpu"], evaluations["gpu"])
        if check_only:
            continue
        finish = device.synchronise if side == "gpu" else _nothing
        found[f"{side}_evaluation"] = wall(call, repeats, finish)
        whole[side] = cycles(objective, repeats)
        found[f"{side}_cycle"] = median(whole[side])
        if side == "gpu":
            backend.graphs = True
            found["gpu_graphs"], found["graphs"] = median(cycles(objective, repeats)), backend.graphs_made
            backend.graphs = False
            recorder.timing = True
            found["kernels"] = kernel_rows(recorder, objective, state, repeats)
        found |= {"n_atoms": len(state.xyz), "n_reflections": len(objective.experiment.reflections)}
    if not check_only:
        recorder.timing = False
        found["likelihoods"] = gpu_likelihoods.compared(
            backends["cpu"], backends["gpu"], found["n_reflections"],
            lambda call, backend: wall(call, repeats, device.synchronise if backend is backends["gpu"] else _nothing),
        )
    return found


def _nothing() -> None:
    """The CPU has nothing to wait for."""


def table(found: dict[str, Any], top: dict[str, float]) -> str:
    """The tables of one size."""
    lines = [["kernel", "calls", "ms", "GB/s", "of copying", "GFLOP/s", "of FMA"]]
    for row in found["kernels"]:
        seconds = max(row["milliseconds"], 1e-6) * 1e-3
        rate, flops = row["bytes"] / seconds, row["operations"] / seconds
        lines.append([
            row["kernel"], str(row["calls"]), short(row["milliseconds"]), short(rate / 1e9),
            f"{rate / top['bandwidth']:.0%}", short(flops / 1e9) if flops else "",
            f"{flops / top['flops']:.0%}" if flops else "",
        ])
    head = (
        f"\n{found['size']}: {found['n_atoms']} atoms, {found['n_reflections']} reflections; GPU and CPU differ by "
        f"{found['difference']:.0e}\n"
    )
    both = align([["", "GPU, ms", "CPU, ms", "CPU ÷ GPU"]] + [
        [name, short(1e3 * found[f"gpu_{key}"]), short(1e3 * found[f"cpu_{key}"]),
         f"{found[f'cpu_{key}'] / found[f'gpu_{key}']:.1f}"]
        for name, key in (("target + gradient", "evaluation"), ("whole cycle", "cycle"))
    ])
    both += (
        f"\nwhole cycle with {found['graphs']} CUDA graphs of conjugate gradients: "
        f"{short(1e3 * found['gpu_graphs'])} ms"
    )
    return "\n\n".join([head + both, gpu_likelihoods.table(found["likelihoods"]), align(lines)])


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m perf.bench_gpu", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("size", nargs="*", default=list(SIZES))
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--work", type=Path, default=WORK, help="folder for the inputs")
    parser.add_argument("--out", type=Path, default=RESULTS / "gpu.json")
    return parser.parse_args(arguments)


def main(
    arguments: Sequence[str] | None = None, device: Device | None = None, most: tuple[int, int, int] = CEILINGS
) -> None:
    """Check, measure, print and save; ``device`` stands for the GPU in tests, which copy and multiply less."""
    given = parse(arguments)
    if device is None:
        from gpurefine.backend.cuda.cupy_device import open_device
        from gpurefine.backend.cuda.driver import _library, driver_version

        device = open_device(int(given.device.partition(":")[2] or 0))
        driver = ".".join(map(str, driver_version(_library())))
    else:
        driver = "none"
    about = describe()
    top = ceilings(device, *most)
    print(heading(about))
    print(f"{device.name}, driver for CUDA {driver}: copies {top['bandwidth'] / 1e9:.1f} GB/s, "
          f"{top['flops'] / 1e12:.2f} TFLOP/s", flush=True)
    measure(given.size[0], device, given.work, 1, check_only=True)
    saved: dict[str, Any] = {"what": "bench_gpu", **about, "gpu": device.name, "driver": driver, "ceilings": top,
                             "sizes": []}
    for size in given.size:
        found = measure(size, device, given.work, given.repeats)
        print(table(found, top), flush=True)
        saved["sizes"].append(found)
        save(given.out, saved, tell=size == given.size[-1])


if __name__ == "__main__":
    main()
