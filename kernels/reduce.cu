// Sums of partial results in a fixed order.
#include "common.cuh"

// out[c] = Σ_r parts[r, c] over rows, one block a column; one-dimensional blocks of whole warps.
extern "C" __global__ void __launch_bounds__(256)
column_sums(const double* __restrict__ parts, double* __restrict__ out, int rows, int columns) {
    __shared__ double space[32];
    const int column = blockIdx.x;
    double sum = 0.0;
    for (int r = threadIdx.x; r < rows; r += blockDim.x) sum += parts[i64(r) * columns + column];
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) out[column] = sum;
}

// parts[block] = Σ value over the block's share of a map.
extern "C" __global__ void __launch_bounds__(256)
map_sums(const float* __restrict__ map, double* __restrict__ parts, i64 n) {
    __shared__ double space[32];
    double sum = 0.0;
    for (i64 i = thread_index(); i < n; i += thread_count()) sum += map[i];
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

// parts[block] = Σ value over the block's share, the first stage of the sum of a long list.
extern "C" __global__ void __launch_bounds__(256)
partial_sums(const double* __restrict__ values, double* __restrict__ parts, int n) {
    __shared__ double space[32];
    double sum = 0.0;
    for (int i = thread_index(); i < n; i += thread_count()) sum += values[i];
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}
