"""The report as JSON: everything that measures gpurefine reads this file."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from ..config import Config
from ..model.records import Report
from .atomic import write_whole
from .deuterium_report import deuterium_json
from .occupancy_report import occupancy_json
from .reflections import DataSet
from .software import PROGRAM, program_version
from .tls_report import tls_json


def json_report(report: Report, config: Config, command: str, dataset: DataSet | None = None) -> dict[str, Any]:
    """The report as plain dictionaries, lists, numbers, strings and None (for what is absent or not a number).

    Args:
        report: what the refinement found; map coefficients are left out.
        config: options with their effective values; command: the command line.
        dataset: the data read, None where only the options tell of them.
    """
    source: dict[str, Any] = {"model": config.model, "data": config.data_file}
    if dataset is not None:
        source |= {
            "labels": dataset.labels,
            "kind": dataset.kind,
            "free_column": dataset.free_column,
            "space_group": dataset.crystal.hm,
            "cell": dataset.crystal.cell,
            "n_possible": len(dataset.reflections),
            "n_observed": dataset.reflections.observed.sum(),
            "wavelength": dataset.wavelength or None,
            "merging": dataset.merging,
        }
    messages = [*(dataset.messages if dataset is not None else ()), *report.messages]
    tree = {
        "program": PROGRAM,
        "version": program_version(),
        "device": report.device,
        "command": command,
        "input": source,
        "cycles": report.cycles,
        "shells": report.shells,
        "outliers": report.outliers,
        "scale": report.scale,
        "timing": report.timing,
        "timing_beside": report.timing_beside,
        "n_work": report.n_work,
        "n_free": report.n_free,
        "free_value": report.free_value,
        "d_min": report.d_min,
        "data_parameters": report.data_parameters,
        "twin": report.twin,
        "tls": tls_json(report.tls),
        "strict_ncs": report.ncs,
        "occupancies": occupancy_json(report.occupancies),
        "deuterium": deuterium_json(report.deuterium),
        "d_max": report.d_max,
        "weight": report.weight,
        "mean_b": report.mean_b,
        "anisotropy": report.anisotropy,
        "coordinate_error": report.coordinate_error,
        "restraints": report.restraints,
        "options": config.as_dict(),
        "messages": list(dict.fromkeys(messages)),
    }
    plain = _plain(tree)
    assert isinstance(plain, dict)
    return plain


def json_bytes(report: Report, config: Config, command: str, dataset: DataSet | None = None) -> bytes:
    """The whole file."""
    tree = json_report(report, config, command, dataset)
    return (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode("ascii")


def write_json(
    path: str | Path, report: Report, config: Config, command: str, dataset: DataSet | None = None
) -> None:
    """Write the report, whole or not at all.

    Raises:
        OutputError: it cannot be written.
    """
    write_whole(path, json_bytes(report, config, command, dataset))


def _plain(value: Any) -> Any:
    """``value`` in JSON's own types; NaN and infinities become None."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (Sequence, set, frozenset)):
        return [_plain(item) for item in value]
    return str(value)
