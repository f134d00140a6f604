"""``gpurefine maps``: statistics and maps of a model as it is."""

from __future__ import annotations

from typing import Any

import click

from .options import GroupedCommand, config_from, config_options
from .refine import config_file_option, run_job

AS_IT_IS = {"rigid": False, "rigid_domain": (), "rigid_file": None}
"""What a configuration file may ask of refinement does not move the model here."""


@click.command(cls=GroupedCommand, short_help="Maps and statistics of a model as it is.")
@click.argument("model", metavar="MODEL", required=False)
@click.argument("data", metavar="DATA", required=False)
@click.option(
    "-o", "--output", "prefix", metavar="PREFIX",
    help="Results go to PREFIX.mtz, .json, .log and .toml. Default: the model's name with _maps, in this folder.",
)  # fmt: skip
@config_file_option()
@click.option("--write-model", is_flag=True, help="Write the model too, with the statistics in its header.")
@config_options(without=("refine", "groups"))
def maps(
    model: str | None, data: str | None, prefix: str | None, config_file: str | None, write_model: bool, **values: Any
) -> None:
    """Compute maps and statistics of MODEL against DATA without refining anything.

    Scale, bulk solvent and error model are fitted as in a refinement; the atoms stay where they are.
    """
    files = {"model": model, "data_file": data, "prefix": prefix}
    config = config_from(files, config_file, values, "_maps", refine={"cycles": 0}, groups=AS_IT_IS)
    run_job(config, write_model=write_model)
