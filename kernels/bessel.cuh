// Modified Bessel functions of order 0 and 1 for the likelihoods, double precision.
#pragma once
#include "common.cuh"

#define BESSEL_SWITCH 18.0  // below: ascending series; above: asymptotic, whose smallest term there is under 1e-15

// ln(I0(x) exp(−x)) and I1(x)/I0(x) for x ≥ 0: nothing of the size of x cancels.
__device__ inline void log_i0e_and_ratio(double x, double& log_i0e, double& ratio) {
    if (x < BESSEL_SWITCH) {
        const double q = 0.25 * x * x;
        double term = 1.0, i0 = 1.0, i1 = 1.0;
        for (double k = 1.0; term >= 1e-17 * i0; k += 1.0) {
            term *= q / (k * k);
            i0 += term;
            i1 += term / (k + 1.0);
        }
        log_i0e = log(i0) - x;
        ratio = 0.5 * x * i1 / i0;
        return;
    }
    const double inverse = 1.0 / (8.0 * x);
    double s0 = 1.0, s1 = 1.0, t0 = 1.0, t1 = 1.0;
    for (int k = 1; k < 40; ++k) {
        const double odd = (2.0 * k - 1.0) * (2.0 * k - 1.0);
        const double next0 = t0 * odd * inverse / k, next1 = t1 * (odd - 4.0) * inverse / k;
        if (!(next0 <= t0) || next0 < 1e-17) break;
        t0 = next0;
        t1 = next1;
        s0 += t0;
        s1 += t1;
    }
    log_i0e = -0.5 * log(2.0 * PI * x) + log(s0);
    ratio = s1 / s0;
}

// ln I0(x) and I1(x)/I0(x) for x ≥ 0.
__device__ inline void log_i0_and_ratio(double x, double& log_i0, double& ratio) {
    log_i0e_and_ratio(x, log_i0, ratio);
    log_i0 += x;
}

// ln cosh x without overflow.
__device__ inline double log_cosh(double x) {
    const double a = fabs(x);
    return a + log1p(exp(-2.0 * a)) - 0.6931471805599453;
}

// Linear interpolation in a table of ``size`` values over 0 … end; constant beyond.
__device__ inline double interpolate(const double* __restrict__ table, int size, double end, double x) {
    const double t = x * ((size - 1) / end);
    if (!(t < size - 1)) return table[size - 1];
    const int i = int(t);
    return table[i] + (t - i) * (table[i + 1] - table[i]);
}
