// Derivatives and information of parameters of the data that are refined with the atoms: f'' of elements, and k_mask.
//
// p gradients and the p (p + 1)/2 elements of the information on and below its diagonal are sums over the reflections
// index (m,) of n, a row of blocks each: grid (parts, sums), partial (sums, parts), counter 0, out (sums,).
#include "sums.cuh"

// Of sum number k, from p on: the row a and the column b <= a of the information.
__device__ __forceinline__ void element_of(int k, int p, int* a, int* b) {
    int row = 0;
    for (k -= p; k > row; k -= ++row) {}
    *a = row;
    *b = k;
}

// `value` summed over the blocks of a row, in a fixed order.
__device__ __forceinline__ void leave_sum(double value, double* partial, unsigned* counter, double* out) {
    __shared__ double space[32];
    const int parts = gridDim.x, sums = gridDim.y;
    value = block_sum(value, space);
    if (threadIdx.x == 0) partial[int(blockIdx.y) * parts + int(blockIdx.x)] = value;
    if (last_block(counter, gridDim.x * gridDim.y)) row_totals(partial, sums, parts, out);
}

// Of the logarithms of what the rows (p,) of f (., n) are multiplied by: Re(F* dL/dF), and half of the information along
// F, which the rows share.
extern "C" __global__ void __launch_bounds__(256)
row_slopes(
    const double2* __restrict__ f, const double2* __restrict__ gradient, const double* __restrict__ information,
    const int* __restrict__ rows, int p, const int* __restrict__ index, int m, int n, double* partial,
    unsigned* counter, double* __restrict__ out) {
    int a = blockIdx.y, b = a;
    const bool slope = a < p;
    if (!slope) element_of(a, p, &a, &b);
    const i64 first = i64(rows[a]) * n, second = i64(rows[b]) * n;
    double sum = 0.0;
    for (int k = thread_index(); k < m; k += thread_count()) {
        const int i = index[k];
        const double2 one = f[first + i], other = slope ? gradient[first + i] : f[second + i];
        const double along = one.x * other.x + one.y * other.y;
        sum += slope ? along : 0.5 * along * sqrt(information[first + i] * information[second + i]);
    }
    leave_sum(sum, partial, counter, out);
}

// The piecewise linear function of s that is 1 at knot j, 0 at the other knots (p,), and constant beyond the last.
__device__ __forceinline__ double hat(const double* knots, int p, int j, double s) {
    const double own = knots[j];
    if (s <= own) return j == 0 ? 1.0 : fmax(0.0, (s - knots[j - 1]) / (own - knots[j - 1]));
    return j == p - 1 ? 1.0 : fmax(0.0, (knots[j + 1] - s) / (knots[j + 1] - own));
}

// Of k_mask by its values at knots (p,), or where they are null by k and B of k exp(-B s^2/4): Re((k F_mask dk_mask/dx)*
// dL/dF), and the information along F.
extern "C" __global__ void __launch_bounds__(256)
solvent_slopes(
    const double* __restrict__ s, const double* __restrict__ knots, int p, double k_sol, double b_sol,
    const double* __restrict__ factor, const double2* __restrict__ mask, const double2* __restrict__ total,
    const double2* __restrict__ gradient, const double* __restrict__ information, const int* __restrict__ index, int m,
    double* partial, unsigned* counter, double* __restrict__ out) {
    int a = blockIdx.y, b = a;
    const bool slope = a < p;
    if (!slope) element_of(a, p, &a, &b);
    double sum = 0.0;
    for (int k = thread_index(); k < m; k += thread_count()) {
        const int i = index[k];
        const double s2 = s[i] * s[i], decay = knots ? 0.0 : exp(-0.25 * b_sol * s2);
        const double by_a = knots ? hat(knots, p, a, s[i]) : a == 0 ? decay : -0.25 * s2 * k_sol * decay;
        const double by_b = knots ? hat(knots, p, b, s[i]) : b == 0 ? decay : -0.25 * s2 * k_sol * decay;
        const double x = factor[i] * mask[i].x, y = factor[i] * mask[i].y;
        if (slope) {
            sum += by_a * (x * gradient[i].x + y * gradient[i].y);
        } else {
            const double radial = (x * total[i].x + y * total[i].y) / fmax(hypot(total[i].x, total[i].y), 1e-300);
            sum += by_a * by_b * radial * radial * information[i];
        }
    }
    leave_sum(sum, partial, counter, out);
}
