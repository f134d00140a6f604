// Two reflections related by a twin law: the integral over both true amplitudes, by nested quadrature.
//
// In units of √Σ the amplitudes are f₁ (outer) and f₂ (inner), t = f².  For a given t₁ the measurements, divided by their
// uncertainties, say of t₂ what one measurement of precision p₂ at g₀ + g₁ t₁ would say, and of t₁ alone (e₀ + e₁ t₁)²/2.
#pragma once
#include "complex.cuh"
#include "midpoint.cuh"

// ⟨f⟩, ⟨t⟩, ⟨f m⟩ and ⟨m⟩ of one amplitude.
struct Means {
    double f, t, fm, m;

    __device__ Means times(double by) const { return {by * f, by * t, by * fm, by * m}; }

    __device__ void add(double by, const Moments& q) {
        f += by * q.f;
        t += by * q.t;
        fm += by * q.fm;
        m += by * q.m;
    }
};

// Logarithm of the integral; means of both; ⟨t₁²⟩, ⟨t₁t₂⟩ and ⟨t₂²⟩.
struct PairMoments {
    double log_p, outer2, cross, inner2;
    Means outer, inner;
};

struct TwinPair {
    Amplitude prior, given;  // of the outer amplitude without measurement, of the inner one, whose i follows from t₁
    double g0, g1, e0, e1;

    __device__ Amplitude inner(double t) const {
        return {given.table, g0 + g1 * t, given.p, given.x, given.centric};
    }

    // −ln of the outer integrand with the inner integral replaced by its maximum, and two derivatives.
    __device__ __noinline__ double profile(double f, double& first, double& second) const {
        const double t = f * f, residual = e0 + e1 * t;
        const Amplitude a = inner(t);
        const double2 top = a.peak(), own = prior.slope(f);
        const double lack = top.x * top.x - a.i, by_t = residual * e1 - a.p * lack * g1;
        const double stiff = e1 * e1 + a.p * g1 * g1 * fmax(0.0, 1.0 - 4.0 * top.x * top.x * a.p / top.y);
        first = own.x + 2.0 * f * by_t;
        second = own.y + 2.0 * by_t + 4.0 * t * stiff;
        return prior.energy(f) + 0.5 * residual * residual + a.energy(top.x);
    }

    // Window of the outer amplitude, whose maximum is at ``f``, and the rule's step in it.
    __device__ __noinline__ Span span(double& f) const {
        const double x = prior.x;
        double low = 0.0, high = 1e150;
        double value = 0.0, first, second = 1.0;
        f = 0.5 * (x + sqrt(x * x + (prior.centric ? 2.0 : 1.0)));
        for (int turn = 0; turn < 60; ++turn) {
            value = profile(f, first, second);
            if (second > 0.0 && first * first < 1e-2 * second) break;
            (first > 0.0 ? high : low) = f;
            double trial = second > 0.0 ? f - first / second : -1.0;
            if (!(low < trial && trial < high)) trial = high < 1e149 ? 0.5 * (low + high) : 2.0 * f;
            if (prior.centric && trial < 1e-2 && trial * trial * second < 1e-4) {
                f = 0.0;
                value = profile(f, first, second);
                break;
            }
            f = trial;
        }
        const double curve = second, limit = value + AMPLITUDE_DROP;
        const double reach = sqrt(2.0 * AMPLITUDE_DROP / fmax(second, 0.1 / (1.0 + x * x)));
        high = f + reach;
        for (int turn = 0; turn < 8; ++turn) {
            const double excess = profile(high, first, second) - limit;
            if (excess >= 0.0 && excess < 6.0) break;
            const double move = first > 0.0 ? excess / first : -1e300;
            high -= fmax(fmin(move, 0.7 * (high - f)), -2.0 * (high - f));
        }
        low = f - reach;
        for (int turn = 0; turn < 8 && low > 0.02 * f; ++turn) {
            const double excess = profile(low, first, second) - limit;
            if (excess >= 0.0 && excess < 6.0) break;
            const double move = first < 0.0 ? excess / first : 1e300;
            low -= fmin(fmax(move, -0.7 * (f - low)), 2.0 * (f - low));
        }
        if (low <= 0.02 * f) low = 0.0;
        double step = midpoint_step(low, f, high, curve);
        if (g1 < 0.0) {
            // where the inner amplitude is driven to 0 the outer integrand falls within 1/√p₂ of c₂, steepest at the end
            const double root = sqrt(given.p), from = sqrt(fmax(0.0, (g0 - 6.0 / root) / -g1));
            const double to = sqrt(fmax(0.0, (g0 + 6.0 / root) / -g1));
            if (from < high && low < to) step = fmin(step, 1.0 / (-2.0 * g1 * root * fmin(to, high)));
        }
        return {low, high, step};
    }

    // One set of inner nodes for every outer amplitude of the span.
    __device__ Span inner_span(const Span& outer, double middle) const {
        Span out = {1e300, 0.0, 1e300};
        for (int k = 0; k < 3; ++k) {
            const double f = k == 0 ? outer.low : k == 1 ? middle : outer.high;
            const Span one = midpoint_span(inner(f * f));
            out = {fmin(out.low, one.low), fmax(out.high, one.high), fmin(out.step, one.step)};
        }
        return out;
    }

    __device__ PairMoments integral() const {
        double middle;
        const Span outer = span(middle);
        const int count = midpoint_count(outer.high - outer.low, outer.step);
        const double step = (outer.high - outer.low) / count;
        const Span common = inner_span(outer, middle);
        // where they would be too many each outer node has inner ones of its own
        const bool shared = (common.high - common.low) / common.step <= MIDPOINT_MOST;
        PairMoments out = {0.0, 0.0, 0.0, 0.0, {0.0, 0.0, 0.0, 0.0}, {0.0, 0.0, 0.0, 0.0}};
        Moments at_zero = {};
        double least = 1e300, total = 0.0, by_change = 0.0, when = 0.0;
        for (int k = outer.low == 0.0 ? -1 : 0; k < count; ++k) {
            const double f = k >= 0 ? outer.low + (k + 0.5) * step : 0.0, t = f * f, residual = e0 + e1 * t;
            const Amplitude a = inner(t);
            const Span range = shared ? common : midpoint_span(a);
            const int size = midpoint_count(range.high - range.low, range.step);
            const Moments q = midpoint_moments(a, range.low, (range.high - range.low) / size, size);
            double factor, m;
            const double exponent = q.least + 0.5 * residual * residual + prior.exponent(f, factor, m);
            if (exponent < least) {
                const double shrink = exp(fmax(exponent - least, -700.0));
                total *= shrink;
                out.outer2 *= shrink, out.cross *= shrink, out.inner2 *= shrink;
                out.outer = out.outer.times(shrink);
                out.inner = out.inner.times(shrink);
                least = exponent;
            }
            if (exponent - least > MIDPOINT_NEGLIGIBLE) continue;
            double w = exp(least - exponent);
            if (k < 0) {
                const double mean = q.t / q.one, by_t = a.p * g1 * (mean - a.i) - e0 * e1;
                const double curve = e1 * e1 + a.p * g1 * g1 * (1.0 - a.p * (q.tt / q.one - mean * mean));
                const Lack lack = end_corrections(w * q.one, by_t, curve, prior.x, prior.centric, step);
                if (prior.centric) {
                    out.outer.f += lack.one;
                    out.outer.m += prior.x * lack.m;
                    continue;
                }
                total += lack.one;
                out.outer.t += lack.t;
                out.outer.fm += prior.x * lack.m;
                out.outer2 += lack.tt;
                at_zero = q;
                out.inner.add(lack.one / q.one, q);
                out.inner2 += lack.one / q.one * q.tt;
                out.cross += lack.t * mean;
                by_change = lack.t, when = least;
                continue;
            }
            if (k == 0 && by_change != 0.0) {
                // the means of the inner amplitude change with t₁, which the corrections at 0 feel too
                const double share = by_change * exp(fmax(least - when, -700.0)) / t;
                out.inner.add(share / q.one, q);
                out.inner.add(-share / at_zero.one, at_zero);
                out.inner2 += share * (q.tt / q.one - at_zero.tt / at_zero.one);
            }
            w *= step * factor;
            const double mass = w * q.one;
            total += mass;
            out.outer.f += mass * f;
            out.outer.t += mass * t;
            out.outer.fm += mass * f * m;
            out.outer.m += mass * m;
            out.inner.add(w, q);
            out.outer2 += mass * t * t;
            out.cross += w * t * q.t;
            out.inner2 += w * q.tt;
        }
        const double inverse = 1.0 / total;
        out.log_p = log(total) - least;
        out.outer2 *= inverse, out.cross *= inverse, out.inner2 *= inverse;
        out.outer = out.outer.times(inverse);
        out.inner = out.inner.times(inverse);
        return out;
    }
};
