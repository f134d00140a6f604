// Images of atoms by the crystal's operations.
#pragma once
#include "bonds.cuh"

// Image (12) of the second atom of a pair; symmetry (n_op + 1, 12) are the operations and, last, the matrix that turns
// cells into A. The identity leaves the atom exactly where it is.
__device__ __forceinline__ void image_of(
    const double* __restrict__ symmetry, int n_op, int op, const int* __restrict__ shift, double (&image)[12]) {
    const double s0 = shift[0], s1 = shift[1], s2 = shift[2];
    const bool own = op == 0 && s0 == 0.0 && s1 == 0.0 && s2 == 0.0;
    const double *r = symmetry + 12 * op, *orth = symmetry + 12 * n_op;
#pragma unroll
    for (int c = 0; c < 9; c++) image[c] = own ? (c % 4 == 0 ? 1.0 : 0.0) : r[c];
#pragma unroll
    for (int c = 0; c < 3; c++)
        image[9 + c] = own ? 0.0 : r[9 + c] + orth[3 * c] * s0 + orth[3 * c + 1] * s1 + orth[3 * c + 2] * s2;
}
