// Repulsion of pairs nearer than their critical distance: z = max(0, (critical - d)/sigma).
//
// The pairs that overlap are bonds that are too short. Each leaves two rows (one for either atom), which are then
// collected by atom and by block, so that no two threads add to one place.
#include "common.cuh"
#include "images.cuh"

enum { KIND_VDW = 0, KIND_BARE = 4, REPORTED_SYMMETRY = 4 };

// atoms (n, 2), op (n), shift (n, 3), limits (n, 2): critical distance and sigma -> z (n,). With `reported` (n,) also the
// kinds that statistics tell apart: that of the contact (kind (n,); bare ones are as the others), 4 through symmetry, -1
// where one of the atoms is not heavy.
extern "C" __global__ void __launch_bounds__(128, 4)
repulsion_overlaps(
    const double* __restrict__ xyz, const int* __restrict__ atoms, const int* __restrict__ op,
    const int* __restrict__ shift, const double* __restrict__ limits, const double* __restrict__ symmetry, int n_op,
    int n, double* __restrict__ z, const signed char* __restrict__ kind, const bool* __restrict__ heavy,
    signed char* __restrict__ reported) {
    const int k = thread_index();
    if (k >= n) return;
    if (reported) {
        const bool away = op[k] || shift[3 * k] || shift[3 * k + 1] || shift[3 * k + 2];
        const int own = kind[k] == KIND_BARE ? KIND_VDW : kind[k];
        const int what = away ? REPORTED_SYMMETRY : own;
        reported[k] = (signed char)(heavy[atoms[2 * k]] && heavy[atoms[2 * k + 1]] ? what : -1);
    }
    double image[12];
    image_of(symmetry, n_op, op[k], shift + 3 * k, image);
    const double value = bond_term(
        load3(xyz, atoms[2 * k]), load3(xyz, atoms[2 * k + 1]), image, limits[2 * k], limits[2 * k + 1], nullptr);
    z[k] = fmax(0.0, -value);
}

// For the pairs active (n_active,), of which only those that overlap count: z (n_active,) = (d - critical)/sigma and
// rows (n_active, 2, 3); and the owners of the rows, row_owner (n_active, 2).
extern "C" __global__ void __launch_bounds__(128, 4)
repulsion_rows(
    const double* __restrict__ xyz, const int* __restrict__ atoms, const int* __restrict__ op,
    const int* __restrict__ shift, const double* __restrict__ limits, const double* __restrict__ symmetry, int n_op,
    const int* __restrict__ active, int n_active, const int* __restrict__ owner, double* __restrict__ z,
    double* __restrict__ rows, int* __restrict__ row_owner) {
    const int q = thread_index();
    if (q >= n_active) return;
    const int k = active[q], i = atoms[2 * k], j = atoms[2 * k + 1];
    double image[12];
    image_of(symmetry, n_op, op[k], shift + 3 * k, image);
    double* row = rows + 6 * q;
    const double value = bond_term(load3(xyz, i), load3(xyz, j), image, limits[2 * k], limits[2 * k + 1], row);
    z[q] = fmin(value, 0.0);
    if (value >= 0.0)
        for (int c = 0; c < 6; c++) row[c] = 0.0;
    row_owner[2 * q] = owner[i];
    row_owner[2 * q + 1] = owner[j];
}

// Adds sum z J to gradient (n, 3) and, with `blocks`, sum J J^T to diagonal (n, 3, 3); the rows
// order[start[i]:start[i + 1]] belong to atom i. A pair whose atoms have one owner couples its rows in its block.
extern "C" __global__ void __launch_bounds__(128, 4)
repulsion_collect(
    const int* __restrict__ start, const int* __restrict__ order, const int* __restrict__ row_owner,
    const double* __restrict__ z, const double* __restrict__ rows, int n, int blocks, double* __restrict__ gradient,
    double* __restrict__ diagonal) {
    const int i = thread_index();
    if (i >= n || start[i] == start[i + 1]) return;
    Vec3 sum = vec(0.0, 0.0, 0.0);
    double block[9] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int e = start[i]; e < start[i + 1]; e++) {
        const int r = order[e];
        const Vec3 p = load3(rows, r);
        sum = sum + z[r >> 1] * p;
        Vec3 q = p;
        if (row_owner[r ^ 1] == i) q = q + load3(rows, r ^ 1);
        add_outer(block, p, q);
    }
    store3(gradient, i, load3(gradient, i) + sum);
    if (blocks)
        for (int c = 0; c < 9; c++) diagonal[9 * i + c] += block[c];
}

// Key (n_active,) by which pairs are collected into blocks: their slot, -1 where both atoms have one owner.
extern "C" __global__ void __launch_bounds__(128, 4)
repulsion_keys(
    const int* __restrict__ slot, const int* __restrict__ row_owner, int n_active, int* __restrict__ key) {
    const int q = thread_index();
    if (q < n_active) key[q] = row_owner[2 * q] == row_owner[2 * q + 1] ? -1 : slot[q];
}

// Adds the blocks of pairs order[start[s]:start[s + 1]] to off (n_slot, 3, 3), rows to the smaller owner.
extern "C" __global__ void __launch_bounds__(128, 4)
repulsion_blocks(
    const int* __restrict__ start, const int* __restrict__ order, const int* __restrict__ row_owner,
    const double* __restrict__ rows, int n_slot, double* __restrict__ off) {
    const int s = thread_index();
    if (s >= n_slot || start[s] == start[s + 1]) return;
    double block[9] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int e = start[s]; e < start[s + 1]; e++) {
        const int q = order[e], low = row_owner[2 * q] < row_owner[2 * q + 1] ? 2 * q : 2 * q + 1;
        add_outer(block, load3(rows, low), load3(rows, low ^ 1));
    }
    for (int c = 0; c < 9; c++) off[9 * s + c] += block[c];
}
