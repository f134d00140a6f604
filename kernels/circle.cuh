// Integrals over a phase whose distribution is exp(A cos φ + B sin φ + C cos 2φ + D sin 2φ), by the trapezoidal rule.
#pragma once
#include "bessel.cuh"
#include "complex.cuh"

#define CIRCLE_DENSITY 6.5  // nodes on the circle for a concentration of 1: the rule's error is exp(−DENSITY²/2)
#define CIRCLE_LEAST 24.0
#define CIRCLE_MOST 100000.0
#define CIRCLE_DROP 25.0  // logarithm below the maximum from which nodes are left out

struct MeanPhase {
    double log_mean;  // of the exponential, over the circle
    double2 mean;     // ⟨exp(iφ)⟩
};

// Where r cos(β − θ) + c cos 2β has its highest maximum: between θ and the nearer of 0 and π.
__device__ inline double circle_mode(double r, double theta, double c) {
    const double axis = cos(theta) >= 0.0 ? 0.0 : PI;
    double low = axis, high = axis + atan2(sin(theta - axis), cos(theta - axis));
    for (int turn = 0; turn < 40; ++turn) {
        const double middle = 0.5 * (low + high);
        const double slope = -r * sin(middle - theta) - 2.0 * c * sin(2.0 * middle);
        ((slope > 0.0) == (high > axis) ? low : high) = middle;
    }
    return 0.5 * (low + high);
}

// first = A + iB, second = C + iD.
__device__ __noinline__ MeanPhase mean_phase(double2 first, double2 second) {
    const double r = length(first), c = length(second), phase = atan2(first.y, first.x);
    double sine, cosine;
    if (c < 1e-12 * (1.0 + r)) {
        double log_i0, m;
        log_i0_and_ratio(r, log_i0, m);
        sincos(phase, &sine, &cosine);
        return {log_i0, make_double2(m * cosine, m * sine)};
    }
    // turned so that the second harmonic has its maxima at 0 and π
    const double turn = 0.5 * atan2(second.y, second.x), theta = phase - turn, mode = circle_mode(r, theta, c);
    const double top = r * cos(mode - theta) + c * cos(2.0 * mode);
    const int count = int(fmin(fmax(CIRCLE_LEAST, CIRCLE_DENSITY * sqrt(r + 4.0 * c)), CIRCLE_MOST)) + 1;
    const double step = 2.0 * PI / count, along = r * cos(theta), across = r * sin(theta);
    const bool one_peak = r > 4.0 * c;
    double total = 0.0, real = 0.0, imaginary = 0.0;
    for (int side = 1; side >= -1; side -= 2) {
        const int last = side == 1 ? count / 2 : (count - 1) / 2;
        for (int k = side == 1 ? 0 : 1; k <= last; ++k) {
            sincos(mode + side * k * step, &sine, &cosine);
            const double below = top - along * cosine - across * sine - c * (cosine - sine) * (cosine + sine);
            if (below > CIRCLE_DROP) {
                if (one_peak) break;
                continue;
            }
            const double w = exp(-below);
            total += w;
            real += w * cosine;
            imaginary += w * sine;
        }
    }
    sincos(turn, &sine, &cosine);
    return {top + log(total / count),
            (1.0 / total) * (make_double2(real, imaginary) * make_double2(cosine, sine))};
}
