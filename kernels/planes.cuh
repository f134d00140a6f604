// Least-squares planes: what is kept of each plane and of its members, and the derivatives they give.
//
// With p_j = x_j - centroid, A = sum p_j p_j^T and its eigenvectors n (smallest eigenvalue l0), e1, e2 the distances
// are d_j = n.p_j, and c_mj = e_m.p_j. Perturbation of n to first order gives the Gauss-Newton block of members l, k
//   (delta_lk - 1/N) n n^T + sum_m (c_ml n q_mk^T + c_mk q_ml n^T + l_m q_ml q_mk^T),
//   q_ml = (d_l e_m + c_ml n)/(l0 - l_m),
// and the gradient of sum d_j^2/2 is d_l n exactly.
#pragma once
#include "vectors.cuh"

// frame (n_plane, 16)
enum { NORMAL = 0, AXES = 3, INVERSE_GAP = 9, SPREAD = 11, WEIGHT = 13, SHARE = 14, FRAME = 16 };
// member (n_member, 3): distance and the two coordinates in the plane

__device__ __forceinline__ Vec3 plane_gradient(const double* frame, const double* member) {
    return (frame[WEIGHT] * member[0]) * load3(frame + NORMAL, 0);
}

// Adds the block of members `row` and `col` of one plane to `block`.
__device__ __forceinline__ void plane_block(
    const double* frame, const double* row, const double* col, bool same, double* block) {
    const double w = frame[WEIGHT], base = w * ((same ? 1.0 : 0.0) - frame[SHARE]);
#pragma unroll
    for (int r = 0; r < 3; r++)
#pragma unroll
        for (int c = 0; c < 3; c++) block[3 * r + c] += base * frame[NORMAL + r] * frame[NORMAL + c];
#pragma unroll
    for (int m = 0; m < 2; m++) {
        const double* axis = frame + AXES + 3 * m;
        const double gap = frame[INVERSE_GAP + m], spread = w * frame[SPREAD + m];
        const double cl = row[1 + m], ck = col[1 + m];
#pragma unroll
        for (int r = 0; r < 3; r++) {
            const double nr = frame[NORMAL + r], ql = gap * (row[0] * axis[r] + cl * nr);
            const double left = w * cl * nr + spread * ql, right = w * ck * ql;
#pragma unroll
            for (int c = 0; c < 3; c++) {
                const double nc = frame[NORMAL + c], qk = gap * (col[0] * axis[c] + ck * nc);
                block[3 * r + c] += left * qk + right * nc;
            }
        }
    }
}
