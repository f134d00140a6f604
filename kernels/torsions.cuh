// Torsion angles (derivatives after Blondel & Karplus 1996, J. Comput. Chem. 17, 1132).
#pragma once
#include "vectors.cuh"

// |F x G|^2 at which the derivative is held where three atoms are nearly in line, A^4.
#define CROSS2_MIN 1e-4

// z = (angle - nearest of ideal + k 2 pi/period)/sigma; `rows` (4, 3) or null.
__device__ __forceinline__ double torsion_term(
    Vec3 x1, Vec3 x2, Vec3 x3, Vec3 x4, double ideal, double sigma, int period, double* rows) {
    Vec3 f = x1 - x2, g = x2 - x3, h = x4 - x3;
    Vec3 a = cross(f, g), b = cross(h, g);
    double gn = length(g);
    double angle = atan2(dot(cross(b, a), g) / fmax(gn, TINY), dot(a, b));
    double turn = 6.283185307179586 / period;
    double delta = angle - ideal;
    delta -= turn * floor(delta / turn + 0.5);
    if (rows) {
        double gg = fmax(gn * gn, TINY * TINY);
        Vec3 first = (-gn / (fmax(dot(a, a), CROSS2_MIN) * sigma)) * a;
        Vec3 last = (gn / (fmax(dot(b, b), CROSS2_MIN) * sigma)) * b;
        Vec3 mixed = (dot(f, g) / gg) * first + (dot(h, g) / gg) * last;
        store3(rows, 0, first);
        store3(rows, 1, -first - mixed);
        store3(rows, 2, mixed - last);
        store3(rows, 3, last);
    }
    return delta / sigma;
}
