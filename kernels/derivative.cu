// A native with the Friedel pair of a derivative: heavy-atom sites, rows of structure factors, the derivative's scale.
#include "complex.cuh"

// out (2, n): F_H = Σ q f(s) E and F″_H = Σ q f″ E of sites (k, 5) x, y, z, B, q, one reflection a thread;
// E = exp(−B s²/4) Σ_ops exp(2πi h·(R x + t)).  form (k, n), f_second (k).
extern "C" __global__ void __launch_bounds__(128)
site_factors(const int* __restrict__ hkl, const double* __restrict__ inv_d2, const double* __restrict__ form,
             const double* __restrict__ f_second, const int* __restrict__ rotations,
             const double* __restrict__ translations, int n_op, const double* __restrict__ sites, int k, int n,
             double2* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const int a = hkl[3 * i], b = hkl[3 * i + 1], c = hkl[3 * i + 2];
    double2 first = make_double2(0.0, 0.0), second = first;
    for (int site = 0; site < k; ++site) {
        const double* x = sites + 5 * site;
        double2 wave = make_double2(0.0, 0.0);
        for (int op = 0; op < n_op; ++op) {
            const int* r = rotations + 9 * op;
            const double* t = translations + 3 * op;
            const double phase = (a * r[0] + b * r[3] + c * r[6]) * x[0] + (a * r[1] + b * r[4] + c * r[7]) * x[1]
                                 + (a * r[2] + b * r[5] + c * r[8]) * x[2] + a * t[0] + b * t[1] + c * t[2];
            double sine, cosine;
            sincospi(2.0 * phase, &sine, &cosine);
            wave = wave + make_double2(cosine, sine);
        }
        const double size = x[4] * exp(-0.25 * x[3] * inv_d2[i]);
        first = first + (size * form[i64(site) * n + i]) * wave;
        second = second + (size * f_second[site]) * wave;
    }
    out[i] = first;
    out[n + i] = second;
}

// out (3, m): F_N, F_H and F″ of the reflections index (m) from rows F_N, F″ of the atoms and F_H, F″_H, (2, n) each.
extern "C" __global__ void __launch_bounds__(128)
derivative_rows(const double2* __restrict__ f_total, const double2* __restrict__ heavy, const int* __restrict__ index,
                int m, int n, double2* __restrict__ out) {
    const int at = thread_index();
    if (at >= m) return;
    const int i = index[at];
    out[at] = f_total[i];
    out[m + at] = heavy[i];
    out[2 * i64(m) + at] = f_total[n + i] + heavy[n + i];
}

// Of the reflections index (m): size |F_N + F_H| and what that is of observed (m).
extern "C" __global__ void __launch_bounds__(128)
derivative_ratio(const double2* __restrict__ f_total, const double2* __restrict__ heavy, const int* __restrict__ index,
                 const double* __restrict__ observed, int m, double* __restrict__ size, double* __restrict__ ratio) {
    const int at = thread_index();
    if (at >= m) return;
    const double b = length(f_total[index[at]] + heavy[index[at]]);
    size[at] = b;
    ratio[at] = b / observed[at];
}

// Weight of each reflection and weight × what ln k is fitted to in this round; medians (2) of size and ratio, of which
// the second is the fit before the first round (``first``), columns (m, 7) · coefficients afterwards.
extern "C" __global__ void __launch_bounds__(128)
derivative_pull(const double* __restrict__ size, const double* __restrict__ ratio, const double* __restrict__ medians,
                const double* __restrict__ columns, const double* __restrict__ coefficients, bool first, double clip,
                int m, double* __restrict__ weight, double* __restrict__ pull) {
    const int at = thread_index();
    if (at >= m) return;
    weight[at] = pull[at] = 0.0;
    if (!(size[at] > 0.0)) return;
    double fitted = 0.0;
    if (first) fitted = log(medians[1]);
    else for (int c = 0; c < 7; ++c) fitted += columns[7 * i64(at) + c] * coefficients[c];
    const double share = fmin(size[at] / medians[0], 2.0);
    weight[at] = share * share;
    pull[at] = share * share * (fitted + fmin(fmax(log(ratio[at]) - fitted, -clip), clip));
}

// out (n) = exp(columns (n, 7) · coefficients (7))
extern "C" __global__ void __launch_bounds__(128)
derivative_scale(const double* __restrict__ columns, const double* __restrict__ coefficients, int n,
                 double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    double sum = 0.0;
    for (int c = 0; c < 7; ++c) sum += columns[7 * i64(i) + c] * coefficients[c];
    out[i] = exp(sum);
}

// Amplitudes and uncertainties (3, n) of a native and two mates, the mates' times scale (n) if there is one: out (6, n).
extern "C" __global__ void __launch_bounds__(128)
scaled_mates(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double* __restrict__ scale,
             int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    for (int row = 0; row < 3; ++row) {
        const double by = row && scale ? scale[i] : 1.0;
        out[i64(row) * n + i] = f_obs[i64(row) * n + i] * by;
        out[i64(3 + row) * n + i] = sigma[i64(row) * n + i] * by;
    }
}

// out[row, i] = values[from[row], index[i]] + values[also[row], index[i]]; where from is −1 it is 0, −2 it is NaN, where
// also is negative nothing is added.  values (…, n), out (rows, m).
template <class T>
__device__ __forceinline__ void pick(const T* values, const int* from, const int* index, int m, int rows, int n,
                                     T nothing, T unknown, T* out) {
    const int at = thread_index();
    if (at >= rows * m) return;
    const int row = at / m, i = index[at % m], a = from[row], b = from[rows + row];
    T value = a == -2 ? unknown : nothing;
    if (a >= 0) value = values[i64(a) * n + i];
    if (b >= 0) value = value + values[i64(b) * n + i];
    out[at] = value;
}

extern "C" __global__ void __launch_bounds__(128)
pick_real(const double* __restrict__ values, const int* __restrict__ from, const int* __restrict__ index, int m,
          int rows, int n, double* __restrict__ out) {
    pick(values, from, index, m, rows, n, 0.0, __longlong_as_double(0x7ff8000000000000LL), out);
}

extern "C" __global__ void __launch_bounds__(128)
pick_complex(const double2* __restrict__ values, const int* __restrict__ from, const int* __restrict__ index, int m,
             int rows, int n, double2* __restrict__ out) {
    const double2 zero = make_double2(0.0, 0.0);
    pick(values, from, index, m, rows, n, zero, zero, out);
}

// out[to[row], index[i]] = out[also[row], index[i]] = values[row, i] where to and also are not negative.
template <class T>
__device__ __forceinline__ void lay(const T* values, const int* to, const int* index, int m, int rows, int n, T* out) {
    const int at = thread_index();
    if (at >= rows * m) return;
    const int row = at / m, i = index[at % m];
    if (to[row] >= 0) out[i64(to[row]) * n + i] = values[at];
    if (to[rows + row] >= 0) out[i64(to[rows + row]) * n + i] = values[at];
}

extern "C" __global__ void __launch_bounds__(128)
lay_real(const double* __restrict__ values, const int* __restrict__ to, const int* __restrict__ index, int m, int rows,
         int n, double* __restrict__ out) {
    lay(values, to, index, m, rows, n, out);
}

extern "C" __global__ void __launch_bounds__(128)
lay_complex(const double2* __restrict__ values, const int* __restrict__ to, const int* __restrict__ index, int m,
            int rows, int n, double2* __restrict__ out) {
    lay(values, to, index, m, rows, n, out);
}
