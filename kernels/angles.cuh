// Angles x1 - x2 - x3: bent ones by atan2, (nearly) straight ones through the sum of the two unit vectors.
#pragma once
#include "vectors.cuh"

// z = (angle - ideal)/sigma; `rows` (3, 3) or null.
__device__ __forceinline__ double bent_term(
    Vec3 x1, Vec3 x2, Vec3 x3, double ideal, double sigma, double* rows) {
    Vec3 a = x1 - x2, b = x3 - x2;
    double sine = length(cross(a, b)), cosine = dot(a, b);
    if (rows) {
        double scale = 1.0 / (fmax(sine, TINY) * sigma);
        Vec3 g = scale * ((cosine / fmax(dot(a, a), TINY * TINY)) * a - b);
        Vec3 h = scale * ((cosine / fmax(dot(b, b), TINY * TINY)) * b - a);
        store3(rows, 0, g);
        store3(rows, 1, -g - h);
        store3(rows, 2, h);
    }
    return (atan2(sine, cosine) - ideal) / sigma;
}

// z (3) = (a/|a| + b/|b|)/sigma, each component a residual with its own rows (3 components, 3 atoms, 3).
__device__ __forceinline__ void linear_term(Vec3 x1, Vec3 x2, Vec3 x3, double sigma, double* z, double* rows) {
    Vec3 a = x1 - x2, b = x3 - x2;
    double an = fmax(length(a), TINY), bn = fmax(length(b), TINY);
    a = vec(a.x / an, a.y / an, a.z / an);
    b = vec(b.x / bn, b.y / bn, b.z / bn);
    z[0] = (a.x + b.x) / sigma;
    z[1] = (a.y + b.y) / sigma;
    z[2] = (a.z + b.z) / sigma;
    if (!rows) return;
    const double fa[3] = {a.x, a.y, a.z}, fb[3] = {b.x, b.y, b.z};
    const double left = 1.0 / (an * sigma), right = 1.0 / (bn * sigma);
#pragma unroll
    for (int c = 0; c < 3; c++) {
        Vec3 g = left * (vec(c == 0, c == 1, c == 2) - fa[c] * a);
        Vec3 h = right * (vec(c == 0, c == 1, c == 2) - fb[c] * b);
        store3(rows, 3 * c, g);
        store3(rows, 3 * c + 1, -g - h);
        store3(rows, 3 * c + 2, h);
    }
}
