// Residuals z of the covalent restraints and their derivative rows, one thread a term.
//
// Terms are numbered bonds, bent angles, linear angles, torsions, chirals, and so are residuals (one a term, three a
// linear angle) and rows (2, 3, 3 x 3, 4 and 4 a term).
#include "common.cuh"
#include "bonds.cuh"
#include "angles.cuh"
#include "torsions.cuh"
#include "chirals.cuh"

// atoms (n_term, 4); extra (n_term): the image of a bond's second atom (-1: none), the period of a torsion, 1 for a
// centre of either hand; count (5): terms of each kind. Without `derivative` the rows are left as they are.
extern "C" __global__ void __launch_bounds__(128, 4)
geometry_terms(
    const double* __restrict__ xyz, const int* __restrict__ atoms, const double* __restrict__ ideal,
    const double* __restrict__ sigma, const int* __restrict__ extra, const double* __restrict__ image,
    const int* __restrict__ count, int derivative, double* __restrict__ z, double* __restrict__ rows) {
    int t = thread_index();
    const int bonds = count[0], bent = count[1], linear = count[2], torsions = count[3], chirals = count[4];
    if (t >= bonds + bent + linear + torsions + chirals) return;
    const double value = ideal[t], width = sigma[t];
    const int what = extra[t];
    const Vec3 x1 = load3(xyz, atoms[4 * t]), x2 = load3(xyz, atoms[4 * t + 1]);
    int k = t, at = 0, row = 0;
    if (k < bonds) {
        const double* where = what < 0 ? nullptr : image + 12 * what;
        z[k] = bond_term(x1, x2, where, value, width, derivative ? rows + 6 * k : nullptr);
        return;
    }
    k -= bonds, at += bonds, row += 2 * bonds;
    const Vec3 x3 = load3(xyz, atoms[4 * t + 2]);
    if (k < bent) {
        z[at + k] = bent_term(x1, x2, x3, value, width, derivative ? rows + 3 * (row + 3 * k) : nullptr);
        return;
    }
    k -= bent, at += bent, row += 3 * bent;
    if (k < linear) {
        linear_term(x1, x2, x3, width, z + at + 3 * k, derivative ? rows + 3 * (row + 9 * k) : nullptr);
        return;
    }
    k -= linear, at += 3 * linear, row += 9 * linear;
    const Vec3 x4 = load3(xyz, atoms[4 * t + 3]);
    if (k < torsions) {
        double* out = derivative ? rows + 3 * (row + 4 * k) : nullptr;
        z[at + k] = torsion_term(x1, x2, x3, x4, value, width, what, out);
        return;
    }
    k -= torsions, at += torsions, row += 4 * torsions;
    z[at + k] = chiral_term(x1, x2, x3, x4, value, width, what, derivative ? rows + 3 * (row + 4 * k) : nullptr);
}

// The angle itself minus ideal over sigma (radians) of every angle, (nearly) straight or not: angles (n, 3).
extern "C" __global__ void __launch_bounds__(128, 4)
angle_residuals(
    const double* __restrict__ xyz, const int* __restrict__ angles, const double* __restrict__ ideal,
    const double* __restrict__ sigma, int n, double* __restrict__ residual) {
    int t = thread_index();
    if (t >= n) return;
    const Vec3 x1 = load3(xyz, angles[3 * t]), x2 = load3(xyz, angles[3 * t + 1]);
    residual[t] = bent_term(x1, x2, load3(xyz, angles[3 * t + 2]), ideal[t], sigma[t], nullptr);
}
