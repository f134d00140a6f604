// Restraints between anisotropic displacement parameters: similarity, rigid bonds, sphericity (Murshudov et al. 2011,
// sections 2.6.6-2.6.8). A pair's terms are worked out where they are needed, for its block and for either atom: that
// is cheaper than to write down and read the 6 x 6 blocks of every pair.
#include "common.cuh"
#include "tensors.cuh"

// z (2 n_pair + n,), whose half squares are the values: similarity, rigid bonds, and sphericity of the atoms. With
// `blocks` also adds to off (n_pair, 6, 6). turn (n_op, 6, 6); weights (n_pair,) of similarity; rigid_weight by relation,
// where one of the atoms is anisotropic. With width, sigma and kind of every z for the statistics, sigma 0 for none.
extern "C" __global__ void __launch_bounds__(128)
tensor_pairs(
    const int* __restrict__ first, const int* __restrict__ second, const int* __restrict__ op,
    const double* __restrict__ weights, const int* __restrict__ relation, const double* __restrict__ rigid_weight,
    const double* __restrict__ direction, const double* __restrict__ turn, const bool* __restrict__ is_aniso,
    const double* __restrict__ u, int n_pair, int blocks, double* __restrict__ z, double* __restrict__ off,
    double* __restrict__ width, signed char* __restrict__ kind) {
    const int k = thread_index();
    if (k >= n_pair) return;
    const int i = first[k], j = second[k];
    const double weight = weights[k], rigid = is_aniso[i] || is_aniso[j] ? rigid_weight[relation[k]] : 0.0;
    const double* rotation = op[k] ? turn + 36 * op[k] : nullptr;
    const TensorPair t = tensor_pair(u, i, j, rotation, rigid > 0.0, direction + 3 * k);
    const double divergence = product_trace(t.a, t.two) + product_trace(t.b, t.one) - 6.0;
    z[k] = sqrt(fmax(weight * divergence, 0.0) / 3.0);
    z[n_pair + k] = (t.p - t.q) * sqrt(rigid / (t.p * t.q));
    if (width) {
        width[k] = weight > 0.0 ? 1.0 / sqrt(weight) : 0.0;
        width[n_pair + k] = rigid > 0.0 ? 1.0 / sqrt(rigid) : 0.0;
        kind[k] = 0;
        kind[n_pair + k] = 1;
    }
    if (!blocks) return;
    double block[36];
    metric(t.a, t.b, weight / 3.0, rigid / (t.p * t.q), t.line, block);
    if (rotation) turn_columns(rotation, block);
    if (!is_aniso[j]) flatten_columns(block);
    if (!is_aniso[i]) flatten_rows(block);
    for (int c = 0; c < 36; c++) off[i64(36) * k + c] -= block[c];
}

// z (n,) of sphericity: weight |U - mean|^2/mean^2.
extern "C" __global__ void __launch_bounds__(128)
tensor_shapes(
    const double* __restrict__ u, const double* __restrict__ weight, int n, double* __restrict__ z,
    double* __restrict__ width, signed char* __restrict__ kind) {
    const int i = thread_index();
    if (i >= n) return;
    const double* t = u + 6 * i;
    double shape[6];
    const double mean = (t[0] + t[1] + t[2]) / 3.0;
    for (int c = 0; c < 6; c++) shape[c] = t[c] / mean - (c < 3 ? 1.0 : 0.0);
    z[i] = weight[i] > 0.0 ? sqrt(weight[i] * product_trace(shape, shape)) : 0.0;
    if (!width) return;
    width[i] = weight[i] > 0.0 ? 1.0 / sqrt(weight[i]) : 0.0;
    kind[i] = 2;
}

// diagonal[atom[m]] = P^T D P with P of projector (n, 6, 6), one thread an atom.
extern "C" __global__ void __launch_bounds__(64)
project_diagonal(
    const int* __restrict__ atom, const double* __restrict__ projector, int n, double* __restrict__ diagonal) {
    const int m = thread_index();
    if (m >= n) return;
    double* block = diagonal + i64(36) * atom[m];
    turn_columns(projector + 36 * m, block);
    turn_rows(projector + 36 * m, block);
}

// Of the blocks in the rows of atom (n,) those that `columns` selects: off = P^T off where the projector's atom has the
// block's rows (0), off = off P where it has the columns (1). entry = 2 slot + (1 if transposed); a warp an atom, so that
// each block has one writer of either kind.
extern "C" __global__ void __launch_bounds__(64)
project_off(
    const int* __restrict__ atom, const int* __restrict__ row_start, const int* __restrict__ entry,
    const double* __restrict__ projector, int n, int columns, double* __restrict__ off) {
    const int m = warp_index();
    if (m >= n) return;
    const double* own = projector + 36 * m;
    for (int e = row_start[atom[m]] + lane_id(); e < row_start[atom[m] + 1]; e += 32) {
        if ((entry[e] & 1) != columns) continue;
        double* block = off + i64(36) * (entry[e] >> 1);
        if (columns) {
            turn_columns(own, block);
        } else {
            turn_rows(own, block);
        }
    }
}

// Adds to gradient (n, 6) and, with `blocks`, to diagonal (n, 6, 6) what the pairs and the sphericity of every atom
// give; order[start[i]:start[i + 1]] are 2 k where atom i is the first of pair k and 2 k + 1 where it is the second.
extern "C" __global__ void __launch_bounds__(128)
tensor_collect(
    const int* __restrict__ start, const int* __restrict__ order, const int* __restrict__ first,
    const int* __restrict__ second, const int* __restrict__ op, const double* __restrict__ weights,
    const int* __restrict__ relation, const double* __restrict__ rigid_weight, const double* __restrict__ direction,
    const double* __restrict__ turn, const bool* __restrict__ is_aniso,
    const double* __restrict__ sphericity, const double* __restrict__ u, int n, int blocks,
    double* __restrict__ gradient, double* __restrict__ diagonal) {
    const int i = thread_index();
    if (i >= n) return;
    double sum[6] = {0.0, 0.0, 0.0, 0.0, 0.0, 0.0}, total[36], block[36], slope[6], turned[6];
    for (int c = 0; c < 36; c++) total[c] = 0.0;
    for (int e = start[i]; e < start[i + 1]; e++) {
        const int k = order[e] >> 1;
        const bool is_second = order[e] & 1;
        const double weight = weights[k];
        const double rigid = is_aniso[first[k]] || is_aniso[second[k]] ? rigid_weight[relation[k]] : 0.0;
        const double* rotation = op[k] ? turn + 36 * op[k] : nullptr;
        const TensorPair t = tensor_pair(u, first[k], second[k], rotation, rigid > 0.0, direction + 3 * k);
        const double own = is_second ? t.q : t.p, other = is_second ? t.p : t.q;
        if (is_second) {
            similarity_slope(t.b, t.a, t.one, slope);
        } else {
            similarity_slope(t.a, t.b, t.two, slope);
        }
        const double along = 0.5 * rigid * (1.0 / other - other / (own * own));
        for (int c = 0; c < 6; c++) slope[c] = weight / 6.0 * slope[c] + along * t.line[c];
        const bool turns = is_second && rotation;
        if (turns) turn_back_tensor(rotation, slope, turned);
        for (int c = 0; c < 6; c++) sum[c] += turns ? turned[c] : slope[c];
        if (!blocks) continue;
        metric(t.a, t.b, weight / 3.0, rigid / (t.p * t.q), t.line, block);
        if (turns) {
            turn_columns(rotation, block);
            turn_rows(rotation, block);
        }
        for (int c = 0; c < 36; c++) total[c] += block[c];
    }
    if (!is_aniso[i]) {
        flatten(sum, 1);
        flatten_columns(total);
        flatten_rows(total);
    } else if (sphericity[i] > 0.0) {
        const double* t = u + 6 * i;
        const double mean = (t[0] + t[1] + t[2]) / 3.0, square = product_trace(t, t);
        const double inner = sphericity[i] / (mean * mean);
        for (int c = 0; c < 3; c++) {
            sum[c] += inner * (t[c] - square / (3.0 * mean));
            sum[c + 3] += 2.0 * inner * t[c + 3];
            for (int d = 0; d < 3; d++) total[6 * c + d] += inner * ((c == d ? 1.0 : 0.0) - 1.0 / 3.0);
            total[7 * (c + 3)] += 2.0 * inner;
        }
    }
    for (int c = 0; c < 6; c++) gradient[6 * i + c] += sum[c];
    if (blocks)
        for (int c = 0; c < 36; c++) diagonal[i64(36) * i + c] += total[c];
}
