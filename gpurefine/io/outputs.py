"""All files of a run: prepared first, then given their names together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import gemmi

from ..config import Config
from ..config_file import config_text
from ..model.records import Report
from .atomic import Staged, discard, publish, stage
from .json_out import json_bytes
from .log_out import log_text
from .model_out import mmcif_text, no_pdb_message, pdb_misfit, pdb_text
from .mtz_out import mtz_bytes
from .reflections import DataSet
from .tls_file import tls_file_text


def write_all(
    prefix: str,
    structure: gemmi.Structure,
    document: gemmi.cif.Document | None,
    dataset: DataSet,
    report: Report,
    config: Config,
    command: str,
    with_model: bool = True,
    timing: Callable[[], dict[str, float]] | None = None,
) -> list[str]:
    """Write PREFIX.cif, .pdb (where the model fits the format), .mtz, .json, .log and .toml.

    Nothing appears under its name before all are on disk.  A .pdb of an earlier run under the same prefix is removed
    where this model does not fit the format, so that it is not taken for this run's.

    Args:
        prefix: start of the names.
        structure: the refined model; document: the mmCIF it was read from, None for PDB.
        dataset: data as read; report: what the refinement found; config: options; command: the command line.
        with_model: write the model files too; without, only the others.
        timing: seconds by phase, asked for just before the report is written, after the large files.

    Returns:
        What the user is to be told: the files written, and a PDB file that was not.

    Raises:
        OutputError: a file cannot be written; then none of those not yet in place is left behind.
    """
    notes = []
    contents = {".mtz": mtz_bytes(dataset, report.maps)}
    misfit = None
    if with_model:
        contents[".cif"] = mmcif_text(structure, document, report, config, dataset).encode("utf-8")
        misfit = pdb_misfit(structure)
    if with_model and misfit is None:
        contents[".pdb"] = pdb_text(structure, report, config, dataset).encode("utf-8")
    elif misfit is not None:
        notes.append(no_pdb_message(f"{prefix}.pdb", misfit))
        report.messages.append(notes[0])
    if with_model and report.tls is not None:
        contents[".tls"] = tls_file_text(report.tls.groups, report.tls.values).encode("utf-8")
    written = [
        f"{prefix}{suffix}  {what}"
        for suffix, what in (
            (".cif", "refined model, mmCIF"),
            (".pdb", "refined model, PDB"),
            (".mtz", "data and map coefficients"),
            (".json", "report for programs"),
            (".log", "this log"),
            (".toml", "options of this run, for --config"),
            (".tls", "TLS groups, as REFMAC writes and reads them"),
        )
        if suffix in contents or suffix in (".json", ".log", ".toml")
    ]
    staged: list[Staged] = []
    try:
        for suffix, content in contents.items():
            staged.append(stage(prefix + suffix, content))
        if timing is not None:
            report.timing = timing()
        contents[".json"] = json_bytes(report, config, command, dataset)
        contents[".log"] = log_text(report, config, dataset, command, written, notes).encode("utf-8")
        contents[".toml"] = config_text(config).encode("utf-8", "replace")
        for suffix in (".json", ".log", ".toml"):
            staged.append(stage(prefix + suffix, contents[suffix]))
    except BaseException:
        discard(staged)
        raise
    publish(staged)
    if misfit is not None:
        with contextlib.suppress(OSError):
            Path(prefix + ".pdb").unlink(missing_ok=True)
    names = ", ".join(prefix + suffix for suffix in sorted(contents))
    return [f"Written: {names}.", *notes]
