"""``gpurefine refine``: the main job."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from gpurefine.config import Config

from .console import Console, summary
from .options import GroupedCommand, config_from, config_options


def default_prefix(model: str, ending: str) -> str:
    """Prefix in the current folder made from the model's file name: model.pdb.gz → model_refined."""
    name = Path(model).name.removesuffix(".gz")
    return (Path(name).stem or "model") + ending


def run_job(config: Config, write_model: bool = True) -> None:
    """Run the job with the console attached, then print the closing table and the files written."""
    from gpurefine import job

    command = shlex.join(["gpurefine", *sys.argv[1:]])
    with Console(config.refine.cycles, config.run.quiet) as console:
        result = job.run(config, command=command, progress=console, write_model=write_model)
    for line in ["", *summary(result.report), "", "Written:", *(f"  {path}" for path in result.files)]:
        console.line(line)


@click.command(cls=GroupedCommand, short_help="Refine a model against data.")
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@click.option(
    "-o", "--output", "prefix", metavar="PREFIX",
    help="Results go to PREFIX.cif, .pdb, .mtz, .json, .log. Default: the model's name with _refined, in this folder.",
)  # fmt: skip
@config_options()
def refine(model: str, data: str, prefix: str | None, **values: Any) -> None:
    """Refine MODEL (PDB or mmCIF) against DATA (MTZ with merged amplitudes or intensities).

    Writes the refined model, map coefficients that Coot opens by itself, the statistics as JSON and a log.
    """
    run_job(config_from(model, data, prefix or default_prefix(model, "_refined"), values))
