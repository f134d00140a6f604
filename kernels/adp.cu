// Divergence of the isotropic B of neighbours: w (B1 - B2)^2/(B1 B2)/2 (Murshudov et al. 2011, eq. 23-26).
#include "common.cuh"

// first, second, weight (n,) -> z (n,), whose half squares are the values; with `derivative` also terms (n, 4):
// gradient and curvature by the first and by the second atom; with `blocks` the mixed curvature is added to off (n,).
// width (n,), if it is not null: sigma of B1 - B2, 0 where the weight is.
extern "C" __global__ void __launch_bounds__(128)
adp_terms(
    const int* __restrict__ first, const int* __restrict__ second, const double* __restrict__ weight,
    const double* __restrict__ b_iso, int n, int derivative, int blocks, double* __restrict__ z,
    double* __restrict__ terms, double* __restrict__ off, double* __restrict__ width) {
    const int k = thread_index();
    if (k >= n) return;
    const double p = b_iso[first[k]], q = b_iso[second[k]], w = weight[k];
    const double inverse = 1.0 / (p * q), difference = p - q, sum = p + q;
    z[k] = difference * sqrt(w * inverse);
    if (width) width[k] = w > 0.0 ? sqrt(p * q / w) : 0.0;
    if (!derivative) return;
    const double common = 0.5 * w * difference * sum * inverse, half = 0.25 * w * sum * sum * inverse;
    terms[4 * k] = common / p;
    terms[4 * k + 1] = half / (p * p);
    terms[4 * k + 2] = -common / q;
    terms[4 * k + 3] = half / (q * q);
    if (blocks) off[k] -= half * inverse;
}

// Adds the terms 2 k (first atom) and 2 k + 1 (second), listed by atom, to gradient (n,) and diagonal (n,).
extern "C" __global__ void __launch_bounds__(128)
adp_collect(
    const int* __restrict__ start, const int* __restrict__ order, const double* __restrict__ terms, int n, int blocks,
    double* __restrict__ gradient, double* __restrict__ diagonal) {
    const int i = thread_index();
    if (i >= n) return;
    double slope = 0.0, curvature = 0.0;
    for (int e = start[i]; e < start[i + 1]; e++) {
        slope += terms[2 * order[e]];
        curvature += terms[2 * order[e] + 1];
    }
    gradient[i] += slope;
    if (blocks) diagonal[i] += curvature;
}
