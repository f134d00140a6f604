// Half sums of squares of the segments of an array.
#include "sums.cuh"

// out[s] = sum of z^2/2 over z[begin[s]:begin[s + 1]]; grid (parts, segments), partial (segments, parts), counter 0. One
// segment of n numbers where begin is null.
extern "C" __global__ void __launch_bounds__(256)
half_squares(
    const double* __restrict__ z, const int* __restrict__ begin, int n, double* partial, unsigned* counter,
    double* __restrict__ out) {
    __shared__ double space[32];
    const int s = blockIdx.y, parts = gridDim.x;
    double sum = 0.0;
    const int first = begin ? begin[s] : 0, last = begin ? begin[s + 1] : n;
    for (int k = first + thread_index(); k < last; k += thread_count()) sum += z[k] * z[k];
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) partial[s * parts + blockIdx.x] = sum;
    if (!last_block(counter, gridDim.x * gridDim.y)) return;
    for (int segment = 0; segment < int(gridDim.y); segment++) {
        sum = total_of(partial + segment * parts, parts, space);
        if (threadIdx.x == 0) out[segment] = 0.5 * sum;
    }
}
