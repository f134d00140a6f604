"""Programs that worked on a structure: gpurefine itself and those the input files tell of."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import gemmi

PROGRAM = "gpurefine"


@dataclass(frozen=True, slots=True)
class Software:
    """One item of the mmCIF category _software; empty where not known."""

    name: str
    version: str = ""
    classification: str = ""
    date: str = ""


def program_version() -> str:
    """Version of gpurefine as installed."""
    try:
        return version(PROGRAM)
    except PackageNotFoundError:
        return "not installed"


def dependency_versions() -> dict[str, str]:
    """Versions of gpurefine, Python and the packages whose arithmetic or libraries a result may depend on."""
    found = {PROGRAM: program_version(), "python": platform.python_version()}
    for name in ("numpy", "scipy", "numba", "gemmi"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def software_of_history(history: Sequence[str]) -> tuple[Software, ...]:
    """Programs that left a line in an MTZ history (gemmi, which adds itself as the reader of the history, left out)."""
    return tuple(
        Software(item.name, item.version, _classification(item), item.date)
        for item in gemmi.get_software_from_mtz_history(list(history))
        if item.name != "gemmi"
    )


def _classification(item: gemmi.SoftwareItem) -> str:
    words = {
        "DataCollection": "data collection",
        "DataExtraction": "data extraction",
        "DataProcessing": "data processing",
        "DataReduction": "data reduction",
        "DataScaling": "data scaling",
        "ModelBuilding": "model building",
        "Phasing": "phasing",
        "Refinement": "refinement",
    }
    return words.get(item.classification.name, "")
