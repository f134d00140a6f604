"""Time a cycle and memory against the size of the problem.

    python -m perf.bench_scaling [SIZE …] [--threads 1,0] [--cycles 5] [--repeats 2] [--out FILE.json]

Sizes are boxes: ``5k``, ``20k``, ``100k`` or ``box:COPIES[:D_MIN]``.  Exponents are slopes of ln(seconds a cycle)
against ln(atoms) and ln(reflections): 1 is linear.

Before and after, the speed of main memory is measured with each number of threads, and how long a core takes to read
what it or another core has written.  Virtual machines share memory and the way from core to core with their neighbours:
where all cores get no more than one, or a hand-over takes many times as long as a read of one's own, a second core
helps little, whatever the program.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import linear_regression, median
from typing import Any

from gpurefine.backend.create import cpu_count

from .cases import box_case
from .ceilings import handover, measure
from .machine import RESULTS, WORK, describe, heading, save
from .programs import Gpurefine, Outcome, run
from .summary import align, short


@dataclass(frozen=True, slots=True)
class Point:
    """One size with one number of threads.

    ``cycle`` seconds of a cycle (the first left out), ``rest`` seconds of the run outside cycles 1…, ``peak_mb``.
    """

    size: str
    threads: int
    n_atoms: int
    n_reflections: int
    cycle: float
    rest: float
    peak_mb: float
    r_free: float | None


def point_of(size: str, threads: int, n_atoms: int, outcomes: Sequence[Outcome]) -> Point | None:
    """The repeats of one size; None where none finished."""
    good = [o for o in outcomes if o.finished and len(o.cycle_seconds) > 2]
    if not good:
        return None
    return Point(
        size, threads, n_atoms, good[0].n_refl or 0, median(s for o in good for s in o.cycle_seconds[2:]),
        median(o.wall - sum(o.cycle_seconds[1:]) for o in good), median(o.peak_mb for o in good), good[0].r_free,
    )


def exponent(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Slope of ln y against ln x, None with fewer than two different x."""
    if len(set(x)) < 2:
        return None
    return linear_regression([math.log(v) for v in x], [math.log(v) for v in y]).slope


@dataclass(frozen=True, slots=True)
class Fit:
    """Exponents of the time of a cycle, and the straight line of memory: ``base_mb`` + ``kb_per_atom`` × atoms."""

    threads: int
    time_by_atoms: float | None
    time_by_reflections: float | None
    rest_by_atoms: float | None
    base_mb: float | None
    kb_per_atom: float | None


def fit_points(threads: int, points: Sequence[Point]) -> Fit:
    """Fits over the sizes measured with one number of threads."""
    atoms = [float(p.n_atoms) for p in points]
    line = linear_regression(atoms, [p.peak_mb for p in points]) if len(set(atoms)) > 1 else None
    return Fit(
        threads, exponent(atoms, [p.cycle for p in points]),
        exponent([float(p.n_reflections) for p in points], [p.cycle for p in points]),
        exponent(atoms, [p.rest for p in points]),
        line.intercept if line else None, 1024.0 * line.slope if line else None,
    )


def table(points: Sequence[Point], fits: Sequence[Fit]) -> str:
    """The table of sizes, and below it the exponents."""
    lines = [
        ("size", "threads", "atoms", "reflections", "s/cycle", "µs/atom/cycle", "other s", "peak MB", "speed-up")
    ]
    single = {p.size: p for p in points if p.threads == 1}
    for p in points:
        alone = single.get(p.size)
        lines.append(
            (
                p.size, str(p.threads or "all"), str(p.n_atoms), str(p.n_reflections), short(p.cycle),
                short(1e6 * p.cycle / p.n_atoms), short(p.rest), short(p.peak_mb, 4),
                f"{alone.cycle / p.cycle:.2f}" if alone and p.threads != 1 else "",
            )
        )
    text = [align(lines)]
    for fit in fits:
        if fit.time_by_atoms is None or fit.rest_by_atoms is None:
            continue
        text.append(
            f"threads {fit.threads or 'all'}: time of a cycle ∝ atoms^{fit.time_by_atoms:.3f}, "
            f"reflections^{short(fit.time_by_reflections)}; other time ∝ atoms^{fit.rest_by_atoms:.3f}; "
            f"memory {short(fit.base_mb)} MB + {short(fit.kb_per_atom)} kB an atom"
        )
    return "\n".join(text)


def memory_speed(threads: Sequence[int]) -> dict[str, float]:
    """GB a second read and written together, by number of threads ("all" for 0)."""
    return {str(count or "all"): round(measure(count or cpu_count()).bandwidth / 1e9, 1) for count in threads}


def handover_time() -> dict[str, float]:
    """Microseconds to read a megabyte from one's own cache and from that of another core."""
    own, others = handover()
    return {"own": round(own, 1), "of another core": round(others, 1)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, fit, print and save."""
    parser = argparse.ArgumentParser(prog="python -m perf.bench_scaling", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("size", nargs="*", default=["5k", "20k", "100k"])
    parser.add_argument("--threads", default="1,0", help="numbers of threads, 0 for all cores")
    parser.add_argument("--cycles", type=int, default=5, help="at least 2; the first is not counted")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--gpurefine", default="", help="command to run instead of the gpurefine beside this Python")
    parser.add_argument("--timeout", type=float, default=7200.0)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--out", type=Path, default=RESULTS / "scaling.json")
    given = parser.parse_args(arguments)
    about = describe()
    print(heading(about), flush=True)
    threads = [int(part) for part in given.threads.split(",")]
    found: dict[tuple[str, int], Point] = {}
    result: dict[str, Any] = {"what": "bench_scaling", **about, "cycles": given.cycles, "repeats": given.repeats}
    before, passed = memory_speed(threads), handover_time()
    print(f"Memory, GB/s by threads: {before}; µs to read a megabyte: {passed}", flush=True)
    for size in given.size:
        case = box_case(size, given.work)
        programs = [Gpurefine(count, given.gpurefine) for count in threads]
        if size == given.size[0]:
            run(programs[0], case, 1, (given.work / "warm_up").resolve(), given.timeout)
        outcomes: dict[int, list[Outcome]] = {count: [] for count in threads}
        for _ in range(given.repeats):
            for program in programs:
                folder = (given.work / f"scaling_{program.threads}").resolve()
                outcome = run(program, case, given.cycles, folder, given.timeout)
                outcomes[program.threads].append(outcome)
                print(f"  {size}, {program.label}: {outcome.error or f'{outcome.wall:.2f} s'}", flush=True)
        for count in threads:
            point = point_of(size, count, case.n_atoms, outcomes[count])
            if point is not None:
                found[size, count] = point
    points = list(found.values())
    fits = [fit_points(count, [p for p in points if p.threads == count]) for count in threads]
    print("\n" + table(points, fits))
    after, passed_after = memory_speed(threads), handover_time()
    print(f"Memory, GB/s by threads, afterwards: {after}; µs to read a megabyte: {passed_after}")
    result["memory_gb_s"], result["handover_us_per_mb"] = [before, after], [passed, passed_after]
    result["points"], result["fits"] = [asdict(p) for p in points], [asdict(f) for f in fits]
    save(given.out, result)


if __name__ == "__main__":
    main()
