"""The stand-in for a GPU executes what CUDA would, and refuses what CUDA would leave undefined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shim_device
from shim_device import ShimArray, ShimDevice, build, execute, kernel_text

from gpurefine.backend.cuda import sources
from gpurefine.backend.cuda.base import DeviceOps

pytestmark = pytest.mark.skipif(shim_device.compiler() is None, reason="g++ is not installed")

HEADER = sources._read("common.cuh")


def run(text: str, name: str, grid: Any, block: Any, *arguments: Any, shared: int = 0, order: int = 0) -> None:
    text = HEADER.replace("#pragma once", "") + text
    execute(build(text, kernel_text(text)), name, (grid,), (block,), arguments, shared, order)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_shuffles_barriers_shared_memory_and_atomics(order: int) -> None:
    text = """
extern "C" __global__ void total(const double* x, double* out, u64* count, int n) {
    DYNAMIC_SHARED(double, space);
    double s = 0.0;
    for (int i = thread_index(); i < n; i += thread_count()) s += x[i];
    s = block_sum(s, space);
    if (threadIdx.x == 0) { atomicAdd(out, s); atomicAdd(count, (u64)1); }
}
extern "C" __global__ void lanes(int* out) {
    int l = lane_id(), t = threadIdx.x;
    out[4 * t] = __shfl_down_sync(FULL_WARP, l, 3);
    out[4 * t + 1] = __shfl_up_sync(FULL_WARP, l, 5);
    out[4 * t + 2] = __shfl_sync(FULL_WARP, 10 * l, 7);
    out[4 * t + 3] = int(__ballot_sync(FULL_WARP, l % 3 == 0));
}
"""
    x = np.random.default_rng(0).normal(size=5000)
    out, count = ShimArray(np.zeros(1)), ShimArray(np.zeros(1, np.uint64))
    run(text, "total", 7, 96, ShimArray(x), out, count, np.int32(len(x)), shared=256, order=order)
    assert out.memory[0] == pytest.approx(x.sum(), rel=1e-12)
    assert count.memory[0] == 7
    table = ShimArray(np.zeros((64, 4), np.int32))
    run(text, "lanes", 1, 64, table, order=order)
    lane = np.arange(64) % 32
    np.testing.assert_array_equal(table.memory[:, 0], np.where(lane < 29, lane + 3, lane))
    np.testing.assert_array_equal(table.memory[:, 1], np.where(lane >= 5, lane - 5, lane))
    assert set(table.memory[:, 2]) == {70}
    assert set(table.memory[:, 3]) == {0x49249249}


def test_a_missing_barrier_shows_in_another_order() -> None:
    text = """
extern "C" __global__ void early(int* out) {
    __shared__ int space[64];
    space[threadIdx.x] = int(threadIdx.x);
    if (SYNC) __syncthreads();
    out[threadIdx.x] = space[63 - threadIdx.x];
}
"""
    def result(sync: str, order: int) -> list[int]:
        out = ShimArray(np.zeros(64, np.int32))
        run(text.replace("SYNC", sync), "early", 1, 64, out, order=order)
        return list(out.memory)

    assert result("0", 0) != result("0", 1)
    assert result("1", 0) == result("1", 1) == result("1", 2) == list(range(63, -1, -1))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if (threadIdx.x < 40) return; __syncthreads(); out[0] = 1;", "__syncthreads"),
        ("if (threadIdx.x == 3) return; out[0] = warp_sum(1);", "wait for lanes"),
        ("if (threadIdx.x < 8) out[0] = __shfl_sync(0xffu, 1, 9);", "reads from lane"),
    ],
)
def test_undefined_behaviour_is_refused_and_the_next_launch_is_sound(body: str, message: str) -> None:
    text = f'extern "C" __global__ void bad(int* out) {{ {body} }}\n'
    text += 'extern "C" __global__ void good(int* out) { out[0] = warp_sum(1); }'
    out = ShimArray(np.zeros(1, np.int32))
    with pytest.raises(RuntimeError, match=message):
        run(text, "bad", 1, 64, out)
    run(text, "good", 1, 64, out)
    assert out.memory[0] == 32


def test_shared_memory_is_not_what_the_last_block_left() -> None:
    text = """
extern "C" __global__ void stale(int* out) {
    __shared__ int space[1];
    out[blockIdx.x] = space[0];
    space[0] = 5;
}
"""
    if shim_device.SANITISE:
        pytest.skip("under AddressSanitizer shared memory keeps its content")
    out = ShimArray(np.zeros(2, np.int32))
    run(text, "stale", 2, 1, out)
    assert list(out.memory) == [-1, -1]


def test_arguments_of_the_wrong_type_are_refused() -> None:
    device = ShimDevice()
    x, parts = device.upload(np.ones(4)), device.empty(1, np.float64)
    with pytest.raises(TypeError, match="values must be float64, not float32"):
        device.launch("partial_sums", (1,), (32,), (device.upload(np.ones(4, np.float32)), parts, np.int32(4)))
    with pytest.raises(TypeError, match="n must be a NumPy scalar"):
        device.launch("partial_sums", (1,), (32,), (x, parts, 4))
    with pytest.raises(TypeError, match="n must be int32"):
        device.launch("partial_sums", (1,), (32,), (x, parts, np.int64(4)))
    with pytest.raises(TypeError, match="takes 3 arguments"):
        device.launch("partial_sums", (1,), (32,), (x, parts))
    with pytest.raises(TypeError, match="at most 256 threads"):
        device.launch("partial_sums", (1,), (512,), (x, parts, np.int32(4)))
    with pytest.raises(TypeError, match="download it"):
        np.asarray(x)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 70000])
def test_sum_has_the_same_bits_in_every_order(n: int) -> None:
    values = np.random.default_rng(1).normal(size=n)
    found = set()
    for order in (0, 1, 2):
        ops = DeviceOps(ShimDevice(order))
        found.add(ops.sum(ops.device.upload(values) if n else None, n))
    assert len(found) == 1
    assert found.pop() == pytest.approx(values.sum(), abs=1e-9)


def test_buffers_and_copies_are_reused() -> None:
    ops = DeviceOps(ShimDevice())
    a = ops.buffer("a", (4, 5), np.float32)
    before = ops.device.allocations
    assert ops.buffer("a", (3, 5), np.float32).shape == (3, 5)
    assert ops.device.allocations == before
    assert a.shape == (4, 5)
    owner = object()
    calls: list[int] = []
    for _ in range(2):
        ops.kept("use", lambda: calls.append(1), owner)
    ops.kept("other use", lambda: calls.append(1), owner)
    assert len(calls) == 2
