"""Imports point downward only, and each outside package has one home.

The rules are checked on the syntax tree, so that imports inside functions, under ``TYPE_CHECKING`` and through
``importlib.import_module`` count as well.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LAYERS = (
    {"cli"},
    {"__init__"},
    {"job"},
    {"fcalc", "checkpoints", "group_choice"},
    {"refinement", "io"},
    {"forward", "target", "restraints", "params"},
    {"model", "optimise"},
    {"backend"},
    {"kernels"},
    {"config_file"},
    {"config"},
    {"config_groups"},
    {"option"},
    {"errors", "constants"},
)
"""Top to bottom; parts of one layer do not import each other.  ``__init__`` is the package's own front."""

RANK = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}
HOMES = {"cupy": "backend", "cupyx": "backend", "gemmi": "io", "click": "cli", "rich": "cli"}
"""Outside packages that only one part may import."""

FREE_OF_THE_FRONT = {"__version__"}
"""What lower parts may take from ``gpurefine`` itself."""


def files() -> list[Path]:
    """All Python files that are installed."""
    return sorted(path for folder in ("gpurefine", "cli", "kernels") for path in (ROOT / folder).rglob("*.py"))


def module_name(path: Path) -> list[str]:
    """Dotted name under which ``path`` is installed, in pieces."""
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return parts if parts[0] == "gpurefine" else ["gpurefine", *parts]


def imports(tree: ast.AST, module: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Line and full dotted name (in pieces) of everything that ``tree``, the code of ``module``, imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")
        elif isinstance(node, ast.ImportFrom):
            stem = module[: len(module) - node.level] if node.level else []
            stem = stem + (node.module.split(".") if node.module else [])
            for alias in node.names:
                yield node.lineno, [*stem, alias.name]
        elif isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            if name in ("import_module", "__import__") and node.args and isinstance(node.args[0], ast.Constant):
                target = str(node.args[0].value)
                level = len(target) - len(target.lstrip("."))
                stem = module[: len(module) - level] if level else []
                yield node.lineno, [*stem, *target[level:].split(".")]


def violations(source: str, module: list[str]) -> list[str]:
    """What the code ``source`` of ``module`` imports against the rules, one sentence each."""
    me = module[1]
    found = []
    for line, target in imports(ast.parse(source), module):
        where = f"{'.'.join(module)}, line {line}, imports {'.'.join(target)}"
        if target[0] != "gpurefine":
            home = HOMES.get(target[0], me)
            if home != me:
                found.append(f"{where}: only gpurefine.{home} may.")
            continue
        part = target[1] if len(target) > 1 and target[1] in RANK else "__init__"
        if part == "__init__" and (target[1:] and target[1] in FREE_OF_THE_FRONT):
            continue
        if part != me and RANK[part] <= RANK[me]:
            found.append(f"{where}: {part} does not stand below {me}.")
    return found


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_keep_the_rules(path: Path) -> None:
    module = module_name(path)
    assert len(module) > 1
    assert module[1] in RANK, f"{path.relative_to(ROOT)} belongs to no layer: add it to LAYERS."
    assert violations(path.read_text(encoding="utf-8"), module) == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gpurefine.model.atoms", "from gpurefine.io import symmetry"),
        ("gpurefine.model.atoms", "from ..io import symmetry"),
        ("gpurefine.model.atoms", "def f():\n    from ..io.symmetry import unique_hkl"),
        ("gpurefine.model.atoms", "import importlib\nimportlib.import_module('..job', __package__)"),
        ("gpurefine.model.atoms", "if TYPE_CHECKING:\n    from ..forward import density"),
        ("gpurefine.model.atoms", "from ..optimise import cg"),
        ("gpurefine.forward.density", "from ..target.amplitude import Rice"),
        ("gpurefine.io.mtz", "from ..refinement import problem"),
        ("gpurefine.refinement.cycle", "from ..io import structure"),
        ("gpurefine.backend.ops", "from ..model.atoms import Atoms"),
        ("gpurefine.errors", "from .config import Config"),
        ("gpurefine.io.mtz", "import gpurefine"),
        ("gpurefine.io.mtz", "from .. import Problem"),
        ("gpurefine.job", "from gpurefine.cli import main"),
        ("gpurefine.refinement.maps", "import gemmi"),
        ("gpurefine.forward.fourier", "import cupy as cp"),
        ("gpurefine.forward.fourier", "import cupyx.scipy.fft"),
        ("gpurefine.job", "import click"),
        ("gpurefine.io.log_out", "from rich.table import Table"),
    ],
)
def test_breaches_are_seen(module: str, source: str) -> None:
    assert len(violations(source, module.split("."))) >= 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gpurefine.cli.refine", "import click\nfrom . import options\nfrom gpurefine import job"),
        ("gpurefine.job", "from .io import structure\nfrom .refinement import problem\nfrom .config import Config"),
        ("gpurefine.io.mtz", "import gemmi\nfrom .symmetry import unique_hkl\nfrom ..model.crystal import Crystal"),
        ("gpurefine.io.mtz", "from .. import __version__\nfrom gpurefine import __version__"),
        ("gpurefine.backend.cuda", "import cupy\nfrom ..errors import DeviceError"),
        ("gpurefine.forward.density", "import numpy as np\nfrom ..backend import ops"),
    ],
)
def test_permitted_imports_pass(module: str, source: str) -> None:
    assert violations(source, module.split(".")) == []
