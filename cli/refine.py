"""``gpurefine refine``: the main job."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from gpurefine.config import Config
from gpurefine.errors import UsageError

from .console import Console, summary, time_table
from .options import Function, GroupedCommand, config_from, config_options

if TYPE_CHECKING:
    from gpurefine.job import Result

CHANGEABLE = ("resume", "refine__cycles", "run__quiet")
"""Options that may be given with --resume, which takes all others from the checkpoint."""


def command_line() -> str:
    """The command, for the report."""
    return shlex.join(["gpurefine", *sys.argv[1:]])


def closing(console: Console, result: Result, profile: bool) -> None:
    """Print the closing table, the files written and, if asked for, where the time went."""
    for line in ["", *summary(result.report), "", "Written:", *(f"  {path}" for path in result.files)]:
        console.line(line)
    if profile:
        timer = result.problem.timer
        for line in ["", *time_table(timer.table(), timer.beside)]:
            console.line(line)


def seconds_before() -> float:
    """Seconds from the start of the program until now, 0 where it is a guest in another."""
    begun = click.get_current_context().find_object(float)
    return 0.0 if begun is None else time.perf_counter() - begun


def run_job(config: Config, write_model: bool = True) -> None:
    """Run the job with the console attached."""
    from gpurefine import job

    before = seconds_before()
    undecided = config.refine.adp == "auto" and not config.groups.wants_tls  # TLS cycles may come before the others
    with Console(None if undecided else config.cycles, config.run.quiet) as console:
        result = job.run(config, command=command_line(), progress=console, write_model=write_model, before=before)
    closing(console, result, config.run.profile)


def resume_job(prefix: str, cycles: int | None, quiet: bool) -> None:
    """Go on with a run that was stopped."""
    from gpurefine import job

    prefix = prefix.removesuffix(".checkpoint")
    with Console(None, quiet) as console:  # --cycles does not count those of groups
        result = job.resume(prefix, cycles, command_line(), console, quiet or None, seconds_before())
    closing(console, result, result.problem.config.run.profile)


def config_file_option() -> Callable[[Function], Function]:
    """The option --config."""
    return click.option(
        "--config", "config_file", metavar="FILE.toml",
        help="Read options from a file such as PREFIX.toml of an earlier run; those given here win over it.",
    )  # fmt: skip


@click.command(cls=GroupedCommand, short_help="Refine a model against data.")
@click.argument("model", metavar="MODEL", required=False)
@click.argument("data", metavar="DATA", required=False)
@click.option(
    "-o", "--output", "prefix", metavar="PREFIX",
    help="Results go to PREFIX.cif, .pdb, .mtz, .json, .log, .toml. Default: the model's name with _refined, in this "
    "folder.",
)  # fmt: skip
@config_file_option()
@click.option(
    "--resume", metavar="PREFIX",
    help="Go on with the run that was to write PREFIX.* and was stopped. Its options stay, only --cycles may change.",
)  # fmt: skip
@config_options()
def refine(
    model: str | None, data: str | None, prefix: str | None, config_file: str | None, resume: str | None, **values: Any
) -> None:
    """Refine MODEL (PDB or mmCIF) against DATA (MTZ with merged amplitudes or intensities).

    Writes the refined model, map coefficients that Coot opens by itself, the statistics as JSON and a log.
    """
    if resume is None:
        files = {"model": model, "data_file": data, "prefix": prefix}
        run_job(config_from(files, config_file, values, "_refined"))
        return
    context = click.get_current_context()
    given = [
        parameter for parameter in context.command.params
        if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]  # fmt: skip
    for parameter in given:
        if parameter.name not in CHANGEABLE:
            what = parameter.opts[-1] if isinstance(parameter, click.Option) else (parameter.name or "").upper()
            raise UsageError(
                f"--resume goes on with the files and options of the run that was stopped; leave out {what} "
                f"(only --cycles and --quiet may be given), or start a new run."
            )
    cycles = values["refine__cycles"] if any(p.name == "refine__cycles" for p in given) else None
    resume_job(resume, cycles, values["run__quiet"])
