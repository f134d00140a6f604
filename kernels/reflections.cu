// Arrays over reflections between the transform and the likelihood, one thread an element, double precision.
#include "common.cuh"

// out[row, i] = values[row, index[i]]; values (rows, n), out (rows, m).
template <class T>
__device__ __forceinline__ void take(const T* values, const int* index, int m, int rows, int n, T* out) {
    const int at = thread_index();
    if (at < rows * m) out[at] = values[i64(at / m) * n + index[at % m]];
}

// out[row, index[i]] = values[row, i]; no index comes twice.  values (rows, m), out (rows, n).
template <class T>
__device__ __forceinline__ void put(const T* values, const int* index, int m, int rows, int n, T* out) {
    const int at = thread_index();
    if (at < rows * m) out[i64(at / m) * n + index[at % m]] = values[at];
}

extern "C" __global__ void __launch_bounds__(128)
take_real(const double* __restrict__ values, const int* __restrict__ index, int m, int rows, int n,
          double* __restrict__ out) {
    take(values, index, m, rows, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
take_complex(const double2* __restrict__ values, const int* __restrict__ index, int m, int rows, int n,
             double2* __restrict__ out) {
    take(values, index, m, rows, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
put_real(const double* __restrict__ values, const int* __restrict__ index, int m, int rows, int n,
         double* __restrict__ out) {
    put(values, index, m, rows, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
put_complex(const double2* __restrict__ values, const int* __restrict__ index, int m, int rows, int n,
            double2* __restrict__ out) {
    put(values, index, m, rows, n, out);
}

// out = values × factor, or × its square
extern "C" __global__ void __launch_bounds__(128)
product_real(const double* __restrict__ values, const double* __restrict__ factor, bool square, int n,
             double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double f = factor[i];
    out[i] = values[i] * (square ? f * f : f);
}

extern "C" __global__ void __launch_bounds__(128)
product_complex(const double2* __restrict__ values, const double* __restrict__ factor, bool square, int n,
                double2* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double f = square ? factor[i] * factor[i] : factor[i];
    const double2 value = values[i];
    out[i] = make_double2(value.x * f, value.y * f);
}

extern "C" __global__ void __launch_bounds__(128)
magnitude(const double2* __restrict__ values, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i < n) out[i] = hypot(values[i].x, values[i].y);
}

// out (rows, n) = factor (n) × f_calc (rows, n), in the first row of f_calc + k_mask f_mask if there is a mask.
extern "C" __global__ void __launch_bounds__(128)
scaled_total(const double2* __restrict__ f_calc, const double* __restrict__ factor, const double* __restrict__ k_mask,
             const double2* __restrict__ f_mask, int rows, int n, double2* __restrict__ out) {
    const int at = thread_index();
    if (at >= rows * n) return;
    const int i = at % n;
    double2 inner = f_calc[at];
    if (at < n && f_mask) {
        const double k = k_mask[i];
        inner.x += k * f_mask[i].x;
        inner.y += k * f_mask[i].y;
    }
    out[at] = make_double2(factor[i] * inner.x, factor[i] * inner.y);
}

// Value at x of the function that is linear between knots (ascending) and constant beyond them.
__device__ double piecewise(const double* knots, const double* values, int n, double x) {
    if (x <= knots[0]) return values[0];
    for (int k = 1; k < n; ++k)
        if (x < knots[k])
            return values[k - 1] + (values[k] - values[k - 1]) / (knots[k] - knots[k - 1]) * (x - knots[k - 1]);
    return values[n - 1];
}

// A scale on every reflection.  parameters: ln k, B, k_sol, B_sol, Babinet's k and B, coefficients (m) of the tensors,
// knots and values of k_mask (2 n_mask), of ln k_iso (2 n_iso); out (4, n): factor, k_mask, k_aniso, k_iso.
extern "C" __global__ void __launch_bounds__(128)
scale_factors(const double* __restrict__ s, const double* __restrict__ columns, int m,
              const double* __restrict__ parameters, int n_mask, int n_iso, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double x = s[i], x2 = x * x;
    const double *tensor = parameters + 6, *mask = tensor + m, *iso = mask + 2 * n_mask;
    const double k_mask = n_mask ? piecewise(mask, mask + n_mask, n_mask, x)
                                 : parameters[2] * exp(-0.25 * parameters[3] * x2);
    const double log_iso = n_iso ? piecewise(iso, iso + n_iso, n_iso, x) : 0.0;
    double log_aniso = 0.0;
    for (int k = 0; k < m; ++k) log_aniso += columns[i64(i) * m + k] * tensor[k];
    double factor = exp(parameters[0] - 0.25 * parameters[1] * x2 + log_aniso + log_iso);
    if (parameters[4] != 0.0) factor *= 1.0 - parameters[4] * exp(-0.25 * parameters[5] * x2);
    out[i] = factor;
    out[i64(n) + i] = k_mask;
    out[2 * i64(n) + i] = exp(log_aniso);
    out[3 * i64(n) + i] = exp(log_iso);
}
