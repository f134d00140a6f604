"""gpurefine and a peer program on the same input, alternately, in one run.

    python -m perf.compare --peer servalcat [CASE …] [--cases FILE.toml] [--threads 1,0] [--repeats 3] [--curves]

A case is a box (``5k``, ``20k``, ``100k``, ``box:COPIES[:D_MIN]``) or a name in the file given by ``--cases``.  What
the tables mean is explained in perf/README.md.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .cases import Case, collect
from .machine import RESULTS, WORK, describe, heading, save
from .programs import PEERS, Gpurefine, Outcome, Program, first_line, run
from .summary import case_table, compare, curve_table, summarise


def measure(
    case: Case, programs: Sequence[Program], repeats: int, cycles: int, work: Path, timeout: float
) -> list[list[Outcome]]:
    """Outcomes of every program (outer) and repeat (inner); the order is turned round at every repeat.

    A program that failed in its first repeat is not run again.
    """
    outcomes: list[list[Outcome]] = [[] for _ in programs]
    for repeat in range(repeats):
        order = list(range(len(programs)))
        for k in order if repeat % 2 == 0 else reversed(order):
            program = programs[k]
            if outcomes[k] and not outcomes[k][0].finished:
                continue
            place = work / re.sub(r"\W", "_", case.name) / f"{program.name}_{program.threads}"
            outcome = run(program, case, cycles, place.resolve(), timeout)
            outcomes[k].append(outcome)
            told = f"{outcome.wall:.2f} s" if outcome.finished else "failed"
            print(f"  {case.name}, repeat {repeat + 1}, {program.label}: {told}", flush=True)
    return outcomes


def warm_up(case: Case, ours: Sequence[Gpurefine], work: Path, timeout: float) -> None:
    """One untimed cycle of gpurefine: machine code is compiled and files are in memory."""
    folder = (work / "warm_up").resolve()
    outcome = run(ours[0], case, 1, folder, timeout)
    if not outcome.finished:
        print(f"  {case.name}: the warm-up failed: {(outcome.error or '').strip().splitlines()[-1:]}", flush=True)


def result_of(case: Case, programs: Sequence[Program], outcomes: list[list[Outcome]], ours: int) -> dict[str, Any]:
    """One case for the JSON file, ``ours`` being the number of leading programs that are gpurefine."""
    rows = [
        summarise(program.label, k >= ours, program.threads, outcomes[k]) for k, program in enumerate(programs)
    ]
    ratios = [compare(row, rows[-1]) for row in rows[:ours]] if len(rows) > ours else []
    print(f"\n{case.name}: {case.n_atoms} atoms without hydrogens, {reflections(outcomes) or '–'} reflections")
    print(case_table(rows), flush=True)
    return {
        "case": case.name, "n_atoms": case.n_atoms, "n_reflections": reflections(outcomes), "adp": case.adp,
        "rows": [asdict(row) for row in rows],
        "ratios": [None if ratio is None else asdict(ratio) | {"counts": ratio.counts} for ratio in ratios],
        "runs": {program.label: [o.as_dict() for o in outcomes[k]] for k, program in enumerate(programs)},
    }


def reflections(outcomes: list[list[Outcome]]) -> int | None:
    """Number of reflections used, from any run that tells."""
    return next((o.n_refl for runs in outcomes for o in runs if o.n_refl), None)


def curves(results: Sequence[dict[str, Any]], peer: str) -> str:
    """Tables of R_free by cycle of all cases that both programs finished."""
    text = []
    for result in results:
        found = []
        for mine in (True, False):
            label = next((row["label"] for row in result["rows"] if row["is_peer"] is not mine), "")
            finished = [o for o in result["runs"].get(label, []) if o["rc"] == 0 and o["r_free_curve"]]
            found.append(finished[0] if finished else None)
        if found[0] and found[1]:
            kinds = {found[0]["r_kind"], found[1]["r_kind"]}
            kind = kinds.pop() if len(kinds) == 1 else f"{found[0]['r_kind']} / {found[1]['r_kind']}"
            text.append(f"{result['case']}, peer: {peer}")
            text.append(curve_table(found[0]["r_free_curve"], found[1]["r_free_curve"], kind) + "\n")
    return "\n".join(text)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m perf.compare", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("case", nargs="*", help="5k, 20k, 100k, box:COPIES[:D_MIN], or names in --cases")
    parser.add_argument("--peer", choices=(*PEERS, "none"), default="servalcat")
    parser.add_argument("--peer-program", default="", help="path of the peer (default: found)")
    parser.add_argument("--gpurefine", default="", help="command to run instead of the gpurefine beside this Python")
    parser.add_argument("--cases", type=Path, help="TOML file of real cases")
    parser.add_argument("--root", type=Path, help="folder that paths in --cases are relative to (default: the file's)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", default="1,0", help="threads of gpurefine, 0 for all cores")
    parser.add_argument("--cycles", type=int, default=10)
    parser.add_argument("--adp", choices=("case", "iso", "aniso"), default="case", help="what both programs refine")
    parser.add_argument("--options", default="", help="further options of gpurefine, as one string")
    parser.add_argument("--peer-options", default="", help="further options of the peer, as one string")
    parser.add_argument("--curves", action="store_true", help="print R_free by cycle of both programs")
    parser.add_argument("--timeout", type=float, default=7200.0, help="seconds after which a run counts as failed")
    parser.add_argument("--work", type=Path, default=WORK, help="folder for boxes and runs")
    parser.add_argument("--out", type=Path, default=RESULTS / "compare.json")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and save."""
    given = parse(arguments)
    about = describe()
    threads = [int(part) for part in given.threads.split(",")]
    ours = [Gpurefine(count, given.gpurefine, given.options) for count in threads]
    programs: list[Program] = [*ours]
    if given.peer != "none":
        programs.append(PEERS[given.peer](given.peer_program, given.peer_options))
    about["versions"] |= {program.name: program.version() for program in programs}
    print(heading(about), flush=True)
    cases = collect(given.case, given.cases, given.root, given.work)
    if given.peer != "none":
        first_line([programs[-1].command(cases[0], 1)[0], "refine_xtal_norefmac", "-h"])  # loads its modules once
    result: dict[str, Any] = {
        "what": "compare", **about, "cycles": given.cycles, "repeats": given.repeats, "options": given.options,
        "peer_options": given.peer_options, "cases": [],
    }
    if given.adp != "case":
        cases = [replace(case, adp=given.adp) for case in cases]
    for case in cases:
        warm_up(case, ours, given.work, given.timeout)
        outcomes = measure(case, programs, given.repeats, given.cycles, given.work, given.timeout)
        result["cases"].append(result_of(case, programs, outcomes, len(ours)))
        save(given.out, result, case is cases[-1])
    if given.curves:
        print("\n" + curves(result["cases"], f"{given.peer} {about['versions'].get(given.peer, '')}"))


if __name__ == "__main__":
    main()
