// Sums over resolution shells for every atom: f^2 exp(-b s^2/2) times a few columns, one thread an atom.
#include "common.cuh"

// Columns of one launch (WIDTH in shell_products.py).
#define WIDTH 8

// b, kind (n,); s2 (m,); form2 (n_scatterer, m) squared form factors; columns (m, WIDTH) -> out (n, WIDTH).
extern "C" __global__ void __launch_bounds__(128)
shell_products(
    const double* __restrict__ b, const int* __restrict__ kind, const double* __restrict__ s2,
    const double* __restrict__ form2, const double* __restrict__ columns, int n, int m, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double half = -0.5 * b[i];
    const double* form = form2 + i64(m) * kind[i];
    double sum[WIDTH];
#pragma unroll
    for (int c = 0; c < WIDTH; c++) sum[c] = 0.0;
    for (int k = 0; k < m; k++) {
        const double power = form[k] * exp(half * s2[k]);
#pragma unroll
        for (int c = 0; c < WIDTH; c++) sum[c] += power * columns[WIDTH * k + c];
    }
#pragma unroll
    for (int c = 0; c < WIDTH; c++) out[i64(WIDTH) * i + c] = sum[c];
}
