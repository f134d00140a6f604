"""Options in a TOML file: everything there is, nothing else, and back again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpurefine.config import (
    GROUPS,
    AnomalousOptions,
    ChemistryOptions,
    Config,
    DataOptions,
    LikelihoodOptions,
    RefineOptions,
    RunOptions,
    SolventOptions,
)
from gpurefine.config_file import (
    check_values,
    config_from_values,
    config_text,
    is_ours,
    merged,
    read_config_file,
    tomllib,
)
from gpurefine.config_groups import GroupOptions
from gpurefine.errors import InputError, UsageError

FULL = Config(
    "in/m.cif", "d.mtz", "out/x",
    DataOptions(
        labels="F,SIGF", prefer="intensities", free_flag=3, free_file="free.mtz", phases="A,B,C,D",
        phases_file="hl.mtz", source="electron", block="xray", d_min=2.0, d_max=30.0,
    ),
    ChemistryOptions("lib", ("a.cif", "b.cif"), "keep", "drop", True, True),
    SolventOptions("simple", "both", 1.1, 0.9, 0.7, True, True),
    RefineOptions(
        cycles=3, weight="0.5", rmsz="0.4,0.9", adp="fixed", fix_xyz=True, adp_weight=2.0, reset_b=25.0, shake=0.2,
        shake_seed=4,
    ),
    LikelihoodOptions(True, True, True, ("k,h,-l",), True, 0.5),
    AnomalousOptions(True, 0.98, ("Se,-8,4",), True, "d.mtz", "xe.pdb"),
    GroupOptions(
        rigid=True, rigid_domain=("A 1-9",), rigid_file="r.txt", rigid_cycles=7, rigid_start=12.0,
        rigid_search=4.0,
        tls="a.tls", tls_groups=3, tls_cycles=4, tls_reset=True, tls_residual_b=True, refine_occupancies=True,
        occupancy_groups="occ.txt", occupancy_of=("waters",), refine_dfraction=True, dfraction_sigma=0.1,
        occupancy_cycles=2, b_groups="b.txt",
    ),
    RunOptions("cpu", 2, True, True, True),
)  # fmt: skip


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "options.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_groups_are_those_of_the_configuration() -> None:
    assert list(GROUPS) == [f.name for f in dataclasses.fields(Config)][3:]


@pytest.mark.parametrize("config", [FULL, Config("m.pdb", "d.mtz", "x")], ids=["full", "defaults"])
def test_what_is_written_is_read_back(tmp_path: Path, config: Config) -> None:
    path = written(tmp_path, config_text(config))
    assert config_from_values(read_config_file(path)) == config
    assert is_ours(path)


def test_full_configuration_differs_from_the_defaults_everywhere() -> None:
    for name, kind in GROUPS.items():
        for field in dataclasses.fields(kind):
            if f"{name}.{field.name}" in ("likelihood.intensities", "groups.fix_dfraction"):
                continue  # these contradict french_wilson and refine_dfraction
            assert getattr(getattr(FULL, name), field.name) != field.default, f"{name}.{field.name} is not tested"


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0.0, 3.0), st.integers(-(2**60), 2**60))
def test_any_text_and_number_survives(text: str, number: float, integer: int) -> None:
    config = Config(
        text, text, text, DataOptions(labels=text, free_flag=integer), ChemistryOptions(ligand=(text, text)),
        SolventOptions(probe_radius=number),
    )  # fmt: skip
    values = check_values(tomllib.loads(config_text(config)), "x")
    assert config_from_values(values) == config


def test_only_what_the_file_states_is_there(tmp_path: Path) -> None:
    values = read_config_file(written(tmp_path, 'prefix = "x"\n[data]\nd_min = 2\n[refine]\n'))
    assert values == {"prefix": "x", "data": {"d_min": 2.0}, "refine": {}}
    assert isinstance(values["data"]["d_min"], float)


@pytest.mark.parametrize(("text", "expected"), [("true", 30.0), ("25", 25.0)])
def test_b_is_reset_with_or_without_a_number(tmp_path: Path, text: str, expected: float) -> None:
    values = read_config_file(written(tmp_path, f"[refine]\nreset_b = {text}\n"))
    assert values["refine"]["reset_b"] == expected


def test_later_layers_win_option_by_option() -> None:
    low = {"model": "a", "data": {"d_min": 2.0, "labels": "F"}}
    high = {"model": "b", "data": {"d_min": 3.0}, "run": {"threads": 1}}
    assert merged(low, high) == {"model": "b", "data": {"d_min": 3.0, "labels": "F"}, "run": {"threads": 1}}
    assert low == {"model": "a", "data": {"d_min": 2.0, "labels": "F"}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dta]\n", "no group 'dta'; did you mean data"),
        ("speed = 3\n", "no group 'speed'; there are model, data_file"),
        ("[data]\nd-min = 2\n", "group [data]: there is no option 'd-min'; did you mean d_min"),
        ("[data]\ncolour = 1\n", "there is no option 'colour'; there are labels"),
        ("model = 3\n", "model must be text in quotes, not 3"),
        ('data = "d.mtz"\n', "called data_file"),
        ("refine = 10\n", "must be written as [refine]"),
        ('[data]\nd_min = "2"\n', "d_min must be a number, not '2'"),
        ("[data]\nd_min = nan\n", "d_min must be a number"),
        ("[data]\nd_min = true\n", "d_min must be a number, not true"),
        ("[data]\nfree_flag = 1.0\n", "free_flag must be a whole number"),
        ("[data]\nlabels = 5\n", "labels must be text in quotes"),
        ("[refine]\nreset_b = false\n", "reset_b must be a number"),
        ("[refine]\nfix_xyz = 1\n", "fix_xyz must be true or false"),
        ("[refine]\ncycles = true\n", "cycles must be a whole number"),
        ('[chemistry]\nligand = "a.cif"\n', "ligand must be a list of texts"),
        ("[chemistry]\nligand = [1]\n", "ligand must be a list of texts"),
        ('[solvent]\nscale = "rough"\n', "scale must be one of smooth, simple, not 'rough'"),
        ('[refine]\nweight = "heavy"\n', "--weight must be auto or a number"),
        ("[refine]\ncycles = -1\n", "--cycles must be 0 or more"),
    ],
)
def test_what_makes_no_sense_is_refused_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        read_config_file(path)
    assert str(path) in str(caught.value) and words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"a = ", "not valid TOML"), (b"a = '\xff'", "not a text file"), (None, "does not exist")],
)
def test_unreadable_files_are_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "o.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_config_file(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_config_file(tmp_path)


def test_a_file_by_somebody_else_is_not_ours(tmp_path: Path) -> None:
    assert not is_ours(written(tmp_path, 'model = "x"\n'))
    assert is_ours(tmp_path / "missing.toml")


def test_defaults_of_a_missing_option_are_those_of_the_group() -> None:
    values: dict[str, Any] = {"model": "m", "data_file": "d", "prefix": "p", "refine": {"cycles": 1}}
    assert config_from_values(values) == Config("m", "d", "p", refine=RefineOptions(cycles=1))
