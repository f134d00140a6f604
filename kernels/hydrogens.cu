// Shifts of riding hydrogens: damped Gauss-Newton, the hydrogens of one parent together, one thread a parent.
#include "common.cuh"
#include "vectors.cuh"

// Hydrogens of one parent that there is room for (MAX_SIBLINGS in hydrogens.py).
#define MAX_SIBLINGS 4
#define MAX_SIDE (3 * MAX_SIBLINGS)

// Solves L L^T x = b in place (x is b at first); `a` (side, side) holds the lower triangle and becomes L.
__device__ __forceinline__ void cholesky_solve(double* a, double* x, int side) {
#pragma unroll 1
    for (int i = 0; i < side; i++) {
        for (int j = 0; j <= i; j++) {
            double sum = a[MAX_SIDE * i + j];
            for (int k = 0; k < j; k++) sum -= a[MAX_SIDE * i + k] * a[MAX_SIDE * j + k];
            a[MAX_SIDE * i + j] = i == j ? sqrt(sum) : sum / a[MAX_SIDE * j + j];
        }
        double sum = x[i];
        for (int k = 0; k < i; k++) sum -= a[MAX_SIDE * i + k] * x[k];
        x[i] = sum / a[MAX_SIDE * i + i];
    }
#pragma unroll 1
    for (int i = side - 1; i >= 0; i--) {
        double sum = x[i];
        for (int k = i + 1; k < side; k++) sum -= a[MAX_SIDE * k + i] * x[k];
        x[i] = sum / a[MAX_SIDE * i + i];
    }
}

// The hydrogens member[start[g]:start[g + 1]] of parent g, k of them, are coupled by the blocks off[slot] with slot
// (k, k) from slot_start[g] on (-1: not coupled; only above the diagonal). The diagonal elements are raised by
// `damping` times the largest and by `floor`; shift (n, 3) is set for the members, none longer than `longest`, and
// *largest becomes the bits of the length of the longest of all.
extern "C" __global__ void __launch_bounds__(64)
hydrogen_shifts(
    const int* __restrict__ start, const int* __restrict__ member, const int* __restrict__ slot_start,
    const int* __restrict__ slot, const double* __restrict__ gradient, const double* __restrict__ diagonal,
    const double* __restrict__ off, int n_parent, double damping, double floor, double longest,
    double* __restrict__ shift, u64* largest) {
    const int g = thread_index();
    if (g >= n_parent) return;
    const int first = start[g], k = start[g + 1] - first, side = 3 * k;
    double a[MAX_SIDE * MAX_SIDE], x[MAX_SIDE], top = -1.0;
    for (int p = 0; p < k; p++) {
        const int i = member[first + p];
        for (int r = 0; r < 3; r++) {
            x[3 * p + r] = -gradient[3 * i + r];
            for (int c = 0; c <= r; c++) a[MAX_SIDE * (3 * p + r) + 3 * p + c] = diagonal[9 * i + 3 * r + c];
            top = fmax(top, diagonal[9 * i + 4 * r]);
        }
        for (int q = 0; q < p; q++) {
            const int s = slot[slot_start[g] + k * q + p];
            for (int r = 0; r < 3; r++)
                for (int c = 0; c < 3; c++)
                    a[MAX_SIDE * (3 * p + r) + 3 * q + c] = s < 0 ? 0.0 : off[9 * s + 3 * c + r];
        }
    }
    for (int r = 0; r < side; r++) a[MAX_SIDE * r + r] += damping * top + floor;
    cholesky_solve(a, x, side);
    bool sound = true;
    for (int r = 0; r < side; r++) sound = sound && fabs(x[r]) < 1e300;
    double most = 0.0;
    for (int p = 0; p < k; p++) {
        const Vec3 step = sound ? vec(x[3 * p], x[3 * p + 1], x[3 * p + 2]) : vec(0.0, 0.0, 0.0);
        const Vec3 taken = fmin(1.0, longest / fmax(length(step), 1e-12)) * step;
        store3(shift, member[first + p], taken);
        most = fmax(most, length(taken));
    }
    atomicMax(largest, u64(__double_as_longlong(most)));
}

// trial = x + factor shift, all (n,).
extern "C" __global__ void __launch_bounds__(256)
move_along(
    const double* __restrict__ x, const double* __restrict__ shift, double factor, int n, double* __restrict__ trial) {
    const int i = thread_index();
    if (i < n) trial[i] = x[i] + factor * shift[i];
}
