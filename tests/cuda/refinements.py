"""Whole refinements on two devices, compared cycle by cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import gpurefine
from gpurefine import job
from gpurefine.config import Config

R_TOLERANCE = 2e-4
XYZ_TOLERANCE = 0.005
"""Å, r.m.s."""


def refine(config: Config, backend: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Cycles and final positions (n, 3) of a run on ``backend``."""
    with monkeypatch.context() as patch:
        patch.setattr(job, "create", lambda *_: backend)
        result = gpurefine.run(config)
    return result.report.cycles, positions(config.output(".cif"))


def positions(path: Path) -> Any:
    """Positions (n, 3) of all atoms of a file, as written."""
    return np.array([site.atom.pos.tolist() for site in gemmi.read_structure(str(path))[0].all()])


def assert_alike(a: tuple[Any, Any], b: tuple[Any, Any]) -> None:
    """Every cycle's R to 2·10⁻⁴, the final positions to 0.005 Å r.m.s."""
    assert len(a[0]) == len(b[0])
    for one, other in zip(a[0], b[0], strict=True):
        assert abs(one.r_work - other.r_work) < R_TOLERANCE, one.cycle
        assert abs(one.r_free - other.r_free) < R_TOLERANCE, one.cycle
        assert abs(one.rmsd_bond - other.rmsd_bond) < R_TOLERANCE, one.cycle
    assert np.sqrt(((a[1] - b[1]) ** 2).sum(axis=1).mean()) < XYZ_TOLERANCE
