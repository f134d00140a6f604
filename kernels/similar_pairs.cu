// Pairs of atoms whose displacement parameters resemble each other, neighbours by bonds and contacts; and the rows of
// the matrix that has a block for each pair.
//
// One thread an atom; it goes through its partners in ascending order, looking for the next among all of them each
// time, which needs no memory, and lists are short. A row of the matrix has the pairs of which the atom is the second
// first: their number and place are found by atomic counts, and they are then sorted, so that no order of threads shows.
#include "sort.cuh"
#include "vectors.cuh"

#define NOBODY 0x7fffffff
#define ONE_OF_ALL (u64(1) << 32)

struct Partner {
    int second, relation, op;
    double distance, shortest;
    Vec3 line;
};

// Takes note of a candidate: the partner after `last` with the smallest index; of several ways to it the nearest by
// relation, then by distance, the first of equals; and the shortest distance of all.
__device__ __forceinline__ void consider(
    Partner& best, int last, int second, int relation, double distance, int op, Vec3 line) {
    if (second <= last || second > best.second) return;
    const bool first_seen = second < best.second;
    if (first_seen || distance < best.shortest) best.shortest = distance;
    if (first_seen || relation < best.relation || (relation == best.relation && distance < best.distance)) {
        best.second = second;
        best.relation = relation;
        best.distance = distance;
        best.op = op;
        best.line = line;
    }
}

__device__ __forceinline__ Partner next_partner(
    const double* xyz, const int* bonded_start, const int* bonded_second, const int* bonded_relation,
    const bool* heavy, const int* contact_start, const int* contact_second, const int* contact_op,
    const double* contact_distance, int n_op, int contact_relation, double cutoff, int i, int last) {
    Partner best;
    best.second = NOBODY;
    const Vec3 here = load3(xyz, i);
    for (int e = bonded_start[i]; e < bonded_start[i + 1]; e++) {
        const int j = bonded_second[e];
        if (j <= last || j > best.second) continue;
        const Vec3 line = load3(xyz, j) - here;
        consider(best, last, j, bonded_relation[e], length(line), 0, line);
    }
    if (heavy[i])
        for (int e = contact_start[i64(i) * n_op]; e < contact_start[i64(i + 1) * n_op]; e++) {
            const int j = contact_second[e];
            if (j == i || !heavy[j] || !(contact_distance[e] < cutoff)) continue;
            consider(best, last, j, contact_relation, contact_distance[e], contact_op[e], vec(0.0, 0.0, 0.0));
        }
    return best;
}

// Adds to count (n,), 0 at first: in the high half of the bits the pairs that each atom is of, in the low half those
// of which it is the first.
extern "C" __global__ void __launch_bounds__(128, 4)
similar_count(
    const double* __restrict__ xyz, const int* __restrict__ bonded_start, const int* __restrict__ bonded_second,
    const int* __restrict__ bonded_relation, const bool* __restrict__ heavy, const int* __restrict__ contact_start,
    const int* __restrict__ contact_second, const int* __restrict__ contact_op,
    const double* __restrict__ contact_distance, int n_op, int contact_relation, double cutoff, int n,
    u64* __restrict__ count) {
    const int i = thread_index();
    if (i >= n) return;
    int last = -1;
    u64 found = 0;
    while (true) {
        const Partner next = next_partner(
            xyz, bonded_start, bonded_second, bonded_relation, heavy, contact_start, contact_second, contact_op,
            contact_distance, n_op, contact_relation, cutoff, i, last);
        if (next.second == NOBODY) break;
        if (next.shortest <= cutoff) {
            found += 1;
            atomicAdd(count + next.second, ONE_OF_ALL);
        }
        last = next.second;
    }
    atomicAdd(count + i, found * (ONE_OF_ALL + 1));
}

// The pairs of atom i in the order of the second: first, second, relation, op, distance, line (m, 3), its unit vector
// and weight (m,) = strength[relation]/max(1, distance^2/4). start (n + 1,) are the prefix sums of count, which is used
// up. Of the matrix: row_start (n + 1,), column and entry (2 m,) = 2 slot + (1 if transposed), where the entries of pairs
// of which the atom is the second come in any order and without columns.
extern "C" __global__ void __launch_bounds__(128, 4)
similar_fill(
    const double* __restrict__ xyz, const int* __restrict__ bonded_start, const int* __restrict__ bonded_second,
    const int* __restrict__ bonded_relation, const bool* __restrict__ heavy, const int* __restrict__ contact_start,
    const int* __restrict__ contact_second, const int* __restrict__ contact_op,
    const double* __restrict__ contact_distance, int n_op, int contact_relation, double cutoff, int n,
    const double* __restrict__ strength, const u64* __restrict__ start, u64* count, int* __restrict__ first,
    int* __restrict__ second, int* __restrict__ relation, int* __restrict__ op, double* __restrict__ distance,
    double* __restrict__ line, double* __restrict__ unit, double* __restrict__ weight, int* __restrict__ row_start,
    int* __restrict__ column, int* __restrict__ entry) {
    const int i = thread_index();
    if (i >= n) return;
    row_start[i] = int(start[i] >> 32);
    if (i == n - 1) row_start[n] = int(start[n] >> 32);
    const u64 own = start[i + 1] - start[i];
    int last = -1, to = int(unsigned(start[i])), direct = int(start[i + 1] >> 32) - int(unsigned(own));
    while (true) {
        const Partner next = next_partner(
            xyz, bonded_start, bonded_second, bonded_relation, heavy, contact_start, contact_second, contact_op,
            contact_distance, n_op, contact_relation, cutoff, i, last);
        if (next.second == NOBODY) break;
        if (next.shortest <= cutoff) {
            const int j = next.second;
            first[to] = i;
            second[to] = j;
            relation[to] = next.relation;
            op[to] = next.op;
            distance[to] = next.shortest;
            store3(line, to, next.line);
            store3(unit, to, (1.0 / fmax(length(next.line), 1e-9)) * next.line);
            weight[to] = strength[next.relation] / fmax(1.0, 0.25 * next.shortest * next.shortest);
            column[direct] = j;
            entry[direct++] = 2 * to;
            // of row j the first places, as many as are left of those for which it is the second
            const u64 left = atomicAdd(count + j, ~ONE_OF_ALL + 1);
            entry[int(start[j] >> 32) + int(left >> 32) - int(unsigned(left)) - 1] = 2 * to + 1;
            to++;
        }
        last = next.second;
    }
}

// Puts the entries that are transposed, the first of every row, into the order of their slots, and writes their columns.
extern "C" __global__ void __launch_bounds__(128)
similar_mirror(
    const u64* __restrict__ start, const int* __restrict__ first, int n, int* __restrict__ column,
    int* __restrict__ entry) {
    const int i = thread_index();
    if (i >= n) return;
    const int begin = int(start[i] >> 32), end = int(start[i + 1] >> 32) - int(unsigned(start[i + 1] - start[i]));
    sort_few(entry, begin, end);
    for (int k = begin; k < end; k++) column[k] = first[entry[k] >> 1];
}
