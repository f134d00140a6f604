// Vectors of three doubles, and images of atoms.
#pragma once

// Lengths (and, squared, areas) that are divided by are held at this, A.
#define TINY 1e-8

struct Vec3 { double x, y, z; };

__device__ __forceinline__ Vec3 vec(double x, double y, double z) { Vec3 v; v.x = x; v.y = y; v.z = z; return v; }
__device__ __forceinline__ Vec3 operator+(Vec3 a, Vec3 b) { return vec(a.x + b.x, a.y + b.y, a.z + b.z); }
__device__ __forceinline__ Vec3 operator-(Vec3 a, Vec3 b) { return vec(a.x - b.x, a.y - b.y, a.z - b.z); }
__device__ __forceinline__ Vec3 operator-(Vec3 a) { return vec(-a.x, -a.y, -a.z); }
__device__ __forceinline__ Vec3 operator*(double f, Vec3 a) { return vec(f * a.x, f * a.y, f * a.z); }
__device__ __forceinline__ double dot(Vec3 a, Vec3 b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
__device__ __forceinline__ Vec3 cross(Vec3 a, Vec3 b) {
    return vec(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
__device__ __forceinline__ double length(Vec3 a) { return sqrt(dot(a, a)); }

__device__ __forceinline__ Vec3 load3(const double* array, int k) {
    return vec(array[3 * k], array[3 * k + 1], array[3 * k + 2]);
}
__device__ __forceinline__ void store3(double* array, int k, Vec3 v) {
    array[3 * k] = v.x;
    array[3 * k + 1] = v.y;
    array[3 * k + 2] = v.z;
}

// Adds p q^T to block (9).
__device__ __forceinline__ void add_outer(double* block, Vec3 p, Vec3 q) {
    block[0] += p.x * q.x, block[1] += p.x * q.y, block[2] += p.x * q.z;
    block[3] += p.y * q.x, block[4] += p.y * q.y, block[5] += p.y * q.z;
    block[6] += p.z * q.x, block[7] += p.z * q.y, block[8] += p.z * q.z;
}

// An image is twelve doubles, the rows of a Cartesian rotation R and then a translation t: x' = R x + t.
__device__ __forceinline__ Vec3 place(const double* image, Vec3 v) {
    return vec(
        image[0] * v.x + image[1] * v.y + image[2] * v.z + image[9],
        image[3] * v.x + image[4] * v.y + image[5] * v.z + image[10],
        image[6] * v.x + image[7] * v.y + image[8] * v.z + image[11]);
}
// Rᵀ v: what a derivative by the image is by the atom itself.
__device__ __forceinline__ Vec3 turn_back(const double* image, Vec3 v) {
    return vec(
        image[0] * v.x + image[3] * v.y + image[6] * v.z,
        image[1] * v.x + image[4] * v.y + image[7] * v.z,
        image[2] * v.x + image[5] * v.y + image[8] * v.z);
}
