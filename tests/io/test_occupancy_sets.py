"""Which atoms become a set of alternatives: bonded residues of the same letters, hydrogens with their parents."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_models import one_chain

from gpurefine.config_groups import GroupOptions
from gpurefine.errors import InputError
from gpurefine.io.occupancy_groups import find_occupancy_groups
from gpurefine.io.occupancy_report import LISTED, occupancy_json, occupancy_lines
from gpurefine.model.occupancy import OccupancyGroups, OccupancyResult
from gpurefine.model.topology import Bonds

# residue, atom, conformer, occupancy
ATOMS = (
    (1, "C", "A", 0.6), (1, "C", "B", 0.4), (2, "N", "A", 0.6), (2, "N", "B", 0.4), (2, "H", "A", 0.1),
    (2, "H", "B", 0.2), (3, "N", "A", 0.3), (3, "N", "B", 0.3), (3, "N", "C", 0.3), (4, "CB", "A", 0.5),
    (5, "CB", "A", 0.7), (5, "CB", "B", 0.3), (6, "O", "", 0.8), (6, "H1", "", 1.0),
    (7, "C", "", 1.0), (7, "CB", "A", 0.5), (7, "CB", "B", 0.5), (7, "OG", "A", 0.5), (7, "OG", "B", 0.5),
    (7, "HG", "", 0.5), (8, "N", "", 1.0), (8, "CB", "A", 0.5), (8, "CB", "B", 0.5),
)  # fmt: skip
LABELS = tuple(f"A/{number}/ALA/{name}" + (f".{alt}" if alt else "") for number, name, alt, _ in ATOMS)


def chemistry(changes: dict[str, float] | None = None) -> Any:
    """Residue 1 is bonded to 2 in both conformers, 2 to 3, which has a third, and 4, which has one, to 5.

    7 and 8 are bonded by what both conformers share, and one's A to the other's B.
    """
    rows = [
        ("HOH" if number == 6 else "ALA", number, name, name[0], alt or "\0", occ, (k, 0, 0))
        for k, (number, name, alt, occ) in enumerate(ATOMS)
    ]
    pairs = np.array([(0, 2), (1, 3), (2, 6), (3, 7), (9, 10), (2, 4), (3, 5), (14, 20), (15, 22)], np.int32)
    n = len(pairs)
    bonds = Bonds(pairs, np.ones(n), np.ones(n), np.zeros(n, np.int32), np.zeros((n, 3), np.int32))
    parent = np.arange(len(ATOMS), dtype=np.int32)
    parent[[4, 5, 13, 19]] = 2, 3, 12, 17
    occ = np.array([(changes or {}).get(label, row[5]) for label, row in zip(LABELS, rows, strict=True)])
    return SimpleNamespace(
        structure=one_chain(rows), labels=LABELS, topology=SimpleNamespace(bonds=bonds),
        atoms=SimpleNamespace(parent=parent, occ=occ),
    )


def groups_of(options: GroupOptions, **changes: Any) -> tuple[OccupancyGroups, list[str]]:
    found, told = find_occupancy_groups(options, chemistry(**changes))
    assert found is not None
    return found, told


def test_bonded_residues_of_the_same_letters_are_one_set() -> None:
    groups, told = groups_of(GroupOptions(refine_occupancies=True))
    assert groups.names == (
        "A/1–2 A", "A/1–2 B", "A/3 A", "A/3 B", "A/3 C", "A/5 A", "A/5 B", "A/7 A", "A/7 B", "A/8 A", "A/8 B",
    )  # fmt: skip
    assert groups.sets == ((0, 1), (2, 3, 4), (5, 6), (7, 8), (9, 10)) and all(groups.complete)
    # hydrogens go with what carries them; a residue with one letter, and water, stay
    np.testing.assert_array_equal(
        groups.member, [0, 1, 0, 1, 0, 1, 2, 3, 4, -1, 5, 6, -1, -1, -1, 7, 8, 7, 8, 7, -1, 9, 10]
    )
    assert groups.residues[0] == ("A/1", "A/2") and groups.residues[2] == ("A/3",)
    assert told == [
        "Atoms of one occupancy group differ in occupancy and start from their mean: A/1–2 A, A/1–2 B.",
        "Occupancies of alternatives do not sum to 1 and are made to: A/1–2 A, A/3 A.",
        "Occupancies: 11 groups in 5 sets are refined.",
    ]


def test_what_is_right_is_not_told() -> None:
    right = {"A/2/ALA/H.A": 0.6, "A/2/ALA/H.B": 0.4, "A/3/ALA/N.A": 0.4}
    _, told = groups_of(GroupOptions(refine_occupancies=True), changes=right)
    assert told == ["Occupancies: 11 groups in 5 sets are refined."]


def test_a_free_occupancy_need_not_be_one() -> None:
    groups, told = groups_of(GroupOptions(occupancy_of=("waters",)), changes={"A/6/ALA/H1": 0.8})
    np.testing.assert_array_equal(groups.member, [*[-1] * 12, 0, 0, *[-1] * 9])
    assert groups.complete == (False,) and told == ["Occupancies: 1 groups in 1 sets are refined."]
    # with conformers asked for as well, what is in a set already stays there
    groups, _ = groups_of(GroupOptions(refine_occupancies=True, occupancy_of=("A/3", "A/6", "waters")))
    assert len(groups.sets) == 6 and groups.names[-1] == "A/6"
    # of one conformer, the occupancy of a residue says nothing
    nothing, told = find_occupancy_groups(GroupOptions(occupancy_of=("A/4", "A/5")), chemistry())
    assert nothing is None and "No atom has an occupancy to refine" in told[0]


def test_keywords_that_contradict_each_other(tmp_path: Any) -> None:
    path = tmp_path / "occ.txt"
    one, two = (f"occupancy group id {alt} chain A residue 1 alt {alt}\n" for alt in "AB")
    for text, words in (
        (one + two + "occupancy group alts complete A B\noccupancy group alts incomplete B A\n", "stands in two sets"),
        (one + "occupancy group alts perhaps A B\n", "line 2: .* is not understood"),
        ("occupancy group id 1 chain A residue from 1 to\n", "line 1: .* is not understood"),
        ("occupancy group id 1 colour A\n", "is not understood"),
        ("occupancy group id 1 chain\n", "is not understood"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=words):
            groups_of(GroupOptions(occupancy_groups=str(path)))
    path.write_text(one + two + "occupancy group alts incomplete A B\n! nothing\n")
    groups, _ = groups_of(GroupOptions(occupancy_groups=str(path), refine_occupancies=True))
    assert groups.sets[0] == (0, 1) and groups.complete[0] is False
    # atoms of the file are not taken a second time: of residues 1 and 2 the second is left
    assert "A/2 A" in groups.names and groups.member[0] == 0
    lines = ["occupancy group id C chain A residue 3 alt C", "occupancy group id B chain A residue 3 alt B"]
    lines += [f"occupancy group id O{alt} chain A residue 7 atom OG alt {alt}" for alt in "AB"]
    path.write_text("\n".join(lines))
    groups, _ = groups_of(GroupOptions(occupancy_groups=str(path), refine_occupancies=True))
    assert groups.names[:4] == ("C", "B", "OA", "OB") and not any(name.startswith("A/3") for name in groups.names)
    np.testing.assert_array_equal(groups.member[[6, 7, 8, 17, 18, 19]], [-1, 1, 0, 2, 3, 2])
    assert [groups.names[g] for g in groups.member[[15, 16]]] == ["A/7 A", "A/7 B"]


def test_report_of_many_groups() -> None:
    n = LISTED + 3
    member = np.repeat(np.arange(n), 2)
    groups = OccupancyGroups(
        tuple(f"g{k}" for k in range(n)), member.astype(np.int32), ((0, 1), *((k,) for k in range(2, n))),
        (True, *[False] * (n - 2)), tuple(tuple(f"A/{j}" for j in range(k % 8 + 1)) for k in range(n)),
    )  # fmt: skip
    found = OccupancyResult(groups, np.linspace(0.0, 1.0, n))
    lines = occupancy_lines(found)
    assert lines[0].split() == ["group", "occupancy", "set", "residues"] and len(lines) == LISTED + 2
    assert lines[2].split() == ["g1", f"{1 / (n - 1):.3f}", "1", "(sum", "1)", "A/0", "A/1"]
    assert lines[3].split()[:3] == ["g2", f"{2 / (n - 1):.3f}", "2"] and "sum" not in lines[3]
    assert lines[8].endswith("A/5 and 2 more") and lines[6].endswith("A/5")
    assert lines[-1] == "… and 3 groups more, which the JSON report lists."
    told = occupancy_json(found)
    assert told is not None and len(told["groups"]) == n and told["groups"][5]["n_atoms"] == 2
    assert told["sets"][0] == {"groups": ["g0", "g1"], "complete": True}
    assert occupancy_json(None) is None
    few = OccupancyGroups(("a",), np.zeros(2, np.int32), ((0,),), (False,), (("A/1",),))
    assert len(occupancy_lines(OccupancyResult(few, np.array([0.5])))) == 2
