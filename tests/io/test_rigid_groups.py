"""Rigid bodies named by ranges and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gpurefine
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import InputError, UsageError
from gpurefine.io.rigid_groups import find_rigid_groups, names_of, parse_ranges, read_rigid_file
from gpurefine.model.tls import ResidueRange


@pytest.fixture(scope="module")
def chemistry(example: tuple[Path, Path]) -> Any:
    """The example's chain A, residues 3–151, with waters."""
    return gpurefine.read(*example).chemistry


@pytest.mark.parametrize(("text", "expected"), [
    ("A 1-90", (ResidueRange("A", "1", "90"),)),
    ("A 1-90, B 5A-40", (ResidueRange("A", "1", "90"), ResidueRange("B", "5A", "40"))),
    ("A -3 - 12; AA/200", (ResidueRange("A", "-3", "12"), ResidueRange("AA", "200", "200"))),
    ("B 1 through 7", (ResidueRange("B", "1", "7"),)),
    ("B", (ResidueRange("B", "-99999", "99999"),)),
    ("A 1-", None), ("", None), ("A 1-90 B 2-3", None),
])
def test_ranges(text: str, expected: tuple[ResidueRange, ...] | None) -> None:
    assert parse_ranges(text) == expected


def test_files_of_bodies(tmp_path: Path) -> None:
    path = tmp_path / "bodies.txt"
    path.write_text(
        "# two of ours, one of REFMAC's\nA 1-90, A 200\n\nB\n"
        "RIGIDBODY GROUP 3 FROM 1 C TO 20 C\nrigid group 3 from 30 C to 40 C excl SCHAINS\n"
    )
    bodies = read_rigid_file(str(path))
    assert [len(body.ranges) for body in bodies] == [2, 1, 2]
    assert bodies[2].ranges[1] == ResidueRange("C", "30", "40")
    for bad, told in (("A 1 to\n", "line 1"), ("\n", "no rigid body"), ("rigid group 1 from 1 A to 5 B\n", "line 1")):
        path.write_text(bad)
        with pytest.raises(InputError, match=told):
            read_rigid_file(str(path))


def test_a_chain_is_a_body_with_what_lies_next_to_it(chemistry: Any) -> None:
    found = find_rigid_groups(GroupOptions(rigid=True), chemistry)
    assert found.names == ("chain A",) and "chain A (" in names_of(found)
    atoms = chemistry.atoms
    water = np.array(["/HOH/" in label for label in chemistry.labels])
    assert (found.member[~water] == 0).all() and (found.member[water] == 0).any()
    assert np.array_equal(found.member[atoms.parent], found.member)


def test_what_is_wrong_with_bodies_is_told(chemistry: Any) -> None:
    with pytest.raises(InputError, match=r"both hold A/60/"):
        find_rigid_groups(GroupOptions(rigid_domain=("A 3-60", "A 60-151")), chemistry)
    with pytest.raises(UsageError, match="not understood"):
        find_rigid_groups(GroupOptions(rigid_domain=("A one to five",)), chemistry)
    with pytest.raises(InputError, match="No rigid body"):
        find_rigid_groups(GroupOptions(rigid_domain=("Q 1-5",)), chemistry)
    found = find_rigid_groups(GroupOptions(rigid_domain=("A 3-60, A 900-950", "Q 1-5", "A 70-151")), chemistry)
    assert found.names == ("A 3-60, A 900-950", "A 70-151")
    assert any("names A 900–950, which the model does not have" in told for told in found.messages)
    assert any("Q 1-5" in told and "left out" in told for told in found.messages)


def test_atoms_on_a_line_are_no_body(chemistry: Any) -> None:
    import dataclasses

    atoms = chemistry.atoms
    own = np.array([label.startswith("A/70/") for label in chemistry.labels])
    xyz = atoms.xyz.copy()
    xyz[own] = np.arange(own.sum())[:, None] * np.array([0.3, 0.4, 0.5])
    straight = dataclasses.replace(chemistry, atoms=dataclasses.replace(atoms, xyz=xyz))
    found = find_rigid_groups(GroupOptions(rigid_domain=("A 70", "A 80-151")), straight)
    assert found.names == ("A 80-151",)
    assert any("on a line" in told for told in found.messages)


def test_options_exclude_each_other(chemistry: Any) -> None:
    with pytest.raises(UsageError, match="not by both"):
        find_rigid_groups(GroupOptions(rigid_domain=("A 1-5",), rigid_file="x"), chemistry)
    with pytest.raises(UsageError, match="rigid-start"):
        GroupOptions(rigid_start=0.1)
