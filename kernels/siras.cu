// The likelihood of a native amplitude with the Friedel pair of an isomorphous derivative, phases integrated out.
#include "siras.cuh"

// tr(change (C⁻¹ − ⟨u uᵀ⟩)) and tr((C⁻¹ change)²) for a change of the covariance that has its mates alike:
// nn, n1 = n2, m11 = m22, m12.
__device__ void trace(const Known& x, double nn, double link, double own, double pair, double& first, double& second) {
    const Sym3 q = x.inverse, u = x.uu;
    first = nn * (q.nn - u.nn) + 2.0 * link * (q.n1 + q.n2 - u.n1 - u.n2) + own * (q.m11 + q.m22 - u.m11 - u.m22)
            + 2.0 * pair * (q.m12 - u.m12);
    // rows of C⁻¹ times the change
    const double m_nn = q.nn * nn + (q.n1 + q.n2) * link, m_n1 = q.nn * link + q.n1 * own + q.n2 * pair;
    const double m_n2 = q.nn * link + q.n1 * pair + q.n2 * own;
    const double m_1n = q.n1 * nn + (q.m11 + q.m12) * link, m_11 = q.n1 * link + q.m11 * own + q.m12 * pair;
    const double m_12 = q.n1 * link + q.m11 * pair + q.m12 * own;
    const double m_2n = q.n2 * nn + (q.m12 + q.m22) * link, m_21 = q.n2 * link + q.m12 * own + q.m22 * pair;
    const double m_22 = q.n2 * link + q.m12 * pair + q.m22 * own;
    second = m_nn * m_nn + m_11 * m_11 + m_22 * m_22 + 2.0 * (m_n1 * m_1n + m_n2 * m_2n + m_12 * m_21);
}

// Variances and means of one reflection, and amplitudes: measured, or drawn from what the model says of them.
struct Case {
    bool special, first, second;  // centric; which mates were measured
    double a_n, a_1, a_2, own_n, shared, each, r, across, c_nn, own1, own2, k, rest, d_n, d_m, d_a;
    double2 native, main, anomalous, mu_n, mu_1, mu_2;

    __device__ bool both() const { return first && second && !special; }

    // Arguments as of the kernels below.
    __device__ Case(const double* f_obs, const double* sigma, const double2* f_calc, const double* d, const double* s,
                    double epsilon, bool centric, i64 n, const double2* errors) {
        const double noise = centric ? 1.0 : 2.0;
        special = centric;
        a_n = f_obs[0], a_1 = f_obs[n], a_2 = f_obs[2 * n];
        first = !isnan(a_1), second = !isnan(a_2);
        own_n = epsilon * s[0], shared = epsilon * s[n], each = epsilon * s[2 * n], r = s[3 * n];
        across = r * sqrt(own_n * shared);
        c_nn = own_n + noise * sigma[0] * sigma[0];
        own1 = each + noise * sigma[n] * sigma[n], own2 = each + noise * sigma[2 * n] * sigma[2 * n];
        k = across / c_nn, rest = fmax(shared - across * k, 0.0);
        d_n = d[0], d_m = d[n], d_a = d[2 * n];
        native = f_calc[0], main = native + f_calc[n], anomalous = make_double2(-f_calc[2 * n].y, f_calc[2 * n].x);
        mu_n = d_n * native, mu_1 = d_m * main + d_a * anomalous, mu_2 = d_m * main - d_a * anomalous;
        if (errors) draw(errors, n);
    }

    // errors (4, n) complex normal numbers: of the native, of the pair, of either mate.
    __device__ void draw(const double2* errors, i64 n) {
        // the part of the pair's common error that the native shares, and what it does not
        const double2 x = sqrt(c_nn) * errors[0], y = k * x + sqrt(rest) * errors[n];
        const double2 e1 = y + sqrt(own1) * errors[2 * n], e2 = y + sqrt(own2) * errors[3 * n];
        const double2 unit = sqrt(2.0) * direction(mu_n, length(mu_n));
        a_n = length(mu_n + (special ? x.x * unit : x));
        a_1 = length(mu_1 + (special ? e1.x * unit : e1));
        a_2 = length(mu_2 + (special ? e2.x * unit : e2));
    }
};

// Acentric reflections of which all three were measured, one a warp; arguments (rows, n) as of the operation; ``errors``
// (draws, 4, n).  Out: known (1 + draws, n), of the measured and of drawn amplitudes.
extern "C" __global__ void __launch_bounds__(32, 1)
siras_triples(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
              const double* __restrict__ d, const double* __restrict__ s, const double* __restrict__ epsilon,
              const bool* __restrict__ centric, int n, const double2* __restrict__ errors, int draws,
              double* __restrict__ known) {
    __shared__ float heights[SIRAS_MOST];
    const int i = warp_index() % n, draw = warp_index() / n - 1;
    if (draw >= draws) return;
    const Case c(f_obs + i, sigma + i, f_calc + i, d + i, s + i, epsilon[i], centric[i], n,
                 draw < 0 ? nullptr : errors + 4 * i64(draw) * n + i);
    if (!c.both()) return;
    const Known x =
        Trio{c.a_n, c.a_1, c.a_2, c.mu_n, c.mu_1, c.mu_2, c.c_nn, c.k, c.rest, c.own1, c.own2}.known(heights);
    if (lane_id() == 0) reinterpret_cast<Known*>(known)[i64(draw + 1) * n + i] = x;
}

// The likelihood of every reflection, one a thread, after ``siras_triples`` left what it knows.  Native and at least one
// mate must be measured.  Out: real (18, n): −LL, information 3, slope 7, bound 7; spectra (6, n): gradient 3, phased 3.
extern "C" __global__ void __launch_bounds__(64, 1)
siras(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
      const double* __restrict__ d, const double* __restrict__ s, const double* __restrict__ epsilon,
      const bool* __restrict__ centric, int n, const double2* __restrict__ errors, int draws,
      const double* __restrict__ known, double* __restrict__ real, double2* __restrict__ spectra) {
    const int i = thread_index();
    if (i >= n) return;
    const i64 row = n;
    double known_n = 0.0, known_m = 0.0, known_a = 0.0;
    for (int draw = -1; draw < draws; ++draw) {
        const Case c(f_obs + i, sigma + i, f_calc + i, d + i, s + i, epsilon[i], centric[i], n,
                     draw < 0 ? nullptr : errors + 4 * i64(draw) * n + i);
        const double half = c.special ? 0.5 : 1.0;
        Known x;
        if (c.both()) {
            x = reinterpret_cast<const Known*>(known)[i64(draw + 1) * n + i];
        } else {
            const Duo duo = {c.a_n, c.first ? c.a_1 : c.a_2, c.mu_n, c.first ? c.mu_1 : c.mu_2, c.c_nn,
                             c.shared + (c.first ? c.own1 : c.own2), c.across};
            x = renamed(c.special ? duo.centric() : duo.acentric(), !c.first);
        }
        const double2 sum = x.u_1 + x.u_2, apart = x.u_1 - x.u_2;
        const double2 by_native = c.d_n * x.u_n + c.d_m * sum;  // F_N is a part of all means
        if (draw >= 0) {
            double share_m = 1.0, share_a = 1.0;
            const double size = norm2(c.first ? c.mu_1 : c.mu_2);
            if (c.special && size > 0.0) {  // only along the line of the mean
                share_m = fmin(c.d_m * c.d_m * norm2(c.main) / size, 1.0);
                share_a = fmin(c.d_a * c.d_a * norm2(c.anomalous) / size, 1.0);
            }
            const double share = 4.0 * half * half / draws;
            known_n += share * norm2(by_native);
            known_m += share * c.d_m * c.d_m * norm2(sum) * share_m;
            known_a += share * c.d_a * c.d_a * norm2(apart) * share_a;
            continue;
        }
        spectra[i] = (-2.0 * half) * by_native;
        spectra[row + i] = (-2.0 * half * c.d_m) * sum;
        spectra[2 * row + i] = (2.0 * half * c.d_a) * make_double2(-apart.y, apart.x);
        spectra[3 * row + i] = x.z_n;
        spectra[4 * row + i] = x.z_1;
        spectra[5 * row + i] = x.z_2;
        double* slope = real + 4 * row + i;
        double* bound = real + 11 * row + i;
        real[i] = x.minus_ll;
        slope[0] = -2.0 * half * real_product(c.native, x.u_n);
        slope[row] = -2.0 * half * real_product(c.main, sum);
        slope[2 * row] = -2.0 * half * real_product(c.anomalous, apart);
        const double mates = x.inverse.m11 + x.inverse.m22, link = x.inverse.m12;
        bound[0] = 2.0 * half * norm2(c.native) * x.inverse.nn;
        bound[row] = 2.0 * half * norm2(c.main) * (mates + 2.0 * link);
        bound[2 * row] = 2.0 * half * norm2(c.anomalous) * (mates - 2.0 * link);
        for (int p = 0; p < 4; ++p) {  // ln Σ_N, ln Σ_c, ln Σ_Δ, ln(r/(1 − r))
            double by_c, square;
            trace(x, p == 0 ? c.own_n : 0.0, p < 2 ? 0.5 * c.across : p == 3 ? c.across * (1.0 - c.r) : 0.0,
                  p == 1 ? c.shared : p == 2 ? c.each : 0.0, p == 1 ? c.shared : 0.0, by_c, square);
            slope[(3 + p) * row] = half * by_c;
            bound[(3 + p) * row] = half * square;
        }
    }
    real[row + i] = known_n;
    real[2 * row + i] = known_m;
    real[3 * row + i] = known_a;
}
