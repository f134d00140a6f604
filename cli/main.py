"""The command ``gpurefine`` and its subcommands."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from gpurefine import __version__

from . import failure
from .dictionary import dictionary
from .example import example
from .fcalc import fcalc
from .freer import freer
from .info import info
from .maps import maps
from .refine import refine
from .truncate import truncate


class WorkflowGroup(click.Group):
    """Lists its commands in the order in which they are added (click sorts them by name)."""

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


for command in (refine, maps, fcalc, dictionary, freer, truncate, info, example):
    commands.add_command(command)


def run(arguments: Sequence[str] | None = None, begun: float | None = None) -> int:
    """Run one command line (default: that of the process); returns the exit code.

    ``begun``: when the process was started, on the clock of time.perf_counter.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with failure.sigterm_raises():
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

    sys.exit(run(arguments, time.perf_counter() - process_age()))
