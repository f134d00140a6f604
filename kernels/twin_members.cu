// Between the structure factors of a twin's reflections and the groups that their likelihood integrates over.
#include "complex.cuh"

// out (n) = √(Σ_d α_d |F_k(d)|²), k(d) = mates[d, n] (negative: none); with f_obs, f_obs |F| over that, f_obs where that
// is 0.
extern "C" __global__ void __launch_bounds__(128)
twinned(const double2* __restrict__ f, const int* __restrict__ mates, const double* __restrict__ fractions,
        int n_domain, const double* __restrict__ f_obs, int n, double* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    double sum = 0.0;
    for (int d = 0; d < n_domain; ++d) {
        const int k = mates[i64(d) * n + i];
        if (k >= 0) sum += fractions[d] * norm2(f[k]);
    }
    const double whole = sqrt(sum);
    if (!f_obs) out[i] = whole;
    else out[i] = f_obs[i] * (whole > 0.0 ? length(f[i]) / whole : 1.0);
}

// Of every member (m): mean D|F| and variance ε S.
extern "C" __global__ void __launch_bounds__(128)
twin_model(const int* __restrict__ member, const double2* __restrict__ f, const double* __restrict__ d,
           const double* __restrict__ s, const double* __restrict__ epsilon, int m, double* __restrict__ mean,
           double* __restrict__ variance) {
    const int at = thread_index();
    if (at >= m) return;
    const int i = member[at];
    mean[at] = d[i] * length(f[i]);
    variance[at] = s[i] * epsilon[at];
}

// One group of related reflections: members first … first + size − 1.
struct Related {
    const int* mate;
    const double *fractions, *sigma, *mean, *variance;
    const bool* centric;
    int n_domain, first, size;

    // Variance of |F_k|² under the model.
    __device__ double spread(int k) const {
        const double v = variance[first + k], d = mean[first + k];
        return (v * v + 2.0 * d * d * v) * (centric[first + k] ? 2.0 : 1.0);
    }

    // Share of |F_k|² in measurement j; domains that contribute the same member add up.
    __device__ double share(int j, int k) const {
        double sum = 0.0;
        for (int d = 0; d < n_domain; ++d)
            if (mate[i64(first + j) * n_domain + d] == k) sum += fractions[d];
        return sum;
    }

    // 1/variance with which |F_k|² is measured, other members left to the model.
    __device__ double told(int k) const {
        double sum = 0.0;
        for (int j = 0; j < size; ++j) {
            const double error = sigma[first + j], own = share(j, k);
            if (!(error > 0.0) || own == 0.0) continue;
            double total = error * error;
            for (int other = 0; other < size; ++other) {
                const double by = share(j, other);
                if (by > 0.0) total += by * by * spread(other);
            }
            sum += own * own / total;
        }
        return sum;
    }
};

// −LL shared by the measurements of a group, and with derivatives the gradient and information by F; out (n), cleared
// before.  fm (n_member) ⟨F cos(φ − φ_c)⟩.  One group a thread.
extern "C" __global__ void __launch_bounds__(128, 1)
twin_slopes(const int* __restrict__ start, const int* __restrict__ member, const int* __restrict__ mate,
            const double* __restrict__ fractions, int n_domain, const double* __restrict__ sigma,
            const bool* __restrict__ centric, const double* __restrict__ mean, const double* __restrict__ variance,
            const double* __restrict__ group_ll, const double* __restrict__ fm, const double2* __restrict__ f,
            const double* __restrict__ d, int n_group, bool derivatives, double* __restrict__ minus_ll,
            double2* __restrict__ gradient, double* __restrict__ information) {
    const int g = thread_index();
    if (g >= n_group) return;
    const Related group = {mate, fractions, sigma, mean, variance, centric, n_domain, start[g], start[g + 1] - start[g]};
    int count = 0;
    for (int k = 0; k < group.size; ++k) count += sigma[group.first + k] > 0.0;
    for (int k = 0; k < group.size; ++k) {
        const int at = group.first + k, i = member[at];
        if (sigma[at] > 0.0) minus_ll[i] = group_ll[g] / count;
        if (!derivatives) continue;
        const double amplitude = length(f[i]);
        const double slope = (centric[at] ? 1.0 : 2.0) * d[i] * (mean[at] - fm[at]) / variance[at];
        gradient[i] = amplitude > 0.0 ? (slope / amplitude) * f[i] : make_double2(0.0, 0.0);
        information[i] = 4.0 * d[i] * d[i] * (mean[at] * mean[at]) * group.told(k);
    }
}

// Slope and information by D and by ln S from f2 ⟨F²⟩ and fm (n_member); out (4, n), cleared before.  One group a
// thread.
extern "C" __global__ void __launch_bounds__(128, 1)
twin_errors(const int* __restrict__ start, const int* __restrict__ member, const int* __restrict__ mate,
            const double* __restrict__ fractions, int n_domain, const double* __restrict__ sigma,
            const bool* __restrict__ centric, const double* __restrict__ mean, const double* __restrict__ variance,
            const double* __restrict__ f2, const double* __restrict__ fm, const double2* __restrict__ f, int n_group,
            int n, double* __restrict__ out) {
    const int g = thread_index();
    if (g >= n_group) return;
    const Related group = {mate, fractions, sigma, mean, variance, centric, n_domain, start[g], start[g + 1] - start[g]};
    for (int k = 0; k < group.size; ++k) {
        const int at = group.first + k, i = member[at];
        const double fc = length(f[i]), half = centric[at] ? 0.5 : 1.0, v = variance[at], x = mean[at];
        const double told = group.told(k), share = group.spread(k) * told, weak = v / (v + 2.0 * x * x);
        const double misfit = f2[at] + x * x - 2.0 * x * fm[at];
        out[i] = 2.0 * half * fc * (x - fm[at]) / v;
        out[i64(n) + i] = fmin(2.0 * half * fc * fc / v, 5.0 * fc * fc * (x * x) * told);
        out[2 * i64(n) + i] = half * (1.0 - misfit / v);
        out[3 * i64(n) + i] = half * (weak * share + (1.0 - weak) * share * share);
    }
}

// Block b < n_domain: the sum over the rows of slopes (g, n_domain), each less its mean, of column b; further blocks: of
// the product of columns a and c, b = n_domain + a n_domain + c.
extern "C" __global__ void __launch_bounds__(256)
centred_products(const double* __restrict__ slopes, int g, int n_domain, double* __restrict__ out) {
    __shared__ double space[32];
    const int b = blockIdx.x, a = b < n_domain ? b : (b - n_domain) / n_domain, c = b < n_domain ? b : b % n_domain;
    double sum = 0.0;
    for (int k = threadIdx.x; k < g; k += blockDim.x) {
        const double* row = slopes + i64(k) * n_domain;
        double mean = 0.0;
        for (int d = 0; d < n_domain; ++d) mean += row[d];
        mean /= n_domain;
        sum += b < n_domain ? row[a] - mean : (row[a] - mean) * (row[c] - mean);
    }
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) out[b] = sum;
}
