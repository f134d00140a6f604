"""What a running refinement shows: messages, one line a cycle, a progress bar on a terminal, a closing table."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

from .failure import forget_output

if TYPE_CHECKING:
    from gpurefine.model.records import CycleRecord, Report


class Console:
    """Receives the progress of a job and prints it; used as ``with Console(...) as show: run(..., progress=show)``.

    On a terminal a bar below the cycle lines tells how far the run is; into a file or a pipe only the lines go.
    """

    def __init__(self, cycles: int | None, quiet: bool = False) -> None:
        """``cycles`` that the run is to have, None where that is not known beforehand."""
        self.cycles = cycles
        self.quiet = quiet
        self._header_shown = False
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        if not self.quiet and sys.stdout.isatty():
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, transient=True)
            self._task = self._bar.add_task("reading", total=None if self.cycles is None else self.cycles + 1)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, event: str | CycleRecord) -> None:
        """Show a message or the record of a finished cycle."""
        if self.quiet:
            return
        if isinstance(event, str):
            self.line(event)
            return
        from gpurefine.io.log_out import cycle_line, cycle_table_header

        if not self._header_shown:
            self.line("")
            self.line(cycle_table_header())
            self._header_shown = True
        self.line(cycle_line(event))
        if self._bar is not None:
            following = event.cycle + 1
            text = "cycle" if self.cycles is None else f"cycle {following} of {self.cycles}"
            if self.cycles is not None and following > self.cycles:
                text = "maps and files"
            self._bar.update(self._task, completed=following, description=text)

    def line(self, text: str) -> None:
        """Print one line above the bar."""
        if self.quiet:
            return
        if self._bar is not None:
            self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
            return
        try:
            click.echo(text)
        except OSError:
            # Whoever read the lines has gone (gpurefine refine ... | head), or their disk is full: the refinement goes
            # on, silently.
            self.quiet = True
            forget_output()


def number(value: float | None, digits: int) -> str:
    """``value`` with so many digits after the point, a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


SUMMARY_ROWS = (
    ("R_work", "r_work", 4),
    ("R_free", "r_free", 4),
    ("CC_work", "cc_work", 4),
    ("CC_free", "cc_free", 4),
    ("bonds r.m.s.d. (Å)", "rmsd_bond", 4),
    ("bonds r.m.s.Z", "rmsz_bond", 2),
    ("angles r.m.s.d. (°)", "rmsd_angle", 2),
    ("angles r.m.s.Z", "rmsz_angle", 2),
)
"""Label, field of CycleRecord and digits of the closing table."""


def summary(report: Report) -> list[str]:
    """Lines of the closing table: before and after, or one column where nothing was refined."""
    first, last = report.cycles[0], report.cycles[-1]
    refined = len(report.cycles) > 1
    lines = [f"{'':22}{'start':>10}{'end':>10}"] if refined else []
    for label, name, digits in SUMMARY_ROWS:
        columns = [number(getattr(first, name), digits)] if refined else []
        columns.append(number(getattr(last, name), digits))
        lines.append(f"{label:22}" + "".join(f"{column:>10}" for column in columns))
    return lines


def time_table(seconds: Mapping[str, float], beside: Mapping[str, float]) -> list[str]:
    """Lines with the phases of a run, longest first, what belongs to none, and what another core did ``beside``."""
    phases = {name: value for name, value in seconds.items() if name != "total"}
    total = max(seconds.get("total", 0.0), 1e-9)
    phases["(not named)"] = total - sum(phases.values())
    rows = sorted(phases.items(), key=lambda row: -row[1])
    lines = [f"{'':22}{'seconds':>10}{'share':>8}"]
    lines += [f"{name:22}{value:10.2f}{100.0 * value / total:7.1f}%" for name, value in rows]
    lines.append(f"{'total':22}{total:10.2f}")
    if beside:
        lines += ["", "Meanwhile, on another core"]
        lines += [f"{name:22}{value:10.2f}" for name, value in sorted(beside.items(), key=lambda row: -row[1])]
    return lines
