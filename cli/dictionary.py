"""``gpurefine dictionary``: where restraints come from, and a dictionary to begin with for unknown residues."""

from __future__ import annotations

from typing import Any

import click

from gpurefine.config import ChemistryOptions

from .options import GroupedCommand, config_options


@click.command(cls=GroupedCommand, short_help="Where restraints come from; dictionaries for unknown residues.")
@click.argument("model", metavar="MODEL")
@click.option(
    "-o", "--output", metavar="FILE.cif",
    help="Write a dictionary, to begin with, of the residues that have none; give it to refine with --ligand.",
)  # fmt: skip
@config_options(
    without=(
        "data", "solvent", "refine", "run", "chemistry.unknown_residues", "chemistry.hydrogens",
        "chemistry.write_hydrogens", "chemistry.turning_waters",
    )
)  # fmt: skip
def dictionary(model: str, output: str | None, **values: Any) -> None:
    """Tell for every kind of residue in MODEL (PDB or mmCIF) which file its restraints come from.

    For residues that no dictionary has, -o writes one: values of a similar residue of the embedded library where there
    is one, else bonds and angles as they are in the model. It keeps a ligand together while you wait for a proper
    dictionary (AceDRG, Grade2, eLBOW), and says in the file what it is.
    """
    from gpurefine.io.dictionary_report import dictionary_report, short_source

    options = ChemistryOptions(monlib=values["chemistry__monlib"], ligand=tuple(values["chemistry__ligand"]))
    report = dictionary_report(model, options)
    click.echo(f"Library: {report.library}")
    for message in report.messages:
        click.echo(message)
    click.echo(f"\n{'residue':9}{'number':>7}  {'first':12}restraints from")
    for residue in report.residues:
        click.echo(f"{residue.name:9}{residue.count:7d}  {residue.first:12}{short_source(residue)}")
    if report.unknown:
        click.echo(f"\nNo restraints are known for {' '.join(report.unknown)}.")
        for component in report.made:
            click.echo(f"  {component.name} can be made from: {component.origin}")
        for sentence in report.refused:
            click.echo(f"  {sentence}")
    if output is not None:
        report.write(output)
        click.echo(f"Written: {output} (to be used with --ligand {output})")
    elif report.made:
        click.echo("Write them with -o FILE.cif, or give dictionaries of your own with --ligand.")
