// Putting the few items of a group in order, by the one thread that has the group.
#pragma once
#include "common.cuh"

// Sorts items[begin:end], ascending, by insertion.
template <class T> __device__ __forceinline__ void sort_few(T* items, int begin, int end) {
    for (int k = begin + 1; k < end; k++) {
        const T item = items[k];
        int to = k;
        while (to > begin && items[to - 1] > item) {
            items[to] = items[to - 1];
            to--;
        }
        items[to] = item;
    }
}
