// Complex numbers as double2.
#pragma once
#include "common.cuh"

__device__ __forceinline__ double2 operator+(double2 a, double2 b) { return make_double2(a.x + b.x, a.y + b.y); }
__device__ __forceinline__ double2 operator-(double2 a, double2 b) { return make_double2(a.x - b.x, a.y - b.y); }
__device__ __forceinline__ double2 operator*(double s, double2 a) { return make_double2(s * a.x, s * a.y); }
__device__ __forceinline__ double2 operator*(double2 a, double2 b) {
    return make_double2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x);
}
__device__ __forceinline__ double2 conjugate(double2 a) { return make_double2(a.x, -a.y); }
__device__ __forceinline__ double norm2(double2 a) { return a.x * a.x + a.y * a.y; }
__device__ __forceinline__ double length(double2 a) { return hypot(a.x, a.y); }
// Re(conj(a) b)
__device__ __forceinline__ double real_product(double2 a, double2 b) { return a.x * b.x + a.y * b.y; }
// a/|a|, or 1 where a is 0.
__device__ __forceinline__ double2 direction(double2 a, double size) {
    return size > 0.0 ? make_double2(a.x / size, a.y / size) : make_double2(1.0, 0.0);
}
