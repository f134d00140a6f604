"""Opening a file of reflections: MTZ or structure-factor mmCIF, compressed or not, always as gemmi's Mtz."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import gemmi
import numpy as np

from ..errors import InputError, UsageError
from ..model.merging import Merging
from .unmerged import is_unmerged, of_block, of_mtz, of_xds

LARGEST_INDEX = 20_000
"""Miller indices beyond this are damage."""

GEMMI_ERRORS = (RuntimeError, ValueError, OSError, LookupError, ArithmeticError, TypeError, MemoryError, EOFError)
"""What gemmi raises for files that are damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class DataFile:
    """``mtz``: the reflections, merged; ``messages``: what the user is to be told of the file; ``merging``: how well
    the observations agree, where the file was unmerged."""

    mtz: gemmi.Mtz
    messages: tuple[str, ...] = ()
    merging: Merging | None = None


def check_exists(path: str, what: str) -> None:
    """Raise InputError where ``path`` (a ``what``) is not a file that is there and not empty."""
    file = Path(path)
    if file.is_dir():
        raise InputError(f"{path} is a folder; give the {what} itself.")
    try:
        size = file.stat().st_size
    except OSError as error:
        raise InputError(f"The {what} {path} cannot be read ({error.strerror}); check the name.") from None
    except ValueError:
        raise InputError(f"The name of the {what} cannot be that of a file; check it.") from None
    if size == 0:
        raise InputError(f"The {what} {path} is empty.")


def open_data(path: str, block: str | None = None) -> DataFile:
    """The reflections in an MTZ file, a structure-factor mmCIF or an XDS_ASCII file; what it is, its content tells.

    Unmerged reflections are merged.  MTZ and mmCIF may be compressed (.gz).

    Args:
        path: the file; block: name of the block of an mmCIF to read, None for the first with merged data.

    Raises:
        InputError: the file is not there, not readable, or has no reflections.
        UsageError: a block of an MTZ file is asked for.
    """
    check_exists(path, "reflection file")
    head = _head(path)
    if not head.strip():
        raise InputError(f"The reflection file {path} is empty.")
    is_mtz, is_xds = head.startswith(b"MTZ "), b"!format=xds_ascii" in head.lower()
    if not (is_mtz or is_xds):
        _refuse_other_formats(head, path)
    if (is_mtz or is_xds) and block is not None:
        raise UsageError(f"--block is for mmCIF files; {path} is {'an MTZ' if is_mtz else 'an XDS_ASCII'} file.")
    try:
        file = _merged(of_xds(path)) if is_xds else _from_mtz(path, head) if is_mtz else _from_cif(path, block)
    except GEMMI_ERRORS as error:
        raise InputError(f"{path} cannot be read as reflections: {_reason(error, path)}.") from None
    mtz = file.mtz
    labels = [c.label for c in mtz.columns[:3]]
    if len(mtz.columns) < 4 or [c.type for c in mtz.columns[:3]] != ["H"] * 3:
        raise InputError(f"{path} does not begin with the columns H K L of type H (but {', '.join(labels)}).")
    if mtz.nreflections == 0:
        raise InputError(f"{path} holds no reflections.")
    _check_indices(mtz, path)
    return file


def _head(path: str) -> bytes:
    """The first bytes of the file, decompressed."""
    try:
        with open(path, "rb") as file:
            start = file.read(4096)
        if start[:2] != b"\x1f\x8b":
            return start
        if not path.lower().endswith(".gz"):
            raise InputError(f"{path} is compressed; give it a name that ends in .gz.")
        with gzip.open(path, "rb") as unpacked:
            return unpacked.read(4096)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"The reflection file {path} cannot be read: {_reason(error, path)}.") from None


def _refuse_other_formats(head: bytes, path: str) -> None:
    """Raise InputError with advice where the file is neither MTZ nor CIF."""
    text = head.decode("latin-1")
    lower = text.lower()
    if re.search(r"^\s*data_", lower, re.MULTILINE) or lower.lstrip().startswith(("#", "loop_", "_")):
        return
    if "nreflection=" in lower or "indexes" in lower or ("indices" in lower and "fobs" in lower):
        what = "a CNS or X-PLOR reflection file; convert it to MTZ (f2mtz or reflection_file_converter)"
    elif re.match(r"\s*1\s*\n\s*-98[0-9]\s*\n", text):
        what = "a Scalepack file; convert it to MTZ (scalepack2mtz, then ctruncate for amplitudes)"
    elif lower.startswith(("header", "cryst1", "atom  ", "remark", "title ")) or "\natom  " in lower:
        what = "a coordinate file; give the model first and the data second"
    elif re.match(r"(\s*-?\d+){3}(\s+-?[\d.]+){1,2}\s*(\d+\s*)?\n", text):
        what = "a table of indices and numbers such as SHELX writes; convert it to MTZ (f2mtz)"
    else:
        what = "neither an MTZ file, an mmCIF nor an XDS_ASCII file; give data in one of these formats"
    raise InputError(f"{path} is {what}.")


def _from_mtz(path: str, head: bytes) -> DataFile:
    """An MTZ file that begins with ``head``; what the header promises is checked before memory is asked for."""
    size = gemmi.estimate_uncompressed_size(path) if path.lower().endswith(".gz") else Path(path).stat().st_size
    order: Literal["big", "little"] = "big" if head[9:10] and head[9] & 0xF0 == 0x10 else "little"
    place = int.from_bytes(head[4:8], order, signed=True)
    if place == -1:  # more than 2³¹ words
        place = int.from_bytes(head[12:20], order, signed=True)
    if not 20 < place <= size // 4:
        raise InputError(f"{path} is cut short or damaged: its header is not where the file says it is.")
    header = gemmi.read_mtz_file(path, with_data=False)
    needed = 80 + 4 * len(header.columns) * max(header.nreflections, 0)
    if header.nreflections < 0 or needed > size:
        raise InputError(
            f"{path} is cut short or damaged: its header promises {header.nreflections} reflections in "
            f"{len(header.columns)} columns, more than it holds."
        )
    mtz = gemmi.read_mtz_file(path)
    _mend(mtz)
    if is_unmerged(mtz) and mtz.nreflections > 0:
        _check_indices(mtz, path)
        return _merged(of_mtz(mtz, path))
    return DataFile(mtz)


def _merged(outcome: tuple[gemmi.Mtz, Merging, str]) -> DataFile:
    mtz, merging, told = outcome
    return DataFile(mtz, (told,), merging)


def _check_indices(mtz: gemmi.Mtz, path: str) -> None:
    """Raise InputError where Miller indices are not whole numbers of a usual size."""
    hkl = np.asarray(mtz.array)[:, :3]
    if not np.isfinite(hkl).all():
        raise InputError(f"{path} has Miller indices that are not numbers; the file is damaged.")
    if np.abs(hkl).max() > LARGEST_INDEX or (hkl != np.rint(hkl)).any():
        raise InputError(f"{path} has Miller indices that are not whole numbers below {LARGEST_INDEX}; it is damaged.")


def _mend(mtz: gemmi.Mtz) -> None:
    """Give columns whose data set the header does not describe one of their own, and drop names that are no text.

    Raises:
        ValueError: a column's label is no text.
    """
    for column in mtz.columns:
        (column.label + column.type).encode("utf-8")
    for dataset in mtz.datasets:
        for name in ("project_name", "crystal_name", "dataset_name"):
            try:
                getattr(dataset, name)
            except UnicodeDecodeError:
                setattr(dataset, name, "unreadable")
    for lacking in sorted({c.dataset_id for c in mtz.columns} - {d.id for d in mtz.datasets}):
        mtz.add_dataset("unknown").id = lacking
    try:
        mtz.history = list(mtz.history)
    except UnicodeDecodeError:
        mtz.history = []


def _from_cif(path: str, wanted: str | None) -> DataFile:
    """The block asked for, or the first that has merged measurements."""
    blocks = [b for b in gemmi.as_refln_blocks(gemmi.cif.read(path)) if b.default_loop is not None]
    names = [b.block.name for b in blocks]
    if wanted is not None:
        blocks = [b for b in blocks if b.block.name == wanted]
        if not blocks:
            raise InputError(f"{path} has no block '{wanted}' with reflections; it has {', '.join(names) or 'none'}.")
    merged = [b for b in blocks if b.is_merged()]
    if not merged and blocks:
        return _merged(of_block(blocks[0], path))
    if not merged:
        raise InputError(f"{path} has no block of merged reflections (_refln).")
    converted = ((block, mtz) for block in merged if (mtz := gemmi.CifToMtz().convert_block_to_mtz(block)) is not None)
    first: tuple[gemmi.ReflnBlock, gemmi.Mtz] | None = None
    for block, mtz in converted:
        first = first or (block, mtz)
        if any(c.type in "FJGK" for c in mtz.columns):
            first = block, mtz
            break
    if first is None:
        raise InputError(f"{path} has no block of merged reflections (_refln).")
    block, mtz = first
    messages = []
    if len(names) > 1 and wanted is None:
        others = ", ".join(n for n in names if n != block.block.name)
        messages.append(f"{path} has {len(names)} blocks; {block.block.name} is read (--block chooses {others}).")
    messages += _heed_status(block, mtz)
    return DataFile(mtz, tuple(messages))


def _heed_status(block: gemmi.ReflnBlock, mtz: gemmi.Mtz) -> list[str]:
    """Leave out what _refln.status calls unreliable (x) or absent (-); test set by f where no other flag tells it."""
    loop = block.default_loop
    if loop is None or "_refln.status" not in loop.tags:
        return []
    column = list(loop.tags).index("_refln.status")
    status = np.array([gemmi.cif.as_string(loop[row, column]) for row in range(loop.length())])
    if len(status) != mtz.nreflections:
        return []
    table = np.array(mtz.array, dtype=np.float32)
    free = [c.idx for c in mtz.columns if c.label == "FreeR_flag"]
    if free and (status == "f").any():
        values = table[:, free[0]]
        if len(np.unique(values[np.isfinite(values)])) < 2:
            table[:, free[0]] = np.where(status == "f", 0.0, np.where(status == "o", 1.0, np.nan))
    bad = np.isin(status, ("x", "-"))
    if bad.all():
        raise InputError(f"Every reflection of block {block.block.name} has status x (unreliable) or - (absent).")
    mtz.set_data(np.ascontiguousarray(table[~bad]))
    if not bad.any():
        return []
    return [f"{int(bad.sum())} reflections with status x (unreliable) or - (absent) are left out."]


def _reason(error: Exception, path: str) -> str:
    """Gemmi's words without the path, which the sentence already names, and without a final stop."""
    if isinstance(error, MemoryError):
        return "its header asks for more memory than there is"
    words = str(error).replace(f": {path}", "").replace(path, "the file").strip().splitlines()
    return (words[0].rstrip(".") if words else "") or type(error).__name__
