// The likelihood of Friedel pairs: (F+, F−*) complex Gaussian about D F′ ± i D_Δ F″, phases integrated out.
#include "friedel.cuh"

// Arguments (rows, n), one reflection a thread: f_obs and sigma of both mates (NaN: not measured), f_calc F′ and F″, d
// and s of both error models; ``errors`` (draws, 3, n) standard complex normal numbers for the expected information.
// Out: real (11, n): −LL, information 2, slope 4, bound 4; spectra (4, n): gradient 2, phased 2.
extern "C" __global__ void __launch_bounds__(64, 1)
sad(const double* __restrict__ f_obs, const double* __restrict__ sigma, const double2* __restrict__ f_calc,
    const double* __restrict__ d, const double* __restrict__ s, const double* __restrict__ epsilon,
    const bool* __restrict__ centric, int n, const double* __restrict__ table_acentric,
    const double* __restrict__ table_centric, int table_size, double table_end, const double2* __restrict__ errors,
    int draws, double* __restrict__ real, double2* __restrict__ spectra) {
    const int i = thread_index();
    if (i >= n) return;
    double* info = real + n;
    double* slope = real + 3 * i64(n);
    double* bound = real + 7 * i64(n);
    double2* phased = spectra + 2 * i64(n);
    for (int k = 0; k < 11; ++k) real[k * i64(n) + i] = 0.0;
    for (int k = 0; k < 4; ++k) spectra[k * i64(n) + i] = make_double2(0.0, 0.0);
    const bool first = !isnan(f_obs[i]), second = !isnan(f_obs[n + i]);
    if (!(first || second)) return;
    const double2 main = f_calc[i], minor = f_calc[n + i], anomalous = make_double2(-minor.y, minor.x);
    const double shared = epsilon[i] * s[i], each = epsilon[i] * s[n + i], d0 = d[i], d1 = d[n + i];
    if (centric[i] || !(first && second)) {
        const int row = first ? 0 : 1;
        const double sign = first ? 1.0 : -1.0, a = f_obs[row * i64(n) + i], error = sigma[row * i64(n) + i];
        const double2 mu = d0 * main + (sign * d1) * anomalous;
        const double mean = length(mu), half = centric[i] ? 0.5 : 1.0;
        const double2 unit = direction(mu, mean);
        const double total = 2.0 * half * error * error + shared + each, x = 2.0 * half * a * mean / total;
        double m, known, part0 = 1.0, part1 = 1.0;
        if (centric[i]) {
            m = tanh(x);
            real[i] = 0.5 * log(0.5 * PI * total) + 0.5 * (a * a + mean * mean) / total - log_cosh(x);
            known = interpolate(table_centric, table_size, table_end, mean / sqrt(total)) / total;
            part0 = mean > 0.0 ? fmin(norm2(main) * d0 * d0 / (mean * mean), 1.0) : 0.0;
            part1 = mean > 0.0 ? fmin(norm2(anomalous) * d1 * d1 / (mean * mean), 1.0) : 0.0;
        } else {
            double log_i0;
            log_i0_and_ratio(x, log_i0, m);
            real[i] = log(total) - log(2.0 * fmax(a, TINY)) + (a * a + mean * mean) / total - log_i0;
            known = 4.0 * interpolate(table_acentric, table_size, table_end, mean / sqrt(total)) / total;
        }
        info[i] = d0 * d0 * known * part0;
        info[n + i] = d1 * d1 * known * part1;
        const double2 g = (2.0 * half * (mean - m * a) / total) * unit;
        phased[row * i64(n) + i] = (m * a) * unit;
        spectra[i] = d0 * g;
        spectra[n + i] = (sign * d1) * make_double2(g.y, -g.x);
        const double misfit = half * (1.0 - (a * a + mean * mean - 2.0 * m * a * mean) / total) / total;
        slope[i] = real_product(main, g);
        slope[n + i] = sign * real_product(anomalous, g);
        slope[2 * i64(n) + i] = shared * misfit;
        slope[3 * i64(n) + i] = each * misfit;
        bound[i] = half * 2.0 * norm2(main) / total;
        bound[n + i] = half * 2.0 * norm2(anomalous) / total;
        bound[2 * i64(n) + i] = half * shared / total * (shared / total);
        bound[3 * i64(n) + i] = half * each / total * (each / total);
        return;
    }
    const double own1 = each + 2.0 * sigma[i] * sigma[i], own2 = each + 2.0 * sigma[n + i] * sigma[n + i];
    const double c11 = shared + own1, c22 = shared + own2, det = shared * (own1 + own2) + own1 * own2;
    const double2 mu1 = d0 * main + d1 * anomalous, mu2 = d0 * main - d1 * anomalous;
    const Pair pair = friedel_pair(f_obs[i], f_obs[n + i], mu1, mu2, shared, own1, own2, FINE);
    const double2 sum = pair.u1 + pair.u2, difference = pair.u1 - pair.u2;
    real[i] = pair.minus_ll;
    phased[i] = pair.z1;
    phased[n + i] = pair.z2;
    spectra[i] = (-2.0 * d0) * sum;
    spectra[n + i] = (2.0 * d1) * make_double2(-difference.y, difference.x);
    // C⁻¹ summed over all elements, and with the sign of the anomalous part
    const double common = (own1 + own2) / det, opposed = (c11 + c22 + 2.0 * shared) / det;
    const double p = c22 / det, r = c11 / det, q = -shared / det;
    slope[i] = -2.0 * real_product(main, sum);
    slope[n + i] = -2.0 * real_product(anomalous, difference);
    slope[2 * i64(n) + i] = shared * (common - pair.square1 - pair.square2 - 2.0 * pair.cross);
    slope[3 * i64(n) + i] = each * (p + r - pair.square1 - pair.square2);
    bound[i] = 2.0 * norm2(main) * common;
    bound[n + i] = 2.0 * norm2(anomalous) * opposed;
    bound[2 * i64(n) + i] = shared * common * (shared * common);
    bound[3 * i64(n) + i] = each * each * (p * p + r * r + 2.0 * q * q);
    double known0 = 0.0, known1 = 0.0;
    for (int k = 0; k < draws; ++k) {
        const double2* e = errors + 3 * i64(k) * n + i;
        const double2 x = mu1 + sqrt(shared) * e[0] + sqrt(own1) * e[n];
        const double2 y = mu2 + sqrt(shared) * e[0] + sqrt(own2) * e[2 * i64(n)];
        const Pair drawn = friedel_pair(length(x), length(y), mu1, mu2, shared, own1, own2, FINE);
        known0 += norm2(drawn.u1 + drawn.u2);
        known1 += norm2(drawn.u1 - drawn.u2);
    }
    if (draws > 0) {
        info[i] = 4.0 / draws * d0 * d0 * known0;
        info[n + i] = 4.0 / draws * d1 * d1 * known1;
    }
}
