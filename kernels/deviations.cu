// Sums over the terms of every kind of restraint, for the statistics of a cycle.
#include "sums.cuh"

#define N_SUM 4

// out (n_kind, 4) of the terms of each kind: how many, sum of (z sigma)^2, of z^2 and of sigma. kind (n,), negative where
// a term does not count, or null where there is one kind; terms with sigma 0 are left out and, with `only_active`, those
// with z = 0. grid (parts, n_kind), partial (n_kind, 4, parts), counter 0.
extern "C" __global__ void __launch_bounds__(256)
deviation_sums(
    const double* __restrict__ z, const double* __restrict__ sigma, int stride, const signed char* __restrict__ kind,
    int n, int only_active, double* partial, unsigned* counter, double* __restrict__ out) {
    __shared__ double space[32];
    const int wanted = blockIdx.y, parts = gridDim.x, n_kind = gridDim.y;
    double sum[N_SUM] = {0.0, 0.0, 0.0, 0.0};
    for (int k = thread_index(); k < n; k += thread_count()) {
        if (kind ? kind[k] != wanted : wanted != 0) continue;
        const double value = z[k], width = sigma[i64(stride) * k];
        if (!(width > 0.0) || (only_active && value == 0.0)) continue;
        sum[0] += 1.0;
        sum[1] += value * width * (value * width);
        sum[2] += value * value;
        sum[3] += width;
    }
#pragma unroll
    for (int c = 0; c < N_SUM; c++) {
        const double total = block_sum(sum[c], space);
        if (threadIdx.x == 0) partial[(N_SUM * wanted + c) * parts + int(blockIdx.x)] = total;
    }
    if (last_block(counter, gridDim.x * gridDim.y)) row_totals(partial, N_SUM * n_kind, parts, out);
}
