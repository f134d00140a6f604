// Between the model's rows of structure factors and those of Friedel pairs, one thread a reflection.
#include "complex.cuh"

// out (2, m): F′ and F″ of the reflections index (m), without an index of all, from f_total (1 + p, n); F″ is the sum of
// the rows after the first, each times its multiplier (p), and 0 where only a mean was measured.
extern "C" __global__ void __launch_bounds__(128)
friedel_pair(const double2* __restrict__ f_total, const double* __restrict__ multiplier, int p,
             const bool* __restrict__ single, const int* __restrict__ index, int m, int n,
             double2* __restrict__ out) {
    const int at = thread_index();
    if (at >= m) return;
    const int i = index ? index[at] : at;
    double2 sum = make_double2(0.0, 0.0);
    if (!single[i])
        for (int row = 0; row < p; ++row) sum = sum + multiplier[row] * f_total[i64(row + 1) * n + i];
    out[at] = f_total[i];
    out[m + at] = sum;
}

// The transpose: gradient and information (1 + p, n), cleared before, by all rows from those (2, m) by F′ and F″.
extern "C" __global__ void __launch_bounds__(128)
friedel_slopes(const double2* __restrict__ by_pair, const double* __restrict__ known,
               const double* __restrict__ multiplier, int p, const bool* __restrict__ single,
               const int* __restrict__ index, int m, int n, double2* __restrict__ gradient,
               double* __restrict__ information) {
    const int at = thread_index();
    if (at >= m) return;
    const int i = index[at];
    gradient[i] = by_pair[at];
    information[i] = known[at];
    if (single[i]) return;
    for (int row = 0; row < p; ++row) {
        const double by = multiplier[row];
        gradient[i64(row + 1) * n + i] = by * by_pair[m + at];
        information[i64(row + 1) * n + i] = by * by * known[m + at];
    }
}

// (|F′ + iF″| + |F′ − iF″|)/2 of pair (2, n).
extern "C" __global__ void __launch_bounds__(128)
mean_mate(const double2* __restrict__ pair, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double2 a = pair[i], b = pair[n + i];
    out[i] = 0.5 * (hypot(a.x - b.y, a.y + b.x) + hypot(a.x + b.y, a.y - b.x));
}
