// The kind of every contact and how near its atoms may come; the contacts near enough are then packed.
//
// Order and meaning of the rules: gpurefine/restraints/contact_classes.py.
#include "common.cuh"

// distances (n, 4): van der Waals radius, ionic radius (not a number: none), covalent radius, what a torsion takes off
enum { VDW = 0, ION = 1, COVALENT = 2, SHORTER = 3 };
// rules (4,): added to the radii of a hydrogen bond of heavy atoms, of one with its hydrogen, sigma, margin
enum { HBOND_HEAVY = 0, HBOND_HYDROGEN = 1, SIGMA = 2, MARGIN = 3 };
enum { DONOR = 1, ACCEPTOR = 2, BOTH = 3, DONATED = 4 };
enum { FROM_TORSION = 1, FROM_BARE = 2 };
enum { KIND_VDW = 0, KIND_TORSION = 1, KIND_HBOND = 2, KIND_METAL = 3, KIND_BARE = 4 };

__device__ __forceinline__ bool takes(int type) { return type == ACCEPTOR || type == BOTH; }
__device__ __forceinline__ bool heavy_polar(int type) { return type >= DONOR && type <= BOTH; }

// first, second, distance, relation (n,) of the contacts; polar (n_atom,): 2 hb_type + is_metal ->
// kind (n,), critical (n,), keep (n,) 1 where the contact is nearer than critical + margin.
extern "C" __global__ void __launch_bounds__(128)
contact_classify(
    const int* __restrict__ first, const int* __restrict__ second, const double* __restrict__ distance,
    const signed char* __restrict__ relation, const double* __restrict__ distances, const int* __restrict__ polar,
    const double* __restrict__ rules, int n, signed char* __restrict__ kind, double* __restrict__ critical,
    int* __restrict__ keep) {
    const int k = thread_index();
    if (k >= n) return;
    const double *one = distances + 4 * first[k], *two = distances + 4 * second[k];
    const int a = polar[first[k]] >> 1, b = polar[second[k]] >> 1;
    const double plain = one[VDW] + two[VDW], ion = one[ION] + two[ION];
    double least = plain;
    int what = KIND_VDW;
    if (((polar[first[k]] | polar[second[k]]) & 1) && ion == ion) {
        least = ion;
        what = KIND_METAL;
    }
    if (heavy_polar(a) && heavy_polar(b) && (a != b || a == BOTH)) {
        least = plain + rules[HBOND_HEAVY];
        what = KIND_HBOND;
    }
    if (takes(a) && b == DONATED) {
        least = one[VDW] + rules[HBOND_HYDROGEN];
        what = KIND_HBOND;
    }
    if (takes(b) && a == DONATED) {
        least = two[VDW] + rules[HBOND_HYDROGEN];
        what = KIND_HBOND;
    }
    if (relation[k] == FROM_TORSION) {
        least = plain + one[SHORTER] + two[SHORTER];
        what = KIND_TORSION;
    } else if (relation[k] == FROM_BARE) {
        least = one[COVALENT] + two[COVALENT];
        what = KIND_BARE;
    }
    kind[k] = (signed char)what;
    critical[k] = least;
    keep[k] = distance[k] < least + rules[MARGIN];
}

// Contact k goes to place at[k] of the packed arrays if it is kept (at[k + 1] > at[k]): atoms (m, 2), op (m,),
// shift (m, 3), limits (m, 2) = critical distance and sigma, kind (m,). A contact of an atom with its own mate counts
// half, one of atoms on special positions 1/multiplicity; images (n_atom,) are the multiplicities less one.
extern "C" __global__ void __launch_bounds__(128)
contact_pack(
    const int* __restrict__ first, const int* __restrict__ second, const int* __restrict__ op,
    const int* __restrict__ shift, const signed char* __restrict__ kind, const double* __restrict__ critical,
    const int* __restrict__ images, const double* __restrict__ rules, const int* __restrict__ at, int n,
    int* __restrict__ packed_atoms, int* __restrict__ packed_op, int* __restrict__ packed_shift,
    double* __restrict__ packed_limits, signed char* __restrict__ packed_kind) {
    const int k = thread_index();
    if (k >= n || at[k] == at[k + 1]) return;
    const int to = at[k], i = first[k], j = second[k];
    const double weight = (i == j ? 0.5 : 1.0) / ((images[i] + 1) * (images[j] + 1));
    packed_atoms[2 * to] = i;
    packed_atoms[2 * to + 1] = j;
    packed_op[to] = op[k];
    for (int c = 0; c < 3; c++) packed_shift[3 * to + c] = shift[3 * k + c];
    packed_limits[2 * to] = critical[k];
    packed_limits[2 * to + 1] = rules[SIGMA] / sqrt(weight);
    packed_kind[to] = kind[k];
}
