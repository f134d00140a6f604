"""``gpurefine fcalc``: structure factors of a model, and how exact they are."""

from __future__ import annotations

import click


@click.command(short_help="Structure factors of a model, and how exact they are.")
@click.argument("model", metavar="MODEL")
@click.option("--d-min", type=click.FloatRange(min=0.0, min_open=True), required=True, metavar="D",
              help="High-resolution limit. [Å]")  # fmt: skip
@click.option("--direct", is_flag=True, help="Also sum over all atoms exactly (slow) and show how far the two differ.")
@click.option("-o", "--output", metavar="FILE.mtz", help="Write the structure factors (columns FC, PHIC).")
@click.option("--threads", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="CPU threads; 0 means all cores.")  # fmt: skip
@click.option("--source", type=click.Choice(["auto", "xray", "neutron", "electron"]), default="auto",
              show_default=True, help="What is scattered; auto: by the model's experimental method.")  # fmt: skip
def fcalc(model: str, d_min: float, direct: bool, output: str | None, threads: int, source: str) -> None:
    """Compute structure factors of MODEL (PDB or mmCIF), atoms only, without bulk solvent.

    They come from the density on a grid and a Fourier transform. With --direct every reflection is summed over every
    atom as well, and the table tells how far the two differ: the program checks itself.
    """
    from gpurefine import job

    factors = job.structure_factors(model, d_min, direct=direct, threads=threads, source=source)
    title = f"{'d_max':>8}{'d_min':>8}{'number':>10}{'rms |F|':>12}"
    click.echo(title + (f"{'rms |dF| / rms |F|':>22}" if direct else ""))
    for shell in factors.shells:
        row = f"{shell.d_max:8.2f}{shell.d_min:8.2f}{shell.count:10d}{shell.rms_f:12.4g}"
        click.echo(row + (f"{shell.relative_difference:22.2e}" if direct else ""))
    if direct:
        click.echo(f"{'all':>16}{factors.count:10d}{factors.rms_f:12.4g}{factors.relative_difference:22.2e}")
    if output is not None:
        factors.write(output)
        click.echo(f"Written: {output}")
