// The product with one block-sparse symmetric matrix, one thread a component; blocks of any side.
#include "common.cuh"

// Adds D x + O x to out (n, side): diagonal (n, side, side); off (m, side, side) by rows, entry = 2 slot + (1 if
// transposed).
extern "C" __global__ void __launch_bounds__(128)
block_product(
    const int* __restrict__ row_start, const int* __restrict__ column, const int* __restrict__ entry,
    const double* __restrict__ diagonal, const double* __restrict__ off, const double* __restrict__ x, int n, int side,
    double* __restrict__ out) {
    const int t = thread_index(), i = t / side, r = t % side, area = side * side;
    if (i >= n) return;
    double sum = 0.0;
    for (int c = 0; c < side; c++) sum += diagonal[i64(area) * i + side * r + c] * x[side * i + c];
    for (int e = row_start[i]; e < row_start[i + 1]; e++) {
        const double* block = off + i64(area) * (entry[e] >> 1);
        const double* other = x + side * column[e];
        const bool transposed = entry[e] & 1;
        for (int c = 0; c < side; c++) sum += block[transposed ? side * c + r : side * r + c] * other[c];
    }
    out[t] += sum;
}
