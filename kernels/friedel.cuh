// Friedel pairs with both mates measured: one phase integrated in closed form, the other by the trapezoid rule.
//
// Given z₂ = |F₂| exp(iφ), the mean of the first mate is m₁ = g + ρ z₂, g = μ₁ − ρ μ₂, ρ = C₁₂/C₂₂, and its variance
// v = det C/C₂₂.  With ψ = φ − arg g the logarithm of the integrand is κ cos(ψ − β) plus a concave function of cos ψ:
// one maximum on the half circle where sin ψ has the sign of sin β, and the other half mirrors it, never larger.
#pragma once
#include "bessel.cuh"
#include "complex.cuh"

#define TINY 1e-30

// Intervals of the window that ends where the integrand's logarithm has fallen by ``drop``.
struct Fineness {
    int intervals;
    double drop;
};

#define FINE Fineness{36, 34.0}
#define COARSE Fineness{20, 21.0}  // for integrals that are summed over another phase

// The integrand over ψ: circle of radius r about g, amplitude a, variance v.
struct Circle {
    double kappa, beta, g, r, a, v, drop;

    // Logarithm, its derivative, |m₁| and I₁/I₀ at ψ.
    __device__ __noinline__ double height(double psi, double& slope, double& m, double& ratio) const {
        const double c = cos(0.5 * psi), half = sin(0.5 * (psi - beta));
        m = sqrt((g - r) * (g - r) + 4.0 * g * r * c * c);
        double log_i0e;
        log_i0e_and_ratio(2.0 * a * m / v, log_i0e, ratio);
        slope = -2.0 * kappa * half * cos(0.5 * (psi - beta)) - 2.0 / v * pull(m, ratio) * g * r * sin(psi);
        return -2.0 * kappa * half * half - (a - m) * (a - m) / v + log_i0e;
    }

    __device__ double value(double psi) const {
        double slope, m, ratio;
        return height(psi, slope, m, ratio);
    }

    __device__ double pull(double m, double ratio) const { return m > TINY ? a * ratio / m - 1.0 : a * a / v - 1.0; }

    // Distance from ψ at which the logarithm has fallen by drop to 1.5 of it, or that of the half circle's end.
    __device__ double reach(double sign, double psi, double top, double start) const {
        const double limit = sign < 0.0 ? psi : PI - psi;
        double near = 0.0, far = limit;
        if (top - value(psi + sign * limit) < drop) return limit;
        double step = fmin(start, 0.5 * limit);
        for (int turn = 0; turn < 60; ++turn) {
            const double fallen = top - value(psi + sign * step);
            if (fallen < drop) {
                near = step;
                step = fmin(1.6 * step, 0.5 * (step + far));
            } else if (fallen > 1.5 * drop) {
                far = step;
                step = fmax(sqrt(1.25 * drop / fallen) * step, 0.5 * (near + step));
            } else {
                break;
            }
            if (far - near < 1e-14) break;
        }
        return step;
    }

    // Maximum of the logarithm on 0 ≤ ψ ≤ π, and the ends of the window about it.
    __device__ double window(double& left, double& right) const {
        double low = 0.0, high = PI, slope_low = 0.0, slope_high = 0.0, psi = fmax(beta, 1e-9), stiffness = 1.0, slope, m, ratio;
        for (int turn = 0; turn < 60; ++turn) {
            height(psi, slope, m, ratio);
            if (slope > 0.0) {
                low = psi;
                slope_low = slope;
            } else {
                high = psi;
                slope_high = slope;
            }
            const bool between = slope_low > 0.0 && slope_high < 0.0;
            if (between) {
                stiffness = fmax((slope_low - slope_high) / (high - low), 1.0);
                // within a tenth of the peak's width of its top
                if ((high - low) * sqrt(stiffness) < 0.3 || slope * slope < 0.01 * stiffness) break;
            }
            if (high - low < 1e-12) break;
            psi = 0.5 * (low + high);
            if (between && turn % 3 != 2) {
                psi = low + (high - low) * slope_low / (slope_low - slope_high);
                psi = fmin(fmax(psi, low + 0.05 * (high - low)), high - 0.05 * (high - low));
            }
        }
        psi = fmin(fmax(psi, 0.0), PI);
        const double top = value(psi), start = 1.3 * sqrt(2.0 * drop / stiffness);
        left = psi - reach(-1.0, psi, top, start);
        right = psi + reach(1.0, psi, top, start);
        return top;
    }
};

// −LL of a pair; ⟨u⟩ and ⟨z⟩ of both mates, u = C⁻¹(z − μ); ⟨|u₁|²⟩, ⟨|u₂|²⟩ and Re⟨u₁u₂*⟩.
struct Pair {
    double minus_ll, square1, square2, cross;
    double2 u1, u2, z1, z2;
};

// shared: C₁₂; own1, own2: C₁₁ − C₁₂ and C₂₂ − C₁₂.
__device__ __noinline__ Pair friedel_pair(double a1, double a2, double2 mu1, double2 mu2, double shared, double own1,
                                          double own2, Fineness fineness) {
    const double c22 = shared + own2, v = (shared * (own1 + own2) + own1 * own2) / c22, rho = shared / c22;
    const double2 centre = mu1 - rho * mu2;
    const double g = length(centre), r = rho * a2, size2 = length(mu2), kappa = 2.0 * a2 * size2 / c22;
    const double2 unit = direction(centre, g), turned = mu2 * conjugate(unit);
    const double angle = atan2(turned.y, turned.x), hand = angle >= 0.0 ? 1.0 : -1.0;
    const Circle circle = {kappa, fabs(angle), g, r, a1, v, fineness.drop};
    double left, right;
    const double top = circle.window(left, right);
    const double step = (right - left) / fineness.intervals, mirror = 2.0 * kappa * sin(fabs(angle));
    double total = 0.0, square1 = 0.0, square2 = 0.0, cross = 0.0;
    double2 z1 = {0.0, 0.0}, z2 = {0.0, 0.0}, lack1 = {0.0, 0.0};
    for (int k = 0; k <= fineness.intervals; ++k) {
        const double psi = left + k * step;
        double slope, m, ratio;
        double weight = exp(circle.height(psi, slope, m, ratio) - top);
        if (k == 0 || k == fineness.intervals) weight *= 0.5;
        const double sine = sin(psi), cosine = cos(psi), other = weight * exp(-mirror * sine);
        const double pull = circle.pull(m, ratio);
        square1 += (weight + other) * ((a1 - m) * (a1 - m) + 2.0 * a1 * m * (1.0 - ratio));
        for (int side = 0; side < 2; ++side) {
            const double w = side == 0 ? weight : other;
            const double2 turn = make_double2(cosine, side == 0 ? hand * sine : -hand * sine);
            const double2 m1 = make_double2(g + r * turn.x, r * turn.y), e2 = a2 * turn - turned;
            total += w;
            z2 = z2 + w * turn;
            z1 = z1 + (w * (pull + 1.0)) * m1;
            lack1 = lack1 + (w * pull) * m1;
            square2 += w * norm2(e2);
            cross += w * pull * real_product(m1, e2);
        }
    }
    const double inverse = 1.0 / total;
    Pair out;
    const double2 u1 = (inverse / v) * lack1, e2 = (inverse * a2) * z2 - turned, u2 = (1.0 / c22) * e2 - rho * u1;
    const double q1 = square1 * inverse / (v * v), q2 = square2 * inverse / (c22 * c22);
    const double q12 = cross * inverse / (v * c22);
    out.minus_ll = (a2 - size2) * (a2 - size2) / c22 - top - log(2.0 * fmax(a1, TINY) / v)
                   - log(fmax(a2, TINY) / (PI * c22)) - log(total * step);
    out.square1 = q1;
    out.square2 = q2 - 2.0 * rho * q12 + rho * rho * q1;
    out.cross = q12 - rho * q1;
    out.u1 = u1 * unit;
    out.u2 = u2 * unit;
    out.z1 = inverse * (z1 * unit);
    out.z2 = (inverse * a2) * (z2 * unit);
    return out;
}
