"""Phases of a run do not overlap and leave nothing out."""

from __future__ import annotations

import threading
import time

import pytest

from gpurefine.refinement.timing import Timer, process_age


def test_an_inner_phase_is_taken_out_of_the_outer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 3.0, 6.0, 10.0, 11.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timer = Timer(before=0.5)
    with timer("outer"), timer("inner"):
        pass
    assert timer.table() == {"start": 0.5, "inner": 3.0, "outer": 6.0, "total": 11.5}


def test_a_phase_that_goes_on_counts_up_to_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 5.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    timer = Timer()
    with timer("output"):
        assert timer.table() == {"output": 3.0, "total": 4.0}


def test_what_another_thread_does_meanwhile_is_told_apart() -> None:
    timer = Timer()

    def meanwhile() -> None:
        with timer("contacts"), timer("restraints"):
            time.sleep(0.02)

    with timer("scale"):
        other = threading.Thread(target=meanwhile)
        other.start()
        other.join()
    assert set(timer.table()) == {"scale", "total"} and timer.seconds["scale"] >= 0.02
    assert set(timer.beside) == {"contacts", "restraints"} and timer.beside["restraints"] >= 0.02


def test_age_of_a_process_grows() -> None:
    first = process_age()
    time.sleep(0.03)
    assert first == 0.0 or 0.0 <= first < process_age()
