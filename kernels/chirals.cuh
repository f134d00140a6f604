// Chiral volumes V = (x1 - x0) . ((x2 - x0) x (x3 - x0)).
#pragma once
#include "vectors.cuh"

// z = (V - ideal)/sigma, where `both` hands are right the ideal takes the sign of V; `rows` (4, 3) or null.
__device__ __forceinline__ double chiral_term(
    Vec3 x0, Vec3 x1, Vec3 x2, Vec3 x3, double ideal, double sigma, int both, double* rows) {
    Vec3 a = x1 - x0, b = x2 - x0, c = x3 - x0;
    Vec3 p = cross(b, c);
    double volume = dot(a, p);
    if (both) ideal = volume >= 0.0 ? fabs(ideal) : -fabs(ideal);
    if (rows) {
        double f = 1.0 / sigma;
        p = f * p;
        Vec3 q = f * cross(c, a), s = f * cross(a, b);
        store3(rows, 0, -p - q - s);
        store3(rows, 1, p);
        store3(rows, 2, q);
        store3(rows, 3, s);
    }
    return (volume - ideal) / sigma;
}
