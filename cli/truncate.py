"""``gpurefine truncate``: amplitudes of intensities."""

from __future__ import annotations

from typing import Any

import click

from gpurefine.config import DataOptions

from .options import GroupedCommand, group_options


@click.command(cls=GroupedCommand, short_help="Make amplitudes of intensities.")
@click.argument("data", metavar="DATA")
@click.option("-o", "--output", metavar="FILE.mtz", required=True, help="Amplitudes with the intensities.")
@group_options("data", DataOptions)
def truncate(data: str, output: str, **values: Any) -> None:
    """Estimate amplitudes of the intensities in DATA (MTZ or structure-factor mmCIF) as French and Wilson do.

    For other programs; gpurefine itself refines against intensities.
    """
    from gpurefine.io.freer import check_output
    from gpurefine.io.truncate import truncate as make

    options = DataOptions(**{name.removeprefix("data__"): value for name, value in values.items()})
    check_output(output, [data])
    result = make(data, options)
    result.write(output)
    for line in (*result.messages, f"Written: {output}"):
        click.echo(line)
