// The periodic cell list of the contact search: which bin of the unit cell every atom lies in.
#include "common.cuh"
#include "vectors.cuh"

// frac (3, 3); size (3,) bins -> fractional (n, 3) and bin (n,).
extern "C" __global__ void __launch_bounds__(128)
contact_bins(
    const double* __restrict__ xyz, const double* __restrict__ frac, const int* __restrict__ size, int n,
    double* __restrict__ fractional, int* __restrict__ bin) {
    const int i = thread_index();
    if (i >= n) return;
    const Vec3 x = load3(xyz, i);
    int where[3];
    for (int c = 0; c < 3; c++) {
        const double f = frac[3 * c] * x.x + frac[3 * c + 1] * x.y + frac[3 * c + 2] * x.z;
        fractional[3 * i + c] = f;
        where[c] = min((int)((f - floor(f)) * size[c]), size[c] - 1);
    }
    bin[i] = (where[0] * size[1] + where[1]) * size[2] + where[2];
}

// In the order of the bins: folded (n, 3) positions in the cell, and origin (n, 3), the cell each atom came from.
extern "C" __global__ void __launch_bounds__(128)
contact_fold(
    const double* __restrict__ fractional, const int* __restrict__ order, int n, double* __restrict__ folded,
    int* __restrict__ origin) {
    const int e = thread_index();
    if (e >= n) return;
    for (int c = 0; c < 3; c++) {
        const double f = fractional[3 * order[e] + c], whole = floor(f);
        folded[3 * e + c] = f - whole;
        origin[3 * e + c] = (int)whole;
    }
}

// near (n_bin,): whether a bin or one within `around` (3,) of it holds atoms.
extern "C" __global__ void __launch_bounds__(128)
contact_near(
    const int* __restrict__ bin_start, const int* __restrict__ size, const int* __restrict__ around,
    unsigned char* __restrict__ near) {
    const int b = thread_index();
    if (b >= size[0] * size[1] * size[2]) return;
    const int bz = b % size[2], by = b / size[2] % size[1], bx = b / (size[2] * size[1]);
    bool found = false;
    for (int x = bx - around[0]; x <= bx + around[0] && !found; x++)
        for (int y = by - around[1]; y <= by + around[1] && !found; y++)
            for (int z = bz - around[2]; z <= bz + around[2] && !found; z++) {
                const int ux = (x % size[0] + size[0]) % size[0], uy = (y % size[1] + size[1]) % size[1];
                const int at = (ux * size[1] + uy) * size[2] + (z % size[2] + size[2]) % size[2];
                found = bin_start[at + 1] > bin_start[at];
            }
    near[b] = found;
}
