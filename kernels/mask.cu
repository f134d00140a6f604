// The bulk-solvent mask: marking atoms, shrinking back, and removing solvent regions that are too small.  In double
// precision, so that grid points that lie on a sphere fall to the same side as on the CPU.
#include "rows.cuh"

// One sphere for each listed position (m, 3, fractional) and radius (m, Å).
extern "C" __global__ void __launch_bounds__(128)
mask_spheres(const double* __restrict__ fractional, const double* __restrict__ radius, int m, int nu, int nv, int nw,
             int* __restrict__ centre, double* __restrict__ sphere) {
    const int t = thread_index();
    if (t >= m) return;
    const int n[3] = {nu, nv, nw};
    for (int k = 0; k < 3; ++k) {
        double f = fractional[3 * i64(t) + k];
        f = (f - floor(f)) * n[k];
        const double nearest = rint(f);
        centre[3 * i64(t) + k] = int(nearest);
        sphere[4 * i64(t) + k] = f - nearest;
    }
    sphere[4 * i64(t) + 3] = radius[t];
}

// free = 0 inside all spheres; a warp a sphere.
extern "C" __global__ void __launch_bounds__(128)
mask_mark(const int* __restrict__ centre, const double* __restrict__ sphere, int m, const double* __restrict__ cell,
          int nu, int nv, int nw, signed char* __restrict__ free) {
    const int t = warp_index();
    if (t >= m) return;
    walk_rows(load_grid(cell, nu, nv, nw), load_sphere(centre, sphere, t),
              [&](i64 index, double, double, double) { free[index] = 0; });
}

extern "C" __global__ void __launch_bounds__(256)
mask_fill(signed char* __restrict__ free, int n) {
    for (int i = thread_index(); i < n; i += thread_count()) free[i] = 1;
}

// out = 1 where a free point lies within the stencil (k, 3) of grid offsets, nearest first.
extern "C" __global__ void __launch_bounds__(256)
mask_shrink(const signed char* __restrict__ free, const int* __restrict__ stencil, int k, int nu, int nv, int nw,
            signed char* __restrict__ out) {
    const int i = thread_index();
    if (i >= nu * nv * nw) return;
    const int w = i % nw, v = i / nw % nv, u = i / nw / nv;
    signed char value = free[i];
    for (int s = 0; s < k && !value; ++s) {
        const int uu = wrapped(u + stencil[3 * s], nu), vv = wrapped(v + stencil[3 * s + 1], nv);
        value = free[(i64(uu) * nv + vv) * nw + wrapped(w + stencil[3 * s + 2], nw)];
    }
    out[i] = value;
}

// Connected regions by union and find: the label of a region is its smallest point, whatever the order.
extern "C" __global__ void __launch_bounds__(256)
label_start(int* __restrict__ label, int* __restrict__ size, int n) {
    const int i = thread_index();
    if (i >= n) return;
    label[i] = i;
    size[i] = 0;
}

__device__ int root_of(const int* label, int i) {
    // other threads lower labels meanwhile; each read is of some ancestor
    const volatile int* seen = label;
    for (int up = seen[i]; up != i; up = seen[i]) i = up;
    return i;
}

__device__ void unite(int* label, int a, int b) {
    while (true) {
        a = root_of(label, a);
        b = root_of(label, b);
        if (a == b) return;
        const int low = min(a, b), high = max(a, b);
        const int old = atomicMin(label + high, low);
        if (old == high) return;  // high was still a root
        a = old;
        b = low;
    }
}

// Joins every solvent point with its next neighbour along each axis, through the cell's faces too.
extern "C" __global__ void __launch_bounds__(256)
label_join(const signed char* __restrict__ mask, int nu, int nv, int nw, int* __restrict__ label) {
    const int i = thread_index();
    if (i >= nu * nv * nw || !mask[i]) return;
    const int w = i % nw, v = i / nw % nv, u = i / nw / nv;
    const int next[3] = {((u + 1) % nu * nv + v) * nw + w, (u * nv + (v + 1) % nv) * nw + w,
                         (u * nv + v) * nw + (w + 1) % nw};
    for (int k = 0; k < 3; ++k)
        if (mask[next[k]]) unite(label, i, next[k]);
}

extern "C" __global__ void __launch_bounds__(256)
label_sizes(const signed char* __restrict__ mask, int n, int* __restrict__ label, int* __restrict__ size) {
    const int i = thread_index();
    if (i >= n || !mask[i]) return;
    atomicAdd(size + root_of(label, i), 1);
}

// map = 1 in regions of at least ``fewest`` points, 0 elsewhere.
extern "C" __global__ void __launch_bounds__(256)
mask_keep(const signed char* __restrict__ mask, const int* __restrict__ label, const int* __restrict__ size, int n,
          double fewest, float* __restrict__ map) {
    const int i = thread_index();
    if (i < n) map[i] = mask[i] && double(size[root_of(label, i)]) >= fewest ? 1.0f : 0.0f;
}
