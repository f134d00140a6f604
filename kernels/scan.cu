// Exclusive prefix sums of counts: in one launch of one block where they are few, else in two.
#include "sums.cuh"

#define THREADS 256
#define MANY_THREADS 1024
#define EACH 8
#define CHUNK (THREADS * EACH)

// Prefix sum (exclusive) of `value` over a block of N threads; *total is the sum, in every thread.
template <int N, class T> __device__ __forceinline__ T block_prefix(T value, T* total) {
    __shared__ T part[N / 32];
    const int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    T sum = value;
    for (int step = 1; step < 32; step <<= 1) {
        const T below = __shfl_up_sync(FULL_WARP, sum, step);
        if (lane >= step) sum += below;
    }
    __syncthreads();
    if (lane == 31) part[warp] = sum;
    __syncthreads();
    T before = 0, all = 0;
    for (int w = 0; w < N / 32; w++) {
        if (w < warp) before += part[w];
        all += part[w];
    }
    *total = all;
    return before + sum - value;
}

// The prefix sums of count[begin:begin + EACH] of every thread, `before` being the sum of all that comes earlier;
// returns the sum over the block. The last one writes start[n] too.
template <int N, class T>
__device__ __forceinline__ T prefix_of(const T* count, int n, int begin, T before, T* start) {
    T own[EACH], sum = 0, total;
    for (int e = 0; e < EACH; e++) {
        own[e] = begin + e < n ? count[begin + e] : 0;
        sum += own[e];
    }
    T at = before + block_prefix<N>(sum, &total);
    for (int e = 0; e < EACH; e++) {
        if (begin + e < n) start[begin + e] = at;
        at += own[e];
        if (begin + e == n - 1) start[n] = at;
    }
    return total;
}

template <class T> __device__ __forceinline__ void scan_few_of(const T* count, int n, T* start) {
    T before = 0;
    for (int base = 0; base < n; base += MANY_THREADS * EACH)
        before += prefix_of<MANY_THREADS>(count, n, base + int(threadIdx.x) * EACH, before, start);
}

template <class T>
__device__ __forceinline__ void scan_chunks_of(const T* count, int n, T* chunk_sum, unsigned* counter) {
    T sum = 0, total, before = 0;
    const int begin = blockIdx.x * CHUNK + threadIdx.x * EACH, chunks = gridDim.x;
    for (int e = 0; e < EACH; e++) sum += begin + e < n ? count[begin + e] : 0;
    block_prefix<THREADS>(sum, &total);
    if (threadIdx.x == 0) chunk_sum[blockIdx.x] = total;
    if (!last_block(counter, gridDim.x)) return;
    volatile T* sums = chunk_sum;
    for (int base = 0; base < chunks; base += THREADS) {
        const int k = base + threadIdx.x;
        const T prefix = block_prefix<THREADS>(k < chunks ? T(sums[k]) : T(0), &total);
        if (k < chunks) sums[k] = before + prefix;
        before += total;
    }
}

// start (n + 1,): start[k] is the sum of count[0:k]; one block.
extern "C" __global__ void __launch_bounds__(1024)
scan_few(const int* __restrict__ count, int n, int* __restrict__ start) { scan_few_of(count, n, start); }

// chunk_sum (ceil(n/CHUNK),): one block a chunk, which adds it up; the last block replaces the sums by their exclusive
// prefix sums. counter 0 at first and at the end.
extern "C" __global__ void __launch_bounds__(256)
scan_chunks(const int* __restrict__ count, int n, int* chunk_sum, unsigned* counter) {
    scan_chunks_of(count, n, chunk_sum, counter);
}

// start (n + 1,) with what scan_chunks left; one block a chunk.
extern "C" __global__ void __launch_bounds__(256)
scan_apply(
    const int* __restrict__ count, int n, const int* __restrict__ chunk_start, int* __restrict__ start) {
    prefix_of<THREADS>(count, n, blockIdx.x * CHUNK + threadIdx.x * EACH, chunk_start[blockIdx.x], start);
}

// The same for two counts at once, in the halves of 64 bits: neither sum reaches 2^31.
extern "C" __global__ void __launch_bounds__(1024)
scan_few_pairs(const u64* __restrict__ count, int n, u64* __restrict__ start) { scan_few_of(count, n, start); }

extern "C" __global__ void __launch_bounds__(256)
scan_chunks_pairs(const u64* __restrict__ count, int n, u64* chunk_sum, unsigned* counter) {
    scan_chunks_of(count, n, chunk_sum, counter);
}

extern "C" __global__ void __launch_bounds__(256)
scan_apply_pairs(
    const u64* __restrict__ count, int n, const u64* __restrict__ chunk_start, u64* __restrict__ start) {
    prefix_of<THREADS>(count, n, blockIdx.x * CHUNK + threadIdx.x * EACH, chunk_start[blockIdx.x], start);
}
