// Integrals over one true amplitude by the midpoint rule, with what the end at 0 lacks.
#pragma once
#include "amplitude.cuh"

#define MIDPOINT_MOST 480.0  // nodes at most
#define MIDPOINT_NEGLIGIBLE 30.0  // logarithm below the largest node from which nodes are left out

// Ends of an integrand's window and the rule's step in it.
struct Span {
    double low, high, step;
};

// For a window with its maximum at ``middle`` and the second derivative there.  Where both ends vanish the rule converges
// as for a normal distribution.  At 0 the integrand of a centric reflection is even, so that nothing is lost there; that
// of an acentric one is odd and gets end corrections.
__device__ inline double midpoint_step(double low, double middle, double high, double second) {
    if (low > 0.0) {
        const bool even = 0.7 * (middle - low) < high - middle && high - middle < 1.45 * (middle - low);
        return (high - low) / (even ? 13.0 : 20.0);
    }
    return fmin(second > 0.0 ? 0.9 / sqrt(second) : high, (high - low) / 13.0);
}

// Nodes in a window; what rounding alone lifts over a whole number counts as that.
__device__ inline int midpoint_count(double length, double step, double most = MIDPOINT_MOST) {
    return int(ceil(fmin(length / step * (1.0 - 1e-12), most)));
}

__device__ __noinline__ Span midpoint_span(const Amplitude& a) {
    const double2 top = a.peak(), range = a.window(top);
    return {range.x, range.y, midpoint_step(range.x, top.x, range.y, a.slope(top.x).y)};
}

// What the rule from 0 lacks (Euler–Maclaurin) of an integral and of it times t, t² and the phase's mean cosine m.
struct Lack {
    double one, t, tt, m;
};

// For the density of f times exp(by_t t − curve t²/2), t = f²; ``value`` is the exponential part of the integrand at 0.
// Acentric: 1, t, t² and f m/x.  Centric, where the integrand is even: f, nothing, nothing, and m/x.
__device__ inline Lack end_corrections(double value, double by_t, double curve, double x, bool centric, double step) {
    const double h2 = step * step, x2 = x * x;
    value *= centric ? sqrt(2.0 / PI) : 2.0;
    const double a = centric ? by_t - 0.5 + 0.5 * x2 : by_t - 1.0 + x2;
    const double b = 0.5 * (a * a - curve) - (centric ? x2 * x2 / 12.0 : 0.25 * x2 * x2);
    // f (1 + a f² + b f⁴ …) and f³ (1 + a f² …)
    const double second = value * h2 / 24.0, fourth = value * h2 * h2 * (7.0 / 960.0);
    const double sixth = value * h2 * h2 * h2 * (31.0 / 8064.0), whole = -second + fourth * a - sixth * b;
    if (centric)  // m = x f (1 − x² f²/3 + 2 x⁴ f⁴/15 …)
        return {whole, 0.0, 0.0,
                -second + fourth * (a - x2 / 3.0) - sixth * (b - a * x2 / 3.0 + x2 * x2 / 7.5)};
    return {whole, fourth - sixth * a, -sixth, fourth - sixth * (a - 0.5 * x2)};  // m = x f (1 − x² f²/2 …)
}

// Integrals, times exp(least), of the integrand times 1, f, t, f m, m and t², m being the phase's mean cosine.
struct Moments {
    double least, one, f, t, fm, m, tt;
};

__device__ __noinline__ Moments midpoint_moments(const Amplitude& a, double low, double step, int count) {
    Moments out = {1e300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int k = 0; k < count; ++k) out.least = fmin(out.least, a.depth(low + (k + 0.5) * step));
    for (int k = 0; k < count; ++k) {
        const double f = low + (k + 0.5) * step, t = f * f;
        double factor, cosine;
        const double above = a.exponent(f, factor, cosine) - out.least;
        if (above > MIDPOINT_NEGLIGIBLE) continue;
        const double w = factor * step * exp(-above);
        out.one += w;
        out.f += w * f;
        out.t += w * t;
        out.fm += w * f * cosine;
        out.m += w * cosine;
        out.tt += w * t * t;
    }
    if (low == 0.0) {
        const double above = a.depth(0.0) - out.least;
        if (above < MIDPOINT_NEGLIGIBLE) {
            const Lack lack = end_corrections(exp(-above), a.p * a.i, a.p, a.x, a.centric, step);
            if (a.centric) {
                out.f += lack.one;
                out.m += a.x * lack.m;
            } else {
                out.one += lack.one;
                out.t += lack.t;
                out.fm += a.x * lack.m;
                out.tt += lack.tt;
            }
        }
    }
    return out;
}
