// What a likelihood of intensities returns, from the means that the integrals leave (backend/posterior.py).
#include "common.cuh"

// Mean D|F_c| and variance εS of the prior; ``f`` complex, or real amplitudes in the place of it.
extern "C" __global__ void __launch_bounds__(128)
prior_of(const double2* __restrict__ f, const double* __restrict__ amplitude, const double* __restrict__ d,
         const double* __restrict__ s, const double* __restrict__ epsilon, int n, double* __restrict__ mean,
         double* __restrict__ variance) {
    const int i = thread_index();
    if (i >= n) return;
    mean[i] = d[i] * (f ? hypot(f[i].x, f[i].y) : amplitude[i]);
    variance[i] = epsilon[i] * s[i];
}

// posterior (5, n) as the kernel intensity leaves it.  gradient and information (both or none), and best ⟨F exp(iφ)⟩.
extern "C" __global__ void __launch_bounds__(128)
posterior_result(const double* __restrict__ posterior, const double* __restrict__ sigma,
                 const double2* __restrict__ f_calc, const double* __restrict__ d, const double* __restrict__ variance,
                 const bool* __restrict__ centric, int n, double2* __restrict__ best, double2* __restrict__ gradient,
                 double* __restrict__ information) {
    const int i = thread_index();
    if (i >= n) return;
    const double2 f = f_calc[i];
    const double fc = hypot(f.x, f.y), fm = posterior[3 * i64(n) + i];
    const double2 direction = fc > 0.0 ? make_double2(f.x / fc, f.y / fc) : make_double2(1.0, 0.0);
    best[i] = make_double2(fm * direction.x, fm * direction.y);
    if (!gradient) return;
    const double own = d[i], v = variance[i];
    const double slope = fc > 0.0 ? (centric[i] ? 1.0 : 2.0) * own * (own * fc - fm) / v : 0.0;
    gradient[i] = make_double2(slope * direction.x, slope * direction.y);
    const double spread = (centric[i] ? 2.0 : 1.0) * (v * v + 2.0 * own * own * (fc * fc) * v) + sigma[i] * sigma[i];
    information[i] = 4.0 * (own * own) * (own * own) * (fc * fc) / spread;
}

// out (4, n): derivatives by D and ln S, and bounds on their information.
extern "C" __global__ void __launch_bounds__(128)
posterior_sigmaa(const double* __restrict__ posterior, const double* __restrict__ sigma,
                 const double* __restrict__ fc_abs, const double* __restrict__ d, const double* __restrict__ variance,
                 const bool* __restrict__ centric, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double half = centric[i] ? 0.5 : 1.0, fc = fc_abs[i], v = variance[i], dfc = d[i] * fc;
    const double f2 = posterior[2 * i64(n) + i], fm = posterior[3 * i64(n) + i];
    const double model = (centric[i] ? 2.0 : 1.0) * v * (v + 2.0 * dfc * dfc), total = model + sigma[i] * sigma[i];
    const double share = model / total, misfit = f2 + dfc * dfc - 2.0 * dfc * fm;
    const double known = 2.0 * half * fc * fc / v, weak = v / (v + 2.0 * dfc * dfc);
    out[i] = 2.0 * half * fc * (dfc - fm) / v;
    out[i64(n) + i] = half * (1.0 - misfit / v);
    out[2 * i64(n) + i] = fmin(known, 5.0 * fc * fc * dfc * dfc / total + 0.05 * known * share);
    out[3 * i64(n) + i] = half * (weak * share + (1.0 - weak) * share * share);
}
