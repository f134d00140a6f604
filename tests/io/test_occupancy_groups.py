"""Occupancy groups of a model and of REFMAC's keywords; a wrong conformer goes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.occupancy_groups import find_occupancy_groups
from gpurefine.params.rigid import rotation_matrices


def planted(source: Path, target: Path, numbers: tuple[int, ...]) -> None:
    """Side chains at ½ as given (A) and at ½ turned by 120° about CA–CB, where no density is (B)."""
    structure = gemmi.read_structure(str(source))
    for residue in structure[0]["A"]:
        if residue.seqid.num in numbers and not residue.is_water():
            place = {atom.name: np.array(atom.pos.tolist()) for atom in residue}
            origin, axis = place["CB"], place["CB"] - place["CA"]
            turn = rotation_matrices(np.radians(120.0) * axis[None] / np.linalg.norm(axis))[0]
            side = [atom for atom in residue if atom.name not in ("N", "CA", "C", "O", "CB")]
            others = [atom.clone() for atom in side]
            for atom in side:
                atom.altloc, atom.occ = "A", 0.5
            for other in others:
                other.pos = gemmi.Position(*(turn @ (place[other.name] - origin) + origin))
                other.altloc, other.occ = "B", 0.5
                residue.add_atom(other)
    structure.write_pdb(str(target))


@pytest.fixture(scope="module")
def problem(example: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("occupancy") / "two.pdb"
    planted(example[0], path, (42, 68))
    return gpurefine.read(path, example[1], threads=1, hydrogens="drop", refine_occupancies=True, cycles=2)


def test_conformers_of_a_residue_are_a_set(problem: Any) -> None:
    groups = problem.groups.occupancies
    first = groups.names.index("A/42 A")
    assert groups.names[first + 1] == "A/42 B" and (first, first + 1) in groups.sets
    assert {"A/68 A", "A/68 B"} < set(groups.names) and all(groups.complete)
    assert f"{len(groups)} groups in {len(groups.sets)} sets" in " ".join(problem.messages)


def test_a_wrong_conformer_goes(problem: Any, tmp_path: Path) -> None:
    seen = []

    def keep(snapshot: Any) -> None:
        seen.append(problem.groups.occupancies.occupancies(snapshot.values.occ))

    result = problem.attempt(problem.config.refine, None, keep)
    sums = [np.array(seen)[:, list(members)].sum(axis=1) for members in problem.groups.occupancies.sets]
    assert len(seen) == 6 and np.abs(np.array(sums) - 1.0).max() < 1e-6
    last = dict(zip(problem.groups.occupancies.names, seen[-1], strict=True))
    assert last["A/42 B"] < 0.1 and last["A/68 B"] < 0.1
    result.write(str(tmp_path / "out"))
    told = json.loads((tmp_path / "out.json").read_text())["occupancies"]
    entry = next(group for group in told["groups"] if group["name"] == "A/68 A")
    assert entry["residues"] == ["A/68"] and entry["occupancy"] == last["A/68 A"] and entry["n_atoms"] > 2
    assert {"groups": ["A/68 A", "A/68 B"], "complete": True} in told["sets"]
    table = (tmp_path / "out.log").read_text().split("Occupancies\n")[1].split("\n\n")[0]
    row = next(line.split() for line in table.splitlines() if line.startswith("A/68 A"))
    assert row[2] == f"{last['A/68 A']:.3f}" and row[-1] == "A/68"
    written = gemmi.read_structure(str(tmp_path / "out.pdb"))[0]["A"]["68"][0]
    shares = {atom.altloc: atom.occ for atom in written if atom.altloc != "\0"}
    assert shares["A"] == pytest.approx(last["A/68 A"], abs=0.006) and shares["A"] + shares["B"] == pytest.approx(1.0)


def test_keywords(problem: Any, tmp_path: Path) -> None:
    path = tmp_path / "occ.txt"
    path.write_text(
        "occupancy group id 1 chain A residue from 42 to 43 alt A\n"
        "occupancy group id 2 chain A residue from 42 to 43 alt B\n"
        "occupancy group id w chain A residue 68 atom CG alt A  # one atom\n"
        "occupancy group alts complete 1 2\noccupancy refine\n"
    )
    groups, _ = find_occupancy_groups(GroupOptions(occupancy_groups=str(path)), problem.chemistry)
    assert groups is not None and groups.names == ("1", "2", "w")
    assert groups.sets == ((0, 1), (2,)) and groups.complete == (True, False)
    assert (groups.member == 2).sum() == 1
    for bad, told in (
        ("occupancy group id 1 chain A residue x\n", "line 1"),
        ("occupancy group id 1 chain A residue 42\noccupancy group alts complete 1 7\n", "no occupancy group 7"),
        ("occupancy group id 1 chain A residue 42\noccupancy group id 2 chain A residue 42 alt A\n", "both hold A/42"),
        ("occupancy refine\n", "names no occupancy group"), ("group 1 2 3\n", "not understood"),
    ):
        path.write_text(bad)
        with pytest.raises(InputError, match=told):
            find_occupancy_groups(GroupOptions(occupancy_groups=str(path)), problem.chemistry)
    path.write_text("occupancy group id 1 chain Q residue 1\noccupancy group id 2 chain A residue 68\n")
    groups, told = find_occupancy_groups(GroupOptions(occupancy_groups=str(path)), problem.chemistry)
    assert groups is not None and groups.names == ("2",) and "the model has no atoms" in told[0]


def test_waters_and_single_residues(problem: Any) -> None:
    groups, _ = find_occupancy_groups(GroupOptions(occupancy_of=("waters", "A/10")), problem.chemistry)
    water = np.array(["/HOH/" in label for label in problem.chemistry.labels])
    assert groups is not None and (groups.member[water] >= 0).all() and not any(groups.complete)
    assert groups.names[-1] == "A/10"
    with pytest.raises(UsageError, match="no such residue"):
        find_occupancy_groups(GroupOptions(occupancy_of=("XYZ",)), problem.chemistry)
    nothing, told = find_occupancy_groups(GroupOptions(occupancy_of=("A/42",)), problem.chemistry)
    assert nothing is None and "No atom" in told[0]
