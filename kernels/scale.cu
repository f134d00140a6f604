// Sums of the scale fit: |F_total| = factor |F_protein + k_mask F_mask|.
#include "common.cuh"

#define ROWS 64  // reflections that a block holds in shared memory at a time

struct Amplitude {
    double value, slope;  // |F_total| and its derivative by k_mask
};

__device__ __forceinline__ Amplitude amplitude_of(double factor, double k, double2 protein, double2 mask) {
    const double re = protein.x + k * mask.x, im = protein.y + k * mask.y, length = hypot(re, im);
    return {factor * length, length > 0.0 ? factor * (re * mask.x + im * mask.y) / length : 0.0};
}

extern "C" __global__ void __launch_bounds__(128)
scale_residuals(const double* __restrict__ f_obs, const double* __restrict__ factor, const double* __restrict__ k_mask,
                const double2* __restrict__ protein, const double2* __restrict__ mask, int n,
                double* __restrict__ out) {
    const int i = thread_index();
    if (i < n) out[i] = f_obs[i] - amplitude_of(factor[i], k_mask[i], protein[i], mask[i]).value;
}

extern "C" __global__ void __launch_bounds__(128)
scale_misfit(const double* __restrict__ f_obs, const double* __restrict__ factor, const double* __restrict__ k_mask,
             const double2* __restrict__ protein, const double2* __restrict__ mask, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i < n) out[i] = fabs(f_obs[i] - amplitude_of(factor[i], k_mask[i], protein[i], mask[i]).value);
}

// out (n, 2): derivatives by k and B of k exp(-B s^2/4), or with `babinet` of ln(1 - k exp(-B s^2/4)).
extern "C" __global__ void __launch_bounds__(128)
solvent_columns(const double* __restrict__ s, double k, double b, int babinet, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const double s2 = s[i] * s[i];
    double decay = exp(-0.25 * b * s2);
    if (babinet) decay = -decay / (1.0 - k * decay);
    out[2 * i] = decay;
    out[2 * i + 1] = -0.25 * s2 * k * decay;
}

// A row of the Jacobian: by common columns, by Babinet's, by mask columns, by knots of k_mask, by knots of ln k_iso.
__device__ void jacobian_row(double* row, Amplitude a, const double* common, int n_common, const double* babinet,
                             int n_babinet, const double* by_mask, int n_by_mask, i64 mask_left, double mask_weight, int n_mask, i64 iso_left,
                             double iso_weight, int n_iso) {
    for (int k = 0; k < n_common; ++k) *row++ = a.value * common[k];
    for (int k = 0; k < n_babinet; ++k) *row++ = a.value * babinet[k];
    for (int k = 0; k < n_by_mask; ++k) *row++ = a.slope * by_mask[k];
    for (int k = 0; k < n_mask; ++k)
        *row++ = a.slope * (k == mask_left ? 1.0 - mask_weight : k == mask_left + 1 ? mask_weight : 0.0);
    for (int k = 0; k < n_iso; ++k)
        *row++ = a.value * (k == iso_left ? 1.0 - iso_weight : k == iso_left + 1 ? iso_weight : 0.0);
}

// parts (blocks, p (p + 1)): the block's share of Σ w JᵀJ (p, p) and of Σ w J r (p), w = 1/max(|r|, floor); each sum
// runs over the reflections in their order.  Dynamic shared memory: ROWS (p + 2) doubles.
extern "C" __global__ void __launch_bounds__(128)
scale_equations(const double* __restrict__ f_obs, const double* __restrict__ factor, const double* __restrict__ k_mask,
                const double2* __restrict__ protein, const double2* __restrict__ mask, int n,
                const double* __restrict__ common, int n_common, const double* __restrict__ babinet, int n_babinet,
                const double* __restrict__ by_mask, int n_by_mask,
                const i64* __restrict__ mask_left, const double* __restrict__ mask_weight, int n_mask,
                const i64* __restrict__ iso_left, const double* __restrict__ iso_weight, int n_iso, double floor_,
                double* __restrict__ parts) {
    DYNAMIC_SHARED(double, space);
    const int p = n_common + n_babinet + n_by_mask + n_mask + n_iso, wide = p + 2;
    double* own = parts + i64(blockIdx.x) * p * (p + 1);
    for (int e = threadIdx.x; e < p * (p + 1); e += blockDim.x) own[e] = 0.0;
    for (int first = blockIdx.x * ROWS; first < n; first += gridDim.x * ROWS) {
        const int rows = min(ROWS, n - first);
        __syncthreads();
        if (int(threadIdx.x) < rows) {
            const int i = first + threadIdx.x;
            double* row = space + threadIdx.x * wide;
            const Amplitude a = amplitude_of(factor[i], k_mask[i], protein[i], mask[i]);
            jacobian_row(row, a, common + i64(i) * n_common, n_common, babinet + i64(i) * n_babinet, n_babinet,
                         by_mask + i64(i) * n_by_mask, n_by_mask,
                         n_mask ? mask_left[i] : 0, n_mask ? mask_weight[i] : 0.0, n_mask, n_iso ? iso_left[i] : 0,
                         n_iso ? iso_weight[i] : 0.0, n_iso);
            row[p] = f_obs[i] - a.value;
            row[p + 1] = 1.0 / fmax(fabs(row[p]), floor_);
        }
        __syncthreads();
        for (int e = threadIdx.x; e < p * (p + 1); e += blockDim.x) {
            const int a = e / (p + 1), b = e % (p + 1);  // the last column takes the residual
            if (b < a) continue;
            double sum = 0.0;
            for (int r = 0; r < rows; ++r) {
                const double* row = space + r * wide;
                sum += row[p + 1] * row[a] * row[b];
            }
            own[e] += sum;
        }
    }
}
