"""Arithmetic and tables of a comparison; nothing is run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from .programs import Outcome

TOLERANCE = 0.002
"""R_free may be this much above the peer's before a speed counts for nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, smallest and largest of some repeats."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread | None:
        """None of no values."""
        return Spread(median(values), min(values), max(values)) if values else None

    def __str__(self) -> str:
        return f"{short(self.median)} ({short(self.low)}–{short(self.high)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One program at one setting on one case; ``None`` where no run finished.

    ``wall``, ``cpu`` seconds of whole runs; ``peak_mb``; ``cycle`` median seconds of a cycle, the first left out;
    ``r_work``, ``r_free``, ``rmsz_bond`` after the last cycle.
    """

    label: str
    is_peer: bool
    threads: int
    runs: int
    failed: int
    wall: Spread | None
    cpu: Spread | None
    peak_mb: float | None
    cycle: float | None
    r_kind: str
    r_work: float | None
    r_free: float | None
    rmsz_bond: float | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """Peer ÷ gpurefine of one row: above 1 gpurefine needs less.

    ``wall`` and ``cpu`` are ratios of medians; ``wall_low`` and ``wall_high`` the least and most that the repeats
    allow; ``memory``.  ``r_free_excess`` is gpurefine's R_free minus the peer's, None where they are not of one kind.
    """

    label: str
    wall: float
    wall_low: float
    wall_high: float
    cpu: float
    memory: float
    r_free_excess: float | None

    @property
    def counts(self) -> bool:
        """R_free is not worse than the peer's by more than the tolerance (a fast wrong answer is no result)."""
        return self.r_free_excess is None or self.r_free_excess <= TOLERANCE


def summarise(label: str, is_peer: bool, threads: int, outcomes: Sequence[Outcome]) -> Row:
    """One row from the repeats."""
    good = [outcome for outcome in outcomes if outcome.finished]
    errors = [outcome.error for outcome in outcomes if not outcome.finished]
    last = good[-1] if good else None
    seconds = [s for outcome in good for s in outcome.cycle_seconds[2:]]
    return Row(
        label, is_peer, threads, len(good), len(outcomes) - len(good), Spread.of([o.wall for o in good]),
        Spread.of([o.cpu for o in good]), median(o.peak_mb for o in good) if good else None,
        median(seconds) if seconds else None, last.r_kind if last else "R", last.r_work if last else None,
        last.r_free if last else None, last.rmsz_bond if last else None, errors[-1] if errors else None,
    )


def compare(row: Row, peer: Row) -> Ratio | None:
    """How many times less ``row`` needs than ``peer``; None where either has no finished run."""
    if row.wall is None or peer.wall is None or row.cpu is None or peer.cpu is None:
        return None
    excess = None
    if row.r_free is not None and peer.r_free is not None and row.r_kind == peer.r_kind:
        excess = row.r_free - peer.r_free
    return Ratio(
        row.label, peer.wall.median / row.wall.median, peer.wall.low / row.wall.high, peer.wall.high / row.wall.low,
        peer.cpu.median / row.cpu.median, (peer.peak_mb or 0.0) / (row.peak_mb or 1.0), excess,
    )


def short(value: float | None, digits: int = 3) -> str:
    """A number with ``digits`` figures, a dash for none."""
    if value is None:
        return "–"
    if value >= 10 ** (digits - 1):
        return f"{value:.0f}"
    return f"{value:#.{digits}g}"


def fixed(value: float | None, places: int = 4) -> str:
    """A number with ``places`` decimals, a dash for none."""
    return "–" if value is None else f"{round(value, places) + 0.0:.{places}f}"


def align(lines: Sequence[Sequence[str]], left: int = 1) -> str:
    """Columns padded to the same width, the first ``left`` to the left and the others to the right."""
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) if k < left else cell.rjust(w) for k, (cell, w) in enumerate(pairs))
        for pairs in (zip(line, widths, strict=True) for line in lines)
    )


def case_table(rows: Sequence[Row]) -> str:
    """The measured table of one case, and below it the ratios."""
    head = ("program", "wall s", "CPU s", "cores", "s/cycle", "peak MB", "R_work", "R_free", "bond Z")
    lines: list[tuple[str, ...]] = [head]
    for row in rows:
        if row.wall is None or row.cpu is None:
            last = (row.error or "").strip().split("\n")[-1][:150]
            lines.append((row.label, f"failed: {last}", *[""] * 7))
            continue
        lines.append(
            (
                row.label, str(row.wall), str(row.cpu), f"{row.cpu.median / row.wall.median:.2f}", short(row.cycle),
                short(row.peak_mb, 4), f"{row.r_kind} {fixed(row.r_work)}", fixed(row.r_free), fixed(row.rmsz_bond, 2),
            )
        )
    failed = [line for line in lines if line[1].startswith("failed")]
    text = [align([line for line in lines if line not in failed])] + ["  ".join(line).rstrip() for line in failed]
    peers = [row for row in rows if row.is_peer]
    for row in rows:
        ratio = None if row.is_peer or not peers else compare(row, peers[0])
        if ratio is None:
            continue
        excess = "not comparable" if ratio.r_free_excess is None else f"{ratio.r_free_excess:+.4f}"
        text.append(
            f"{peers[0].label} ÷ {row.label}: wall {ratio.wall:.2f} ({ratio.wall_low:.2f}–{ratio.wall_high:.2f}), "
            f"CPU {ratio.cpu:.2f}, memory {ratio.memory:.2f}; ΔR_free {excess}"
            + ("" if ratio.counts else f"  (worse by more than {TOLERANCE}: the speed does not count)")
        )
    return "\n".join(text)


def gain(curve: Sequence[float | None], whole: float | None = None) -> list[float | None]:
    """Part of the fall of R_free reached after every cycle; ``whole`` is the fall to measure by (default: its own).

    None throughout where R_free did not fall.
    """
    if len(curve) < 2 or curve[0] is None or curve[-1] is None:
        return [None] * len(curve)
    start = curve[0]
    total = start - curve[-1] if whole is None else whole
    return [None if value is None or total <= 0.0 else (start - value) / total for value in curve]


def curve_table(ours: Sequence[float | None], peer: Sequence[float | None], kind: str = "R") -> str:
    """R_free by cycle of both programs with the part of their own gains, and of the peer's gain that we have."""
    whole = None
    if len(peer) > 1 and peer[0] is not None and peer[-1] is not None:
        whole = peer[0] - peer[-1]
    columns: list[tuple[str, Sequence[Any]]] = [
        (f"{kind}_free ours", [fixed(value) for value in ours]), ("peer", [fixed(value) for value in peer]),
        ("gain ours", [fixed(value, 2) for value in gain(ours)]), ("peer", [fixed(value, 2) for value in gain(peer)]),
        ("ours ÷ peer's whole gain", [fixed(v, 2) for v in (gain(ours, whole) if whole else [None] * len(ours))]),
    ]
    lines: list[tuple[str, ...]] = [("cycle", *(name for name, _ in columns))]
    for k in range(max(len(ours), len(peer))):
        lines.append((str(k), *(values[k] if k < len(values) else "–" for _, values in columns)))
    return align(lines)
