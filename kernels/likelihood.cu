// Rice's likelihood of amplitudes, per reflection, double precision.
//
// −LL of |F_o| with measurement error σ given D F_c with variance 2σ² + εS (acentric) or σ² + εS (centric), its
// derivative, its expected information (a table of the reduced amplitude) and the figure of merit.
#include "bessel.cuh"

struct Rice {
    double minus_ll, m, total, slope;
};

// slope is d(−LL)/d|F_c|.
__device__ Rice rice_terms(double fo, double sigma, double fc, double d, double model, bool centric) {
    Rice out;
    const double dfc = d * fc;
    if (centric) {
        out.total = sigma * sigma + model;
        const double x = dfc * fo / out.total;
        out.m = tanh(x);
        out.minus_ll = 0.5 * log(0.5 * PI * out.total) + 0.5 * (fo * fo + dfc * dfc) / out.total - log_cosh(x);
        out.slope = d / out.total * (dfc - out.m * fo);
    } else {
        out.total = 2.0 * sigma * sigma + model;
        double log_i0;
        log_i0_and_ratio(2.0 * dfc * fo / out.total, log_i0, out.m);
        out.minus_ll = log(out.total) - log(2.0 * fmax(fo, 1e-30)) + (fo * fo + dfc * dfc) / out.total - log_i0;
        out.slope = 2.0 * d / out.total * (dfc - out.m * fo);
    }
    return out;
}

extern "C" __global__ void __launch_bounds__(128)
rice(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
     const double* __restrict__ d, const double* __restrict__ s, const double* __restrict__ epsilon,
     const bool* __restrict__ centric, int n, const double* __restrict__ table_acentric,
     const double* __restrict__ table_centric, int table_size, double table_end, bool derivatives,
     double* __restrict__ minus_ll, double2* __restrict__ gradient, double* __restrict__ information,
     double* __restrict__ fom) {
    const int i = thread_index();
    if (i >= n) return;
    const double2 f = f_calc[i];
    const double fc = hypot(f.x, f.y);
    const Rice r = rice_terms(f_obs[i], sigma[i], fc, d[i], epsilon[i] * s[i], centric[i]);
    minus_ll[i] = r.minus_ll;
    fom[i] = r.m;
    double2 slope = make_double2(0.0, 0.0);
    double expected = 0.0;
    if (derivatives) {
        const double at = d[i] * fc / sqrt(r.total), unit = d[i] * d[i] / r.total;
        expected = centric[i] ? unit * interpolate(table_centric, table_size, table_end, at)
                              : 4.0 * unit * interpolate(table_acentric, table_size, table_end, at);
        if (fc > 0.0) slope = make_double2(f.x * (r.slope / fc), f.y * (r.slope / fc));
    }
    gradient[i] = slope;
    information[i] = expected;
}

// The same likelihood with its derivatives by D and ln S; out (5, n): −LL, ∂D, ∂ln S, and bounds on the information.
extern "C" __global__ void __launch_bounds__(128)
rice_sigmaa(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double* __restrict__ fc_abs,
            const double* __restrict__ d, const double* __restrict__ s, const double* __restrict__ epsilon,
            const bool* __restrict__ centric, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double fo = f_obs[i], fc = fc_abs[i], model = epsilon[i] * s[i], dfc = d[i] * fc;
    const Rice r = rice_terms(fo, sigma[i], fc, d[i], model, centric[i]);
    const double half = centric[i] ? 0.5 : 1.0, share = model / r.total;
    const double misfit = fo * fo + dfc * dfc - 2.0 * r.m * dfc * fo;
    out[i] = r.minus_ll;
    out[i64(n) + i] = half * 2.0 * fc / r.total * (dfc - r.m * fo);
    out[2 * i64(n) + i] = half * share * (1.0 - misfit / r.total);
    out[3 * i64(n) + i] = half * 2.0 * fc * fc / r.total;
    out[4 * i64(n) + i] = half * share * share;
}
