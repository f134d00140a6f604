// Conjugate gradients preconditioned by the inverses of the diagonal blocks, two launches an iteration.
//
// The scalars of the recurrence stay on the device: a launch after the end returns at once, so that the host queues
// many iterations and looks how far they came afterwards. All sums have a fixed order.
#include "blocks.cuh"
#include "eigen.cuh"
#include "sums.cuh"

// scalars (6,)
enum { RHO = 0, FIRST = 1, ALPHA = 2, BETA = 3, RESIDUAL = 4, STOP = 5 };
// state (2,): how it ended (RUNNING, SOLVED, or no positive curvature along the direction), and the iterations
enum { ENDED = 0, ITERATIONS = 1 };
enum { RUNNING = 0, SOLVED = 1, BROKEN = 2 };
// matrices (n_matrix, 5): addresses of row_start, column, entry, diagonal and off of each
enum { ROW_START = 0, COLUMN = 1, ENTRY = 2, DIAGONAL = 3, OFF = 4, MATRIX = 5 };

template <class T> __device__ __forceinline__ const T* at(const u64* matrices, int m, int which) {
    return reinterpret_cast<const T*>(matrices[MATRIX * m + which]);
}

// Inverse of a symmetric positive semidefinite block; directions without curvature are left out.
template <int S> __device__ __forceinline__ void invert(double (&a)[S][S], double* inverse) {
    double v[S][S], top = 0.0;
    eigen<S>(a, v);
#pragma unroll(S <= 3 ? S : 1)
    for (int k = 0; k < S; k++) top = fmax(top, a[k][k]);
#pragma unroll(S <= 3 ? S : 1)
    for (int k = 0; k < S; k++) a[k][k] = a[k][k] > 1e-8 * top ? 1.0 / a[k][k] : 0.0;
#pragma unroll(S <= 3 ? S : 1)
    for (int r = 0; r < S; r++)
#pragma unroll(S <= 3 ? S : 1)
        for (int c = 0; c < S; c++) {
            double sum = 0.0;
#pragma unroll(S <= 3 ? S : 1)
            for (int k = 0; k < S; k++) sum += v[r][k] * a[k][k] * v[c][k];
            inverse[S * r + c] = sum;
        }
}

template <> __device__ __forceinline__ void invert<1>(double (&a)[1][1], double* inverse) {
    inverse[0] = a[0][0] > 0.0 ? 1.0 / a[0][0] : 0.0;
}

// z = inverse r of one row, and r.z.
template <int S> __device__ __forceinline__ double precondition(const double* inverse, const double* r, double* z) {
    double product = 0.0;
#pragma unroll
    for (int a = 0; a < S; a++) {
        double sum = 0.0;
#pragma unroll
        for (int b = 0; b < S; b++) sum += inverse[S * a + b] * r[b];
        z[a] = sum;
        product += r[a] * sum;
    }
    return product;
}

// The diagonal blocks and their inverses, and the start x = 0, r = right.
template <int S> __device__ __forceinline__ void begin(
    const u64* matrices, int n_matrix, const double* extra, const double* right, double stiffen, double tolerance2,
    int n, double* diagonal, double* inverse, double* x, double* r, double* z, double* p, double* scalars, int* state,
    double* partial, unsigned* counter) {
    const int i = thread_index();
    double product = 0.0, total;
    if (i < n) {
        double block[S][S];
#pragma unroll(S <= 3 ? S : 1)
        for (int a = 0; a < S; a++)
#pragma unroll(S <= 3 ? S : 1)
            for (int b = 0; b < S; b++) {
                const i64 k = i64(S * S) * i + S * a + b;
                double sum = extra[k];
                for (int m = 0; m < n_matrix; m++) sum += at<double>(matrices, m, DIAGONAL)[k];
                block[a][b] = diagonal[k] = sum * stiffen;
            }
        invert<S>(block, inverse + i64(S * S) * i);
#pragma unroll(S <= 3 ? S : 1)
        for (int a = 0; a < S; a++) {
            x[S * i + a] = p[S * i + a] = 0.0;
            r[S * i + a] = right[S * i + a];
        }
        product = precondition<S>(inverse + i64(S * S) * i, right + S * i, z + S * i);
    }
    if (!grid_sum(product, partial, counter, &total)) return;
    scalars[RHO] = scalars[FIRST] = scalars[RESIDUAL] = total;
    scalars[BETA] = 0.0;
    scalars[STOP] = tolerance2 * total;
    state[ENDED] = total <= 0.0 ? SOLVED : RUNNING;
    state[ITERATIONS] = 0;
}

// next = z + beta p (the new direction) and q = H next; alpha = rho/(next.q).
template <int S> __device__ __forceinline__ void product(
    const u64* matrices, int n_matrix, const double* diagonal, const double* z, const double* p, int n, double* next,
    double* q, double* scalars, int* state, double* partial, unsigned* counter) {
    if (state[ENDED] != RUNNING) return;
    const double beta = scalars[BETA];
    const auto direction = [=](int j, double (&v)[S]) {
#pragma unroll
        for (int c = 0; c < S; c++) v[c] = z[S * j + c] + beta * p[S * j + c];
    };
    const int i = thread_index() / ROW_LANES, lane = threadIdx.x & (ROW_LANES - 1);
    double sum[S], curvature = 0.0, total;
#pragma unroll
    for (int r = 0; r < S; r++) sum[r] = 0.0;
    if (i < n)
        for (int m = 0; m < n_matrix; m++)
            row_product<S>(
                at<int>(matrices, m, ROW_START), at<int>(matrices, m, COLUMN), at<int>(matrices, m, ENTRY),
                at<double>(matrices, m, OFF), i, direction, sum);
#pragma unroll
    for (int r = 0; r < S; r++) sum[r] = row_sum(sum[r]);
    if (i < n && lane == 0) {
        double own[S];
        direction(i, own);
#pragma unroll
        for (int r = 0; r < S; r++) {
#pragma unroll
            for (int c = 0; c < S; c++) sum[r] += diagonal[i64(S * S) * i + S * r + c] * own[c];
            next[S * i + r] = own[r];
            q[S * i + r] = sum[r];
            curvature += own[r] * sum[r];
        }
    }
    if (!grid_sum(curvature, partial, counter, &total)) return;
    if (total > 0.0) {
        scalars[ALPHA] = scalars[RHO] / total;
    } else {
        state[ENDED] = BROKEN;
        state[ITERATIONS] += 1;
    }
}

// x += alpha p, r -= alpha q, z = inverse r; beta = r.z/rho.
template <int S> __device__ __forceinline__ void update(
    const double* inverse, const double* p, const double* q, int n, double* x, double* r, double* z, double* scalars,
    int* state, double* partial, unsigned* counter) {
    if (state[ENDED] != RUNNING) return;
    const int i = thread_index();
    const double alpha = scalars[ALPHA];
    double product = 0.0, total;
    if (i < n) {
#pragma unroll
        for (int a = 0; a < S; a++) {
            x[S * i + a] += alpha * p[S * i + a];
            r[S * i + a] -= alpha * q[S * i + a];
        }
        product = precondition<S>(inverse + i64(S * S) * i, r + S * i, z + S * i);
    }
    if (!grid_sum(product, partial, counter, &total)) return;
    state[ITERATIONS] += 1;
    scalars[RESIDUAL] = total;
    if (total <= scalars[STOP]) {
        state[ENDED] = SOLVED;
    } else {
        scalars[BETA] = total / scalars[RHO];
        scalars[RHO] = total;
    }
}

// Notes where the parts of matrix m are.
extern "C" __global__ void __launch_bounds__(32)
cg_matrix(
    const int* row_start, const int* column, const int* entry, const double* diagonal, const double* off, int m,
    u64* matrices) {
    if (thread_index() != 0) return;
    matrices[MATRIX * m + ROW_START] = reinterpret_cast<u64>(row_start);
    matrices[MATRIX * m + COLUMN] = reinterpret_cast<u64>(column);
    matrices[MATRIX * m + ENTRY] = reinterpret_cast<u64>(entry);
    matrices[MATRIX * m + DIAGONAL] = reinterpret_cast<u64>(diagonal);
    matrices[MATRIX * m + OFF] = reinterpret_cast<u64>(off);
}

extern "C" __global__ void __launch_bounds__(128)
cg_begin_1(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ extra,
    const double* __restrict__ right, double stiffen, double tolerance2, int n, double* __restrict__ diagonal,
    double* __restrict__ inverse, double* __restrict__ x, double* __restrict__ r, double* __restrict__ z,
    double* __restrict__ p, double* scalars, int* state, double* partial, unsigned* counter) {
    begin<1>(
        matrices, n_matrix, extra, right, stiffen, tolerance2, n, diagonal, inverse, x, r, z, p, scalars, state,
        partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_product_1(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ diagonal,
    const double* __restrict__ z, const double* __restrict__ p, int n, double* __restrict__ next,
    double* __restrict__ q, double* scalars, int* state, double* partial, unsigned* counter) {
    product<1>(matrices, n_matrix, diagonal, z, p, n, next, q, scalars, state, partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_update_1(
    const double* __restrict__ inverse, const double* __restrict__ p, const double* __restrict__ q, int n,
    double* __restrict__ x, double* __restrict__ r, double* __restrict__ z, double* scalars, int* state,
    double* partial, unsigned* counter) {
    update<1>(inverse, p, q, n, x, r, z, scalars, state, partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_begin_3(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ extra,
    const double* __restrict__ right, double stiffen, double tolerance2, int n, double* __restrict__ diagonal,
    double* __restrict__ inverse, double* __restrict__ x, double* __restrict__ r, double* __restrict__ z,
    double* __restrict__ p, double* scalars, int* state, double* partial, unsigned* counter) {
    begin<3>(
        matrices, n_matrix, extra, right, stiffen, tolerance2, n, diagonal, inverse, x, r, z, p, scalars, state,
        partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_product_3(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ diagonal,
    const double* __restrict__ z, const double* __restrict__ p, int n, double* __restrict__ next,
    double* __restrict__ q, double* scalars, int* state, double* partial, unsigned* counter) {
    product<3>(matrices, n_matrix, diagonal, z, p, n, next, q, scalars, state, partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_update_3(
    const double* __restrict__ inverse, const double* __restrict__ p, const double* __restrict__ q, int n,
    double* __restrict__ x, double* __restrict__ r, double* __restrict__ z, double* scalars, int* state,
    double* partial, unsigned* counter) {
    update<3>(inverse, p, q, n, x, r, z, scalars, state, partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_begin_6(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ extra,
    const double* __restrict__ right, double stiffen, double tolerance2, int n, double* __restrict__ diagonal,
    double* __restrict__ inverse, double* __restrict__ x, double* __restrict__ r, double* __restrict__ z,
    double* __restrict__ p, double* scalars, int* state, double* partial, unsigned* counter) {
    begin<6>(
        matrices, n_matrix, extra, right, stiffen, tolerance2, n, diagonal, inverse, x, r, z, p, scalars, state,
        partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_product_6(
    const u64* __restrict__ matrices, int n_matrix, const double* __restrict__ diagonal,
    const double* __restrict__ z, const double* __restrict__ p, int n, double* __restrict__ next,
    double* __restrict__ q, double* scalars, int* state, double* partial, unsigned* counter) {
    product<6>(matrices, n_matrix, diagonal, z, p, n, next, q, scalars, state, partial, counter);
}

extern "C" __global__ void __launch_bounds__(128)
cg_update_6(
    const double* __restrict__ inverse, const double* __restrict__ p, const double* __restrict__ q, int n,
    double* __restrict__ x, double* __restrict__ r, double* __restrict__ z, double* scalars, int* state,
    double* partial, unsigned* counter) {
    update<6>(inverse, p, q, n, x, r, z, scalars, state, partial, counter);
}
