// The symmetry sum in reciprocal space and its adjoint.
//
// The half spectrum (nu, nv, nw/2 + 1) of a map of the asymmetric unit's atoms holds Σ_r ρ exp(−2πi h·r); structure
// factors have exp(+2πi): F(h) = factor(h) Σ_ops conj(half)[hR] exp(2πi h·t), translations in 24ths of an edge.
#include "common.cuh"

struct Turned {
    int h, k, l;
    double cosine, sine;
};

__device__ __forceinline__ Turned turn(int h, int k, int l, const int* r, const int* t) {
    Turned out;
    out.h = h * r[0] + k * r[3] + l * r[6];
    out.k = h * r[1] + k * r[4] + l * r[7];
    out.l = h * r[2] + k * r[5] + l * r[8];
    const int phase = wrapped(h * t[0] + k * t[1] + l * t[2], 24);
    sincospi(phase / 12.0, &out.sine, &out.cosine);
    return out;
}

// Place of (h, k, l ≥ 0) in the half spectrum.
__device__ __forceinline__ i64 place(int h, int k, int l, int nu, int nv, int nw) {
    return (i64(wrapped(h, nu)) * nv + wrapped(k, nv)) * (nw / 2 + 1) + l;
}

extern "C" __global__ void __launch_bounds__(128)
extract(const float2* __restrict__ half, int nu, int nv, int nw, const int* __restrict__ hkl, int n,
        const int* __restrict__ rotations, const int* __restrict__ translations, int n_op,
        const double* __restrict__ factor, double2* __restrict__ out) {
    const int i = thread_index();
    if (i >= n) return;
    const int h = hkl[3 * i], k = hkl[3 * i + 1], l = hkl[3 * i + 2];
    double re = 0.0, im = 0.0;
    for (int op = 0; op < n_op; ++op) {
        const Turned t = turn(h, k, l, rotations + 9 * op, translations + 3 * op);
        const bool mate = t.l < 0;
        const float2 value = half[mate ? place(-t.h, -t.k, -t.l, nu, nv, nw) : place(t.h, t.k, t.l, nu, nv, nw)];
        const double vr = value.x, vi = mate ? value.y : -value.y;
        re += vr * t.cosine - vi * t.sine;
        im += vr * t.sine + vi * t.cosine;
    }
    out[i] = make_double2(re * factor[i], im * factor[i]);
}

// Fills half (zeros before) so that its inverse transform without normalisation is dL/dρ, given dL/dF = ∂L/∂Re F +
// i ∂L/∂Im F.  The reflections' orbits are disjoint, so each place has one writer.
extern "C" __global__ void __launch_bounds__(128)
insert(float2* __restrict__ half, int nu, int nv, int nw, const int* __restrict__ hkl, int n,
       const int* __restrict__ rotations, const int* __restrict__ translations, int n_op,
       const double* __restrict__ factor, const double2* __restrict__ gradient) {
    const int i = thread_index();
    if (i >= n) return;
    const int h = hkl[3 * i], k = hkl[3 * i + 1], l = hkl[3 * i + 2];
    const double gr = 0.5 * gradient[i].x * factor[i], gi = -0.5 * gradient[i].y * factor[i];
    for (int op = 0; op < n_op; ++op) {
        const Turned t = turn(h, k, l, rotations + 9 * op, translations + 3 * op);
        const float vr = float(gr * t.cosine - gi * t.sine), vi = float(gr * t.sine + gi * t.cosine);
        if (t.l >= 0) {
            float2& a = half[place(t.h, t.k, t.l, nu, nv, nw)];
            a.x += vr;
            a.y += vi;
        }
        if (t.l <= 0) {  // both halves of the plane l = 0 are stored
            float2& b = half[place(-t.h, -t.k, -t.l, nu, nv, nw)];
            b.x += vr;
            b.y -= vi;
        }
    }
}
