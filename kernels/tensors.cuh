// Symmetric tensors as six-vectors 11 22 33 12 13 23, and restraints between the displacement tensors of two atoms.
#pragma once

// Row and column of component p of a six-vector, and the component at (i, j).
__device__ __forceinline__ constexpr int row_of(int p) { return p < 3 ? p : (p == 5 ? 1 : 0); }
__device__ __forceinline__ constexpr int column_of(int p) { return p < 3 ? p : (p == 3 ? 1 : 2); }
__device__ __forceinline__ constexpr int place_of(int i, int j) { return i == j ? i : i + j + 2; }

// tr(A B)
__device__ __forceinline__ double product_trace(const double* a, const double* b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + 2.0 * (a[3] * b[3] + a[4] * b[4] + a[5] * b[5]);
}

__device__ __forceinline__ void invert_tensor(const double* u, double* inverse) {
    const double c0 = u[1] * u[2] - u[5] * u[5], c3 = u[4] * u[5] - u[3] * u[2], c4 = u[3] * u[5] - u[4] * u[1];
    const double f = 1.0 / (u[0] * c0 + u[3] * c3 + u[4] * c4);
    inverse[0] = f * c0;
    inverse[1] = f * (u[0] * u[2] - u[4] * u[4]);
    inverse[2] = f * (u[0] * u[1] - u[3] * u[3]);
    inverse[3] = f * c3;
    inverse[4] = f * c4;
    inverse[5] = f * (u[3] * u[4] - u[0] * u[5]);
}

// out = T v, or T^T v: T (6, 6).
__device__ __forceinline__ void turn_tensor(const double* turn, const double* v, double* out) {
#pragma unroll
    for (int i = 0; i < 6; i++) {
        double sum = 0.0;
#pragma unroll
        for (int j = 0; j < 6; j++) sum += turn[6 * i + j] * v[j];
        out[i] = sum;
    }
}
__device__ __forceinline__ void turn_back_tensor(const double* turn, const double* v, double* out) {
#pragma unroll
    for (int i = 0; i < 6; i++) {
        double sum = 0.0;
#pragma unroll
        for (int j = 0; j < 6; j++) sum += turn[6 * j + i] * v[j];
        out[i] = sum;
    }
}

// out = B - A U A, off-diagonal elements twice.
__device__ __forceinline__ void similarity_slope(const double* a, const double* b, const double* u, double* out) {
    double m[9];
#pragma unroll
    for (int i = 0; i < 3; i++)
#pragma unroll
        for (int j = 0; j < 3; j++) {
            double sum = 0.0;
#pragma unroll
            for (int k = 0; k < 3; k++) sum += u[place_of(i, k)] * a[place_of(k, j)];
            m[3 * i + j] = sum;
        }
#pragma unroll
    for (int p = 0; p < 6; p++) {
        const int i = row_of(p), j = column_of(p);
        double value = b[p];
#pragma unroll
        for (int k = 0; k < 3; k++) value -= a[place_of(i, k)] * m[3 * k + j];
        out[p] = p < 3 ? value : 2.0 * value;
    }
}

// out (6, 6) = weight tr(E_p A E_q B) + rigid l_p l_q, E_p what component p moves.
__device__ __forceinline__ void metric(
    const double* a, const double* b, double weight, double rigid, const double* line, double* out) {
#pragma unroll
    for (int p = 0; p < 6; p++)
#pragma unroll
        for (int q = p; q < 6; q++) {
            const int i = row_of(p), j = column_of(p), k = row_of(q), l = column_of(q);
            double value = a[place_of(j, k)] * b[place_of(l, i)] + a[place_of(i, k)] * b[place_of(l, j)]
                + a[place_of(j, l)] * b[place_of(k, i)] + a[place_of(i, l)] * b[place_of(k, j)];
            if (p < 3) value *= 0.5;
            if (q < 3) value *= 0.5;
            out[6 * p + q] = out[6 * q + p] = weight * value + rigid * line[p] * line[q];
        }
}

// Onto the isotropic tensors: a vector, the rows of a block, its columns.
__device__ __forceinline__ void flatten(double* v, int stride) {
    const double mean = (v[0] + v[stride] + v[2 * stride]) / 3.0;
    v[0] = v[stride] = v[2 * stride] = mean;
    v[3 * stride] = v[4 * stride] = v[5 * stride] = 0.0;
}
__device__ __forceinline__ void flatten_rows(double* block) {
#pragma unroll 1
    for (int c = 0; c < 6; c++) flatten(block + c, 6);
}
__device__ __forceinline__ void flatten_columns(double* block) {
#pragma unroll 1
    for (int r = 0; r < 6; r++) flatten(block + 6 * r, 1);
}

// block = block T and block = T^T block
__device__ __forceinline__ void turn_columns(const double* turn, double* block) {
    double row[6];
#pragma unroll 1
    for (int r = 0; r < 6; r++) {
        turn_back_tensor(turn, block + 6 * r, row);
        for (int c = 0; c < 6; c++) block[6 * r + c] = row[c];
    }
}
__device__ __forceinline__ void turn_rows(const double* turn, double* block) {
    double column[6], out[6];
#pragma unroll 1
    for (int c = 0; c < 6; c++) {
        for (int r = 0; r < 6; r++) column[r] = block[6 * r + c];
        turn_back_tensor(turn, column, out);
        for (int r = 0; r < 6; r++) block[6 * r + c] = out[r];
    }
}

// The tensors of a pair, the second as seen near the first, their inverses, and along the rigid bond (if there is one:
// otherwise p = q = 1) the six-vector of the line and the two displacements.
struct TensorPair {
    double one[6], two[6], a[6], b[6], line[6], p, q;
};

__device__ __forceinline__ TensorPair tensor_pair(
    const double* u, int i, int j, const double* turn, bool stiff, const double* direction) {
    TensorPair pair;
#pragma unroll
    for (int c = 0; c < 6; c++) pair.one[c] = u[6 * i + c];
    if (turn) {
        turn_tensor(turn, u + 6 * j, pair.two);
    } else {
#pragma unroll
        for (int c = 0; c < 6; c++) pair.two[c] = u[6 * j + c];
    }
    invert_tensor(pair.one, pair.a);
    invert_tensor(pair.two, pair.b);
    const double x = direction[0], y = direction[1], z = direction[2];
    pair.line[0] = x * x, pair.line[1] = y * y, pair.line[2] = z * z;
    pair.line[3] = 2.0 * x * y, pair.line[4] = 2.0 * x * z, pair.line[5] = 2.0 * y * z;
    pair.p = pair.q = stiff ? 0.0 : 1.0;
    if (stiff) {
#pragma unroll
        for (int c = 0; c < 6; c++) {
            pair.p += pair.line[c] * pair.one[c];
            pair.q += pair.line[c] * pair.two[c];
        }
    }
    return pair;
}
