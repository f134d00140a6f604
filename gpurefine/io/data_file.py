"""Opening a file of reflections: MTZ or structure-factor mmCIF, compressed or not, always as gemmi's Mtz."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from ..errors import InputError


def check_exists(path: str, what: str) -> None:
    """Raise InputError where ``path`` (a ``what``) is not a file that is there and not empty."""
    file = Path(path)
    if file.is_dir():
        raise InputError(f"{path} is a folder; give the {what} itself.")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError(f"The {what} {path} cannot be read ({error.strerror}); check the name.") from None
    if size == 0:
        raise InputError(f"The {what} {path} is empty.")


def open_data(path: str) -> gemmi.Mtz:
    """The reflections in an MTZ file (.mtz) or a structure-factor mmCIF (.cif, .ent, .mmcif), also with .gz.

    Raises:
        InputError: the file is not there, not readable, unmerged, or has no reflections.
    """
    check_exists(path, "reflection file")
    stem = path.lower().removesuffix(".gz")
    try:
        is_cif = stem.endswith((".cif", ".mmcif", ".ent"))
        mtz = _from_cif(path) if is_cif else gemmi.read_mtz_file(path)
    except InputError:
        raise
    except (RuntimeError, ValueError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as reflections: {_reason(error, path)}.") from None
    if len(mtz.batches) or mtz.column_with_label("M/ISYM") is not None:
        raise InputError(f"{path} holds unmerged reflections; merge them first (for instance with aimless).")
    if mtz.nreflections == 0:
        raise InputError(f"{path} holds no reflections.")
    if not np.isfinite(np.asarray(mtz.array)[:, :3]).all():
        raise InputError(f"{path} has Miller indices that are not numbers; the file is damaged.")
    return mtz


def _from_cif(path: str) -> gemmi.Mtz:
    """The first block with merged reflections."""
    blocks = gemmi.as_refln_blocks(gemmi.cif.read(path))
    for block in blocks:
        if block.is_merged():
            mtz = gemmi.CifToMtz().convert_block_to_mtz(block)
            if mtz is not None:
                return mtz
    raise InputError(f"{path} has no block of merged reflections (_refln).")


def _reason(error: Exception, path: str) -> str:
    """Gemmi's words without the path, which the sentence already names, and without a final stop."""
    return str(error).replace(f": {path}", "").replace(path, "the file").strip().rstrip(".") or type(error).__name__
