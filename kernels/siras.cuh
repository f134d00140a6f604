// Native with the Friedel pair of a derivative: the native's phase is integrated by the trapezoidal rule on its circle,
// given which the pair is distributed as without native, by one warp.
//
// The step is halved, where the integrand is not negligible, until two steps agree; the error is then the square of their
// difference.
#pragma once
#include "friedel.cuh"

#define SIRAS_MOST 4096
#define SIRAS_AGREE 1e-3
#define SIRAS_NEGLIGIBLE 18.0f  // nodes whose neighbours' logarithms are this far below the top are left out

// Symmetric 3×3 matrix of the native (n) and both mates (1, 2); rows of what was not measured are 0.
struct Sym3 {
    double nn, n1, n2, m11, m12, m22;
};

// What is known of the observed structure factors z, given the amplitudes: u = C⁻¹(z − μ).
struct Known {
    double minus_ll;
    double2 u_n, u_1, u_2, z_n, z_1, z_2;
    Sym3 uu, inverse;  // Re⟨u uᵀ⟩ and C⁻¹
};
static_assert(sizeof(Known) <= 26 * sizeof(double), "the backend has 26 numbers for it");

// Sums over nodes of the native's phase, times exp(−top): of e_N = z_N − μ_N and of the pair's means given z_N.
struct NativeSums {
    double top, one, q11, q22, q12, nn, n1, n2;
    double2 u1, u2, z1, z2, e, z;

    __device__ void scale(double by) {
        one *= by, q11 *= by, q22 *= by, q12 *= by, nn *= by, n1 *= by, n2 *= by;
        u1 = by * u1, u2 = by * u2, z1 = by * z1, z2 = by * z2, e = by * e, z = by * z;
    }
};

__device__ __forceinline__ double2 warp_sum(double2 value) {
    return make_double2(warp_sum(value.x), warp_sum(value.y));
}

// Amplitudes and means of the three; variance of the native, its covariance with a mate over that, and the covariance of
// the mates given the native with what is their own.
struct Trio {
    double a_n, a_1, a_2;
    double2 mu_n, mu_1, mu_2;
    double c_nn, k, shared, own1, own2;

    // Adds the node at ``angle`` from arg μ_N; returns its logarithm.
    __device__ double add(double angle, NativeSums& sums) const {
        const double size = length(mu_n), half = sin(0.5 * angle);
        const double2 z = a_n * (make_double2(cos(angle), sin(angle)) * direction(mu_n, size)), e = z - mu_n;
        const Pair pair = friedel_pair(a_1, a_2, mu_1 + k * e, mu_2 + k * e, shared, own1, own2, COARSE);
        const double value =
            -((a_n - size) * (a_n - size) + 4.0 * a_n * size * half * half) / c_nn - pair.minus_ll;
        if (value > sums.top) {
            sums.scale(exp(sums.top - value));
            sums.top = value;
        }
        const double w = exp(value - sums.top);
        sums.one += w;
        sums.q11 += w * pair.square1;
        sums.q22 += w * pair.square2;
        sums.q12 += w * pair.cross;
        sums.nn += w * norm2(e);
        sums.n1 += w * real_product(e, pair.u1);
        sums.n2 += w * real_product(e, pair.u2);
        sums.u1 = sums.u1 + w * pair.u1;
        sums.u2 = sums.u2 + w * pair.u2;
        sums.z1 = sums.z1 + w * pair.z1;
        sums.z2 = sums.z2 + w * pair.z2;
        sums.e = sums.e + w * e;
        sums.z = sums.z + w * z;
        return value;
    }

    // By a whole warp; ``heights`` (SIRAS_MOST) in shared memory.  −LL; ``sums`` receives the means.
    __device__ double integrate(float* heights, NativeSums& sums) const {
        const double2 none = {0.0, 0.0};
        const int lane = lane_id();
        sums = {-1e300, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, none, none, none, none, none, none};
        int count = 32;
        const double first = add(2.0 * PI * lane / count, sums), base = warp_max(first);
        __syncwarp();  // heights may still be read for the integral before
        heights[lane * (SIRAS_MOST / 32)] = float(first - base);
        double top = base, total = warp_sum(exp(first - base));
        double coarse = 2.0 * warp_sum(lane % 2 == 0 ? exp(first - base) : 0.0);
        __syncwarp();
        while (!(fabs(total - coarse) < SIRAS_AGREE * total) && 2 * count <= SIRAS_MOST) {
            const int stride = SIRAS_MOST / count;
            for (int i = lane; i < count; i += 32) {
                const float left = heights[i * stride], right = heights[(i + 1) % count * stride];
                float& here = heights[i * stride + stride / 2];
                here = fmaxf(left, right);
                if (here < float(top - base) - SIRAS_NEGLIGIBLE - fabsf(left - right)) continue;
                here = float(add(2.0 * PI * (i + 0.5) / count, sums) - base);
            }
            __syncwarp();
            const double higher = warp_max(sums.top);
            coarse = 2.0 * total * exp(top - higher);
            total = warp_sum(sums.one * exp(sums.top - higher));
            top = higher;
            count *= 2;
        }
        sums.scale(exp(sums.top - top) / total);
        sums.q11 = warp_sum(sums.q11), sums.q22 = warp_sum(sums.q22), sums.q12 = warp_sum(sums.q12);
        sums.nn = warp_sum(sums.nn), sums.n1 = warp_sum(sums.n1), sums.n2 = warp_sum(sums.n2);
        sums.u1 = warp_sum(sums.u1), sums.u2 = warp_sum(sums.u2);
        sums.z1 = warp_sum(sums.z1), sums.z2 = warp_sum(sums.z2);
        sums.e = warp_sum(sums.e), sums.z = warp_sum(sums.z);
        return -(top + log(fmax(a_n, TINY) / (PI * c_nn)) + log(total * 2.0 * PI / count));
    }

    // Acentric native with both mates.
    __device__ Known known(float* heights) const {
        NativeSums sums;
        Known out;
        out.minus_ll = integrate(heights, sums);
        out.u_1 = sums.u1, out.u_2 = sums.u2;
        out.u_n = (1.0 / c_nn) * sums.e - k * (sums.u1 + sums.u2);
        out.z_n = sums.z, out.z_1 = sums.z1, out.z_2 = sums.z2;
        const double q11 = sums.q11, q22 = sums.q22, q12 = sums.q12, det = shared * (own1 + own2) + own1 * own2;
        out.uu = {sums.nn / (c_nn * c_nn) - 2.0 * k * (sums.n1 + sums.n2) / c_nn + k * k * (q11 + q22 + 2.0 * q12),
                  sums.n1 / c_nn - k * (q11 + q12), sums.n2 / c_nn - k * (q22 + q12), q11, q12, q22};
        out.inverse = {1.0 / c_nn + k * k * (own1 + own2) / det, -k * own2 / det, -k * own1 / det,
                       (shared + own2) / det, -shared / det, (shared + own1) / det};
        return out;
    }
};

// Native of variance c_nn with one mate, taken as the first, of variance c_dd; c_nd: their covariance.
struct Duo {
    double a_n, a_d;
    double2 mu_n, mu_d;
    double c_nn, c_dd, c_nd;

    __device__ Sym3 inverse() const {
        const double det = c_nn * c_dd - c_nd * c_nd;
        return {c_dd / det, -c_nd / det, 0.0, c_nn / det, 0.0, 0.0};
    }

    __device__ Known acentric() const {
        const double2 none = {0.0, 0.0};
        const Pair p = friedel_pair(a_d, a_n, mu_d, mu_n, c_nd, c_dd - c_nd, c_nn - c_nd, FINE);
        return {p.minus_ll, p.u2, p.u1, none, p.z2, p.z1, none,
                {p.square2, p.cross, 0.0, p.square1, 0.0, 0.0}, inverse()};
    }

    // Four combinations of signs of real Gaussian variables.
    __device__ Known centric() const {
        const double2 none = {0.0, 0.0};
        const Sym3 q = inverse();
        const double mean_n = length(mu_n), mean_d = length(mu_d);
        const double2 unit_n = direction(mu_n, mean_n), unit_d = mean_d > 0.0 ? direction(mu_d, mean_d) : unit_n;
        // the two lie on one line (but for F″): does the derivative's mean point the same way as the native's?
        const double side = real_product(unit_n, unit_d) >= 0.0 ? 1.0 : -1.0;
        double top = -1e300, total = 0.0, u_n = 0.0, u_d = 0.0, z_n = 0.0, z_d = 0.0, nn = 0.0, nd = 0.0, dd = 0.0;
        for (int pass = 0; pass < 2; ++pass)
            for (int i = 0; i < 4; ++i) {
                const double at_n = i < 2 ? a_n : -a_n, at_d = i % 2 == 0 ? a_d : -a_d;
                const double x = at_n - mean_n, y = side * (at_d - mean_d);
                const double by_x = q.nn * x + q.n1 * y, by_y = q.n1 * x + q.m11 * y;
                const double value = -0.5 * (x * by_x + y * by_y);
                if (pass == 0) {
                    top = fmax(top, value);
                    continue;
                }
                const double w = exp(value - top);
                total += w;
                u_n += w * by_x, u_d += w * side * by_y, z_n += w * at_n, z_d += w * at_d;
                nn += w * by_x * by_x, nd += w * by_x * by_y, dd += w * by_y * by_y;
            }
        const double by = 1.0 / total, det = c_nn * c_dd - c_nd * c_nd;
        return {-(top + log(total) - 0.5 * log(det) - log(2.0 * PI)), (by * u_n) * unit_n, (by * u_d) * unit_d, none,
                (by * z_n) * unit_n, (by * z_d) * unit_d, none, {by * nn, by * nd, 0.0, by * dd, 0.0, 0.0}, q};
    }
};

// What is known with the mate named the second where it was taken as the first.
__device__ inline Known renamed(const Known& x, bool second) {
    if (!second) return x;
    return {x.minus_ll, x.u_n, x.u_2, x.u_1, x.z_n, x.z_2, x.z_1,
            {x.uu.nn, x.uu.n2, x.uu.n1, x.uu.m22, x.uu.m12, x.uu.m11},
            {x.inverse.nn, x.inverse.n2, x.inverse.n1, x.inverse.m22, x.inverse.m12, x.inverse.m11}};
}
