"""Inputs of a comparison: real cases named in a TOML file, and boxes made by perf/make_box.py."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .machine import ROOT

BOXES = {"5k": 4, "20k": 16, "100k": 80}
"""Copies in the boxes that have names; ``box:N`` is one of N copies, ``box:N:D`` one with data to D Å."""


@dataclass(frozen=True, slots=True)
class Case:
    """One model and its data.

    Attributes:
        labels: columns of the data, separated by commas; free: value that marks the test set.
        source: xray, neutron or electron; adp: iso or aniso; twin: treat as a twin; ligand: dictionaries.
        n_atoms: atoms without hydrogens.
    """

    name: str
    model: Path
    data: Path
    labels: str
    free: int | None
    n_atoms: int
    free_file: Path | None = None
    source: str = "xray"
    adp: str = "iso"
    twin: bool = False
    ligand: tuple[Path, ...] = ()


def count_atoms(model: Path) -> int:
    """Atoms of a PDB or mmCIF file that are not hydrogens, without a parser (this process stays small)."""
    count = 0
    with open(model, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("ENDMDL"):
                break
            if line.startswith(("ATOM", "HETATM")):
                element = line[76:78].strip() if model.suffix in (".pdb", ".ent") else line.split()[2]
                count += element.upper() not in ("H", "D")
    return count


def read_cases(file: Path, root: Path | None, names: list[str]) -> list[Case]:
    """The cases called ``names`` in a TOML file; paths in it are relative to ``root`` (default: the file's folder).

    Raises:
        SystemExit: a case or a file does not exist.
    """
    table: dict[str, dict[str, Any]] = tomllib.loads(file.read_text(encoding="utf-8"))
    folder = (root or file.parent).resolve()
    cases = []
    for name in names:
        if name not in table:
            raise SystemExit(f"{file} has no case '{name}'; it has {', '.join(table)}.")
        entry = table[name]
        model = folder / entry["model"]
        for path in (model, folder / entry["hklin"]):
            if not path.is_file():
                raise SystemExit(f"{path}, which the case '{name}' names, does not exist.")
        cases.append(
            Case(
                name, model, folder / entry["hklin"], entry["labin"], entry.get("free"), count_atoms(model),
                folder / entry["hklin_free"] if "hklin_free" in entry else None, entry.get("source", "xray"),
                entry.get("adp", "iso"), entry.get("twin", False), tuple(folder / f for f in entry.get("ligand", ())),
            )
        )
    return cases


def is_box(name: str) -> bool:
    """Whether ``name`` names a box."""
    return name in BOXES or name.startswith("box:")


def box_case(name: str, folder: Path) -> Case:
    """Make the box called ``name`` in ``folder`` (kept if it is there already), in a process of its own."""
    parts = name.split(":")
    copies = BOXES[name] if name in BOXES else int(parts[1])
    d_min = float(parts[2]) if len(parts) > 2 else 2.0
    place = folder / f"box_{copies}_{d_min:g}"
    if not (place / "data.mtz").is_file():
        command = [sys.executable, "-m", "perf.make_box", str(place.resolve()), "--copies", str(copies)]
        subprocess.run([*command, "--d-min", str(d_min)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    pdb = place / "model.pdb"
    model = (pdb if pdb.is_file() else place / "model.cif").resolve()
    return Case(name, model, (place / "data.mtz").resolve(), "FP,SIGFP,FREE", 0, count_atoms(model))


def collect(names: list[str], file: Path | None, root: Path | None, work: Path) -> list[Case]:
    """All cases called ``names``, boxes made below ``work``; without names all of ``file``, else the box 5k."""
    if not names:
        names = list(tomllib.loads(file.read_text(encoding="utf-8"))) if file else ["5k"]
    cases = []
    for name in names:
        if is_box(name):
            cases.append(box_case(name, work))
        elif file is None:
            raise SystemExit(f"'{name}' is no box ({', '.join(BOXES)}, box:N); --cases must name the file it is in.")
        else:
            cases += read_cases(file, root, [name])
    return cases
