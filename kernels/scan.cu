// Exclusive prefix sums of counts, in three launches: sums of chunks, their prefix sums, prefix sums inside chunks.
#include "common.cuh"

#define THREADS 256
#define EACH 8
#define CHUNK (THREADS * EACH)

// Prefix sum (exclusive) of `value` over the block; *total is the sum, in every thread.
__device__ __forceinline__ int block_prefix(int value, int* total) {
    __shared__ int part[THREADS / 32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    int sum = value;
    for (int step = 1; step < 32; step <<= 1) {
        const int below = __shfl_up_sync(0xffffffffu, sum, step);
        if (lane >= step) sum += below;
    }
    __syncthreads();
    if (lane == 31) part[warp] = sum;
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < THREADS / 32; w++) {
        if (w < warp) before += part[w];
        all += part[w];
    }
    *total = all;
    return before + sum - value;
}

// chunk_sum (ceil(n/CHUNK),): one block a chunk.
extern "C" __global__ void __launch_bounds__(256)
scan_chunks(const int* __restrict__ count, int n, int* __restrict__ chunk_sum) {
    int sum = 0, total;
    const int begin = blockIdx.x * CHUNK + threadIdx.x * EACH;
    for (int e = 0; e < EACH; e++) sum += begin + e < n ? count[begin + e] : 0;
    block_prefix(sum, &total);
    if (threadIdx.x == 0) chunk_sum[blockIdx.x] = total;
}

// Replaces chunk_sum (n,) by its exclusive prefix sums; one block.
extern "C" __global__ void __launch_bounds__(256)
scan_sums(int* __restrict__ chunk_sum, int n) {
    int before = 0;
    for (int base = 0; base < n; base += THREADS) {
        const int k = base + threadIdx.x;
        int total;
        const int prefix = block_prefix(k < n ? chunk_sum[k] : 0, &total);
        if (k < n) chunk_sum[k] = before + prefix;
        before += total;
    }
}

// start (n + 1,): start[k] is the sum of count[0:k]; one block a chunk.
extern "C" __global__ void __launch_bounds__(256)
scan_apply(
    const int* __restrict__ count, int n, const int* __restrict__ chunk_start, int* __restrict__ start) {
    const int begin = blockIdx.x * CHUNK + threadIdx.x * EACH;
    int own[EACH], sum = 0, total;
    for (int e = 0; e < EACH; e++) {
        own[e] = begin + e < n ? count[begin + e] : 0;
        sum += own[e];
    }
    int at = chunk_start[blockIdx.x] + block_prefix(sum, &total);
    for (int e = 0; e < EACH; e++) {
        if (begin + e < n) start[begin + e] = at;
        at += own[e];
        if (begin + e == n - 1) start[n] = at;
    }
}
