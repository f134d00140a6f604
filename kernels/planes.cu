// The frame of every least-squares plane, one thread a plane.
#include "common.cuh"
#include "eigen.cuh"
#include "planes.cuh"

// Smallest difference of eigenvalues that the tilt is divided by, A^2 (atoms in one line have no plane).
#define GAP_MIN 1e-6

// start (n + 1), atoms (n_member,), sigma (n,) -> frame, member (planes.cuh) and z (n_member,) = distance/sigma.
extern "C" __global__ void __launch_bounds__(128)
plane_frames(
    const double* __restrict__ xyz, const int* __restrict__ start, const int* __restrict__ atoms,
    const double* __restrict__ sigma, int n, double* __restrict__ frame, double* __restrict__ member,
    double* __restrict__ z) {
    int p = thread_index();
    if (p >= n) return;
    const int begin = start[p], end = start[p + 1], count = end - begin;
    Vec3 centre = vec(0.0, 0.0, 0.0);
    for (int k = begin; k < end; k++) centre = centre + load3(xyz, atoms[k]);
    centre = vec(centre.x / count, centre.y / count, centre.z / count);
    double a[3][3] = {{0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}, {0.0, 0.0, 0.0}}, v[3][3];
    for (int k = begin; k < end; k++) {
        const Vec3 d = load3(xyz, atoms[k]) - centre;
        a[0][0] += d.x * d.x;
        a[1][1] += d.y * d.y;
        a[2][2] += d.z * d.z;
        a[0][1] += d.x * d.y;
        a[0][2] += d.x * d.z;
        a[1][2] += d.y * d.z;
    }
    a[1][0] = a[0][1], a[2][0] = a[0][2], a[2][1] = a[1][2];
    eigen<3>(a, v);
    // the columns in cyclic order from the smallest eigenvalue on, without indexing that would spill `v`
    const double l0 = a[0][0], l1 = a[1][1], l2 = a[2][2];
    const Vec3 v0 = vec(v[0][0], v[1][0], v[2][0]), v1 = vec(v[0][1], v[1][1], v[2][1]);
    const Vec3 v2 = vec(v[0][2], v[1][2], v[2][2]);
    const int low = l1 < l0 ? (l2 < l1 ? 2 : 1) : (l2 < l0 ? 2 : 0);
    const double small = low == 0 ? l0 : low == 1 ? l1 : l2, s1 = low == 0 ? l1 : low == 1 ? l2 : l0;
    const double s2 = low == 0 ? l2 : low == 1 ? l0 : l1;
    const Vec3 normal = low == 0 ? v0 : low == 1 ? v1 : v2, e1 = low == 0 ? v1 : low == 1 ? v2 : v0;
    const Vec3 e2 = low == 0 ? v2 : low == 1 ? v0 : v1;
    double* f = frame + FRAME * p;
    store3(f + NORMAL, 0, normal);
    store3(f + AXES, 0, e1);
    store3(f + AXES, 1, e2);
    f[INVERSE_GAP] = 1.0 / fmin(small - s1, -GAP_MIN);
    f[INVERSE_GAP + 1] = 1.0 / fmin(small - s2, -GAP_MIN);
    f[SPREAD] = s1;
    f[SPREAD + 1] = s2;
    f[WEIGHT] = 1.0 / (sigma[p] * sigma[p]);
    f[SHARE] = 1.0 / count;
    for (int k = begin; k < end; k++) {
        const Vec3 d = load3(xyz, atoms[k]) - centre;
        const double distance = dot(normal, d);
        store3(member, k, vec(distance, dot(e1, d), dot(e2, d)));
        z[k] = distance / sigma[p];
    }
}
