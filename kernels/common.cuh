// What all kernels share: reductions with a fixed order, indices, constants.
//
// No system header is included: NVRTC compiles these sources without a CUDA toolkit.
#pragma once

#ifdef GPUREFINE_SHIM
#define DYNAMIC_SHARED(T, name) SHIM_DYNAMIC_SHARED(T, name)
#else
#define DYNAMIC_SHARED(T, name) extern __shared__ T name[]
#endif

#define FULL_WARP 0xffffffffu
#define PI 3.14159265358979323846

typedef long long i64;
typedef unsigned long long u64;

__device__ __forceinline__ int lane_id() { return threadIdx.x & 31; }

// Index of the thread in a one-dimensional launch.
__device__ __forceinline__ int thread_index() { return int(blockIdx.x * blockDim.x + threadIdx.x); }

__device__ __forceinline__ int thread_count() { return int(gridDim.x * blockDim.x); }

// Index of the warp in a one-dimensional launch whose blocks are whole warps.
__device__ __forceinline__ int warp_index() { return thread_index() >> 5; }

// k modulo n in 0 … n − 1 for k of any sign.
__device__ __forceinline__ int wrapped(int k, int n) {
    if (k >= 0 && k < n) return k;
    k %= n;
    return k < 0 ? k + n : k;
}

// Sum over the warp, the same order always; every lane receives it.
template <class T> __device__ __forceinline__ T warp_sum(T value) {
    for (int by = 16; by > 0; by >>= 1) value += __shfl_xor_sync(FULL_WARP, value, by);
    return value;
}

template <class T> __device__ __forceinline__ T warp_max(T value) {
    for (int by = 16; by > 0; by >>= 1) {
        T other = __shfl_xor_sync(FULL_WARP, value, by);
        value = other > value ? other : value;
    }
    return value;
}

// Sum over a one-dimensional block of whole warps in a fixed order; thread 0 receives it.  ``space`` holds 32
// values in shared memory.
template <class T> __device__ __forceinline__ T block_sum(T value, T* space) {
    value = warp_sum(value);
    __syncthreads();  // space may still be read by the sum before
    if (lane_id() == 0) space[threadIdx.x >> 5] = value;
    __syncthreads();
    T total = T(0);
    if (threadIdx.x == 0)
        for (int w = 0; w < int(blockDim.x >> 5); ++w) total += space[w];
    return total;
}
