"""``gpurefine freer``: test sets made, completed and extended."""

from __future__ import annotations

from typing import Any

import click

from gpurefine.config import FreeSetOptions

from .options import GroupedCommand, group_options


@click.command(cls=GroupedCommand, short_help="Make, complete or extend a test set.")
@click.argument("data", metavar="DATA")
@click.option("-o", "--output", metavar="FILE.mtz", required=True, help="Data with the complete test set.")
@group_options("free", FreeSetOptions)
def freer(data: str, output: str, **values: Any) -> None:
    """Give every reflection of DATA (MTZ or structure-factor mmCIF) a place in the test set or outside.

    Without a test set one is made, as CCP4 numbers it (0 to 19, 0 is the test set). One that is there is kept,
    completed, and extended to the resolution of the data. Reflections that the lattice relates are kept together, so
    that the set serves twinned crystals and molecules related by NCS.
    """
    from gpurefine.io.freer import check_output, make_free_set

    options = FreeSetOptions(**{name.removeprefix("free__"): value for name, value in values.items()})
    check_output(output, [data, options.from_file])
    result = make_free_set(data, options)
    result.write(output)
    for line in (*result.messages, f"Written: {output}"):
        click.echo(line)
