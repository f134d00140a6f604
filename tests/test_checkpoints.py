"""Checkpoints are written beside the work; that one failed is told once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from gpurefine import checkpoints
from gpurefine.backend import create
from gpurefine.checkpoints import Keeper
from gpurefine.config import Config
from gpurefine.errors import OutputError


@pytest.fixture(params=[1, 2])
def keeper(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    monkeypatch.setattr(checkpoints, "to_plain", lambda snapshot: ({}, {"number": snapshot}))
    monkeypatch.setattr(checkpoints, "problem_fingerprint", lambda *given: "")
    monkeypatch.setattr(checkpoints, "INTERVAL", 0.0)
    config = Config("model.pdb", "data.mtz", str(tmp_path / "run"))
    backend = create("cpu", request.param)
    return Keeper(config, backend, None, None, False)  # type: ignore[arg-type]


def test_failure_is_told_once_and_later_ones_are_kept(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[int] = []

    def write(prefix: str, arrays: Any, meta: Any) -> None:
        if meta["state"]["number"] < 2:
            raise OutputError("The disk is full.")
        kept.append(meta["state"]["number"])
        Path(prefix + ".checkpoint").touch()

    monkeypatch.setattr(checkpoints, "write_checkpoint", write)
    told = [keeper.keep(number) for number in range(4)]  # type: ignore[arg-type]
    told.append(keeper.finish())
    assert sum(message is not None for message in told) == 1
    assert any(message and "The disk is full." in message for message in told[:2])
    assert keeper.usable and kept == [2, 3]
    keeper.remove()
    assert not keeper.usable


def test_what_is_being_written_is_waited_for(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on, kept = threading.Event(), []

    def write(prefix: str, arrays: Any, meta: Any) -> None:
        if keeper._writer is not None:
            assert go_on.wait(20.0)
        kept.append(meta["state"]["number"])
        Path(prefix + ".checkpoint").touch()

    monkeypatch.setattr(checkpoints, "write_checkpoint", write)
    assert keeper.keep(7) is None  # type: ignore[arg-type]
    assert kept == ([7] if keeper._writer is None else [])
    go_on.set()
    assert keeper.usable and kept == [7]
    assert keeper.keep(8) is None  # type: ignore[arg-type]
    keeper.remove()
    assert kept == [7, 8] and not Path(keeper.prefix + ".checkpoint").exists()


def test_cycles_in_quick_succession_are_written_when_the_run_stops(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def write(prefix: str, arrays: Any, meta: Any) -> None:
        kept.append(meta["state"]["number"])
        Path(prefix + ".checkpoint").touch()

    monkeypatch.setattr(checkpoints, "write_checkpoint", write)
    monkeypatch.setattr(checkpoints, "INTERVAL", 3.0)
    now = 100.0
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now)
    for number, now in enumerate([100.0, 101.0, 102.9, 103.0, 105.9, 106.5, 107.0, 109.4]):  # noqa: B007
        assert keeper.keep(number) is None  # type: ignore[arg-type]
    keeper.finish()
    assert kept == [0, 3, 5]
    assert keeper.usable and kept == [0, 3, 5, 7]
    assert keeper.usable and kept == [0, 3, 5, 7]
    now = 109.4
    keeper.keep(8)  # type: ignore[arg-type]
    keeper.remove()
    assert kept == [0, 3, 5, 7] and not keeper.usable
