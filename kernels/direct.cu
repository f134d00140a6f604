// Structure factors by exact summation over atoms, float64: the slow twin that checks the transform.
#include "common.cuh"

// F(h) = n_centring Σ_ops Σ_atoms q f(s) exp(−T) exp(2πi h(Rx + t)); one block a reflection.  frac (3, 3) Cartesian to
// fractional, row-major; dynamic shared memory holds the form factor of each scatterer at this s.
extern "C" __global__ void __launch_bounds__(128)
direct_sum(const int* __restrict__ hkl, const int* __restrict__ rotations, const int* __restrict__ translations,
           int n_op, const double* __restrict__ frac, const double* __restrict__ gauss_a,
           const double* __restrict__ gauss_b, int n_scatterer, int n_gauss, const double* __restrict__ xyz,
           const double* __restrict__ b_iso, const double* __restrict__ u_aniso, const bool* __restrict__ is_aniso,
           const double* __restrict__ weight, const int* __restrict__ kind, int n_atom, double n_centring,
           double2* __restrict__ out) {
    DYNAMIC_SHARED(double, form);
    __shared__ double space[32];
    const int i = blockIdx.x;
    const double h = hkl[3 * i], k = hkl[3 * i + 1], l = hkl[3 * i + 2];
    const double sx = h * frac[0] + k * frac[3] + l * frac[6];
    const double sy = h * frac[1] + k * frac[4] + l * frac[7];
    const double sz = h * frac[2] + k * frac[5] + l * frac[8];
    const double quarter = 0.25 * (sx * sx + sy * sy + sz * sz);
    for (int c = threadIdx.x; c < n_scatterer; c += blockDim.x) {
        double f = 0.0;
        for (int g = 0; g < n_gauss; ++g) f += gauss_a[c * n_gauss + g] * exp(-gauss_b[c * n_gauss + g] * quarter);
        form[c] = f;
    }
    __syncthreads();
    double re = 0.0, im = 0.0;
    for (int op = 0; op < n_op; ++op) {
        const int* r = rotations + 9 * op;
        const int* t = translations + 3 * op;
        const double hh = h * r[0] + k * r[3] + l * r[6];
        const double kk = h * r[1] + k * r[4] + l * r[7];
        const double ll = h * r[2] + k * r[5] + l * r[8];
        const double shift = (h * t[0] + k * t[1] + l * t[2]) / 24.0;
        const double qx = hh * frac[0] + kk * frac[3] + ll * frac[6];
        const double qy = hh * frac[1] + kk * frac[4] + ll * frac[7];
        const double qz = hh * frac[2] + kk * frac[5] + ll * frac[8];
        for (int a = threadIdx.x; a < n_atom; a += blockDim.x) {
            double exponent = b_iso[a] * quarter;
            if (is_aniso[a]) {
                const double* u = u_aniso + 6 * i64(a);
                exponent = 2.0 * PI * PI * (u[0] * qx * qx + u[1] * qy * qy + u[2] * qz * qz
                                            + 2.0 * (u[3] * qx * qy + u[4] * qx * qz + u[5] * qy * qz));
            }
            const double f = weight[a] * form[kind[a]] * exp(-exponent);
            const double* x = xyz + 3 * i64(a);
            double cosine, sine;
            sincospi(2.0 * (qx * x[0] + qy * x[1] + qz * x[2] + shift), &sine, &cosine);
            re += f * cosine;
            im += f * sine;
        }
    }
    re = block_sum(re, space);
    im = block_sum(im, space);
    if (threadIdx.x == 0) out[i] = make_double2(re * n_centring, im * n_centring);
}
