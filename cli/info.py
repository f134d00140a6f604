"""``gpurefine info``: what is installed, where it would run and which dictionary it would use."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterator

import click

from gpurefine import __version__
from gpurefine.config import ChemistryOptions

DEPENDENCIES = ("numpy", "scipy", "gemmi", "numba", "click", "rich")
OPTIONAL = ("cupy-cuda12x", "cupy-cuda13x")


def versions() -> Iterator[str]:
    """The installed dependencies, "name version" each."""
    for name in (*DEPENDENCIES, *OPTIONAL):
        try:
            yield f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            if name in DEPENDENCIES:
                yield f"{name} missing"


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def dictionary(options: ChemistryOptions) -> str:
    """The monomer library that a refinement would use."""
    from gpurefine.io.library_places import embedded_names, library_directory

    directory, origin = library_directory(options)
    if directory is None:
        return f"embedded in gpurefine ({len(embedded_names())} residues: gpurefine info --residues lists them)"
    return f"{directory} ({origin})"


@click.command(short_help="Version, devices, threads and the monomer library in use.")
@click.option("--monlib", metavar="DIR", help="Monomer library directory, as for gpurefine refine.")
@click.option("--residues", is_flag=True, help="List the residues of the embedded library and stop.")
@click.option("--compile", "compile_now", is_flag=True,
              help="Compile the kernels for the CPU and, if there is one, the GPU now, so that the first refinement "
              "need not.")  # fmt: skip
def info(monlib: str | None, residues: bool, compile_now: bool) -> None:
    """Show version, dependencies, devices, threads and the monomer library in use."""
    from gpurefine import backend

    if residues:
        from gpurefine.io.library_places import embedded_names

        click.echo(" ".join(embedded_names()))
        return
    rows = [
        ("gpurefine", __version__),
        ("Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        ("packages", ", ".join(versions())),
        ("threads", str(usable_cores())),
        *(("device", line) for line in backend.devices()),
        ("dictionary", dictionary(ChemistryOptions(monlib=monlib))),
    ]
    for label, text in rows:
        click.echo(f"{label:12}{text}")
    if compile_now:
        seconds, ready = backend.compile_kernels()
        click.echo(f"{'compiled':12}{', '.join(ready)} ({seconds:.0f} s)")
