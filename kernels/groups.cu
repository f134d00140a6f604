// Items grouped by an integer key, in ascending order within each group whatever order the threads run in.
#include "sort.cuh"

// Adds to count (n_group,) how many of the n items have each key; negative keys belong to no group.
extern "C" __global__ void __launch_bounds__(128)
group_count(const int* __restrict__ key, int n, int* __restrict__ count) {
    const int i = thread_index();
    if (i < n && key[i] >= 0) atomicAdd(count + key[i], 1);
}

// Writes the items of every group into order[start[key]:start[key + 1]], any order; count goes back to 0.
extern "C" __global__ void __launch_bounds__(128)
group_fill(
    const int* __restrict__ key, int n, const int* __restrict__ start, int* __restrict__ count,
    int* __restrict__ order) {
    const int i = thread_index();
    if (i < n && key[i] >= 0) order[start[key[i]] + atomicAdd(count + key[i], -1) - 1] = i;
}

// Sorts the items of every group; groups are small.
extern "C" __global__ void __launch_bounds__(128)
group_sort(const int* __restrict__ start, int n_group, int* __restrict__ order) {
    const int g = thread_index();
    if (g >= n_group) return;
    const int begin = start[g], end = start[g + 1];
    sort_few(order, begin, end);
}
