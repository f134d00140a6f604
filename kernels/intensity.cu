// The likelihood of measured intensities: true amplitudes integrated out by Gauss–Legendre quadrature.
#include "amplitude.cuh"

// out (5, n): −LL, ⟨F⟩, ⟨F²⟩, ⟨F cos(φ − φ_c)⟩ and ⟨cos(φ − φ_c)⟩ of each reflection; ``mean`` D|F_c|, ``variance`` Σ;
// node and weight (nodes) of the quadrature on 0 … 1.
extern "C" __global__ void __launch_bounds__(128, 1)
intensity(const double* __restrict__ i_obs, const double* __restrict__ sigma, const double* __restrict__ mean,
          const double* __restrict__ variance, const bool* __restrict__ centric, int n,
          const double* __restrict__ bessel_table, double bessel_steps, double bessel_end,
          const double* __restrict__ node, const double* __restrict__ weight, int nodes, double* __restrict__ out) {
    const int r = thread_index();
    if (r >= n) return;
    const double unit = variance[r], root = sqrt(unit), precision = unit / sigma[r];
    const Amplitude own = {{bessel_table, bessel_steps / bessel_end, bessel_end}, i_obs[r] / unit,
                           precision * precision, mean[r] / root, centric[r]};
    const double2 top = own.peak(), range = own.window(top);
    double factor, cosine;
    const double least = own.exponent(top.x, factor, cosine);
    double total = 0.0, sum_f = 0.0, sum_f2 = 0.0, sum_fm = 0.0, sum_m = 0.0;
    for (int k = 0; k < nodes; ++k) {
        const double f = range.x + (range.y - range.x) * node[k], e = own.exponent(f, factor, cosine);
        const double w = weight[k] * factor * exp(least - e);
        total += w;
        sum_f += w * f;
        sum_f2 += w * f * f;
        sum_fm += w * f * cosine;
        sum_m += w * cosine;
    }
    out[r] = least - log(total * (range.y - range.x)) + 0.5 * log(2.0 * PI) + log(sigma[r]);
    out[i64(n) + r] = root * sum_f / total;
    out[2 * i64(n) + r] = unit * sum_f2 / total;
    out[3 * i64(n) + r] = root * sum_fm / total;
    out[4 * i64(n) + r] = sum_m / total;
}
