// Derivative rows collected by atom and by block: every output has one writer, and its sum one order.
#include "common.cuh"
#include "planes.cuh"

// Adds sum z J of the rows of each atom, and what its places in planes give, to gradient (n, 3).
extern "C" __global__ void __launch_bounds__(128)
collect_gradient(
    const int* __restrict__ row_start, const int* __restrict__ row_order, const int* __restrict__ row_residual,
    const double* __restrict__ z, const double* __restrict__ rows, const int* __restrict__ member_start,
    const int* __restrict__ member_order, const int* __restrict__ member_plane, const double* __restrict__ frame,
    const double* __restrict__ member, int n, double* __restrict__ gradient) {
    int i = thread_index();
    if (i >= n) return;
    Vec3 sum = vec(0.0, 0.0, 0.0);
    for (int e = row_start[i]; e < row_start[i + 1]; e++) {
        const int r = row_order[e];
        sum = sum + z[row_residual[r]] * load3(rows, r);
    }
    for (int e = member_start[i]; e < member_start[i + 1]; e++) {
        const int k = member_order[e];
        sum = sum + plane_gradient(frame + FRAME * member_plane[k], member + 3 * k);
    }
    store3(gradient, i, load3(gradient, i) + sum);
}

// Adds sum J_a J_b^T over the pairs of rows, and of plane members, of each block: blocks below n are
// diagonal (n, 3, 3), the others off (n_block - n, 3, 3).
extern "C" __global__ void __launch_bounds__(128)
collect_blocks(
    const int* __restrict__ block_start, const int* __restrict__ block_rows, const double* __restrict__ rows,
    const int* __restrict__ plane_start, const int* __restrict__ plane_members, const int* __restrict__ member_plane,
    const double* __restrict__ frame, const double* __restrict__ member, int n, int n_block,
    double* __restrict__ diagonal, double* __restrict__ off) {
    int b = thread_index();
    if (b >= n_block) return;
    double block[9] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int e = block_start[b]; e < block_start[b + 1]; e++) {
        add_outer(block, load3(rows, block_rows[2 * e]), load3(rows, block_rows[2 * e + 1]));
    }
    for (int e = plane_start[b]; e < plane_start[b + 1]; e++) {
        const int row = plane_members[2 * e], col = plane_members[2 * e + 1];
        plane_block(frame + FRAME * member_plane[row], member + 3 * row, member + 3 * col, row == col, block);
    }
    double* out = b < n ? diagonal + 9 * b : off + 9 * (b - n);
#pragma unroll
    for (int c = 0; c < 9; c++) out[c] += block[c];
}
