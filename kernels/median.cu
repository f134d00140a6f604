// The median of a list, exactly, whatever the order of the threads.
#include "common.cuh"

// out[0] = the median of values (n,) ≥ 0, n > 0 (for even n the mean of the two in the middle).  One block.  Bits of
// doubles that are not negative are ordered as the doubles: the value of the rank wanted is found eight bits at a time.
extern "C" __global__ void __launch_bounds__(1024)
median(const double* __restrict__ values, int n, double* __restrict__ out) {
    __shared__ unsigned count[256];
    __shared__ u64 prefix, next;
    __shared__ int rank, up_to;  // rank among those with the prefix; how many are not above the value found
    if (threadIdx.x == 0) {
        prefix = 0;
        next = ~u64(0);
        rank = (n - 1) / 2;
        up_to = 0;
    }
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (int k = threadIdx.x; k < 256; k += blockDim.x) count[k] = 0;
        __syncthreads();
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const u64 bits = u64(__double_as_longlong(values[i]));
            if (shift == 56 || bits >> (shift + 8) == prefix) atomicAdd(count + (bits >> shift & 255), 1u);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            int digit = 0;
            while (rank >= int(count[digit])) {
                rank -= int(count[digit]);
                up_to += int(count[digit]);
                ++digit;
            }
            prefix = prefix << 8 | u64(digit);
            if (shift == 0) up_to += int(count[digit]);
        }
        __syncthreads();
    }
    // the value after it in order is the same once more, or the smallest above it
    if (n % 2 == 0 && up_to < n / 2 + 1) {
        u64 own = ~u64(0);
        for (int i = threadIdx.x; i < n; i += blockDim.x) {
            const u64 bits = u64(__double_as_longlong(values[i]));
            if (bits > prefix && bits < own) own = bits;
        }
        atomicMin(&next, own);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        const double low = __longlong_as_double(i64(prefix));
        const bool between = n % 2 == 0 && up_to < n / 2 + 1;
        out[0] = n % 2 ? low : 0.5 * (low + (between ? __longlong_as_double(i64(next)) : low));
    }
}
