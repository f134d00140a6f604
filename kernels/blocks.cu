// Products with one block-sparse symmetric matrix.
#include "blocks.cuh"

// Adds D x + O x to out (n, S): diagonal (n, S, S), off by rows as in blocks.cuh.
template <int S>
__device__ __forceinline__ void product(
    const int* row_start, const int* column, const int* entry, const double* diagonal, const double* off,
    const double* x, int n, double* out) {
    const int i = thread_index() / ROW_LANES, lane = threadIdx.x & (ROW_LANES - 1);
    double sum[S];
#pragma unroll
    for (int r = 0; r < S; r++) sum[r] = 0.0;
    if (i < n) {
        row_product<S>(row_start, column, entry, off, i, [x](int j, double (&v)[S]) {
#pragma unroll
            for (int c = 0; c < S; c++) v[c] = x[S * j + c];
        }, sum);
    }
#pragma unroll
    for (int r = 0; r < S; r++) sum[r] = row_sum(sum[r]);
    if (i >= n || lane != 0) return;
#pragma unroll
    for (int r = 0; r < S; r++) {
        double own = 0.0;
#pragma unroll
        for (int c = 0; c < S; c++) own += diagonal[S * S * i + S * r + c] * x[S * i + c];
        out[S * i + r] += own + sum[r];
    }
}

extern "C" __global__ void __launch_bounds__(128)
block_product_1(
    const int* __restrict__ row_start, const int* __restrict__ column, const int* __restrict__ entry,
    const double* __restrict__ diagonal, const double* __restrict__ off, const double* __restrict__ x, int n,
    double* __restrict__ out) {
    product<1>(row_start, column, entry, diagonal, off, x, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
block_product_3(
    const int* __restrict__ row_start, const int* __restrict__ column, const int* __restrict__ entry,
    const double* __restrict__ diagonal, const double* __restrict__ off, const double* __restrict__ x, int n,
    double* __restrict__ out) {
    product<3>(row_start, column, entry, diagonal, off, x, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
block_product_6(
    const int* __restrict__ row_start, const int* __restrict__ column, const int* __restrict__ entry,
    const double* __restrict__ diagonal, const double* __restrict__ off, const double* __restrict__ x, int n,
    double* __restrict__ out) {
    product<6>(row_start, column, entry, diagonal, off, x, n, out);
}
