// The likelihood of a twin: all true amplitudes of a group of related reflections integrated out together.
#include "twin_group.cuh"
#include "twin_pair.cuh"

#define TWIN_SHARPEST 1e-5  // least uncertainty in groups of three and more, in units of the intensity's spread

// Groups, one a thread, and where what is found of them goes.  Group g has the members start[g] … start[g + 1] − 1;
// mate (n_member, n_domain): the member of the group that a domain contributes, or −1.
struct Twins {
    const int *start, *mate;
    const double *fractions, *i_obs, *sigma, *mean, *variance;
    double *minus_ll, *posterior, *slope;
    int n_member, n_domain;

    // Means of member k in units of √Σ.
    __device__ void put(int k, const Means& q) const {
        const double root = sqrt(variance[k]);
        posterior[k] = root * q.f;
        posterior[i64(n_member) + k] = variance[k] * q.t;
        posterior[2 * i64(n_member) + k] = root * q.fm;
        posterior[3 * i64(n_member) + k] = q.m;
    }
};

// Groups of one and two.  index (n): which groups; posterior (4, n_member): ⟨F⟩, ⟨F²⟩, ⟨F cos(φ − φ_c)⟩ and
// ⟨cos(φ − φ_c)⟩; slope (n_group, n_domain): ∂(−LL)/∂α.  Where nothing was measured all is 0.
extern "C" __global__ void __launch_bounds__(64, 1)
twin_pairs(const int* __restrict__ index, int n, const int* __restrict__ start, const int* __restrict__ mate,
           const double* __restrict__ fractions, const double* __restrict__ i_obs, const double* __restrict__ sigma,
           const double* __restrict__ mean, const double* __restrict__ variance, const bool* __restrict__ centric,
           int n_member, int n_domain, const double* __restrict__ bessel_table, double bessel_steps, double bessel_end,
           double* __restrict__ minus_ll, double* __restrict__ posterior, double* __restrict__ slope) {
    const int thread = thread_index();
    if (thread >= n) return;
    const Twins twins = {start, mate, fractions, i_obs, sigma, mean, variance, minus_ll, posterior, slope, n_member,
                         n_domain};
    const BesselTable table = {bessel_table, bessel_steps / bessel_end, bessel_end};
    const int g = index[thread], s = start[g], size = start[g + 1] - s;
    // measurement j, in units of its uncertainty, is b_j0 t₀ + b_j1 t₁; columns of b
    double y0 = 0.0, y1 = 0.0, log_p = 0.0;
    double2 first = {0.0, 0.0}, second = {0.0, 0.0};
    for (int j = 0; j < size; ++j) {
        const double error = sigma[s + j];
        if (!(error > 0.0)) continue;
        (j == 0 ? y0 : y1) = i_obs[s + j] / error;
        log_p -= 0.5 * log(2.0 * PI) + log(error);
        for (int d = 0; d < n_domain; ++d) {
            const int k = mate[i64(s + j) * n_domain + d];
            if (k < 0) continue;
            const double by = fractions[d] * variance[s + k] / error;
            double2& column = k == 0 ? first : second;
            (j == 0 ? column.x : column.y) += by;
        }
    }
    const bool measured = sigma[s] > 0.0 || (size > 1 && sigma[s + 1] > 0.0);
    for (int d = 0; d < n_domain; ++d) slope[i64(g) * n_domain + d] = 0.0;
    if (!measured) {
        minus_ll[g] = 0.0;
        for (int k = 0; k < size; ++k) twins.put(s + k, {0.0, 0.0, 0.0, 0.0});
        return;
    }
    double p00, p01 = 0.0, p11 = 0.0, t0, t1 = 0.0;  // ⟨t t′⟩ and ⟨t⟩
    const double x0 = mean[s] / sqrt(variance[s]);
    if (size == 1) {
        const Amplitude a = {table, y0 / first.x, first.x * first.x, x0, centric[s]};
        const Span range = midpoint_span(a);
        const int count = midpoint_count(range.high - range.low, range.step);
        const Moments q = midpoint_moments(a, range.low, (range.high - range.low) / count, count);
        log_p += log(q.one) - q.least;
        const double inverse = 1.0 / q.one;
        twins.put(s, {inverse * q.f, inverse * q.t, inverse * q.fm, inverse * q.m});
        t0 = inverse * q.t;
        p00 = inverse * q.tt;
    } else {
        const double x1 = mean[s + 1] / sqrt(variance[s + 1]);
        // the member about which the data say more is the inner one
        const bool swap = norm2(first) > norm2(second);
        const double2 in = swap ? first : second, out = swap ? second : first;
        const double p = norm2(in), root = sqrt(p);
        const TwinPair pair = {
            {table, 0.0, 0.0, swap ? x1 : x0, centric[swap ? s + 1 : s]},
            {table, 0.0, p, swap ? x0 : x1, centric[swap ? s : s + 1]},
            (in.x * y0 + in.y * y1) / p, -real_product(in, out) / p,
            (in.y * y0 - in.x * y1) / root, -(in.y * out.x - in.x * out.y) / root,
        };
        const PairMoments q = pair.integral();
        log_p += q.log_p;
        twins.put(swap ? s + 1 : s, q.outer);
        twins.put(swap ? s : s + 1, q.inner);
        t0 = swap ? q.inner.t : q.outer.t;
        t1 = swap ? q.outer.t : q.inner.t;
        p00 = swap ? q.inner2 : q.outer2;
        p01 = q.cross;
        p11 = swap ? q.outer2 : q.inner2;
    }
    minus_ll[g] = -log_p;
    for (int j = 0; j < size; ++j) {
        if (!(sigma[s + j] > 0.0)) continue;
        const double b0 = j == 0 ? first.x : first.y, b1 = j == 0 ? second.x : second.y, y = j == 0 ? y0 : y1;
        for (int d = 0; d < n_domain; ++d) {
            const int k = mate[i64(s + j) * n_domain + d];
            if (k < 0) continue;
            // ⟨(Σ_l b_jl t_l − y_j) t_k⟩
            const double value = k == 0 ? b0 * p00 + b1 * p01 - y * t0 : b0 * p01 + b1 * p11 - y * t1;
            slope[i64(g) * n_domain + d] += value * variance[s + k] / sigma[s + j];
        }
    }
}

// Groups of three and more, as above; work: room for the working memory of as many threads as are launched, which do all
// groups between them; largest (≤ 12) members a group.
extern "C" __global__ void __launch_bounds__(64, 1)
twin_groups(const int* __restrict__ index, int n, const int* __restrict__ start, const int* __restrict__ mate,
            const double* __restrict__ fractions, const double* __restrict__ i_obs, const double* __restrict__ sigma,
            const double* __restrict__ mean, const double* __restrict__ variance, const bool* __restrict__ centric,
            int n_member, int n_domain, const double* __restrict__ bessel_table, double bessel_steps,
            double bessel_end, double* __restrict__ minus_ll, double* __restrict__ posterior,
            double* __restrict__ slope, double* __restrict__ work) {
    const Twins twins = {start, mate, fractions, i_obs, sigma, mean, variance, minus_ll, posterior, slope, n_member,
                         n_domain};
    const BesselTable table = {bessel_table, bessel_steps / bessel_end, bessel_end};
    for (int at = thread_index(); at < n; at += thread_count()) {
        const int g = index[at], s = start[g], size = start[g + 1] - s;
        const TwinGroup group({work + thread_index(), thread_count()}, size);
        double log_p = 0.0;
        bool measured = false;
        for (int j = 0; j < size; ++j) group.x[j] = mean[s + j] / sqrt(variance[s + j]);
        for (int j = 0; j < size; ++j) {
            double width = sigma[s + j], spread = 0.0;
            group.y[j] = 0.0;
            for (int k = 0; k < size; ++k) group.b(j, k) = 0.0;
            if (!(width > 0.0)) continue;
            measured = true;
            for (int d = 0; d < n_domain; ++d) {
                const int k = mate[i64(s + j) * n_domain + d];
                if (k < 0) continue;
                group.b(j, k) += fractions[d] * variance[s + k];
                spread = fmax(spread, group.b(j, k) * (1.0 + group.x[k]));
            }
            width = fmax(width, TWIN_SHARPEST * spread);
            group.width[j] = width;
            group.y[j] = i_obs[s + j] / width;
            for (int k = 0; k < size; ++k) group.b(j, k) /= width;
            log_p -= 0.5 * log(2.0 * PI) + log(width);
        }
        for (int d = 0; d < n_domain; ++d) slope[i64(g) * n_domain + d] = 0.0;
        if (!measured) {
            minus_ll[g] = 0.0;
            for (int k = 0; k < size; ++k) twins.put(s + k, {0.0, 0.0, 0.0, 0.0});
            continue;
        }
        log_p += group.integrate(table, centric + s);
        for (int k = 0; k < size; ++k) {
            double p, pulled;
            const Tilted found = group.tilt(table, k, centric[s + k], p, pulled);
            log_p += found.log_z - 0.5 * log(group.covariance(k, k));
            twins.put(s + k, {found.f, found.t, found.fm, found.m});
        }
        minus_ll[g] = -log_p;
        for (int j = 0; j < size; ++j) {
            if (!(sigma[s + j] > 0.0)) continue;
            for (int d = 0; d < n_domain; ++d) {
                const int k = mate[i64(s + j) * n_domain + d];
                if (k < 0) continue;
                double value = -group.y[j] * group.mean[k];
                for (int q = 0; q < size; ++q)
                    value += group.b(j, q) * (group.covariance(q, k) + group.mean[q] * group.mean[k]);
                slope[i64(g) * n_domain + d] += value * variance[s + k] / group.width[j];
            }
        }
    }
}
