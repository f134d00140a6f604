"""A device that notes how long each kernel takes, and the most that a device can do."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from gpurefine.backend.cuda.device import Device


@dataclass(slots=True)
class Call:
    """One launch: marks in the queue before and after it, bytes of its arrays, and its time once known."""

    begin: Any
    end: Any
    bytes: int
    milliseconds: float = 0.0


class Recorder:
    """Passes everything on to ``device``; while ``timing``, launches and transforms are noted by name."""

    def __init__(self, device: Device) -> None:
        """Record what goes to ``device``."""
        self.device, self.timing = device, False
        self.calls: dict[str, list[Call]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.device, name)

    def launch(self, kernel: str, grid: Any, block: Any, arguments: Any, shared: int = 0) -> None:
        """See :class:`gpurefine.backend.cuda.device.Device`."""
        if not self.timing:
            self.device.launch(kernel, grid, block, arguments, shared)
            return
        begin = self.device.mark()
        self.device.launch(kernel, grid, block, arguments, shared)
        size = sum(a.nbytes for a in arguments if self.device.holds(a))
        self.note(kernel, begin, size)

    def record(self, queue: Any) -> Any:
        """See :class:`gpurefine.backend.cuda.device.Device`; not while launches are timed one by one."""
        return None if self.timing else self.device.record(queue)

    def fft(self, shape: tuple[int, int, int]) -> Any:
        """See :class:`gpurefine.backend.cuda.device.Device`."""
        return RecordedFft(self, self.device.fft(shape))

    def note(self, name: str, begin: Any, size: int) -> None:
        """Remember a call that began at the mark ``begin`` and ends here."""
        self.calls.setdefault(name, []).append(Call(begin, self.device.mark(), size))

    def forget(self) -> None:
        """Forget all calls."""
        self.calls = {}

    def finished(self) -> dict[str, list[Call]]:
        """All calls by name, with their times."""
        for calls in self.calls.values():
            for call in calls:
                call.milliseconds = self.device.milliseconds(call.begin, call.end)
        return self.calls


class RecordedFft:
    """Transforms that are noted as ``fft forward`` and ``fft inverse``."""

    def __init__(self, recorder: Recorder, plan: Any) -> None:
        """Note what ``plan`` does."""
        self.recorder, self.plan = recorder, plan

    def _run(self, direction: str, source: Any, target: Any) -> None:
        recorder = self.recorder
        begin = recorder.device.mark() if recorder.timing else None
        getattr(self.plan, direction)(source, target)
        if recorder.timing:
            recorder.note(f"fft {direction}", begin, source.nbytes + target.nbytes)

    def forward(self, real: Any, half: Any) -> None:
        """See :class:`gpurefine.backend.cuda.device.FftPlan`."""
        self._run("forward", real, half)

    def inverse(self, half: Any, real: Any) -> None:
        """See :class:`gpurefine.backend.cuda.device.FftPlan`."""
        self._run("inverse", half, real)


def ceilings(device: Device, size: int, loops: int, blocks: int) -> dict[str, float]:
    """Bytes a second read and written by a copy of ``size`` bytes, and single-precision operations a second."""
    n = size // 16
    a, b = device.empty(4 * n, np.float32), device.empty(4 * n, np.float32)
    out = device.empty(256 * blocks, np.float32)

    def timed(*launch: Any) -> float:
        device.launch(*launch)
        times = []
        for _ in range(9):
            begin = device.mark()
            device.launch(*launch)
            times.append(device.milliseconds(begin, device.mark()))
        return max(median(times), 1e-6) * 1e-3

    copy = timed("ceiling_copy", (blocks,), (256,), (a, b, np.int32(n)))
    fma = timed("ceiling_fma", (blocks,), (256,), (out, np.int32(loops)))
    return {"bandwidth": 32.0 * n / copy, "flops": 16.0 * loops * 256 * blocks / fma}
