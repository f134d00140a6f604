// Rows of block-sparse symmetric matrices times vectors, a few lanes a row.
#pragma once
#include "common.cuh"

#define ROW_LANES 8

// Sum over the ROW_LANES lanes that share a row, in each of them.
__device__ __forceinline__ double row_sum(double value) {
    for (int by = ROW_LANES / 2; by > 0; by >>= 1) value += __shfl_xor_sync(FULL_WARP, value, by);
    return value;
}

// Adds to sum[S] what this lane's share of the entries of row i gives: entry = 2 slot + (1 if transposed).
// vector(j, x) loads the S components of block j.
template <int S, class Vector>
__device__ __forceinline__ void row_product(
    const int* row_start, const int* column, const int* entry, const double* off, int i, Vector vector,
    double (&sum)[S]) {
    const int end = row_start[i + 1];
    for (int e = row_start[i] + (threadIdx.x & (ROW_LANES - 1)); e < end; e += ROW_LANES) {
        double x[S];
        vector(column[e], x);
        const double* block = off + i64(entry[e] >> 1) * (S * S);
        const bool transposed = entry[e] & 1;
#pragma unroll
        for (int r = 0; r < S; r++)
#pragma unroll
            for (int c = 0; c < S; c++) sum[r] += block[transposed ? S * c + r : S * r + c] * x[c];
    }
}
