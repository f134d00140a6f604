"""What is installed is what stands in the tree: packages, package data, no shadowed names, no traces of a machine."""

from __future__ import annotations

import importlib.resources
import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
MAPPED = {"kernels": "gpurefine.kernels", "cli": "gpurefine.cli"}


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def folder_of(package: str) -> Path:
    """Folder of the tree that ``package`` is installed from."""
    for folder, name in MAPPED.items():
        if package == name or package.startswith(name + "."):
            return ROOT / folder / package[len(name) + 1 :].replace(".", "/")
    return ROOT / package.replace(".", "/")


def packages_in_tree() -> set[str]:
    """Dotted names of all folders with an ``__init__.py``."""
    found = {".".join(init.parent.relative_to(ROOT).parts) for init in (ROOT / "gpurefine").rglob("__init__.py")}
    for folder, name in MAPPED.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            found.add(".".join([name, *init.parent.relative_to(ROOT / folder).parts]))
    return found


def tracked_files() -> list[Path]:
    """Files under version control, or all text files where the tree is no git checkout."""
    try:
        listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
        paths = [ROOT / name for name in listing.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        folders = ("gpurefine", "kernels", "cli", "tests", "perf", "docs", ".ci")
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*")]
        paths += ROOT.glob("*.*")
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


def test_package_list_matches_tree(project: dict[str, Any]) -> None:
    listed = project["tool"]["setuptools"]["packages"]
    assert len(listed) == len(set(listed))
    assert set(listed) == packages_in_tree()


def test_every_python_file_lies_in_a_package() -> None:
    inside = {folder_of(package) for package in packages_in_tree()}
    for top in ("gpurefine", "kernels", "cli"):
        for path in (ROOT / top).rglob("*.py"):
            assert path.parent in inside, f"{path.relative_to(ROOT)} would not be installed: __init__.py is missing."


def test_every_data_file_is_package_data(project: dict[str, Any]) -> None:
    declared = project["tool"]["setuptools"]["package-data"]
    for package in packages_in_tree():
        folder = folder_of(package)
        globs = [*declared.get(package, []), *declared.get("*", [])]
        for pattern in declared.get(package, []):
            if package != "gpurefine.kernels":
                assert list(folder.glob(pattern)), f"No file matches the package data {pattern} of {package}."
        subpackages = {folder_of(other) for other in packages_in_tree()} - {folder}
        for path in folder.rglob("*"):
            if not path.is_file() or path.suffix in (".py", ".pyc") or subpackages & set(path.parents):
                continue
            name = PurePosixPath(path.relative_to(folder).as_posix())
            assert any(name.match(g) for g in globs), f"{path.relative_to(ROOT)} would be missing from a wheel."


def test_mapped_names_are_not_shadowed() -> None:
    for folder in MAPPED:
        assert (ROOT / folder / "__init__.py").is_file()
        assert not (ROOT / "gpurefine" / folder).exists()
        assert not (ROOT / "gpurefine" / f"{folder}.py").exists()


def test_modules_do_not_hide_packages() -> None:
    for package in packages_in_tree():
        folder = folder_of(package)
        assert not folder.with_suffix(".py").exists(), f"{folder.name}.py and {folder.name}/ claim the same name."


def test_embedded_files_are_readable_as_resources() -> None:
    data = importlib.resources.files("gpurefine") / "data"
    for name in ("1l2h.mtz.gz", "1l2h_shaken.pdb.gz"):
        assert (data / name).read_bytes()[:2] == b"\x1f\x8b"
    assert (importlib.resources.files("gpurefine") / "py.typed").is_file()


def test_embedded_files_are_small() -> None:
    assert sum(path.stat().st_size for path in (ROOT / "gpurefine" / "data").glob("1l2h*")) < 1_200_000


def test_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="gpurefine")
    assert script.value == "gpurefine.cli.main:main"
    assert callable(script.load())


def test_licence_files_exist(project: dict[str, Any]) -> None:
    for name in project["project"]["license-files"]:
        assert (ROOT / name).is_file(), f"{name} is named in pyproject.toml but does not exist."
    assert "Redistribution and use" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_version_has_one_value(project: dict[str, Any]) -> None:
    import gpurefine

    assert project["project"]["version"] == gpurefine.__version__
    assert f"## {gpurefine.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_path_of_a_machine_is_committed() -> None:
    pattern = re.compile(r"(?<![\w.~/-])/(?:work|farm|root|home|Users)/\w")
    for path in tracked_files():
        if path.suffix in (".gz", ".png", ".mtz"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            assert not pattern.search(line), f"{path.relative_to(ROOT)}, line {number}, names a path of one machine."


def test_files_are_short_enough_to_read() -> None:
    for path in tracked_files():
        if path.suffix in (".py", ".cu", ".cuh"):
            count = len(path.read_text(encoding="utf-8").splitlines())
            assert count < 400, f"{path.relative_to(ROOT)} has {count} lines; split it by idea (fewer than 400)."
