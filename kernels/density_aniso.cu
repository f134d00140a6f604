// Anisotropic atoms: spreading onto and gathering from the grid.  A warp an atom.
//
// ρ(r) = Σ_g A_g exp(−½ rᵀ S_g r); with y = S r: ∂ρ/∂x = Σ A e y and ∂ρ/∂U = Σ A e ½ (y yᵀ − S).
#include "rows.cuh"

#define HALF_LOG2_E 0.7213475204444817f

template <int N> struct Tensors {
    float a[N], s[N][6];
};

template <int N> __device__ __forceinline__ Tensors<N> load_tensors(const float* __restrict__ gauss, int t) {
    Tensors<N> out;
    const float* own = gauss + 7 * N * i64(t);
#pragma unroll
    for (int g = 0; g < N; ++g) {
        out.a[g] = own[g];
#pragma unroll
        for (int k = 0; k < 6; ++k) out.s[g][k] = own[N + 6 * g + k];
    }
    return out;
}

// y = S r for a tensor 11 22 33 12 13 23.
__device__ __forceinline__ float3 product(const float* s, float x, float y, float z) {
    return make_float3(s[0] * x + s[3] * y + s[4] * z, s[3] * x + s[1] * y + s[5] * z, s[4] * x + s[5] * y + s[2] * z);
}

__device__ __forceinline__ float falling(const float3& y, float x1, float x2, float x3) {
    return exp2f(-HALF_LOG2_E * (x1 * y.x + x2 * y.y + x3 * y.z));
}

template <int N>
__device__ __forceinline__ void spread(const int* centre, const float* sphere, const float* gauss, int m,
                                       const float* cell, int nu, int nv, int nw, int mode, const float* scale,
                                       void* map) {
    const int t = warp_index();
    if (t >= m) return;
    const Grid<float> grid = load_grid(cell, nu, nv, nw);
    const Tensors<N> own = load_tensors<N>(gauss, t);
    const float factor = mode == SUM_FLOAT ? 1.0f : scale[mode];
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        float density = 0.0f;
#pragma unroll
        for (int g = 0; g < N; ++g) density += own.a[g] * falling(product(own.s[g], x, y, z), x, y, z);
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
    const Tensors<N> own = load_tensors<N>(gauss, t);
    float v[10], still[N];
#pragma unroll
    for (int k = 0; k < 10; ++k) v[k] = shift[10 * i64(t) + k];
#pragma unroll
    for (int g = 0; g < N; ++g) {
        const float* s = own.s[g];
        const float trace = s[0] * v[3] + s[1] * v[4] + s[2] * v[5] + 2.0f * (s[3] * v[6] + s[4] * v[7] + s[5] * v[8]);
        still[g] = v[9] - 0.5f * trace;
    }
    const float factor = mode == SUM_FLOAT ? 1.0f : scale[mode];
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        float change = 0.0f;
#pragma unroll
        for (int g = 0; g < N; ++g) {
            const float3 q = product(own.s[g], x, y, z);
            const float3 turned = product(v + 3, q.x, q.y, q.z);
            const float moving = q.x * (v[0] + 0.5f * turned.x) + q.y * (v[1] + 0.5f * turned.y)
                                 + q.z * (v[2] + 0.5f * turned.z);
            change += own.a[g] * falling(q, x, y, z) * (still[g] + moving);
        }
        add_density(map, index, change, mode, factor);
    });
}

template <int N>
__device__ __forceinline__ void gather(const int* centre, const float* sphere, const float* gauss, const int* list,
                                       int m, const float* cell, int nu, int nv, int nw, const float* map,
                                       const double* weight, double* out_xyz, double* out_u, double* out_q) {
    const int t = warp_index();
    if (t >= m) return;
    const Grid<float> grid = load_grid(cell, nu, nv, nw);
    const Tensors<N> own = load_tensors<N>(gauss, t);
    float sum[10] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    walk_rows(grid, load_sphere(centre, sphere, t), [&](i64 index, float x, float y, float z) {
        const float d = map[index];
#pragma unroll
        for (int g = 0; g < N; ++g) {
            const float* s = own.s[g];
            const float3 q = product(s, x, y, z);
            const float e = d * own.a[g] * falling(q, x, y, z);
            sum[0] += e * q.x;
            sum[1] += e * q.y;
            sum[2] += e * q.z;
            sum[3] += e * (q.x * q.x - s[0]);
            sum[4] += e * (q.y * q.y - s[1]);
            sum[5] += e * (q.z * q.z - s[2]);
            sum[6] += e * (q.x * q.y - s[3]);
            sum[7] += e * (q.x * q.z - s[4]);
            sum[8] += e * (q.y * q.z - s[5]);
            sum[9] += e;
        }
    });
    const int atom = list[t];
#pragma unroll
    for (int k = 0; k < 3; ++k) {
        store_sum(out_xyz + 3 * i64(atom) + k, sum[k], 1.0);
        store_sum(out_u + 6 * i64(atom) + k, sum[3 + k], 0.5);
        store_sum(out_u + 6 * i64(atom) + 3 + k, sum[6 + k], 1.0);  // both symmetric elements move
    }
    store_sum(out_q + atom, sum[9], weight[atom] != 0.0 ? 1.0 / weight[atom] : 0.0);
}

extern "C" __global__ void __launch_bounds__(128)
spread_aniso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
               const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
               void* map) {
    spread<3>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
spread_aniso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss, int m,
               const float* __restrict__ cell, int nu, int nv, int nw, int mode, const float* __restrict__ scale,
               void* map) {
    spread<5>(centre, sphere, gauss, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_aniso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
                const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw,
                int mode, const float* __restrict__ scale, void* map) {
    tangent<3>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128)
tangent_aniso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
                const float* __restrict__ shift, int m, const float* __restrict__ cell, int nu, int nv, int nw,
                int mode, const float* __restrict__ scale, void* map) {
    tangent<5>(centre, sphere, gauss, shift, m, cell, nu, nv, nw, mode, scale, map);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_aniso_3(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
               const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
               const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
               double* __restrict__ out_u, double* __restrict__ out_q) {
    gather<3>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_u, out_q);
}

extern "C" __global__ void __launch_bounds__(128, 1)
gather_aniso_5(const int* __restrict__ centre, const float* __restrict__ sphere, const float* __restrict__ gauss,
               const int* __restrict__ list, int m, const float* __restrict__ cell, int nu, int nv, int nw,
               const float* __restrict__ map, const double* __restrict__ weight, double* __restrict__ out_xyz,
               double* __restrict__ out_u, double* __restrict__ out_q) {
    gather<5>(centre, sphere, gauss, list, m, cell, nu, nv, nw, map, weight, out_xyz, out_u, out_q);
}
