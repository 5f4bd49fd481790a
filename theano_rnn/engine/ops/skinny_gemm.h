// Skinny GEMM: products of a matrix with few rows and one with many, as in an output layer.
//
// BLAS is made for matrices that are large both ways: it copies both into blocks of its own, and
// for twenty rows that costs as much as the product. Here the large matrix is read once, in the
// order in which it lies in memory, and the results stay in registers. For 20 rows, 100 columns and
// 8000 rows, float32, one thread of an AMD EPYC, the three products take 530 us with AVX-512 and 920
// by AVX2; OpenBLAS's take 1232 and 1411.

#ifndef THEANO_RNN_SKINNY_GEMM
#define THEANO_RNN_SKINNY_GEMM

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <vector>

namespace skinny_gemm {

using namespace vectors;

// A product is skinny if one dimension is at most FEW and another at least MANY. From some fifty
// rows on, BLAS is as fast.
static const npy_intp FEW = 32, MANY = 256;

static const int BLOCK = 128;  // terms of a sum that stay in the first cache

// Sums that stay in registers: of ROWS rows, in VECTORS vectors each. Others of near this number
// were slower.
static const int ROWS = 6, VECTORS = REGISTERS == 32 ? 4 : 2;

template <int M>
struct Block {
    template <typename Work>
    static inline void compute(npy_intp rows, npy_intp i, const Work& work) {
        if (rows == M) work(std::integral_constant<int, M>(), i);
        else Block<M - 1>::compute(rows, i, work);
    }
};
template <>
struct Block<0> {
    template <typename Work>
    static inline void compute(npy_intp, npy_intp, const Work&) {}
};

// Call work(rows, i) for blocks of near equal size, at most ROWS rows from i on. The type of `rows`
// has their number.
template <typename Work>
static inline void in_blocks(npy_intp m, const Work& work) {
    const npy_intp blocks = (m + ROWS - 1) / ROWS;
    for (npy_intp block = 0; block < blocks; ++block) {
        const npy_intp i = block * m / blocks;
        Block<ROWS>::compute((block + 1) * m / blocks - i, i, work);
    }
}

// ---- x y', y of many rows

// to[h * width + j] = from[j * row + h] for j < rows <= width, zeros for the other j.
template <typename T>
static inline void pack(npy_intp rows, int width, npy_intp columns, const T* from, npy_intp row,
                        T* to) {
    const int n = Lanes<T>::n;
    npy_intp j = 0;
    for (; j + n <= rows; j += n) transposed(columns, from + j * row, row, to + j, width);
    for (; j < width; ++j)
        for (npy_intp h = 0; h < columns; ++h)
            to[h * width + j] = j < rows ? from[j * row + h] : T(0);
}

// out[i, :] = sum_h x[i, h] packed[h, :] for M rows i, in N vectors.
template <int M, int N, typename T>
static OUT_OF_LINE void rows_by_packed(npy_intp k, const T* x, npy_intp x_row,
                                       npy_intp x_column, const T* packed, T* out,
                                       npy_intp out_row) {
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
    const int width = VECTORS * Lanes<T>::n;
    void* memory = NULL;
    if (posix_memalign(&memory, 64, (k * width + ROWS * width) * sizeof(T))) return false;
    T *packed = (T*)memory, *edge = packed + k * width;
    for (npy_intp v = 0; v < n; v += width) {
        const npy_intp columns = std::min<npy_intp>(width, n - v);
        pack(columns, width, k, y + v * y_row, y_row, packed);
        in_blocks(m, [=](auto rows, npy_intp i) {
            const int M = decltype(rows)::value;
            T* const at = columns == width ? out + i * out_row + v : edge;
            rows_by_packed<M, VECTORS>(k, x + i * x_row, x_row, x_column, packed, at,
                                       columns == width ? out_row : width);
            for (int r = 0; at == edge && r < M; ++r)
                std::memcpy(out + (i + r) * out_row + v, edge + r * width, columns * sizeof(T));
        });
    }
    std::free(memory);
    return true;
}

// ---- out = beta out + alpha x y, y by rows

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

// out[i, :] = beta out[i, :] + alpha sum_l x[i, l] packed[l, :] for M rows i and the columns of N
// vectors.
template <int M, int N, typename T>
static OUT_OF_LINE void add_rows(npy_intp k, npy_intp columns, T alpha, const T* x,
                                 npy_intp x_row, npy_intp x_column, const T* packed, T beta,
                                 T* out, npy_intp out_row) {
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
            sum[i][j] = beta * load(to + (j < N - 1 ? j * n : last)) + alpha * sum[i][j];
        for (int j = 0; j < N; ++j) store(to + (j < N - 1 ? j * n : last), sum[i][j]);
    }
}

template <int N, typename T>
static inline void add_columns(npy_intp m, npy_intp k, npy_intp columns, T alpha, const T* x,
                               npy_intp x_row, npy_intp x_column, const T* y, npy_intp y_row,
                               T* packed, T beta, T* out, npy_intp out_row) {
    pack_rows<N>(k, columns, y, y_row, packed);
    in_blocks(m, [=](auto rows, npy_intp i) {
        add_rows<decltype(rows)::value, N>(k, columns, alpha, x + i * x_row, x_row, x_column,
                                           packed, beta, out + i * out_row, out_row);
    });
}

// out (m, n) = beta out + alpha x (m, k) y (k, n); y and out by rows; n is at least one vector.
// False if there is no memory.
template <typename T>
static inline bool add(npy_intp m, npy_intp n, npy_intp k, T alpha, const T* x, npy_intp x_row,
                       npy_intp x_column, const T* y, npy_intp y_row, T beta, T* out,
                       npy_intp out_row) {
    const int lanes = Lanes<T>::n;
    const npy_intp vectors = (n + lanes - 1) / lanes, parts = (vectors + VECTORS - 1) / VECTORS;
    void* packed = NULL;
    if (posix_memalign(&packed, 64, BLOCK * VECTORS * BYTES)) return false;
    for (npy_intp l = 0; l < k; l += BLOCK) {
        const npy_intp terms = std::min<npy_intp>(BLOCK, k - l);
        for (npy_intp part = 0; part < parts; ++part) {
            const npy_intp first = part * vectors / parts, j = first * lanes;
            const npy_intp last = (part + 1) * vectors / parts;
            const npy_intp columns = std::min(n, last * lanes) - j;
#define SKINNY_CASE(N)                                                                      \
    case N:                                                                                 \
        add_columns<N>(m, terms, columns, alpha, x + l * x_column, x_row, x_column,         \
                       y + l * y_row + j, y_row, (T*)packed, l ? T(1) : beta, out + j,      \
                       out_row);                                                            \
        break;
            switch (last - first) { SKINNY_CASE(1) SKINNY_CASE(2) SKINNY_CASE(3) SKINNY_CASE(4) }
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
    const int parts = threads::number(m * n * k);
    const npy_intp piece = (n / parts + 63) / 64 * 64;
    return threads::run(parts, [=](int i) {
        const npy_intp begin = std::min(n, i * piece);
        const npy_intp end = i + 1 == parts ? n : std::min(n, begin + piece);
        return by_transposed(m, end - begin, k, x, x_row, x_column, y + begin * y_row, y_row,
                             out + begin, out_row);
    });
}

template <typename T>
static inline bool add_in_threads(npy_intp m, npy_intp n, npy_intp k, T alpha, const T* x,
                                  npy_intp x_row, npy_intp x_column, const T* y, npy_intp y_row,
                                  T beta, T* out, npy_intp out_row) {
    const int parts = threads::number(m * n * k);
    if (m >= k)
        return threads::run(parts, [=](int i) {
            const npy_intp begin = m * i / parts, rows = m * (i + 1) / parts - begin;
            return add(rows, n, k, alpha, x + begin * x_row, x_row, x_column, y, y_row,
                       beta, out + begin * out_row, out_row);
        });
    // Sums of parts of the terms: the first one goes to `out`, the others are added to it in order.
    std::vector<T> sums((parts - 1) * m * n);
    const bool done = threads::run(parts, [=, &sums](int i) {
        const npy_intp begin = k * i / parts, terms = k * (i + 1) / parts - begin;
        return add(m, n, terms, alpha, x + begin * x_column, x_row, x_column, y + begin * y_row,
                   y_row, i ? T(1) : beta, i ? sums.data() + (i - 1) * m * n : out,
                   i ? n : out_row);
    });
    for (int i = 1; done && i < parts; ++i)
        for (npy_intp r = 0; r < m; ++r)
            for (npy_intp c = 0; c < n; ++c)
                out[r * out_row + c] += sums[((i - 1) * m + r) * n + c];
    return done;
}

}  // namespace skinny_gemm

#endif
