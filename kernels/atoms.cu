// From atoms to spheres and Gaussians on a grid, and the scale of fixed-point sums.
//
// What does not depend on the grid point is worked out here, in double precision, once an evaluation.
#include "common.cuh"

#define EIGHT_PI2 (8.0 * PI * PI)
#define FOUR_PI2 (4.0 * PI * PI)
#define EXP_MINUS_HALF 0.6065306597126334
#define TILE 8

// Nearest grid point and what is left, of a position x (Å).
__device__ void place(const double* x, const double* frac, const int n[3], double radius, int* centre, float* sphere) {
    for (int k = 0; k < 3; ++k) {
        double f = frac[3 * k] * x[0] + frac[3 * k + 1] * x[1] + frac[3 * k + 2] * x[2];
        f = (f - floor(f)) * n[k];
        const double nearest = rint(f);
        centre[k] = int(nearest);
        sphere[k] = float(f - nearest);
    }
    sphere[3] = float(radius);
}

// Raises peak[0], the bits of a float ≥ 0, to the largest bound.
__device__ void raise(int* peak, float bound) { atomicMax(peak, __float_as_int(bound)); }

__device__ double relative(const double* v_weight, const double* weight, int atom) {
    return v_weight && weight[atom] != 0.0 ? v_weight[atom] / weight[atom] : 0.0;
}

// Isotropic atoms list[0 … m): ρ = Σ_g A_g exp(−α_g r²), α = 4π²/(b_g + B + blur), A = q a_g (α/π)^{3/2}.
// gauss (m, 2 width): A_g, then α_g, padded with zeros; shift (m, 5): v_xyz, v_B, v_q relative, where v_xyz is given.
// bound (m, 2): b and k such that |density| (or |change of density|) at a distance r is at most b exp(−k r²); peak: the
// largest b.  For changes, half of the exponent pays for the factors r and r² before it.
extern "C" __global__ void __launch_bounds__(128)
prepare_iso(const double* __restrict__ xyz, const double* __restrict__ b_iso, const double* __restrict__ weight,
            const int* __restrict__ kind, const int* __restrict__ list, int m, const double* __restrict__ gauss_a,
            const double* __restrict__ gauss_b, int n_gauss, int width, double blur, double cutoff,
            const double* __restrict__ frac, int nu, int nv, int nw, const double* __restrict__ v_xyz,
            const double* __restrict__ v_b, const double* __restrict__ v_weight, int* __restrict__ centre,
            float* __restrict__ sphere, float* __restrict__ gauss, float* __restrict__ shift,
            float* __restrict__ bound, int* __restrict__ peak) {
    const int t = thread_index();
    if (t >= m) return;
    const int atom = list[t];
    const int n[3] = {nu, nv, nw};
    double length = 0.0, by_b = 0.0, by_q = 1.0;
    if (v_xyz) {
        const double* v = v_xyz + 3 * i64(atom);
        length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        by_b = v_b[atom];
        by_q = relative(v_weight, weight, atom);
        for (int k = 0; k < 3; ++k) shift[5 * i64(t) + k] = float(v[k]);
        shift[5 * i64(t) + 3] = float(by_b);
        shift[5 * i64(t) + 4] = float(by_q);
    }
    double radius2 = 0.0, highest = 0.0, slowest = 1e30;
    float* own = gauss + 2 * i64(width) * t;
    for (int g = 0; g < width; ++g) {
        double a = 0.0, alpha = 1.0;
        if (g < n_gauss) {
            alpha = FOUR_PI2 / (gauss_b[kind[atom] * n_gauss + g] + b_iso[atom] + blur);
            a = gauss_a[kind[atom] * n_gauss + g] * (alpha / PI) * sqrt(alpha / PI);
            radius2 = fmax(radius2, log(fmax(fabs(a) / cutoff, 1.0)) / alpha);
            a *= weight[atom];
            slowest = fmin(slowest, v_xyz ? 0.5 * alpha : alpha);
            highest += fabs(a) * (fabs(by_q) + length * 2.0 * sqrt(alpha) * EXP_MINUS_HALF
                                  + fabs(by_b) * 1.5 * alpha / FOUR_PI2);
        }
        own[g] = float(a);
        own[width + g] = float(alpha);
    }
    place(xyz + 3 * i64(atom), frac, n, sqrt(radius2), centre + 3 * i64(t), sphere + 4 * i64(t));
    bound[2 * i64(t)] = float(highest);
    bound[2 * i64(t) + 1] = float(slowest);
    raise(peak, float(highest));
}

// Largest eigenvalue of a symmetric tensor 11 22 33 12 13 23 (trigonometric solution of the cubic).
__device__ double largest_eigenvalue(const double* u) {
    const double mean = (u[0] + u[1] + u[2]) / 3.0;
    const double a = u[0] - mean, b = u[1] - mean, c = u[2] - mean;
    const double p2 = (a * a + b * b + c * c + 2.0 * (u[3] * u[3] + u[4] * u[4] + u[5] * u[5])) / 6.0;
    if (p2 <= 0.0) return mean;
    const double p = sqrt(p2);
    const double det = a * (b * c - u[5] * u[5]) - u[3] * (u[3] * c - u[5] * u[4]) + u[4] * (u[3] * u[5] - b * u[4]);
    const double r = fmin(1.0, fmax(-1.0, det / (2.0 * p * p2)));
    return mean + 2.0 * p * cos(acos(r) / 3.0);
}

// Inverse of a symmetric tensor; returns the determinant.
__device__ double invert(const double* u, double* s) {
    s[0] = u[1] * u[2] - u[5] * u[5];
    s[3] = u[4] * u[5] - u[3] * u[2];
    s[4] = u[3] * u[5] - u[4] * u[1];
    const double det = u[0] * s[0] + u[3] * s[3] + u[4] * s[4];
    s[1] = u[0] * u[2] - u[4] * u[4];
    s[2] = u[0] * u[1] - u[3] * u[3];
    s[5] = u[3] * u[4] - u[0] * u[5];
    for (int k = 0; k < 6; ++k) s[k] /= det;
    return det;
}

// Largest |v_q + rᵀSv + ½rᵀSVSr − ½tr SV| exp(−¼rᵀSr), from above.
__device__ double tangent_bound(const double* s, const double* v, const double* w, double by_q) {
    const double full[3][3] = {{s[0], s[3], s[4]}, {s[3], s[1], s[5]}, {s[4], s[5], s[2]}};
    const double turn[3][3] = {{w[0], w[3], w[4]}, {w[3], w[1], w[5]}, {w[4], w[5], w[2]}};
    double product[3][3], trace = 0.0, square = 0.0, along = 0.0;
    for (int i = 0; i < 3; ++i)
        for (int j = 0; j < 3; ++j) {
            product[i][j] = full[i][0] * turn[0][j] + full[i][1] * turn[1][j] + full[i][2] * turn[2][j];
            along += v[i] * full[i][j] * v[j];
        }
    for (int i = 0; i < 3; ++i) {
        trace += product[i][i];
        for (int j = 0; j < 3; ++j) square += product[i][j] * product[j][i];
    }
    return fabs(by_q) + 0.5 * fabs(trace) + sqrt(2.0 * fmax(along, 0.0)) * EXP_MINUS_HALF
           + 2.0 * sqrt(fmax(square, 0.0)) * EXP_MINUS_HALF * EXP_MINUS_HALF;
}

// Anisotropic atoms: ρ = Σ_g A_g exp(−½ rᵀ S_g r), S_g⁻¹ = U + (b_g + blur)/8π².
// gauss (m, 7 width): A_g, then the six elements of each S_g; shift (m, 10): v_xyz, v_U, v_q relative.
extern "C" __global__ void __launch_bounds__(128)
prepare_aniso(const double* __restrict__ xyz, const double* __restrict__ u_aniso, const double* __restrict__ weight,
              const int* __restrict__ kind, const int* __restrict__ list, int m, const double* __restrict__ gauss_a,
              const double* __restrict__ gauss_b, int n_gauss, int width, double blur, double cutoff,
              const double* __restrict__ frac, int nu, int nv, int nw, const double* __restrict__ v_xyz,
              const double* __restrict__ v_u, const double* __restrict__ v_weight, int* __restrict__ centre,
              float* __restrict__ sphere, float* __restrict__ gauss, float* __restrict__ shift,
              float* __restrict__ bound, int* __restrict__ peak) {
    const int t = thread_index();
    if (t >= m) return;
    const int atom = list[t];
    const int n[3] = {nu, nv, nw};
    double v[3] = {0.0, 0.0, 0.0}, w[6] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, by_q = 1.0;
    if (v_xyz) {
        by_q = relative(v_weight, weight, atom);
        float* out = shift + 10 * i64(t);
        for (int k = 0; k < 3; ++k) out[k] = float(v[k] = v_xyz[3 * i64(atom) + k]);
        for (int k = 0; k < 6; ++k) out[3 + k] = float(w[k] = v_u ? v_u[6 * i64(atom) + k] : 0.0);
        out[9] = float(by_q);
    }
    const double* u = u_aniso + 6 * i64(atom);
    const double widest = largest_eigenvalue(u);
    double radius2 = 0.0, highest = 0.0, slowest = 1e30;
    float* own = gauss + 7 * i64(width) * t;
    for (int g = 0; g < width; ++g) {
        double a = 0.0, s[6] = {1.0, 1.0, 1.0, 0.0, 0.0, 0.0};
        if (g < n_gauss) {
            const double extra = (gauss_b[kind[atom] * n_gauss + g] + blur) / EIGHT_PI2;
            const double total[6] = {u[0] + extra, u[1] + extra, u[2] + extra, u[3], u[4], u[5]};
            const double det = invert(total, s);
            a = gauss_a[kind[atom] * n_gauss + g] / sqrt(8.0 * PI * PI * PI * det);
            radius2 = fmax(radius2, log(fmax(fabs(a) / cutoff, 1.0)) * 2.0 * (widest + extra));
            a *= weight[atom];
            slowest = fmin(slowest, (v_xyz ? 0.25 : 0.5) / (widest + extra));
            highest += fabs(a) * (v_xyz ? tangent_bound(s, v, w, by_q) : 1.0);
        }
        own[g] = float(a);
        for (int k = 0; k < 6; ++k) own[width + 6 * g + k] = float(s[k]);
    }
    place(xyz + 3 * i64(atom), frac, n, sqrt(radius2), centre + 3 * i64(t), sphere + 4 * i64(t));
    bound[2 * i64(t)] = float(highest);
    bound[2 * i64(t) + 1] = float(slowest);
    raise(peak, float(highest));
}

// First tile and number of tiles along one axis that points lo … hi touch, and how often one point is met at most.
__device__ void tile_range(int lo, int hi, int n, int& first, int& count, int& times) {
    const int tiles = (n + TILE - 1) / TILE, points = hi - lo + 1;
    times = (points + n - 1) / n;
    first = wrapped(lo, n) / TILE;
    const int last = wrapped(hi, n) / TILE;
    count = points >= n ? tiles : wrapped(hi, n) >= wrapped(lo, n) ? last - first + 1 : tiles - first + last + 1;
    count = count < tiles ? count : tiles;
}

// Least number of grid steps from an atom near point c to tile ``tile`` of an axis of n points.
__device__ int steps_to_tile(int c, int tile, int n) {
    const int low = tile * TILE, high = min(low + TILE, n) - 1, at = wrapped(c, n);
    if (at >= low && at <= high) return 0;
    const int up = wrapped(low - at, n), down = wrapped(at - high, n);
    return max(min(up, down) - 1, 0);  // the atom is within half a step of c
}

// Adds what each atom can have at most in a tile, in units of 2⁻²⁴ of the highest, to all tiles of 8³ points that its
// sphere can touch: no point of a tile can then hold more than the tile's sum.  ``reach`` (3) is |a*|, |b*|, |c*| in
// points per Å, so that k steps along an axis are at least k/reach Å.
extern "C" __global__ void __launch_bounds__(128)
tile_bounds(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ bound, int m,
            const float* __restrict__ reach, int nu, int nv, int nw, const int* __restrict__ peak,
            u64* __restrict__ tiles) {
    const int t = thread_index();
    if (t >= m || bound[2 * i64(t)] <= 0.0f) return;
    const int n[3] = {nu, nv, nw};
    const float decay = bound[2 * i64(t) + 1];
    int first[3], count[3], tile[3], times = 1;
    for (int k = 0; k < 3; ++k) {
        const int half = int(ceilf(sphere[4 * i64(t) + 3] * reach[k])) + 1;
        const int c = centre[3 * i64(t) + k];
        int met;
        tile_range(c - half, c + half, n[k], first[k], count[k], met);
        times *= met;
    }
    const float units = bound[2 * i64(t)] / __int_as_float(peak[0]) * 16777216.0f * times;
    const int tu = (nu + TILE - 1) / TILE, tv = (nv + TILE - 1) / TILE, tw = (nw + TILE - 1) / TILE;
    for (int i = 0; i < count[0]; ++i)
        for (int j = 0; j < count[1]; ++j)
            for (int k = 0; k < count[2]; ++k) {
                tile[0] = (first[0] + i) % tu;
                tile[1] = (first[1] + j) % tv;
                tile[2] = (first[2] + k) % tw;
                float distance = 0.0f;
                for (int a = 0; a < 3; ++a)
                    distance = fmaxf(distance, steps_to_tile(centre[3 * i64(t) + a], tile[a], n[a]) / reach[a]);
                atomicAdd(&tiles[(i64(tile[0]) * tv + tile[1]) * tw + tile[2]],
                          u64(ceilf(units * expf(-decay * distance * distance)) + 1.0f));
            }
}

// scale[0], scale[1]: powers of two with which the largest possible sum fits into 32 and 64 bits; scale[2]: the
// largest possible sum divided by the highest single density.  watch[1], if it is watched, is raised to that, and stays
// not a number once it is.  One block.
extern "C" __global__ void __launch_bounds__(256)
choose_scale(const u64* __restrict__ tiles, int n, const int* __restrict__ peak, float* __restrict__ scale,
             double* __restrict__ watch) {
    __shared__ u64 space[256];
    u64 most = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) most = tiles[i] > most ? tiles[i] : most;
    space[threadIdx.x] = most;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int i = 1; i < int(blockDim.x); ++i) most = space[i] > most ? space[i] : most;
    const double highest = double(__int_as_float(peak[0]));
    const double sum = double(most) / 16777216.0 * highest;
    int exponent = 0;
    if (sum > 0.0) frexp(sum, &exponent);  // sum ≤ 2^exponent
    scale[0] = ldexpf(1.0f, min(30 - exponent, 126));
    scale[1] = ldexpf(1.0f, min(61 - exponent, 126));
    scale[2] = highest == 0.0 ? 0.0f : float(sum / highest);  // not a number if a density is none
    if (watch && !(double(scale[2]) <= watch[1]) && watch[1] == watch[1]) watch[1] = double(scale[2]);
}

// map[i] = fixed[i]/scale, in the same memory.
extern "C" __global__ void __launch_bounds__(256)
fixed32_to_float(float* __restrict__ map, i64 n, const float* __restrict__ scale) {
    const float inverse = 1.0f / scale[0];
    for (i64 i = thread_index(); i < n; i += thread_count()) map[i] = float(__float_as_int(map[i])) * inverse;
}

extern "C" __global__ void __launch_bounds__(256)
fixed64_to_float(const i64* __restrict__ fixed, float* __restrict__ map, i64 n, const float* __restrict__ scale) {
    const float inverse = 1.0f / scale[1];
    for (i64 i = thread_index(); i < n; i += thread_count()) map[i] = float(fixed[i]) * inverse;
}
