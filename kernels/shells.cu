// Functions that are linear between knots: values at reflections, and sums over reflections by knot intervals.
#include "common.cuh"

// Parameters (rows, m) at knots, of reflections whose left knot is ``left`` and whose right knot weighs ``weight``; one
// knot: ``single``.  out (rows, n): the first ``factors`` rows as they are, the others k_aniso² exp(·), the last
// ``logits`` of those 1/(1 + exp(−·)).
extern "C" __global__ void __launch_bounds__(128)
curve_values(const int* __restrict__ left, const double* __restrict__ weight, bool single,
             const double* __restrict__ knots, int m, int rows, int factors, int logits,
             const double* __restrict__ k_aniso, int n, double* __restrict__ out) {
    const int at = thread_index();
    if (at >= rows * n) return;
    const int row = at / n, i = at % n, begin = left[i];
    const double w = weight[i], *own = knots + row * m;
    const double value = single ? own[0] : (1.0 - w) * own[begin] + w * own[begin + 1];
    if (row < factors) {
        out[at] = value;
    } else if (row < rows - logits) {
        const double k = k_aniso[i];
        out[at] = exp(value) * (k * k);
    } else {
        out[at] = 1.0 / (1.0 + exp(-value));
    }
}

// out (rows, intervals, 8), one block an interval of a row, with reflections as in hat_sums: Σ (1−w) g, Σ w g, and
// Σ (1−w)² v, Σ w (1−w) v, Σ w² v of v = g² and of v = b, for slopes g and bounds b (rows, n).
extern "C" __global__ void __launch_bounds__(256)
curve_sums(const int* __restrict__ order, const int* __restrict__ start, const double* __restrict__ weight,
           const double* __restrict__ slope, const double* __restrict__ bound, int n, double* __restrict__ out) {
    __shared__ double space[32];
    const double *g = slope + i64(blockIdx.y) * n, *b = bound + i64(blockIdx.y) * n;
    double sum[8] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0};
    for (int k = start[blockIdx.x] + int(threadIdx.x); k < start[blockIdx.x + 1]; k += blockDim.x) {
        const int i = order[k];
        const double w = weight[i], u = 1.0 - w, by[3] = {u * u, w * u, w * w};
        sum[0] += u * g[i];
        sum[1] += w * g[i];
        for (int c = 0; c < 3; ++c) {
            sum[2 + c] += by[c] * (g[i] * g[i]);
            sum[5 + c] += by[c] * b[i];
        }
    }
    for (int c = 0; c < 8; ++c) {
        const double total = block_sum(sum[c], space);
        if (threadIdx.x == 0) out[8 * (blockIdx.y * gridDim.x + blockIdx.x) + c] = total;
    }
}

// out (rows − 1, n): the first two rows of values (rows, n) added, the others as they are.
extern "C" __global__ void __launch_bounds__(128)
merge_rows(const double* __restrict__ values, int rows, int n, double* __restrict__ out) {
    const int at = thread_index();
    if (at >= (rows - 1) * n) return;
    out[at] = at < n ? values[at] + values[n + at] : values[n + at];
}

// out (intervals, 5), one block an interval, whose reflections are order[start[b]] … order[start[b + 1] − 1]: Σ (1−w) g,
// Σ w g, Σ (1−w)² v, Σ w (1−w) v, Σ w² v of slopes g and information v.
extern "C" __global__ void __launch_bounds__(256)
hat_sums(const int* __restrict__ order, const int* __restrict__ start, const double* __restrict__ weight,
         const double* __restrict__ slope, const double* __restrict__ information, double* __restrict__ out) {
    __shared__ double space[32];
    double sum[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
    for (int k = start[blockIdx.x] + int(threadIdx.x); k < start[blockIdx.x + 1]; k += blockDim.x) {
        const int i = order[k];
        const double w = weight[i], u = 1.0 - w, g = slope[i], v = information[i];
        sum[0] += u * g;
        sum[1] += w * g;
        sum[2] += u * u * v;
        sum[3] += w * u * v;
        sum[4] += w * w * v;
    }
    for (int c = 0; c < 5; ++c) {
        const double total = block_sum(sum[c], space);
        if (threadIdx.x == 0) out[5 * blockIdx.x + c] = total;
    }
}

// out[group, column] = Σ weight × columns[column, k] over the group's reflections; columns (n_column, m) in the order
// of the groups.  One block a pair.
extern "C" __global__ void __launch_bounds__(256)
group_sums(const int* __restrict__ order, const int* __restrict__ start, const double* __restrict__ columns, int m,
           const double* __restrict__ weight, double* __restrict__ out) {
    __shared__ double space[32];
    const double* column = columns + i64(blockIdx.y) * m;
    double sum = 0.0;
    for (int k = start[blockIdx.x] + int(threadIdx.x); k < start[blockIdx.x + 1]; k += blockDim.x)
        sum += weight[order[k]] * column[k];
    sum = block_sum(sum, space);
    if (threadIdx.x == 0) out[blockIdx.x * gridDim.y + blockIdx.y] = sum;
}

__device__ __forceinline__ double compared(const double* values, const double* divisor, bool square, int i) {
    const double y = divisor ? values[i] / divisor[i] : values[i];
    return square ? y * y : y;
}

// out[block, c] of six columns = the block's sum.
__device__ __forceinline__ void keep_sum(double value, double* space, double* out, int c) {
    const double total = block_sum(value, space);
    if (threadIdx.x == 0) out[6 * blockIdx.x + c] = total;
}

// What tells how two lists agree within groups, one block a group; out (groups, 6): Σx, Σy, Σ|x − y|, and with the
// group's means taken off Σxx, Σyy, Σxy.  y is values/divisor (no divisor: values), squared if so asked.
extern "C" __global__ void __launch_bounds__(256, 1)
pair_sums(const int* __restrict__ order, const int* __restrict__ start, const double* __restrict__ x,
          const double* __restrict__ values, const double* __restrict__ divisor, bool square,
          double* __restrict__ out) {
    __shared__ double space[32];
    __shared__ double mean[2];
    const int begin = start[blockIdx.x], end = start[blockIdx.x + 1];
    double sx = 0.0, sy = 0.0, apart = 0.0;
    for (int k = begin + int(threadIdx.x); k < end; k += blockDim.x) {
        const double a = x[order[k]], b = compared(values, divisor, square, order[k]);
        sx += a;
        sy += b;
        apart += fabs(a - b);
    }
    keep_sum(sx, space, out, 0);
    keep_sum(sy, space, out, 1);
    keep_sum(apart, space, out, 2);
    if (threadIdx.x == 0)
        for (int c = 0; c < 2; ++c) mean[c] = end > begin ? out[6 * blockIdx.x + c] / (end - begin) : 0.0;
    __syncthreads();
    double xx = 0.0, yy = 0.0, xy = 0.0;
    for (int k = begin + int(threadIdx.x); k < end; k += blockDim.x) {
        const double a = x[order[k]] - mean[0], b = compared(values, divisor, square, order[k]) - mean[1];
        xx += a * a;
        yy += b * b;
        xy += a * b;
    }
    keep_sum(xx, space, out, 3);
    keep_sum(yy, space, out, 4);
    keep_sum(xy, space, out, 5);
}
