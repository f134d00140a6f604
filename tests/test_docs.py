"""The documentation is true: its Python runs, its commands exist, its tables agree with the code."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from gpurefine import errors
from gpurefine.cli.main import commands
from gpurefine.cli.options import GROUPS, flag_of, options_of
from gpurefine.io.example import write_example
from gpurefine.model import records

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """Line number and text of the page's code blocks in ``language``."""
    text = page.read_text(encoding="utf-8")
    return [(text[: m.start()].count("\n") + 2, m[2]) for m in BLOCK.finditer(text) if m[1] == language]


def table(page: Path, marker: str) -> list[list[str]]:
    """Cells of the body of the table that follows the comment ``<!-- marker -->``."""
    text = page.read_text(encoding="utf-8")
    rows = text.split(f"<!-- {marker} -->\n", 1)[1].split("\n\n", 1)[0].splitlines()
    # A row is split at the bars that are not inside `code`.
    return [[c.strip() for c in re.findall(r"(?:`[^`]*`|[^|`])+", row.strip().strip("|"))] for row in rows[2:]]


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Place and words of every gpurefine command in the shell blocks."""
    for page in PAGES:
        for line, text in blocks(page, "sh"):
            for piece in re.split(r"\n|&&", text):
                words = shlex.split(piece, comments=True)
                if words and Path(words[0]).name == "gpurefine":
                    yield f"{page.name}:{line}:{' '.join(words[1:3])}", words[1:]


PYTHON_PAGES = [page for page in PAGES if blocks(page, "python")]
COMMANDS = list(command_lines())


def test_there_is_something_to_check() -> None:
    assert {page.name for page in PYTHON_PAGES} >= {"README.md", "library.md"}
    assert len(COMMANDS) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_python_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_example(tmp_path / "demo")
    names: dict[str, Any] = {"__name__": "__main__"}
    for line, text in blocks(page, "python"):
        exec(compile("\n" * (line - 1) + text, str(page), "exec"), names)


@pytest.mark.parametrize(("place", "words"), COMMANDS, ids=[place for place, _ in COMMANDS])
def test_commands_exist(place: str, words: list[str]) -> None:
    assert words[0] in commands.commands, f"{place}: there is no command {words[0]}"
    command = commands.commands[words[0]]
    command.make_context(words[0], list(words[1:]))


def test_inline_commands_exist() -> None:
    for page in PAGES:
        for found in re.findall(r"`gpurefine (\w+)", page.read_text(encoding="utf-8")):
            assert found in commands.commands, f"{page.name} speaks of gpurefine {found}"


def test_options_table_names_every_option() -> None:
    rows = table(ROOT / "README.md", "options")
    named = {flag for row in rows for flag in re.findall(r"--[\w-]+", row[0])}
    expected = {flag_of(field) for group in GROUPS.values() for field in options_of(group)}
    assert named == expected


def test_options_table_has_the_defaults() -> None:
    defaults = {flag_of(field): field.default for group in GROUPS.values() for field in options_of(group)}
    checked = 0
    for row in table(ROOT / "README.md", "options"):
        flags = re.findall(r"--[\w-]+", row[0])
        for position, flag in enumerate(flags):
            default, told = defaults[flag], row[1]
            if isinstance(default, bool):
                assert told == ("yes" if default else "no"), flag
            elif isinstance(default, str):
                assert told.strip("`") == default, flag
            elif isinstance(default, (int, float)) and default:
                assert float(told.split(", ")[position if ", " in told else 0]) == default, flag
            else:
                continue
            checked += 1
    assert checked >= 15


def test_mentioned_options_exist() -> None:
    known = {spelling for c in commands.commands.values() for p in c.params for spelling in p.opts}
    known |= {spelling for p in commands.params for spelling in p.opts} | {"--help"}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = BLOCK.sub("", page.read_text(encoding="utf-8")).replace("coot --pdb", "").replace("--auto", "")
        for found in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
            assert found in known, f"{page.name} mentions {found}"


def test_exit_codes_are_those_of_the_errors() -> None:
    told = {int(code) for row in table(ROOT / "README.md", "exit codes") for code in row[0].split(", ")}
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.GpurefineError)]
    raised = {c.exit_code for c in classes if c is not errors.GpurefineError}
    assert told == raised | {0, 70, 143}


@pytest.mark.parametrize(
    "record",
    [records.CycleRecord, records.ShellRecord, records.OutlierRecord, records.ScaleRecord, records.RestraintRecord],
)
def test_report_fields_are_described(record: type) -> None:
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    for field in dataclasses.fields(record):
        assert f"`{field.name}`" in text, f"docs/files.md does not describe {record.__name__}.{field.name}"


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("https://"):
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_readme_commands_are_one_block_each() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for marker in ("install and refine", "install and test"):
        block = text.split(f"<!-- {marker} -->\n```sh\n")[1].split("```")[0]
        assert len(block.strip().splitlines()) == 1
        assert block.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_commands_have_help() -> None:
    for name, command in commands.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"gpurefine {name} {parameter.opts[0]} has no help text"
