"""What a result must say about where it was measured: machine, versions, commit, date."""

from __future__ import annotations

import datetime
import json
import os
import platform
import re
import subprocess
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gpurefine.backend.create import cpu_count, cpu_model

ROOT = Path(__file__).resolve().parents[1]
WORK = Path(tempfile.gettempdir()) / "gpurefine-perf"
"""Where boxes are kept and programs run, unless told otherwise."""

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("gpurefine", "numpy", "scipy", "numba", "llvmlite", "gemmi")


def memory_gb() -> float | None:
    """Main memory of the machine, GB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError):
        return None


def package_version(name: str) -> str | None:
    """Version of an installed package, None where there is none."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def commit() -> str | None:
    """Commit of the checkout, with "+changes" where tracked files of the program differ from it."""
    try:
        short = _git("rev-parse", "--short=12", "HEAD")
        changed = _git("status", "--porcelain", "--untracked-files=no", "--", "gpurefine", "cli", "kernels", "perf")
    except (OSError, subprocess.CalledProcessError):
        return None
    return short + ("+changes" if changed else "")


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=True, text=True).stdout.strip()


def describe() -> dict[str, Any]:
    """Machine, versions, commit and date of a measurement that begins now."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "cpu": cpu_model(), "cores": cpu_count(), "memory_gb": memory_gb(), "system": platform.system(),
            "architecture": platform.machine(), "load_before": None if load is None else round(load, 2),
        },
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
    }


def heading(about: dict[str, Any]) -> str:
    """Two lines to print above a table."""
    machine, versions = about["machine"], about["versions"]
    line = f"{machine['cpu']}, {machine['cores']} cores, load before {machine['load_before']}; commit {about['commit']}"
    load, cores = machine["load_before"], machine["cores"]
    if load is not None and load > 0.3 * cores:
        line += "\nWarning: other work was running when this measurement began; times are not to be trusted."
    return line + "\n" + ", ".join(f"{name} {value}" for name, value in versions.items() if value)


def save(path: Path, result: dict[str, Any], tell: bool = True) -> None:
    """Write a result as JSON, folder made if missing; the folders of absolute paths are left out of it."""
    text = json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(without_folders(text) + "\n", encoding="utf-8")
    if tell:
        print(f"Saved: {path}")


def without_folders(text: str) -> str:
    """``text`` with the folders of absolute paths taken out, which say nothing on other machines."""
    return re.sub(r"(?<![\w.~/…-])/(?:[\w.+~-]+/)+", "", text)
