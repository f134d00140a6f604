// Sums over all threads of a launch in a fixed order: the block that finishes last adds up what the others left.
#pragma once
#include "common.cuh"

// Whether this block is the last of `blocks` to come here, in all its threads; *counter (0 at first) is 0 again then.
// What thread 0 of the other blocks wrote before is visible to it through volatile reads.
__device__ __forceinline__ bool last_block(unsigned* counter, unsigned blocks) {
    int last = 0;
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicAdd(counter, 1u) == blocks - 1;
        if (last) *counter = 0;
        __threadfence();
    }
    return __syncthreads_or(last);
}

// Sum of partial (n,), which other blocks wrote; thread 0 receives it.
__device__ __forceinline__ double total_of(const double* partial, int n, double* space) {
    const volatile double* written = partial;
    double sum = 0.0;
    for (int k = threadIdx.x; k < n; k += blockDim.x) sum += written[k];
    return block_sum(sum, space);
}

// Sum of `value` over the launch (one-dimensional, whole warps) for thread 0 of the last block; true there only.
__device__ __forceinline__ bool grid_sum(double value, double* partial, unsigned* counter, double* total) {
    __shared__ double space[32];
    value = block_sum(value, space);
    if (threadIdx.x == 0) partial[blockIdx.x] = value;
    if (!last_block(counter, gridDim.x)) return false;
    *total = total_of(partial, gridDim.x, space);
    return threadIdx.x == 0;
}

// out[s] = sum of partial[s * parts : (s + 1) * parts], which other blocks wrote, for s < sums; a warp a sum.
__device__ __forceinline__ void row_totals(const double* partial, int sums, int parts, double* out) {
    const volatile double* written = partial;
    for (int s = threadIdx.x >> 5; s < sums; s += blockDim.x >> 5) {
        double total = 0.0;
        for (int k = lane_id(); k < parts; k += 32) total += written[s * parts + k];
        total = warp_sum(total);
        if (lane_id() == 0) out[s] = total;
    }
}
