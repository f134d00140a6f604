"""PREFIX.checkpoint: a refinement between two cycles, kept until its results are written.

A NumPy archive without pickled objects: the arrays by name, and ``meta``, everything else as JSON.  The archive's own
checksums tell a damaged file.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .atomic import write_whole

SUFFIX = ".checkpoint"
FORMAT = 1
"""Raised when what a checkpoint holds changes its meaning."""


@dataclass(frozen=True, slots=True, eq=False)
class StoredState:
    """What a checkpoint file holds: ``arrays`` by name and ``meta``, plain dictionaries, lists, numbers and texts."""

    arrays: dict[str, NDArray[Any]]
    meta: dict[str, Any]


def checkpoint_path(prefix: str) -> Path:
    """The checkpoint of the run with this output prefix."""
    return Path(prefix + SUFFIX)


def write_checkpoint(prefix: str, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]) -> None:
    """Replace the checkpoint, whole or not at all.

    Raises:
        OutputError: it cannot be written; the one before is untouched.
    """
    text = json.dumps({"gpurefine_checkpoint": FORMAT, **meta})
    members: dict[str, Any] = {**arrays, "meta": np.frombuffer(text.encode("utf-8"), np.uint8)}
    write_whole(checkpoint_path(prefix), lambda file: np.savez(file, **members))


def read_checkpoint(prefix: str) -> StoredState:
    """The checkpoint of the run with this output prefix.

    Raises:
        InputError: there is none, it cannot be read, is damaged or of another version.
    """
    path = checkpoint_path(prefix)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(
            f"There is no checkpoint {path}; a run that has finished leaves none, and one that was stopped before its "
            f"first statistics has to be started anew."
        ) from None
    except OSError as error:
        raise InputError(f"The checkpoint {path} cannot be read: {error.strerror or error}.") from None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        meta = json.loads(arrays.pop("meta").tobytes().decode("utf-8"))
        form = meta["gpurefine_checkpoint"]
    except (KeyError, TypeError, ValueError, EOFError, OSError, AttributeError, zipfile.BadZipFile, zlib.error,
            NotImplementedError, RuntimeError):  # fmt: skip
        raise damaged(prefix) from None
    if form != FORMAT:
        raise InputError(
            f"The checkpoint {path} was written by another version of gpurefine; go on with that version or start anew."
        )
    return StoredState(arrays, meta)


def remove_checkpoint(prefix: str) -> None:
    """Delete the checkpoint, once its results are written."""
    with contextlib.suppress(OSError):
        checkpoint_path(prefix).unlink(missing_ok=True)


def damaged(prefix: str) -> InputError:
    """The error for a file that is no usable checkpoint."""
    return InputError(
        f"{checkpoint_path(prefix)} is damaged or no checkpoint of gpurefine; start the refinement anew."
    )


def file_digest(path: str | Path) -> str | None:
    """SHA-256 of a file's content, None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
