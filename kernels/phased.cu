// Amplitudes with prior phases: Rice's distribution before its phase is integrated out, averaged over what is known of
// the phase (Hendrickson–Lattman coefficients).
#include "circle.cuh"

struct Phased {
    double minus_ll, weight, total;
    double2 direction, own;  // ⟨exp(iφ)⟩ of data, model and prior together, and of the prior alone
};

// prior (4, n): A, B, C, D.
__device__ Phased phased_terms(double fo, double sigma, double2 f, const double* __restrict__ prior, i64 n, double d,
                               double model, bool centric) {
    Phased out;
    const double fc = length(f), dfc = d * fc;
    const double2 first = make_double2(prior[0], prior[n]);
    out.weight = centric ? 1.0 : 2.0;
    out.total = out.weight * sigma * sigma + model;
    const double pull = out.weight * fo * d / out.total, misfit = 0.5 * out.weight * (fo * fo + dfc * dfc) / out.total;
    if (centric) {
        // two phases: the model's, or the prior's where there is no model, and the opposite one
        const double2 unit = fc > 0.0 ? direction(f, fc) : direction(first, length(first));
        const double along = real_product(first, unit), both = pull * fc + along;
        out.minus_ll = misfit + 0.5 * log(0.5 * PI * out.total) - log_cosh(both) + log_cosh(along);
        out.direction = tanh(both) * unit;
        out.own = tanh(along) * unit;
    } else {
        const double2 second = make_double2(prior[2 * n], prior[3 * n]);
        const MeanPhase both = mean_phase(first + pull * f, second), alone = mean_phase(first, second);
        out.minus_ll = misfit + log(out.total) - log(2.0 * fmax(fo, 1e-30)) + alone.log_mean - both.log_mean;
        out.direction = both.mean;
        out.own = alone.mean;
    }
    return out;
}

// Information: between Rice's and that of a known phase, by how well the prior fixes the phase beside the model.
extern "C" __global__ void __launch_bounds__(128)
phased(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
       const double* __restrict__ prior, const double* __restrict__ d, const double* __restrict__ s,
       const double* __restrict__ epsilon, const bool* __restrict__ centric, int n,
       const double* __restrict__ table_acentric, const double* __restrict__ table_centric, int table_size,
       double table_end, bool derivatives, double* __restrict__ minus_ll, double2* __restrict__ gradient,
       double* __restrict__ information, double2* __restrict__ mean) {
    const int i = thread_index();
    if (i >= n) return;
    const double2 f = f_calc[i];
    const Phased p = phased_terms(f_obs[i], sigma[i], f, prior + i, n, d[i], epsilon[i] * s[i], centric[i]);
    minus_ll[i] = p.minus_ll;
    mean[i] = p.direction;
    double2 slope = make_double2(0.0, 0.0);
    double expected = 0.0;
    if (derivatives) {
        slope = (p.weight * d[i] / p.total) * (d[i] * f - f_obs[i] * p.direction);
        const double x = d[i] * length(f) / sqrt(p.total), known = (centric[i] ? 1.0 : 4.0) * d[i] * d[i] / p.total;
        const double rice = interpolate(centric[i] ? table_centric : table_acentric, table_size, table_end, x) * known;
        const double fixed = fmin(norm2(p.own), 1.0 - 1e-12);
        expected = rice + (known - rice) * fixed / (fixed + (1.0 - fixed) * (1.0 + 2.0 * x * x));
    }
    gradient[i] = slope;
    information[i] = expected;
}

// The same likelihood with its derivatives by D and ln S; out (5, n): −LL, ∂D, ∂ln S, and bounds on the information.
extern "C" __global__ void __launch_bounds__(128)
phased_sigmaa(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
              const double* __restrict__ prior, const double* __restrict__ d, const double* __restrict__ s,
              const double* __restrict__ epsilon, const bool* __restrict__ centric, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double2 f = f_calc[i];
    const double fo = f_obs[i], model = epsilon[i] * s[i];
    const Phased p = phased_terms(fo, sigma[i], f, prior + i, n, d[i], model, centric[i]);
    const double half = 0.5 * p.weight, fc2 = norm2(f), share = model / p.total;
    const double overlap = fo * real_product(p.direction, f);
    const double misfit = fo * fo + d[i] * d[i] * fc2 - 2.0 * d[i] * overlap;
    out[i] = p.minus_ll;
    out[i64(n) + i] = half * 2.0 * (d[i] * fc2 - overlap) / p.total;
    out[2 * i64(n) + i] = half * share * (1.0 - misfit / p.total);
    out[3 * i64(n) + i] = half * 2.0 * fc2 / p.total;
    out[4 * i64(n) + i] = half * share * share;
}
