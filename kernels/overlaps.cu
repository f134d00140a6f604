// Derivatives of pairs that overlap, with the blocks of the matrix they fill, worked out where the list of pairs lies.
//
// Every pair that overlaps leaves an item with either owner: (other owner) 2^32 + 2 k + (0 or 1), the pair k and which of
// its atoms. The items of an owner are put in order; those with one other owner then are one block. Numbers of blocks
// come from prefix sums, so that blocks are numbered by their atoms whatever the order of threads.
#include "common.cuh"
#include "images.cuh"
#include "sort.cuh"

__device__ __forceinline__ int other_of(u64 item) { return int(item >> 32); }
__device__ __forceinline__ int row_of(u64 item) { return int(unsigned(item)); }

// atoms (n, 2), op (n), shift (n, 3), limits (n, 2) -> z (n,) = max(0, (critical - d)/sigma); where that is positive
// also rows (n, 2, 3), its negative's derivatives, and 1 is added to count of either owner.
extern "C" __global__ void __launch_bounds__(128, 4)
overlap_rows(
    const double* __restrict__ xyz, const int* __restrict__ atoms, const int* __restrict__ op,
    const int* __restrict__ shift, const double* __restrict__ limits, const double* __restrict__ symmetry, int n_op,
    const int* __restrict__ owner, int n, double* __restrict__ z, double* __restrict__ rows, int* __restrict__ count) {
    const int k = thread_index();
    if (k >= n) return;
    const int i = atoms[2 * k], j = atoms[2 * k + 1];
    double image[12], row[6];
    image_of(symmetry, n_op, op[k], shift + 3 * k, image);
    const double value = bond_term(load3(xyz, i), load3(xyz, j), image, limits[2 * k], limits[2 * k + 1], row);
    z[k] = fmax(0.0, -value);
    if (!(z[k] > 0.0)) return;
    for (int c = 0; c < 6; c++) rows[i64(6) * k + c] = row[c];
    atomicAdd(count + owner[i], 1);
    atomicAdd(count + owner[j], 1);
}

// The items of every owner, in any order, from start[owner] on; count goes back to 0.
extern "C" __global__ void __launch_bounds__(128)
overlap_items(
    const int* __restrict__ atoms, const int* __restrict__ owner, const double* __restrict__ z, int n,
    const int* __restrict__ start, int* __restrict__ count, u64* __restrict__ items) {
    const int k = thread_index();
    if (k >= n || !(z[k] > 0.0)) return;
    const int a = owner[atoms[2 * k]], b = owner[atoms[2 * k + 1]];
    items[start[a] + atomicAdd(count + a, -1) - 1] = (u64(b) << 32) | unsigned(2 * k);
    items[start[b] + atomicAdd(count + b, -1) - 1] = (u64(a) << 32) | unsigned(2 * k + 1);
}

// Sorts the items of every owner; width (n,): how many others there are, and in the low half of the bits how many with
// a larger number.
extern "C" __global__ void __launch_bounds__(128)
overlap_sort(const int* __restrict__ start, int n, u64* __restrict__ items, u64* __restrict__ width) {
    const int i = thread_index();
    if (i >= n) return;
    const int begin = start[i], end = start[i + 1];
    sort_few(items, begin, end);
    u64 others = 0, above = 0;
    for (int k = begin; k < end; k++) {
        const int other = other_of(items[k]);
        if (other == i || (k > begin && other == other_of(items[k - 1]))) continue;
        others++;
        above += other > i;
    }
    width[i] = (others << 32) | above;
}

// Adds to gradient (n, 3) and, with `blocks`, to diagonal (n, 3, 3); writes the blocks off (m, 3, 3), the rows to the
// smaller owner, and the rows of the matrix: row_start (n + 1,), column and entry (2 m,) = 2 slot + (1 if transposed), and
// *n_block = m. at (n + 1,) are the prefix sums of width.
extern "C" __global__ void __launch_bounds__(128)
overlap_collect(
    const int* __restrict__ start, const u64* __restrict__ items, const u64* __restrict__ at,
    const double* __restrict__ z, const double* __restrict__ rows, int n, int blocks, double* __restrict__ gradient,
    double* __restrict__ diagonal, double* __restrict__ off, int* __restrict__ row_start, int* __restrict__ column,
    int* __restrict__ entry, double* __restrict__ n_block) {
    const int i = thread_index();
    if (i >= n) return;
    const int begin = start[i], end = start[i + 1];
    Vec3 slope = vec(0.0, 0.0, 0.0);
    double own[9] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    int to = 0, slot = 0;
    if (blocks) {
        to = row_start[i] = int(at[i] >> 32);
        slot = int(unsigned(at[i]));
        if (i == n - 1) {
            row_start[n] = int(at[n] >> 32);
            *n_block = double(unsigned(at[n]));
        }
    }
    for (int e = begin; e < end; e++) {
        const int other = other_of(items[e]), r = row_of(items[e]);
        const Vec3 p = load3(rows, r);
        slope = slope + (-z[r >> 1]) * p;
        if (!blocks) continue;
        const Vec3 q = load3(rows, r ^ 1);
        add_outer(own, p, other == i ? p + q : p);
        if (other == i) continue;
        const bool first = e == begin || other_of(items[e - 1]) != other;
        const bool last = e == end - 1 || other_of(items[e + 1]) != other;
        if (other > i) {
            double* block = off + i64(9) * slot;
            if (first)
                for (int c = 0; c < 9; c++) block[c] = 0.0;
            add_outer(block, p, q);
        }
        if (!last) continue;
        column[to] = other;
        if (other > i) {
            entry[to++] = 2 * slot++;
        } else {
            // the same block as it is numbered in the other's row: after those with atoms between the two
            int number = int(unsigned(at[other])), before = other;
            for (int k = start[other]; k < start[other + 1] && other_of(items[k]) < i; k++) {
                if (other_of(items[k]) > before) number++;
                before = before > other_of(items[k]) ? before : other_of(items[k]);
            }
            entry[to++] = 2 * number + 1;
        }
    }
    if (begin == end) return;
    store3(gradient, i, load3(gradient, i) + slope);
    if (blocks)
        for (int c = 0; c < 9; c++) diagonal[i64(9) * i + c] += own[c];
}
