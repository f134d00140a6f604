"""``gpurefine maps``: statistics and maps of a model as it is."""

from __future__ import annotations

from typing import Any

import click

from .options import GroupedCommand, config_from, config_options
from .refine import default_prefix, run_job


@click.command(cls=GroupedCommand, short_help="Maps and statistics of a model as it is.")
@click.argument("model", metavar="MODEL")
@click.argument("data", metavar="DATA")
@click.option(
    "-o", "--output", "prefix", metavar="PREFIX",
    help="Results go to PREFIX.mtz, .json and .log. Default: the model's name with _maps, in this folder.",
)  # fmt: skip
@click.option("--write-model", is_flag=True, help="Write the model too, with the statistics in its header.")
@config_options(without=("refine",))
def maps(model: str, data: str, prefix: str | None, write_model: bool, **values: Any) -> None:
    """Compute maps and statistics of MODEL against DATA without refining anything.

    Scale, bulk solvent and error model are fitted as in a refinement; the atoms stay where they are.
    """
    config = config_from(model, data, prefix or default_prefix(model, "_maps"), values, refine={"cycles": 0})
    run_job(config, write_model=write_model)
