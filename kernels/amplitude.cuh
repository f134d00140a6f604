// Integrals over one true amplitude f = F/√Σ, shared by the likelihoods that integrate it out.
//
// Its density given x = D|F_c|/√Σ is 2f exp(−(f − x)²) ĩ₀(2fx) (acentric) or √(2/π) exp(−(f − x)²/2) (1 + exp(−2fx))/2
// (centric), and a measured i with precision p multiplies it by exp(−p (f² − i)²/2).  The product has one maximum.
#pragma once
#include "common.cuh"

#define AMPLITUDE_DROP 18.0  // the integral ends where the integrand has fallen by exp(−18)

// Cubic table (steps + 2, 4) of exp(−y) I0(y), its slope, I1/I0 and its slope, y = 0 … end.
struct BesselTable {
    const double* values;
    double steps_per_unit, end;
};

// exp(−y) I0(y) and I1(y)/I0(y) for y ≥ 0.
__device__ inline void bessel(const BesselTable& table, double y, double& zero, double& ratio) {
    if (y >= table.end) {
        const double v = 1.0 / y;
        zero = (1.0 + 0.125 * v * (1.0 + 0.5625 * v * (1.0 + 25.0 / 24.0 * v * (1.0 + 49.0 / 32.0 * v
                * (1.0 + 2.025 * v))))) / sqrt(2.0 * PI * y);
        ratio = 1.0 - v * (0.5 + v * (0.125 + v * (0.125 + v * (25.0 / 128.0 + v * (0.40625 + v * 1.0478515625)))));
        return;
    }
    double t = y * table.steps_per_unit;
    const int k = int(t);
    t -= k;
    const double u = 1.0 - t;
    const double a = u * u * (1.0 + 2.0 * t), b = t * u * u, c = t * t * (3.0 - 2.0 * t), d = -t * t * u;
    const double* row = table.values + 4 * k;
    zero = a * row[0] + b * row[1] + c * row[4] + d * row[5];
    ratio = a * row[2] + b * row[3] + c * row[6] + d * row[7];
}

// What was measured and expected of one amplitude; ``table`` is shared by all.
struct Amplitude {
    BesselTable table;
    double i, p, x;
    bool centric;

    // −ln of the integrand, up to a constant.
    __device__ double energy(double f) const {
        const double q = f * f - i;
        if (centric) return 0.5 * p * q * q + 0.5 * (f - x) * (f - x) - log1p(exp(-2.0 * f * x));
        double zero, ratio;
        bessel(table, 2.0 * f * x, zero, ratio);
        return 0.5 * p * q * q + (f - x) * (f - x) - log(zero * f);
    }

    // First and second derivative of the energy.
    __device__ double2 slope(double f) const {
        const double q = f * f - i;
        if (centric) {
            const double m = tanh(f * x);
            return make_double2(2.0 * p * f * q + f - x * m, 2.0 * p * (q + 2.0 * f * f) + 1.0 - x * x * (1.0 - m * m));
        }
        const double y = 2.0 * f * x;
        double zero, m;
        bessel(table, y, zero, m);
        const double curve = 1.0 - m * m - (y > 1e-4 ? m / y : 0.5);
        return make_double2(2.0 * p * f * q + 2.0 * (f - x * m) - 1.0 / f,
                            2.0 * p * (q + 2.0 * f * f) + 2.0 - 4.0 * x * x * curve + 1.0 / (f * f));
    }

    // Place of the integrand's maximum to a small part of its width, and the second derivative there.
    __device__ double2 peak() const {
        const double weight = centric ? 1.0 : 2.0, prior = 0.5 * (x + sqrt(x * x + 2.0 / weight));
        double f = prior, low = 0.0, high = 2.0 * prior, second = 1.0;
        if (p > 0.0) {
            const double root = sqrt(i * i + 2.0 / p);
            const double t = i >= 0.0 ? 0.5 * (i + root) : 1.0 / (p * (root - i));
            const double measured = sqrt(t), c = 2.0 * p * (3.0 * t - i) + 1.0 / t;
            f = (c * measured + weight * prior) / (c + weight);
            high = 2.0 * fmax(measured, prior) + 1e-300;
        }
        for (int turn = 0; turn < 60; ++turn) {
            const double2 d = slope(f);
            second = d.y;
            if (d.y > 0.0 && d.x * d.x < 2e-3 * d.y) {
                f = fmax(f - d.x / d.y, 0.5 * f);
                break;
            }
            (d.x > 0.0 ? high : low) = f;
            double trial = d.y > 0.0 ? f - d.x / d.y : -1.0;
            if (!(low < trial && trial < high)) trial = 0.5 * (low + high);
            if (centric && trial * trial * (1.0 + p * fabs(i) + x * x) < 1e-4) {
                f = 0.0;  // the maximum is at 0, where the slope vanishes
                break;
            }
            f = trial;
        }
        return make_double2(f, fmax(second, 0.1 * weight / (1.0 + x * x)));
    }

    // Interval outside which the integrand is below exp(−AMPLITUDE_DROP) of its maximum at ``top``.x.
    __device__ double2 window(double2 top) const {
        const double f = top.x, limit = energy(f) + AMPLITUDE_DROP, reach = sqrt(2.0 * AMPLITUDE_DROP / top.y);
        double high = f + reach, low = f - reach;
        for (int turn = 0; turn < 8; ++turn) {
            const double excess = energy(high) - limit;
            if (excess >= 0.0 && excess < 5.0) break;
            const double by = slope(high).x, move = by > 0.0 ? excess / by : -1e300;
            high -= fmax(fmin(move, 0.7 * (high - f)), -2.0 * (high - f));
        }
        for (int turn = 0; turn < 8; ++turn) {
            if (low <= 0.02 * f) {
                low = 0.0;
                break;
            }
            const double excess = energy(low) - limit;
            if (excess >= 0.0 && excess < 5.0) break;
            const double by = slope(low).x, move = by < 0.0 ? excess / by : 1e300;
            low -= fmin(fmax(move, -0.7 * (f - low)), 2.0 * (f - low));
        }
        return make_double2(fmax(low, 0.0), high);
    }

    // Exponent of the integrand at f.
    __device__ double depth(double f) const {
        const double q = f * f - i;
        return (centric ? 0.5 : 1.0) * (f - x) * (f - x) + 0.5 * p * q * q;
    }

    // The same, with ``factor`` of the density of f, and the mean cosine of its phase.
    __device__ double exponent(double f, double& factor, double& cosine) const {
        if (centric) {
            const double e = exp(-2.0 * f * x);
            factor = sqrt(0.5 / PI) * (1.0 + e);
            cosine = (1.0 - e) / (1.0 + e);
        } else {
            double zero;
            bessel(table, 2.0 * f * x, zero, cosine);
            factor = 2.0 * f * zero;
        }
        return depth(f);
    }
};
