// Skinny GEMM: products of a matrix with few rows and one with many, as in an output layer.
//
// BLAS is made for matrices that are large both ways: it copies both into blocks of its own, and
// for twenty rows that costs as much as the product. Here the large matrix is read once, in the
// order in which it lies in memory, and the results stay in registers. Vectors are those of gcc, as
// wide as the machine has them. For 20 rows, 100 columns and 8000 rows, float32, one thread of an
// AMD EPYC with AVX-512, the three products take 560 us; OpenBLAS's take 1232, and 1411 by AVX2.

#ifndef THEANO_RNN_SKINNY_GEMM
#define THEANO_RNN_SKINNY_GEMM

#include <algorithm>
#include <cstdlib>
#include <cstring>
#ifdef _OPENMP
#include <omp.h>
#else
static inline int omp_get_num_procs() { return 1; }
#endif
#include <pthread.h>
#include <utility>
#include <vector>

#define SKINNY_INLINE static inline __attribute__((always_inline))

namespace skinny_gemm {

#if defined(__AVX512F__)
static const int BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
static const int BYTES = 32, REGISTERS = 16;
#else
static const int BYTES = 16, REGISTERS = 16;
#endif

// A product is skinny if one dimension is at most FEW and another at least MANY. From some fifty
// rows on, BLAS is as fast.
static const npy_intp FEW = 32, MANY = 256;

static const int BLOCK = 64;  // terms of a sum that stay in the first cache

template <typename T>
struct Lanes {
    static const int n = BYTES / sizeof(T);
    typedef T vector __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
};
template <typename T> struct Index { typedef npy_int32 type; };
template <> struct Index<npy_double> { typedef npy_int64 type; };

template <typename T>
SKINNY_INLINE typename Lanes<T>::vector load(const T* at) {
    return *(const typename Lanes<T>::vector*)at;
}

template <typename T>
SKINNY_INLINE void store(T* at, typename Lanes<T>::vector value) {
    *(typename Lanes<T>::vector*)at = value;
}

// ---- threads

// Multiplications for each thread. With fewer, a product ends before a second thread has begun.
static const npy_intp WORTH_A_THREAD = 2000000;

// The threads of gcc's OpenMP do not survive a fork: the child uses one.
static bool is_forked = false;
static void note_fork() { is_forked = true; }

static int asked_for() {
    pthread_atfork(NULL, NULL, note_fork);
    const char* text = std::getenv("OPENBLAS_NUM_THREADS");
    if (text == NULL || *text == 0) text = std::getenv("OMP_NUM_THREADS");
    return std::min(std::max(text == NULL ? 1 : std::atoi(text), 1), omp_get_num_procs());
}

// As many as the user sets for BLAS; one if nothing is set.
static inline int threads(npy_intp multiplications) {
    static const int asked = asked_for();
    if (is_forked) return 1;
    return int(std::min<npy_intp>(asked, std::max<npy_intp>(multiplications / WORTH_A_THREAD, 1)));
}

// Call work(i) for i < n, each in a thread of its own. Returns whether all returned true.
template <typename Work>
static inline bool in_threads(int n, const Work& work) {
    bool done = true;
    if (n == 1) return work(0);
#pragma omp parallel for num_threads(n) schedule(static, 1) reduction(&& : done)
    for (int i = 0; i < n; ++i) done = work(i) && done;
    return done;
}

// ---- x y', y of many rows

// The lanes of two vectors, a and b, of which blocks of S lanes are exchanged.
template <typename T, int S>
struct Shuffle {
    typedef typename Lanes<T>::vector vector;
    static const int n = Lanes<T>::n;
#ifdef __clang__
    // Indices must be constants, within the two vectors also for an S that is never used.
    template <std::size_t... l>
    SKINNY_INLINE vector low(vector a, vector b, std::index_sequence<l...>) {
        return __builtin_shufflevector(a, b, int((l & S ? n + l - S : l) % (2 * n))...);
    }
    template <std::size_t... l>
    SKINNY_INLINE vector high(vector a, vector b, std::index_sequence<l...>) {
        return __builtin_shufflevector(a, b, int((l & S ? n + l : l + S) % (2 * n))...);
    }
    SKINNY_INLINE vector low(vector a, vector b) {
        return low(a, b, std::make_index_sequence<n>());
    }
    SKINNY_INLINE vector high(vector a, vector b) {
        return high(a, b, std::make_index_sequence<n>());
    }
#else
    typedef typename Index<T>::type indices __attribute__((vector_size(BYTES)));
    SKINNY_INLINE vector low(vector a, vector b) {
        indices from;
        for (int l = 0; l < n; ++l) from[l] = l & S ? n + l - S : l;
        return __builtin_shuffle(a, b, from);
    }
    SKINNY_INLINE vector high(vector a, vector b) {
        indices from;
        for (int l = 0; l < n; ++l) from[l] = l & S ? n + l : l + S;
        return __builtin_shuffle(a, b, from);
    }
#endif
};

// For rows i and i + S of a square of lanes: blocks of S lanes exchanged across the diagonal.
template <typename T, int S>
SKINNY_INLINE void exchange(typename Lanes<T>::vector* rows) {
    for (int i = 0; i < Lanes<T>::n; ++i) {
        if (i & S) continue;
        const typename Lanes<T>::vector a = rows[i], b = rows[i + S];
        rows[i] = Shuffle<T, S>::low(a, b);
        rows[i + S] = Shuffle<T, S>::high(a, b);
    }
}

template <typename T>
SKINNY_INLINE void transpose(typename Lanes<T>::vector* rows) {
    if (Lanes<T>::n > 8) exchange<T, 8>(rows);
    if (Lanes<T>::n > 4) exchange<T, 4>(rows);
    if (Lanes<T>::n > 2) exchange<T, 2>(rows);
    exchange<T, 1>(rows);
}

// to[h * width + j] = from[j * row + h] for j < rows <= width, zeros for the other j.
template <typename T>
static inline void pack(npy_intp rows, int width, npy_intp columns, const T* from, npy_intp row,
                        T* to) {
    const int n = Lanes<T>::n;
    npy_intp j = 0;
    for (; j + n <= rows; j += n) {
        npy_intp h = 0;
        for (; h + n <= columns; h += n) {
            typename Lanes<T>::vector square[n];
            for (int i = 0; i < n; ++i) square[i] = load(from + (j + i) * row + h);
            transpose<T>(square);
            for (int i = 0; i < n; ++i) store(to + (h + i) * width + j, square[i]);
        }
        for (; h < columns; ++h)
            for (int i = 0; i < n; ++i) to[h * width + j + i] = from[(j + i) * row + h];
    }
    for (; j < width; ++j)
        for (npy_intp h = 0; h < columns; ++h)
            to[h * width + j] = j < rows ? from[j * row + h] : T(0);
}

// out[i, :] = sum_h x[i, h] packed[h, :] for M rows i, in N vectors.
template <int M, int N, typename T>
static inline void rows_by_packed(npy_intp k, const T* x, npy_intp x_row, npy_intp x_column,
                                  const T* packed, T* out, npy_intp out_row) {
    typedef typename Lanes<T>::vector vector;
    const int n = Lanes<T>::n;
    vector sum[M][N];
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) sum[i][j] = vector{};
    for (npy_intp h = 0; h < k; ++h) {
        vector y[N];
        for (int j = 0; j < N; ++j) y[j] = load(packed + h * N * n + j * n);
        for (int i = 0; i < M; ++i) {
            const T factor = x[i * x_row + h * x_column];
            for (int j = 0; j < N; ++j) sum[i][j] += factor * y[j];
        }
    }
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) store(out + i * out_row + j * n, sum[i][j]);
}

// out (m, n) = x (m, k) y' with y (n, k) by rows; m few, n many.
template <typename T>
static inline bool by_transposed(npy_intp m, npy_intp n, npy_intp k, const T* x, npy_intp x_row,
                                 npy_intp x_column, const T* y, npy_intp y_row, T* out,
                                 npy_intp out_row) {
    const int N = REGISTERS == 32 ? 4 : 2, M = REGISTERS == 32 ? 6 : 4;
    const int width = N * Lanes<T>::n;
    const npy_intp parts = (m + M - 1) / M;  // of near equal size
    void* memory = NULL;
    if (posix_memalign(&memory, 64, (k * width + M * width) * sizeof(T))) return false;
    T *packed = (T*)memory, *edge = packed + k * width;
    for (npy_intp v = 0; v < n; v += width) {
        const npy_intp columns = std::min<npy_intp>(width, n - v);
        pack(columns, width, k, y + v * y_row, y_row, packed);
        for (npy_intp part = 0; part < parts; ++part) {
            const npy_intp i = part * m / parts, rows = (part + 1) * m / parts - i;
            T* at = columns == width ? out + i * out_row + v : edge;
            const npy_intp at_row = columns == width ? out_row : width;
            const T* from = x + i * x_row;
            switch (rows) {
                case 1: rows_by_packed<1, N>(k, from, x_row, x_column, packed, at, at_row); break;
                case 2: rows_by_packed<2, N>(k, from, x_row, x_column, packed, at, at_row); break;
                case 3: rows_by_packed<3, N>(k, from, x_row, x_column, packed, at, at_row); break;
                case 4: rows_by_packed<4, N>(k, from, x_row, x_column, packed, at, at_row); break;
                case 5: rows_by_packed<5, N>(k, from, x_row, x_column, packed, at, at_row); break;
                case 6: rows_by_packed<6, N>(k, from, x_row, x_column, packed, at, at_row); break;
            }
            if (at == edge)
                for (npy_intp r = 0; r < rows; ++r)
                    std::memcpy(out + (i + r) * out_row + v, edge + r * width,
                                columns * sizeof(T));
        }
    }
    std::free(memory);
    return true;
}

// ---- out += x y, y by rows

// Copy y to N vectors a row that lie within cache lines. The last vector ends with the last column
// and may overlap the one before.
template <int N, typename T>
static inline void pack_rows(npy_intp rows, npy_intp columns, const T* y, npy_intp y_row, T* to) {
    const int n = Lanes<T>::n;
    for (npy_intp l = 0; l < rows; ++l) {
        const T* from = y + l * y_row;
        for (int j = 0; j < N; ++j)
            store(to + (l * N + j) * n, load(from + (j < N - 1 ? j * n : columns - n)));
    }
}

// out[i, :] += alpha sum_l x[i, l] packed[l, :] for M rows i and the columns of N vectors.
template <int M, int N, typename T>
static inline void add_rows(npy_intp k, npy_intp columns, T alpha, const T* x, npy_intp x_row,
                            npy_intp x_column, const T* packed, T* out, npy_intp out_row) {
    typedef typename Lanes<T>::vector vector;
    const int n = Lanes<T>::n;
    const npy_intp last = columns - n;
    vector sum[M][N];
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j) sum[i][j] = vector{};
    for (npy_intp l = 0; l < k; ++l) {
        vector row[N];
        for (int j = 0; j < N; ++j) row[j] = load(packed + (l * N + j) * n);
        for (int i = 0; i < M; ++i) {
            const T factor = x[i * x_row + l * x_column];
            for (int j = 0; j < N; ++j) sum[i][j] += factor * row[j];
        }
    }
    // Two vectors may overlap: all are read before any is written, so both write the same sum.
    for (int i = 0; i < M; ++i) {
        T* to = out + i * out_row;
        for (int j = 0; j < N; ++j)
            sum[i][j] = load(to + (j < N - 1 ? j * n : last)) + alpha * sum[i][j];
        for (int j = 0; j < N; ++j) store(to + (j < N - 1 ? j * n : last), sum[i][j]);
    }
}

template <int N, typename T>
static inline void add_columns(npy_intp m, npy_intp k, npy_intp columns, T alpha, const T* x,
                               npy_intp x_row, npy_intp x_column, const T* y, npy_intp y_row,
                               T* packed, T* out, npy_intp out_row) {
    const int M = REGISTERS == 32 ? 3 : 4;
    pack_rows<N>(k, columns, y, y_row, packed);
    npy_intp i = 0;
    for (; i + M <= m; i += M)
        add_rows<M, N>(k, columns, alpha, x + i * x_row, x_row, x_column, packed,
                       out + i * out_row, out_row);
    for (; i < m; ++i)
        add_rows<1, N>(k, columns, alpha, x + i * x_row, x_row, x_column, packed,
                       out + i * out_row, out_row);
}

// out (m, n) += alpha x (m, k) y (k, n); y and out by rows; n is at least one vector. False if
// there is no memory.
template <typename T>
static inline bool add(npy_intp m, npy_intp n, npy_intp k, T alpha, const T* x, npy_intp x_row,
                       npy_intp x_column, const T* y, npy_intp y_row, T* out, npy_intp out_row) {
    const int most = REGISTERS == 32 ? 7 : 2, lanes = Lanes<T>::n;
    const npy_intp parts = (n + most * lanes - 1) / (most * lanes);  // of near equal size
    void* packed = NULL;
    if (posix_memalign(&packed, 64, BLOCK * most * BYTES)) return false;
    for (npy_intp l = 0; l < k; l += BLOCK) {
        const npy_intp terms = std::min<npy_intp>(BLOCK, k - l);
        for (npy_intp part = 0; part < parts; ++part) {
            const npy_intp j = part * n / parts, columns = (part + 1) * n / parts - j;
#define SKINNY_CASE(N)                                                                      \
    case N:                                                                                 \
        add_columns<N>(m, terms, columns, alpha, x + l * x_column, x_row, x_column,         \
                       y + l * y_row + j, y_row, (T*)packed, out + j, out_row);             \
        break;
            switch ((columns + lanes - 1) / lanes) {
                SKINNY_CASE(1) SKINNY_CASE(2) SKINNY_CASE(3) SKINNY_CASE(4)
                SKINNY_CASE(5) SKINNY_CASE(6) SKINNY_CASE(7)
            }
#undef SKINNY_CASE
        }
    }
    std::free(packed);
    return true;
}

// ---- the same in threads, each with a part of the long dimension

template <typename T>
static inline bool by_transposed_in_threads(npy_intp m, npy_intp n, npy_intp k, const T* x,
                                            npy_intp x_row, npy_intp x_column, const T* y,
                                            npy_intp y_row, T* out, npy_intp out_row) {
    const int parts = threads(m * n * k);
    const npy_intp piece = (n / parts + 63) / 64 * 64;
    return in_threads(parts, [=](int i) {
        const npy_intp begin = std::min(n, i * piece);
        const npy_intp end = i + 1 == parts ? n : std::min(n, begin + piece);
        return by_transposed(m, end - begin, k, x, x_row, x_column, y + begin * y_row, y_row,
                             out + begin, out_row);
    });
}

template <typename T>
static inline bool add_in_threads(npy_intp m, npy_intp n, npy_intp k, T alpha, const T* x,
                                  npy_intp x_row, npy_intp x_column, const T* y, npy_intp y_row,
                                  T* out, npy_intp out_row) {
    const int parts = threads(m * n * k);
    if (m >= k)
        return in_threads(parts, [=](int i) {
            const npy_intp begin = m * i / parts, rows = m * (i + 1) / parts - begin;
            return add(rows, n, k, alpha, x + begin * x_row, x_row, x_column, y, y_row,
                       out + begin * out_row, out_row);
        });
    // Sums of parts of the terms: the first one goes to `out`, the others are added to it in order.
    std::vector<T> sums((parts - 1) * m * n);
    const bool done = in_threads(parts, [=, &sums](int i) {
        const npy_intp begin = k * i / parts, terms = k * (i + 1) / parts - begin;
        return add(m, n, terms, alpha, x + begin * x_column, x_row, x_column, y + begin * y_row,
                   y_row, i ? sums.data() + (i - 1) * m * n : out, i ? n : out_row);
    });
    for (int i = 1; done && i < parts; ++i)
        for (npy_intp r = 0; r < m; ++r)
            for (npy_intp c = 0; c < n; ++c)
                out[r * out_row + c] += sums[((i - 1) * m + r) * n + c];
    return done;
}

}  // namespace skinny_gemm

#endif
