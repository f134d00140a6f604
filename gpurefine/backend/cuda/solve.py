"""Products with block-sparse matrices, and conjugate gradients that stay on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import Status
from ..blocks import BlockMatrix, LinearSolution
from .device import Device, DeviceArray
from .exchange import ExchangeOps

F64 = NDArray[np.float64]

SIZES = (1, 3, 6)
"""Sides of blocks that the conjugate gradients have kernels for."""

ROW_LANES = 8
"""Threads of one row of a product (ROW_LANES in kernels/blocks.cuh)."""

BATCH = 10
"""Iterations that are queued before the host looks whether they suffice; those after the end cost next to nothing.
Even, so that the two buffers of the direction are where they were."""

BLOCK = 128
"""Threads of a block; blocks of the sums are as many as those of the launch."""

SOLVED = 1

WORK = (
    *((f"cg.{name}", np.float64) for name in ("x", "r", "z", "q", "p", "next", "diagonal", "inverse", "scalars")),
    ("cg.partial", np.float64), ("cg.table", np.uint64),
)
"""Buffers that the iterations work in."""


@dataclass(frozen=True, slots=True, eq=False)
class _Graph:
    """``launch`` queues a batch of iterations that work in ``arrays``; None before it was made."""

    arrays: tuple[DeviceArray, ...]
    launch: Callable[[], None] | None


class SolveOps(ExchangeOps):
    """See :class:`gpurefine.backend.ops.SolveOps` and :class:`gpurefine.backend.ops.SystemSolver`.

    ``graphs``: batches of iterations are launched as graphs; ``graphs_made`` counts them.
    """

    graphs: bool = False
    graphs_made: int = 0

    def __init__(self, device: Device, fast_atomics: bool = False) -> None:
        """See :class:`.base.DeviceOps`."""
        super().__init__(device, fast_atomics)
        self._graphs: dict[tuple[int, ...], _Graph] = {}

    def block_product(
        self, row_start: Any, column: Any, slot: Any, transposed: Any, diagonal: F64, off: F64, x: F64, out: F64
    ) -> None:
        """One thread owns a component, so that there are no races and the bits repeat."""
        n, side = x.shape
        p = self.latest(
            "product.pattern", lambda: self.sent_rows("product", row_start, column, slot, transposed), row_start,
            column, slot, transposed,
        )
        target = self.target("product.out", out)
        self.launch(
            "block_product", n * side, p.row_start, p.column, p.entry,
            self.send("product.diagonal", diagonal, np.float64), self.send("product.off", off, np.float64),
            self.send("product.x", x, np.float64), np.int32(n), np.int32(side), target,
        )
        self.add_back(out, target)

    def conjugate_gradients(
        self, matrices: Sequence[BlockMatrix], extra_diagonal: F64, right: F64, ridge: float, tolerance: float,
        max_iterations: int,
    ) -> LinearSolution | None:
        """Two launches an iteration; scalars stay on the device, and the host looks at them once in a few."""
        n, side = right.shape
        if side not in SIZES or n == 0:
            return None
        table = self._table(matrices, side)
        size = (n, side)
        x, r, z, q = (self.buffer(f"cg.{name}", size, np.float64) for name in "xrzq")
        p, following = self.buffer("cg.p", size, np.float64), self.buffer("cg.next", size, np.float64)
        diagonal, inverse = (self.buffer(f"cg.{name}", (n, side, side), np.float64) for name in ("diagonal", "inverse"))
        told = self.buffer("cg.scalars", 7, np.float64)
        scalars, state = told[:6], told[6:].view(np.int32)
        sums = (self.buffer("cg.partial", -(-n * ROW_LANES // BLOCK), np.float64), self.counter())
        count, n_matrix = np.int32(n), np.int32(len(matrices))
        extra, b = self._both(extra_diagonal, right)
        self.launch(
            f"cg_begin_{side}", n, table, n_matrix, extra, b, np.float64(1.0 + ridge), np.float64(tolerance**2), count,
            diagonal, inverse, x, r, z, p, scalars, state, *sums, block=BLOCK,
        )

        def iterate(number: int) -> None:
            """Queue ``number`` of iterations; after an even one ``p`` and ``following`` are what they were."""
            for k in range(number):
                old, new = (following, p) if k % 2 else (p, following)
                self.launch(
                    f"cg_product_{side}", n * ROW_LANES, table, n_matrix, diagonal, z, old, count, new, q, scalars,
                    state, *sums, block=BLOCK,
                )
                self.launch(
                    f"cg_update_{side}", n, inverse, new, q, count, x, r, z, scalars, state, *sums, block=BLOCK
                )

        batch = self._graph(self.graphs and max_iterations >= BATCH, (side, n, len(matrices)), lambda: iterate(BATCH))
        queued = 0
        while True:
            if max_iterations - queued >= BATCH:
                batch()
            else:
                iterate(max_iterations - queued)
            queued += BATCH
            told_now = self.device.download(told)
            ended, iterations = (int(v) for v in told_now[6:].view(np.int32))
            if ended or queued >= max_iterations:
                break
        first, rest = float(told_now[1]), float(told_now[4])
        residual = float(np.sqrt(max(rest, 0.0) / first)) if iterations else 0.0
        solution = x if self.device.holds(right) else self.device.download(x)
        return LinearSolution(solution, iterations, residual, Status.OK if ended == SOLVED else Status.ITERATION_LIMIT)

    def _both(self, extra: Any, right: Any) -> tuple[DeviceArray, DeviceArray]:
        """Both on the device, in one copy where both are the host's."""
        if not (isinstance(extra, np.ndarray) and isinstance(right, np.ndarray)):
            return self.send("cg.extra", extra, np.float64), self.send("cg.right", right, np.float64)
        whole = self.send("cg.both", np.concatenate([extra.reshape(-1), right.reshape(-1)]), np.float64)
        return whole[: extra.size], whole[extra.size :]

    def _graph(self, wanted: bool, shape: tuple[int, ...], queue: Callable[[], None]) -> Callable[[], None]:
        """What queues the same as ``queue``: a graph made of it from the second time on, if that is ``wanted``.

        A graph holds fast ``shape`` and where the working memory lies; it is made anew where one has changed.  The
        matrices are behind the table, which the device reads each time.
        """
        if not wanted:
            return queue
        arrays = tuple(self._buffers[name, np.dtype(kind).str] for name, kind in WORK)
        known = self._graphs.get(shape)
        if known is None or any(a is not b for a, b in zip(known.arrays, arrays, strict=True)):
            self._graphs[shape] = _Graph(arrays, None)
            return queue  # kernels are loaded when first launched, which must not happen while a graph is made
        if known.launch is None:
            recorded = self.device.record(queue)
            self.graphs_made += recorded is not None
            known = self._graphs[shape] = _Graph(arrays, recorded or queue)
        assert known.launch is not None
        return known.launch

    def _table(self, matrices: Sequence[BlockMatrix], side: int) -> DeviceArray:
        """Addresses (n_matrix, 5) of what the kernels need of each matrix, written by the device itself."""
        table = self.buffer("cg.table", (max(len(matrices), 1), 5), np.uint64)
        for m, matrix in enumerate(matrices):
            p = matrix.pattern
            name = f"cg.{side}.{m}"
            pattern = self.matrix_rows(name, p)
            self.launch(
                "cg_matrix", 1, pattern.row_start, pattern.column, pattern.entry,
                self.send(f"{name}.diagonal", matrix.diagonal, np.float64),
                self.send(f"{name}.off", matrix.off, np.float64), np.int32(m), table, block=32,
            )
        return table
