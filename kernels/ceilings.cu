// What a GPU can do at most, for perf/bench_gpu.py: memory traffic and multiply-adds.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256)
ceiling_copy(const float4* __restrict__ from, float4* __restrict__ to, int n) {
    for (int i = thread_index(); i < n; i += thread_count()) to[i] = from[i];
}

// Eight independent chains of ``loops`` multiply-adds a thread: 16 · loops operations each.
extern "C" __global__ void __launch_bounds__(256)
ceiling_fma(float* __restrict__ out, int loops) {
    float x[8];
#pragma unroll
    for (int k = 0; k < 8; ++k) x[k] = 1e-3f * (threadIdx.x + k);
    for (int i = 0; i < loops; ++i)
#pragma unroll
        for (int k = 0; k < 8; ++k) x[k] = fmaf(x[k], 0.999f, 1e-3f);
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < 8; ++k) sum += x[k];
    out[thread_index()] = sum;
}
