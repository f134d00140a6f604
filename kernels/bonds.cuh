// A bond, possibly to a symmetry copy: z = (|x1 - g x2| - ideal)/sigma and its derivatives by both atoms.
#pragma once
#include "vectors.cuh"

// `image` is null for the identity. With `rows` (2, 3) null, only z is worked out.
__device__ __forceinline__ double bond_term(
    Vec3 first, Vec3 second, const double* image, double ideal, double sigma, double* rows) {
    if (image) second = place(image, second);
    Vec3 d = first - second;
    double distance = length(d);
    if (rows) {
        d = (1.0 / (fmax(distance, TINY) * sigma)) * d;
        store3(rows, 0, d);
        store3(rows, 1, image ? -turn_back(image, d) : -d);
    }
    return (distance - ideal) / sigma;
}
