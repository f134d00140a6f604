// Isotropic atoms: spreading onto and gathering from the grid.  A warp an atom.
//
// ρ(r) = Σ_g A_g exp(−α_g r²) with r from the atom to the grid point, hence ∂ρ/∂x = Σ 2α A r e and
// ∂ρ/∂B = Σ A (α r² − 3/2) (α/4π²) e.
#include "rows.cuh"

#define LOG2_E 1.4426950408889634f
#define FOUR_PI2 39.47841760435743f

template <int N> struct Gaussians {
    float a[N], alpha[N];
};

template <int N> __device__ __forceinline__ Gaussians<N> load_gaussians(const float* __restrict__ gauss, int t) {
    Gaussians<N> out;
    const float* own = gauss + 2 * N * i64(t);
#pragma unroll
    for (int g = 0; g < N; ++g) {
        out.a[g] = own[g];
        out.alpha[g] = own[N + g];
    }
    return out;
}

template <int N>
__device__ __forceinline__ void spread(const int* centre, const float* sphere, const float* gauss, int m,
                                       const float* cell, int nu, int nv, int nw, int mode, const float* scale,
                                       void* map) {
    const int t = warp_index();
    if (t >= m) return;
    const Grid<float> grid = load_grid(cell, nu, nv, nw);
    const Gaussians<N> own = load_gaussians<N>(gauss, t);
    const float factor = mode == SUM_FLOAT ? 1.0f : scale[mode];
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        const float r2 = x * x + y * y + z * z;
        float density = 0.0f;
#pragma unroll
        for (int g = 0; g < N; ++g) density += own.a[g] * exp2f(-LOG2_E * own.alpha[g] * r2);
        add_density(map, index, density, mode, factor);
    });
}

template <int N>
__device__ __forceinline__ void tangent(const int* centre, const float* sphere, const float* gauss, const float* shift,
                                        int m, const float* cell, int nu, int nv, int nw, int mode,
                                        const float* scale, void* map) {
    const int t = warp_index();
    if (t >= m) return;
    const Grid<float> grid = load_grid(cell, nu, nv, nw);
    const Gaussians<N> own = load_gaussians<N>(gauss, t);
    const float* v = shift + 5 * i64(t);
    const float vx = v[0], vy = v[1], vz = v[2], vb = v[3], vq = v[4];
    const float factor = mode == SUM_FLOAT ? 1.0f : scale[mode];
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        const float r2 = x * x + y * y + z * z, along = 2.0f * (x * vx + y * vy + z * vz);
        float change = 0.0f;
#pragma unroll
        for (int g = 0; g < N; ++g) {
            const float alpha = own.alpha[g], e = own.a[g] * exp2f(-LOG2_E * alpha * r2);
            change += e * (alpha * (along + (alpha * r2 - 1.5f) * (vb * (1.0f / FOUR_PI2))) + vq);
        }
        add_density(map, index, change, mode, factor);
    });
}

// Each lane sums its points in single precision, the lanes are summed in double precision in a fixed order.
template <int N>
__device__ __forceinline__ void gather(const int* centre, const float* sphere, const float* gauss, const int* list,
                                       int m, const float* cell, int nu, int nv, int nw, const float* map,
                                       const double* weight, double* out_xyz, double* out_b, double* out_q) {
    const int t = warp_index();
    if (t >= m) return;
    const Grid<float> grid = load_grid(cell, nu, nv, nw);
    const Gaussians<N> own = load_gaussians<N>(gauss, t);
    float gx = 0.0f, gy = 0.0f, gz = 0.0f, gb = 0.0f, gq = 0.0f;
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        const float d = map[index], r2 = x * x + y * y + z * z;
        float radial = 0.0f, thermal = 0.0f, plain = 0.0f;
#pragma unroll
        for (int g = 0; g < N; ++g) {
            const float alpha = own.alpha[g], e = own.a[g] * exp2f(-LOG2_E * alpha * r2);
            plain += e;
            radial += alpha * e;
            thermal += alpha * e * (alpha * r2 - 1.5f);
        }
        radial *= d;
        gx += x * radial;
        gy += y * radial;
        gz += z * radial;
        gb += d * thermal;
        gq += d * plain;
    });
    const int atom = list[t];
    store_sum(out_xyz + 3 * i64(atom), gx, 2.0);
    store_sum(out_xyz + 3 * i64(atom) + 1, gy, 2.0);
    store_sum(out_xyz + 3 * i64(atom) + 2, gz, 2.0);
    store_sum(out_b + atom, gb, 1.0 / (4.0 * PI * PI));
    store_sum(out_q + atom, gq, weight[atom] != 0.0 ? 1.0 / weight[atom] : 0.0);
}

extern "C" __global__ void __launch_bounds__(128)
spread_iso_1(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
             const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
             void* map) {
    spread<1>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
spread_iso_2(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
             const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
             void* map) {
    spread<2>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
spread_iso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
             const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
             void* map) {
    spread<3>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
spread_iso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
             const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
             void* map) {
    spread<5>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_iso_1(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
              const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw, int mode,
              const float* __restrict__ scale, void* map) {
    tangent<1>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_iso_2(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
              const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw, int mode,
              const float* __restrict__ scale, void* map) {
    tangent<2>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_iso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
              const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw, int mode,
              const float* __restrict__ scale, void* map) {
    tangent<3>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_iso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
              const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw, int mode,
              const float* __restrict__ scale, void* map) {
    tangent<5>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_iso_1(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
             const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
             const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
             double* __restrict__ out_b, double* __restrict__ out_q) {
    gather<1>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_b, out_q);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_iso_2(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
             const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
             const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
             double* __restrict__ out_b, double* __restrict__ out_q) {
    gather<2>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_b, out_q);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_iso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
             const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
             const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
             double* __restrict__ out_b, double* __restrict__ out_q) {
    gather<3>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_b, out_q);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_iso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
             const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
             const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
             double* __restrict__ out_b, double* __restrict__ out_q) {
    gather<5>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_b, out_q);
}
