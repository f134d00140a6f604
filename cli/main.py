"""The command ``gpurefine`` and its subcommands."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import cast

import click

from gpurefine import __version__
from gpurefine.errors import interruptions

from . import failure

NAMES = ("refine", "maps", "fcalc", "dictionary", "freer", "truncate", "info", "example")
"""In the order of the workflow; each is defined in the module of its name."""


class Commands(Mapping[str, click.Command]):
    """The commands by name, each loaded when it is asked for."""

    def __getitem__(self, name: str) -> click.Command:
        """The command of that name."""
        if name not in NAMES:
            raise KeyError(name)
        command: click.Command = getattr(importlib.import_module(f".{name}", __package__), name)
        return command

    def __contains__(self, name: object) -> bool:
        """Whether there is such a command."""
        return name in NAMES

    def __iter__(self) -> Iterator[str]:
        """Their names."""
        return iter(NAMES)

    def __len__(self) -> int:
        """How many there are."""
        return len(NAMES)


class WorkflowGroup(click.Group):
    """Lists its commands in the order of the workflow (click sorts them by name)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(self.commands)


@click.group(cls=WorkflowGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="gpurefine")
def commands() -> None:
    """Refine macromolecular crystal structures against X-ray data.

    A model (PDB or mmCIF) and merged data (MTZ) go in; a better model, maps that Coot opens
    and the statistics come out.

    \b
    To begin with:
      gpurefine example demo
      gpurefine refine demo/1l2h_shaken.pdb demo/1l2h.mtz -o demo/refined
    """


commands.commands = cast(MutableMapping[str, click.Command], Commands())


def run(arguments: Sequence[str] | None = None, begun: float | None = None) -> int:
    """Run one command line (default: that of the process); returns the exit code.

    ``begun``: when the process was started, on the clock of time.perf_counter.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with failure.sigterm_raises(), interruptions():
            outcome = commands.main(given, prog_name="gpurefine", standalone_mode=False, obj=begun)
            sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError):
            failure.forget_output()
        return failure.report(error, failure.current_prefix(given))
    return outcome if isinstance(outcome, int) else 0


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the installed command."""
    from gpurefine.refinement.timing import process_age

    for library in ("OPENBLAS", "MKL"):
        # matrices are small here; the library's threads would only keep cores from ours while they wait for work
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    code = run(arguments, time.perf_counter() - process_age())
    gc.freeze()  # Python need not search for what can be freed: all of it goes with the process
    sys.exit(code)
