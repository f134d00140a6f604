// Pairs of atoms whose displacement parameters resemble each other: neighbours by bonds, and contacts.
//
// One thread an atom; it goes through its partners in ascending order, looking for the next among all of them each
// time, which needs no memory, and lists are short.
#include "common.cuh"
#include "vectors.cuh"

#define NOBODY 0x7fffffff

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

// count (n,) of the pairs of which each atom is the first.
extern "C" __global__ void __launch_bounds__(128, 4)
similar_count(
    const double* __restrict__ xyz, const int* __restrict__ bonded_start, const int* __restrict__ bonded_second,
    const int* __restrict__ bonded_relation, const bool* __restrict__ heavy, const int* __restrict__ contact_start,
    const int* __restrict__ contact_second, const int* __restrict__ contact_op,
    const double* __restrict__ contact_distance, int n_op, int contact_relation, double cutoff, int n,
    int* __restrict__ count) {
    const int i = thread_index();
    if (i >= n) return;
    int last = -1, found = 0;
    while (true) {
        const Partner next = next_partner(
            xyz, bonded_start, bonded_second, bonded_relation, heavy, contact_start, contact_second, contact_op,
            contact_distance, n_op, contact_relation, cutoff, i, last);
        if (next.second == NOBODY) break;
        if (next.shortest <= cutoff) found++;
        last = next.second;
    }
    count[i] = found;
}

// The pairs of atom i from start[i] on: pair (m, 4) = first, second, relation, op; place (m, 4) = shortest distance and
// line.
extern "C" __global__ void __launch_bounds__(128, 4)
similar_fill(
    const double* __restrict__ xyz, const int* __restrict__ bonded_start, const int* __restrict__ bonded_second,
    const int* __restrict__ bonded_relation, const bool* __restrict__ heavy, const int* __restrict__ contact_start,
    const int* __restrict__ contact_second, const int* __restrict__ contact_op,
    const double* __restrict__ contact_distance, int n_op, int contact_relation, double cutoff, int n,
    const int* __restrict__ start, int* __restrict__ pair, double* __restrict__ place) {
    const int i = thread_index();
    if (i >= n) return;
    int last = -1, to = start[i];
    while (true) {
        const Partner next = next_partner(
            xyz, bonded_start, bonded_second, bonded_relation, heavy, contact_start, contact_second, contact_op,
            contact_distance, n_op, contact_relation, cutoff, i, last);
        if (next.second == NOBODY) break;
        if (next.shortest <= cutoff) {
            pair[4 * to] = i;
            pair[4 * to + 1] = next.second;
            pair[4 * to + 2] = next.relation;
            pair[4 * to + 3] = next.op;
            place[4 * to] = next.shortest;
            place[4 * to + 1] = next.line.x;
            place[4 * to + 2] = next.line.y;
            place[4 * to + 3] = next.line.z;
            to++;
        }
        last = next.second;
    }
}
