// Search for contacts over the cell list, one thread an atom and operation.
//
// Atom i meets atom j under operation g at |x_i - g x_j| = |g^-1 x_i - x_j|, so that only atom i moves. Pairs come in
// the order of i, then g, then the bins: counted, placed by a prefix sum, and written by the same walk.
#include "common.cuh"
#include "vectors.cuh"

// What the search reads. Structures of pointers do not pass through a launch here, so kernels take them one by one and
// put this together.
struct Cells {
    const double* folded;
    const int* origin, *order, *bin_start, *size, *around;
    const unsigned char* near;
};
struct Sites {
    const double* fractional, *radius, *occ;
    const int* mark;  // 2 altloc + heavy
    const int* excluded_start, *excluded_atom;
    const signed char* excluded_kind;
};
// orth (9), margin, squares of the cut-off of heavy atoms and of the distance of an atom to itself
enum { ORTH = 0, MARGIN = 9, HEAVY2 = 10, SELF2 = 11 };
// operations (n_op, 21): inverse rotation, translation, rotation, all on fractional coordinates
enum { INVERSE = 0, SHIFT = 9, ROTATION = 12, OPERATION = 21 };

struct Found {
    int* first, *second, *op, *shift;
    double* distance;
    signed char* relation;
};

__device__ __forceinline__ int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// Whether the pair i, j in the same asymmetric unit is listed, and as what.
__device__ __forceinline__ bool listed_here(const Sites &s, int i, int j, int* kind) {
    const int a = s.mark[i] >> 1, b = s.mark[j] >> 1;
    if (i == j || (a != b && a != 0 && b != 0)) return false;
    for (int e = s.excluded_start[i]; e < s.excluded_start[i + 1]; e++) {
        if (s.excluded_atom[e] == j) {
            *kind = s.excluded_kind[e];
            return *kind != 0;
        }
    }
    return true;
}

// Number of contacts of atom i under operation g; with FILL they are written from `at` on, up to `capacity`.
template <bool FILL>
__device__ __forceinline__ int visit(
    const Cells &c, const Sites &s, const double* rule, const double* operation, int i, int g, int at, int capacity,
    const Found &found, int* images) {
    const double* inverse = operation + INVERSE, *shift = operation + SHIFT;
    const double ax = s.fractional[3 * i] - shift[0], ay = s.fractional[3 * i + 1] - shift[1];
    const double az = s.fractional[3 * i + 2] - shift[2];
    const double fx = inverse[0] * ax + inverse[1] * ay + inverse[2] * az;
    const double fy = inverse[3] * ax + inverse[4] * ay + inverse[5] * az;
    const double fz = inverse[6] * ax + inverse[7] * ay + inverse[8] * az;
    const int nx = c.size[0], ny = c.size[1], nz = c.size[2];
    const int ux = (int)floor(fx * nx), uy = (int)floor(fy * ny), uz = (int)floor(fz * nz);
    const int home_x = ux - floor_div(ux, nx) * nx, home_y = uy - floor_div(uy, ny) * ny;
    if (!c.near[(home_x * ny + home_y) * nz + uz - floor_div(uz, nz) * nz]) return 0;
    const double* o = rule + ORTH;
    const double radius = s.radius[i] + rule[MARGIN], occ = s.occ[i];
    const bool heavy = s.mark[i] & 1;
    int count = 0;
    for (int bx = ux - c.around[0]; bx <= ux + c.around[0]; bx++) {
        const int sx = floor_div(bx, nx);
        for (int by = uy - c.around[1]; by <= uy + c.around[1]; by++) {
            const int sy = floor_div(by, ny);
            for (int bz = uz - c.around[2]; bz <= uz + c.around[2]; bz++) {
                const int sz = floor_div(bz, nz);
                const int b = ((bx - sx * nx) * ny + by - sy * ny) * nz + bz - sz * nz;
                for (int e = c.bin_start[b]; e < c.bin_start[b + 1]; e++) {
                    const int j = c.order[e];
                    if (j < i) continue;
                    const double dx = fx - c.folded[3 * e] - sx, dy = fy - c.folded[3 * e + 1] - sy;
                    const double dz = fz - c.folded[3 * e + 2] - sz;
                    const double x = o[0] * dx + o[1] * dy + o[2] * dz, y = o[4] * dy + o[5] * dz;
                    const double z = o[8] * dz;
                    const double d2 = x * x + y * y + z * z, limit = radius + s.radius[j];
                    if (d2 >= limit * limit && !(heavy && (s.mark[j] & 1) && d2 < rule[HEAVY2])) continue;
                    const int kx = sx - c.origin[3 * e], ky = sy - c.origin[3 * e + 1], kz = sz - c.origin[3 * e + 2];
                    int kind = 0;
                    if (g == 0 && kx == 0 && ky == 0 && kz == 0) {
                        if (!listed_here(s, i, j, &kind)) continue;
                    } else if (i == j && d2 < rule[SELF2]) {
                        ++*images;
                        continue;
                    } else if (occ + s.occ[j] < 1.0001) {
                        continue;
                    }
                    if (FILL && at + count < capacity) {
                        const int k = at + count;
                        const double* r = operation + ROTATION;
                        found.first[k] = i;
                        found.second[k] = j;
                        found.op[k] = g;
                        found.shift[3 * k] = int(r[0] * kx + r[1] * ky + r[2] * kz);
                        found.shift[3 * k + 1] = int(r[3] * kx + r[4] * ky + r[5] * kz);
                        found.shift[3 * k + 2] = int(r[6] * kx + r[7] * ky + r[8] * kz);
                        found.distance[k] = sqrt(d2);
                        found.relation[k] = (signed char)kind;
                    }
                    count++;
                }
            }
        }
    }
    return count;
}

// count (n n_op,) contacts of atom i under operation g at i n_op + g; adds to multiplicity (n,) the operations that
// leave the atom where it is.
extern "C" __global__ void __launch_bounds__(128, 4)
contact_count(
    const double* __restrict__ folded, const int* __restrict__ origin, const int* __restrict__ order,
    const int* __restrict__ bin_start, const int* __restrict__ size, const int* __restrict__ around,
    const unsigned char* __restrict__ near, const double* __restrict__ fractional, const double* __restrict__ radius,
    const double* __restrict__ occ, const int* __restrict__ mark, const int* __restrict__ excluded_start,
    const int* __restrict__ excluded_atom, const signed char* __restrict__ excluded_kind,
    const double* __restrict__ rule, const double* __restrict__ operations, int n, int n_op, int* __restrict__ count,
    int* __restrict__ multiplicity) {
    const int t = thread_index();
    if (t >= n * n_op) return;
    const int g = t / n, i = t - g * n;
    const Cells cells = {folded, origin, order, bin_start, size, around, near};
    const Sites sites = {fractional, radius, occ, mark, excluded_start, excluded_atom, excluded_kind};
    int images = 0;
    const Found none = {nullptr, nullptr, nullptr, nullptr, nullptr, nullptr};
    count[i * n_op + g] = visit<false>(cells, sites, rule, operations + OPERATION * g, i, g, 0, 0, none, &images);
    if (images) atomicAdd(multiplicity + i, images);
}

// Writes the contacts of atom i under operation g from start[i n_op + g] on, as far as `capacity` reaches.
extern "C" __global__ void __launch_bounds__(128, 4)
contact_fill(
    const double* __restrict__ folded, const int* __restrict__ origin, const int* __restrict__ order,
    const int* __restrict__ bin_start, const int* __restrict__ size, const int* __restrict__ around,
    const unsigned char* __restrict__ near, const double* __restrict__ fractional, const double* __restrict__ radius,
    const double* __restrict__ occ, const int* __restrict__ mark, const int* __restrict__ excluded_start,
    const int* __restrict__ excluded_atom, const signed char* __restrict__ excluded_kind,
    const double* __restrict__ rule, const double* __restrict__ operations, int n, int n_op,
    const int* __restrict__ start, int capacity, int* __restrict__ first, int* __restrict__ second,
    int* __restrict__ op, int* __restrict__ shift, double* __restrict__ distance, signed char* __restrict__ relation) {
    const int t = thread_index();
    if (t >= n * n_op) return;
    const int g = t / n, i = t - g * n;
    const Cells cells = {folded, origin, order, bin_start, size, around, near};
    const Sites sites = {fractional, radius, occ, mark, excluded_start, excluded_atom, excluded_kind};
    int images = 0;
    const Found found = {first, second, op, shift, distance, relation};
    visit<true>(
        cells, sites, rule, operations + OPERATION * g, i, g, start[i * n_op + g], capacity, found, &images);
}
