"""``gpurefine example``: something to refine right after installation."""

from __future__ import annotations

import shlex
from pathlib import Path

import click


@click.command(short_help="Write the embedded example into a folder.")
@click.argument("folder", metavar="[DIR]", default="gpurefine_example")
def example(folder: str) -> None:
    """Write the embedded example (model and data) into DIR and show how to refine it.

    It is Protein Data Bank entry 1L2H (interleukin-1β at 1.54 Å) with coordinates shaken by 0.25 Å and every B set to
    the mean, so that there is something to improve.
    """
    from gpurefine.io.example import write_example

    model, data = write_example(Path(folder))
    click.echo(f"Written: {model}\nWritten: {data}\n\nTo refine it:\n")
    click.echo("  " + shlex.join(["gpurefine", "refine", str(model), str(data), "-o", str(Path(folder) / "refined")]))
