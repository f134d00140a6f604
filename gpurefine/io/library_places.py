"""Where monomer libraries are kept: the directory to use, its files, and the library embedded in gpurefine."""

from __future__ import annotations

import functools
import gzip
import os
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from gemmi import cif

from ..config import ChemistryOptions
from ..errors import InputError

LIST_FILE = Path("list") / "mon_lib_list.cif"
ENERGY_FILE = Path("ener_lib.cif")
# Names that a Windows file cannot have; the library spells them twice (CON_CON.cif).
RESERVED = frozenset(["AUX", "CON", "NUL", "PRN", *(f"{n}{k}" for n in ("COM", "LPT") for k in range(1, 10))])


def library_directory(options: ChemistryOptions) -> tuple[Path | None, str]:
    """The monomer library directory and how it was chosen, None where only the embedded library is left.

    Raises:
        InputError: a directory named by --monlib or $CLIBD_MON does not exist.
    """
    named = (("--monlib", options.monlib), ("the environment variable CLIBD_MON", os.environ.get("CLIBD_MON")))
    for origin, name in named:
        if not name:
            continue
        path = Path(name).expanduser()
        if not path.is_dir():
            raise InputError(
                f"The monomer library '{name}' given by {origin} is not a directory: "
                "correct it, or leave it out to use the library embedded in gpurefine."
            )
        return path, origin
    for path in usual_places():
        if path.is_dir():
            return path, "found in a usual place"
    return None, "embedded"


def usual_places() -> Iterator[Path]:
    """Directories in which CCP4 and Debian install the library, best first."""
    root = os.environ.get("CCP4")
    if root:
        yield Path(root) / "lib" / "data" / "monomers"
    for parent, pattern in (
        ("/opt", "ccp4*"), ("/opt/xtal", "ccp4*"), ("/usr/local", "ccp4*"), ("/usr/local/xtal", "ccp4*"),
        ("/Applications", "ccp4*"),
    ):
        for folder in sorted(Path(parent).glob(pattern), reverse=True):
            yield folder / "lib" / "data" / "monomers"
    yield Path("/usr/share/refmac/monomers")
    yield Path("/usr/share/refmac-dictionary/monomers")


def residue_file(directory: Path, name: str) -> Path | None:
    """The file of residue ``name`` in a library directory, None where there is none."""
    if not name or not name[0].isalnum() or "/" in name:
        return None
    stem = f"{name}_{name}" if name in RESERVED else name
    for suffix in (".cif", ".cif.gz"):
        path = directory / name[0].lower() / (stem + suffix)
        if path.is_file():
            return path
    return None


@functools.cache
def embedded_document() -> cif.Document:
    """The library embedded in gpurefine, as CIF; it is shared, so that nobody may change it."""
    packed = (files("gpurefine") / "data" / "monomers.cif.gz").read_bytes()
    return cif.read_string(gzip.decompress(packed).decode())


def embedded_names() -> list[str]:
    """Residues of the embedded library."""
    return [block.name[5:] for block in embedded_document() if block.name.startswith("comp_")]


def read_cif(path: Path, what: str) -> cif.Document:
    """Read a CIF file, gzipped or not.

    Raises:
        InputError: it does not exist or is not CIF.
    """
    if not path.is_file():
        raise InputError(f"The {what} '{path}' does not exist.")
    try:
        return cif.read(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"The {what} '{path}' cannot be read as CIF: {error}.") from None
