// Walking the grid points inside an atom's sphere, shared by spreading, gathering and marking.
//
// A warp owns one atom.  Its lanes form groups of ROW_LANES that take one grid row each: eight neighbouring floats are
// one 32-byte sector of memory, and a sphere's rows are seldom much longer than eight or sixteen points.
#pragma once
#include "common.cuh"

#define ROW_LANES 8

// The grid: steps along u, v, w (Å, Cartesian; the cell's matrix is upper triangular) and |a*|, |b*| in points per Å.
template <class Real> struct Grid {
    int nu, nv, nw;
    Real ux, vx, vy, wx, wy, wz, reach_u, reach_v;
};

template <class Real>
__device__ __forceinline__ Grid<Real> load_grid(const Real* __restrict__ cell, int nu, int nv, int nw) {
    return {nu, nv, nw, cell[0], cell[1], cell[2], cell[3], cell[4], cell[5], cell[6], cell[7]};
}

// An atom: nearest grid point, distance from there (in grid steps, within ±½) and cut-off radius (Å).
template <class Real> struct Sphere {
    int cu, cv, cw;
    Real fu, fv, fw, radius;
};

template <class Real>
__device__ __forceinline__ Sphere<Real> load_sphere(const int* __restrict__ centre, const Real* __restrict__ sphere,
                                                    int a) {
    return {centre[3 * a], centre[3 * a + 1], centre[3 * a + 2],
            sphere[4 * a], sphere[4 * a + 1], sphere[4 * a + 2], sphere[4 * a + 3]};
}

// Calls visit(index of the grid point, r) for every point with |r| ≤ radius, r (Å) from the atom to the point.
template <class Real, class Visit>
__device__ __forceinline__ void walk_rows(const Grid<Real>& g, const Sphere<Real>& s, Visit visit) {
    const Real eu = s.radius * g.reach_u, ev = s.radius * g.reach_v;
    const int i1 = int(ceil(s.fu - eu)), i2 = int(floor(s.fu + eu));
    const int j1 = int(ceil(s.fv - ev)), j2 = int(floor(s.fv + ev));
    const int nj = j2 - j1 + 1;
    if (nj <= 0) return;
    const Real r2 = s.radius * s.radius;
    const Real ww = g.wx * g.wx + g.wy * g.wy + g.wz * g.wz;
    const Real inverse = Real(1) / ww;
    const int column = lane_id() % ROW_LANES;
    int i = i1, j = j1 + lane_id() / ROW_LANES;
    while (true) {
        while (j > j2) {
            j -= nj;
            ++i;
        }
        if (i > i2) return;
        const Real du = i - s.fu, dv = j - s.fv;
        const Real px = du * g.ux + dv * g.vx - s.fw * g.wx;
        const Real py = dv * g.vy - s.fw * g.wy;
        const Real pz = -s.fw * g.wz;
        // |p + k w| ≤ radius between the roots of a quadratic in k
        const Real pw = px * g.wx + py * g.wy + pz * g.wz;
        const Real discriminant = pw * pw - ww * (px * px + py * py + pz * pz - r2);
        if (discriminant >= Real(0)) {
            const Real root = sqrt(discriminant);
            const int k1 = int(ceil((-pw - root) * inverse)), k2 = int(floor((-pw + root) * inverse));
            const i64 row = (i64(wrapped(s.cu + i, g.nu)) * g.nv + wrapped(s.cv + j, g.nv)) * g.nw;
            for (int k = k1 + column; k <= k2; k += ROW_LANES)
                visit(row + wrapped(s.cw + k, g.nw), px + k * g.wx, py + k * g.wy, pz + k * g.wz);
        }
        j += 32 / ROW_LANES;
    }
}

// How densities are added up: fixed point of 32 or 64 bits, whose sums do not depend on the order, or floating point.
#define SUM_INT32 0
#define SUM_INT64 1
#define SUM_FLOAT 2

// Adds value to a map; ``scale`` is a power of two, so that value · scale is exact before it is rounded.
__device__ __forceinline__ void add_density(void* map, i64 index, float value, int mode, float scale) {
    if (mode == SUM_INT32)
        atomicAdd(static_cast<int*>(map) + index, __float2int_rn(value * scale));
    else if (mode == SUM_INT64)
        atomicAdd(static_cast<u64*>(map) + index, u64(__float2ll_rn(value * scale)));
    else
        atomicAdd(static_cast<float*>(map) + index, value);
}

// out = factor Σ over the warp's lanes, summed in double precision in a fixed order.
__device__ __forceinline__ void store_sum(double* out, float value, double factor) {
    const double total = warp_sum(double(value));
    if (lane_id() == 0) *out = factor * total;
}
