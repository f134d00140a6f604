"""Two things at the same time: what each may use, whose errors are told, and that nothing goes on behind one's back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numba as nb
import pytest

from gpurefine.backend import create
from gpurefine.backend.cpu.backend import CpuBackend

SECONDS = 20.0
"""For a thread that would wait for ever if the other did not run."""


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> CpuBackend:
    """Of two threads, whatever this machine has."""
    backend = create("cpu", 2)
    assert isinstance(backend, CpuBackend)
    monkeypatch.setattr(backend, "threads", 2)
    if nb.threading_layer() not in ("omp", "tbb"):
        pytest.skip("numba's threads here serve one thread only")
    return backend


def test_both_run_at_the_same_time(cpu: CpuBackend) -> None:
    met = threading.Barrier(2)
    with cpu.beside(lambda: met.wait(SECONDS)) as result:
        met.wait(SECONDS)  # neither comes past this alone
        assert result() in (0, 1)


@pytest.mark.parametrize("name", ["reference", "one thread", "unsafe"])
def test_one_after_the_other_where_two_cannot_be(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend: Any = create("reference") if name == "reference" else create("cpu", 1)
    if name == "unsafe":
        monkeypatch.setattr(backend, "threads", 2)
        monkeypatch.setattr(nb, "threading_layer", lambda: "workqueue")
    order: list[str] = []
    with backend.beside(lambda: order.append(threading.current_thread().name)) as result:
        order.append("body")
        result()
    assert order == [threading.current_thread().name, "body"] and not backend.concurrent


def test_the_cores_are_shared_out(cpu: CpuBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "threads", 5)
    inside, waits = threading.Event(), threading.Event()
    seen: dict[str, int] = {}

    def work() -> None:
        seen["helper"] = cpu.ready
        inside.set()
        waits.wait(SECONDS)
        deadline = time.monotonic() + SECONDS
        while cpu.ready != 5 and time.monotonic() < deadline:  # the other waits for this one
            time.sleep(0.001)
        seen["helper at last"] = cpu.ready

    assert cpu.ready == 5
    with cpu.beside(work) as result:
        inside.wait(SECONDS)
        seen["caller"] = cpu.ready
        waits.set()
        result()
        assert cpu.ready == 5
    assert seen == {"helper": 2, "caller": 3, "helper at last": 5} and cpu.ready == 5


def test_the_caller_has_all_cores_once_the_other_has_ended(cpu: CpuBackend) -> None:
    with cpu.beside(lambda: None):
        deadline = time.monotonic() + SECONDS
        while cpu.ready != 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        assert cpu.ready == 2


def test_the_work_has_ended_when_the_body_is_left(cpu: CpuBackend) -> None:
    done: list[int] = []

    def work() -> None:
        time.sleep(0.05)
        done.append(1)

    with cpu.beside(work):
        pass  # does not ask for the result
    assert done == [1]
    with pytest.raises(KeyboardInterrupt), cpu.beside(work):
        raise KeyboardInterrupt
    assert done == [1, 1] and cpu.ready == 2


@pytest.mark.parametrize("asks", [True, False])
def test_an_error_of_the_work_is_raised(cpu: CpuBackend, asks: bool) -> None:
    with pytest.raises(ZeroDivisionError), cpu.beside(lambda: 1 / 0) as result:
        if asks:
            result()
    assert cpu.ready == 2


def test_an_error_of_the_body_comes_first(cpu: CpuBackend) -> None:
    with pytest.raises(LookupError), cpu.beside(lambda: 1 / 0):
        raise LookupError
    assert cpu.ready == 2


def test_a_third_is_not_done_beside_the_two(cpu: CpuBackend) -> None:
    def name_of(backend: CpuBackend) -> str:
        with backend.beside(lambda: threading.current_thread().name) as name:
            return name()

    caller = threading.current_thread().name
    begun = threading.Event()
    helper: Callable[[], str]

    def work() -> str:
        begun.wait(SECONDS)
        return name_of(cpu)

    with cpu.beside(work) as helper:
        assert name_of(cpu) == caller
        begun.set()
        assert helper() != caller
