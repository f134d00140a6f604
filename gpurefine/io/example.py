"""Unpack the example that is embedded in gpurefine."""

from __future__ import annotations

import gzip
import importlib.resources
from pathlib import Path

from ..errors import OutputError

MODEL_NAME = "1l2h_shaken.pdb"
DATA_NAME = "1l2h.mtz"


def write_example(folder: Path) -> tuple[Path, Path]:
    """Write the example's model and data into ``folder`` (made if missing); returns both paths.

    What they are and where they come from: :mod:`gpurefine.io.make_example`.
    """
    source = importlib.resources.files("gpurefine") / "data"
    model, data = folder / MODEL_NAME, folder / DATA_NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in (model, data):
            path.write_bytes(gzip.decompress((source / f"{path.name}.gz").read_bytes()))
    except OSError as error:
        raise OutputError(
            f"The example cannot be written into {folder}: {error.strerror or error}. Name a folder you may write to."
        ) from error
    return model, data
