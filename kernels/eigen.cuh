// Eigenvalues and eigenvectors of a symmetric matrix of side N by Jacobi rotations; in registers up to N = 3.
#pragma once

// `a` (N, N) is left with the eigenvalues on its diagonal, the columns of `v` (N, N) are the eigenvectors.
template <int N>
__device__ __forceinline__ void eigen(double (&a)[N][N], double (&v)[N][N]) {
#pragma unroll(N <= 3 ? N : 1)
    for (int i = 0; i < N; i++)
#pragma unroll(N <= 3 ? N : 1)
        for (int j = 0; j < N; j++) v[i][j] = i == j ? 1.0 : 0.0;
#pragma unroll 1
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0.0, trace = 0.0;
#pragma unroll(N <= 3 ? N : 1)
        for (int i = 0; i < N; i++) {
            trace += a[i][i];
#pragma unroll(N <= 3 ? N : 1)
            for (int j = i + 1; j < N; j++) off += a[i][j] * a[i][j];
        }
        if (off <= 1e-34 * trace * trace) break;
#pragma unroll(N <= 3 ? N : 1)
        for (int p = 0; p < N - 1; p++) {
#pragma unroll(N <= 3 ? N : 1)
            for (int q = p + 1; q < N; q++) {
                const double apq = a[p][q];
                if (apq != 0.0) {
                    const double theta = 0.5 * (a[q][q] - a[p][p]) / apq;
                    double t = 1.0 / (fabs(theta) + sqrt(theta * theta + 1.0));
                    if (theta < 0.0) t = -t;
                    const double c = 1.0 / sqrt(t * t + 1.0), s = t * c;
                    a[p][p] -= t * apq;
                    a[q][q] += t * apq;
                    a[p][q] = a[q][p] = 0.0;
#pragma unroll(N <= 3 ? N : 1)
                    for (int r = 0; r < N; r++) {
                        if (r != p && r != q) {
                            const double arp = a[r][p], arq = a[r][q];
                            a[p][r] = a[r][p] = c * arp - s * arq;
                            a[q][r] = a[r][q] = s * arp + c * arq;
                        }
                        const double vp = v[r][p], vq = v[r][q];
                        v[r][p] = c * vp - s * vq;
                        v[r][q] = s * vp + c * vq;
                    }
                }
            }
        }
    }
}
