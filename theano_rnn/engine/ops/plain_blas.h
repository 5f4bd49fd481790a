// The products of BLAS in plain C++, for where there is no BLAS: loop.h finds these by its names.
//
// Right for all arguments that BLAS takes, and slower: one thread, no blocks.

#ifndef THEANO_RNN_PLAIN_BLAS
#define THEANO_RNN_PLAIN_BLAS

#include <algorithm>

namespace plain_blas {

// y = beta y; what y holds does not matter if beta is 0.
template <typename T>
static inline void scale(npy_intp n, T beta, T* y, npy_intp dy) {
    if (beta == 1) return;
    for (npy_intp i = 0; i < n; ++i) y[i * dy] = beta == 0 ? 0 : beta * y[i * dy];
}

// c (m, n) = alpha a b + beta c, by columns; a is (m, k), or (k, m) if ta is not 'N'; b likewise.
template <typename T>
static void gemm(char ta, char tb, npy_intp m, npy_intp n, npy_intp k, T alpha, const T* a,
                 npy_intp lda, const T* b, npy_intp ldb, T beta, T* c, npy_intp ldc) {
    for (npy_intp j = 0; j < n; ++j) {
        T* const to = c + j * ldc;
        const T* const y = tb == 'N' ? b + j * ldb : b + j;
        const npy_intp dy = tb == 'N' ? 1 : ldb;
        scale(m, beta, to, 1);
        if (ta == 'N') {
            for (npy_intp l = 0; l < k; ++l) {
                const T factor = alpha * y[l * dy];
#pragma omp simd
                for (npy_intp i = 0; i < m; ++i) to[i] += factor * a[l * lda + i];
            }
        } else {
            for (npy_intp i = 0; i < m; ++i) {
                T sum = 0;
#pragma omp simd reduction(+ : sum)
                for (npy_intp l = 0; l < k; ++l) sum += a[i * lda + l] * y[l * dy];
                to[i] += alpha * sum;
            }
        }
    }
}

// y = alpha a x + beta y, a of (m, n) by columns, or its transpose. The first element of a vector
// with a negative step is its last in memory.
template <typename T, bool IS_DENSE>
static void strided_gemv(char t, npy_intp m, npy_intp n, T alpha, const T* a, npy_intp lda,
                         const T* x, npy_intp x_step, T beta, T* y, npy_intp y_step) {
    const npy_intp dx = IS_DENSE ? 1 : x_step, dy = IS_DENSE ? 1 : y_step;
    const npy_intp from = t == 'N' ? n : m, to = t == 'N' ? m : n;
    if (dx < 0) x -= (from - 1) * dx;
    if (dy < 0) y -= (to - 1) * dy;
    scale(to, beta, y, dy);
    for (npy_intp j = 0; j < n; ++j) {
        const T* const column = a + j * lda;
        if (t == 'N') {
            const T factor = alpha * x[j * dx];
#pragma omp simd
            for (npy_intp i = 0; i < m; ++i) y[i * dy] += factor * column[i];
        } else {
            T sum = 0;
#pragma omp simd reduction(+ : sum)
            for (npy_intp i = 0; i < m; ++i) sum += column[i] * x[i * dx];
            y[j * dy] += alpha * sum;
        }
    }
}

template <typename T>
static void gemv(char t, npy_intp m, npy_intp n, T alpha, const T* a, npy_intp lda, const T* x,
                 npy_intp dx, T beta, T* y, npy_intp dy) {
    if (dx == 1 && dy == 1) strided_gemv<T, true>(t, m, n, alpha, a, lda, x, 1, beta, y, 1);
    else strided_gemv<T, false>(t, m, n, alpha, a, lda, x, dx, beta, y, dy);
}

}  // namespace plain_blas

extern "C" {
#define PLAIN_BLAS(T, GEMM, GEMV)                                                                 \
    static inline void GEMM(char* ta, char* tb, const int* m, const int* n, const int* k,         \
                            const T* alpha, const T* a, const int* lda, const T* b,               \
                            const int* ldb, const T* beta, T* c, const int* ldc) {                \
        plain_blas::gemm<T>(*ta, *tb, *m, *n, *k, *alpha, a, *lda, b, *ldb, *beta, c, *ldc);      \
    }                                                                                             \
    static inline void GEMV(char* t, const int* m, const int* n, const T* alpha, const T* a,      \
                            const int* lda, const T* x, const int* dx, const T* beta, T* y,       \
                            const int* dy) {                                                      \
        plain_blas::gemv<T>(*t, *m, *n, *alpha, a, *lda, x, *dx, *beta, y, *dy);                  \
    }
PLAIN_BLAS(float, sgemm_, sgemv_)
PLAIN_BLAS(double, dgemm_, dgemv_)
#undef PLAIN_BLAS
}

#endif
