// Three or more related reflections: expectation propagation (Minka 2001; Rasmussen & Williams 2006, 3.6).
//
// In units of Σ_k the unknowns are t_k = f_k², each with its own density q_k, and what was measured is one normal
// distribution of all of them, exp(−|y − Bt|²/2).  Each q_k is replaced by a normal factor exp(ν_k t − τ_k t²/2) such that
// the normal distribution (mean m, covariance S) which they make together with the measurements agrees, in mean and
// variance of every t_k, with q_k times what all the others say of t_k (docs/likelihood_twin.md).
#pragma once
#include "midpoint.cuh"

#define TWIN_SWEEPS 60
#define TWIN_CONVERGED 1e-5  // change of a mean in units of its uncertainty, and of the logarithm of a variance
#define TWIN_LEAST_PRECISION 1e-8  // of what the others say of one t_k, in units of 1/S_kk

// A row of numbers of one thread in memory that threads share: neighbours' numbers lie beside each other.
struct Row {
    double* first;
    int stride;

    __device__ double& operator[](int k) const { return first[i64(k) * stride]; }
    // What lies behind the first n.
    __device__ Row after(int n) const { return {first + i64(n) * stride, stride}; }
};

struct Square {
    Row row;
    int n;

    __device__ double& operator()(int i, int j) const { return row[i * n + j]; }
};

// ln Z = ln ∫ q(t) exp(g (t − m) − p (t − m)²/2) dt and the means over its integrand.
struct Tilted {
    double log_z, f, t, fm, m, variance;
};

__device__ __noinline__ Tilted tilted(const BesselTable& table, double p, double g, double m, double x, bool centric) {
    const Amplitude given = {table, m + g / p, p, x, centric}, prior = {table, 0.0, 0.0, x, centric};
    const double2 top = given.peak(), range = given.window(top);
    const double low = range.x, length = range.y - low;
    const int size = midpoint_count(length, midpoint_step(low, top.x, range.y, given.slope(top.x).y), 1e6);
    const double step = length / size, near = top.x * top.x;  // differences from it: the variance is far less than ⟨t²⟩
    double least = 1e300, s0 = 0.0, s1 = 0.0, s2 = 0.0, s3 = 0.0, s4 = 0.0, s5 = 0.0;
    for (int k = low == 0.0 ? -1 : 0; k < size; ++k) {
        const double f = k >= 0 ? low + (k + 0.5) * step : 0.0, delta = f * f - m, off = f * f - near;
        double factor, cosine;
        const double exponent = prior.exponent(f, factor, cosine) + delta * (0.5 * p * delta - g);
        if (exponent < least) {
            const double shrink = exp(fmax(exponent - least, -700.0));
            s0 *= shrink, s1 *= shrink, s2 *= shrink, s3 *= shrink, s4 *= shrink, s5 *= shrink;
            least = exponent;
        }
        if (exponent - least > 40.0) continue;
        if (k < 0) {
            const Lack lack = end_corrections(exp(least - exponent), p * given.i, p, x, centric, step);
            if (centric) {
                s1 += lack.one;
                s4 += x * lack.m;
            } else {
                s0 += lack.one;
                s2 += lack.t - near * lack.one;
                s3 += x * lack.m;
                s5 += lack.tt - 2.0 * near * lack.t + near * near * lack.one;
            }
            continue;
        }
        const double w = step * factor * exp(least - exponent);
        s0 += w;
        s1 += w * f;
        s2 += w * off;
        s3 += w * f * cosine;
        s4 += w * cosine;
        s5 += w * (off * off);
    }
    return {log(s0) - least, s1 / s0, near + s2 / s0, s3 / s0, s4 / s0, s5 / s0 - (s2 / s0) * (s2 / s0)};
}

// One group of n and the working memory of a thread for it.
struct TwinGroup {
    int n;
    Square b, covariance, lower;
    Row y, x, width, mean, tau, nu, pull;

    __device__ TwinGroup(Row memory, int size) : n(size) {
        b = {memory, n}, covariance = {memory.after(n * n), n}, lower = {memory.after(2 * n * n), n};
        const Row rows = memory.after(3 * n * n);
        y = rows, x = rows.after(n), width = rows.after(2 * n), mean = rows.after(3 * n), tau = rows.after(4 * n);
        nu = rows.after(5 * n), pull = rows.after(6 * n);
    }

    // covariance becomes the inverse of BᵀB + τ by its Cholesky factor; ½ ln det, or NaN where that is not positive.
    __device__ double invert() const {
        double half = 0.0;
        for (int i = 0; i < n; ++i)
            for (int j = 0; j <= i; ++j) {
                double value = i == j ? tau[i] : 0.0;
                double product = 0.0;
                for (int k = 0; k < n; ++k) product += b(k, i) * b(k, j);
                value = product + value;
                const double whole = value;
                for (int k = 0; k < j; ++k) value -= lower(i, k) * lower(j, k);
                if (i != j) {
                    lower(i, j) = value / lower(j, j);
                    continue;
                }
                if (!(value > 1e-14 * whole)) return nan("");
                lower(i, i) = sqrt(value);
                half -= log(lower(i, i));
            }
        for (int i = 0; i < n; ++i) {  // the inverse of the factor, in its place
            lower(i, i) = 1.0 / lower(i, i);
            for (int j = 0; j < i; ++j) {
                double value = 0.0;
                for (int k = j; k < i; ++k) value -= lower(i, k) * lower(k, j);
                lower(i, j) = value * lower(i, i);
            }
        }
        for (int i = 0; i < n; ++i)
            for (int j = 0; j <= i; ++j) {
                double value = 0.0;
                for (int k = i; k < n; ++k) value += lower(k, i) * lower(k, j);
                covariance(i, j) = value;
                covariance(j, i) = value;
            }
        return half;
    }

    // A normal factor's precision at first.
    __device__ double broad(int k, bool centric) const {
        return 1.0 / ((centric ? 2.0 : 1.0) * (2.0 * x[k] * x[k] + 1.0));
    }

    // Mean and covariance of the normal distribution; ½ ln det S.  ``mean`` comes in near its value.
    __device__ double joint(const bool* centric) const {
        double half = invert();
        if (isnan(half)) {
            for (int k = 0; k < n; ++k) tau[k] = fmax(tau[k], 1e-6 * broad(k, centric[k]));
            half = invert();
        }
        for (int turn = 0; turn < 2; ++turn) {  // by residuals: products of large y would lose digits
            for (int k = 0; k < n; ++k) pull[k] = nu[k] - tau[k] * mean[k];
            for (int j = 0; j < n; ++j) {
                double residual = y[j];
                for (int k = 0; k < n; ++k) residual -= b(j, k) * mean[k];
                for (int k = 0; k < n; ++k) pull[k] += b(j, k) * residual;
            }
            for (int k = 0; k < n; ++k)
                for (int q = 0; q < n; ++q) mean[k] += covariance(k, q) * pull[q];
        }
        return half;
    }

    // What q_k is times what all others say of t_k.
    __device__ Tilted tilt(const BesselTable& table, int k, bool centric, double& p, double& pulled) const {
        const double own = covariance(k, k), m = mean[k];
        p = fmax(1.0 / own - tau[k], TWIN_LEAST_PRECISION / own);
        const double g = tau[k] * m - nu[k];
        pulled = g + p * m;
        return tilted(table, p, g, m, x[k], centric);
    }

    // ln of the integral over all amplitudes.
    __device__ double integrate(const BesselTable& table, const bool* centric) const {
        for (int k = 0; k < n; ++k) {
            mean[k] = x[k] * x[k] + 1.0;
            tau[k] = broad(k, centric[k]);
            nu[k] = tau[k] * mean[k];
        }
        double log_p = joint(centric), damping = 1.0, before = 1e300;
        for (int sweep = 0; sweep < TWIN_SWEEPS; ++sweep) {
            double change = 0.0;
            for (int k = 0; k < n; ++k) {
                const double own = covariance(k, k), m = mean[k];
                double p, pulled;
                const Tilted found = tilt(table, k, centric[k], p, pulled);
                change = fmax(change, fmax(fabs(found.t - m) / sqrt(own), fabs(log(found.variance / own))));
                const double by_tau = damping * (1.0 / found.variance - p - tau[k]);
                const double by_nu = damping * (found.t / found.variance - pulled - nu[k]);
                tau[k] += by_tau;
                nu[k] += by_nu;
                const double shrink = 1.0 / (1.0 + by_tau * own), shift = (by_nu - by_tau * m) * shrink;
                for (int i = 0; i < n; ++i) pull[i] = covariance(i, k);
                for (int i = 0; i < n; ++i) {
                    mean[i] += pull[i] * shift;
                    for (int j = 0; j < n; ++j) covariance(i, j) -= by_tau * shrink * pull[i] * pull[j];
                }
            }
            log_p = joint(centric);
            if (change < TWIN_CONVERGED) break;
            if (sweep > 5 && change > 0.7 * before) damping = fmax(0.7 * damping, 0.2);
            before = change;
        }
        for (int j = 0; j < n; ++j) {
            double residual = -y[j];
            for (int k = 0; k < n; ++k) residual += b(j, k) * mean[k];
            log_p -= 0.5 * residual * residual;
        }
        return log_p;
    }
};
