// Products of one row and a matrix, as the recurrence of one sequence makes at each step.
//
// A call of BLAS for a hundred rows costs a fifth of its product, and from 9,216 elements on
// OpenBLAS splits it among its threads, which then wait for each other at every step. Here sums stay
// in registers, and one thread computes all. A loop of many steps copies the matrix into panels
// first, which are read in order, cache line by cache line. Compile with -DBLAS_GEMV to call BLAS
// instead.
//
// One thread of an AMD EPYC with AVX-512, float32, a matrix of 100 by 100: 170 ns by rows, 275 by
// columns and 112 in panels, where OpenBLAS's take 285 and 335; of 100 by 400: 1210, 1250 and 820. Of
// the loop's products every other one reads the panels from the last to the first.

#ifndef THEANO_RNN_GEMV
#define THEANO_RNN_GEMV

#include <algorithm>

namespace gemv {

using namespace vectors;

static const npy_intp CACHE = 48 << 10;  // bytes that a first cache holds
static const npy_intp MANY = 16;  // blocks of a panel

// out[j] = sum_l x[l] y[l, j] for j < width, in M vectors. The last one ends with the last column
// and may overlap the one before; of a panel, it does not begin there.
template <int M, bool is_panel, typename T>
static OUT_OF_LINE void columns(npy_intp width, npy_intp k, const T* x, npy_intp dx, const T* y,
                                npy_intp row, T* out) {
    typedef typename Lanes<T>::vector vector;
    const int n = Lanes<T>::n;
    const npy_intp last = width - n;
    vector even[M], odd[M];  // two sums of each: a multiplication does not wait for the one before
    for (int i = 0; i < M; ++i) even[i] = odd[i] = vector{};
    npy_intp l = 0;
    for (; l + 2 <= k; l += 2) {
        const T x0 = x[l * dx], x1 = x[(l + 1) * dx];
        const T *y0 = y + l * row, *y1 = y0 + row;
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
            const npy_intp at = is_panel || i < M - 1 ? i * n : last;
            even[i] += x0 * load(y0 + at);
            odd[i] += x1 * load(y1 + at);
        }
    }
    if (l < k)
        for (int i = 0; i < M; ++i)
            even[i] += x[l * dx] * load(y + l * row + (is_panel || i < M - 1 ? i * n : last));
    for (int i = 0; i < M; ++i) store(out + (i < M - 1 ? i * n : last), even[i] + odd[i]);
}

// The same for as many vectors as the width takes.
template <bool is_panel, typename T>
static inline void columns_of(npy_intp width, npy_intp k, const T* x, npy_intp dx, const T* y,
                              npy_intp row, T* out) {
    const int lanes = Lanes<T>::n;
#define GEMV_CASE(M) case M: columns<M, is_panel>(width, k, x, dx, y, row, out); break;
    switch ((width + lanes - 1) / lanes) {
        GEMV_CASE(1) GEMV_CASE(2) GEMV_CASE(3) GEMV_CASE(4)
        GEMV_CASE(5) GEMV_CASE(6) GEMV_CASE(7) GEMV_CASE(8)
    }
#undef GEMV_CASE
}

// out (n) = x (k) y (k, n), y by rows; n is at least one vector.
template <typename T>
static inline void by_rows(npy_intp n, npy_intp k, const T* x, npy_intp dx, const T* y,
                           npy_intp row, T* out) {
    const int lanes = Lanes<T>::n, most = REGISTERS / 4;
    const npy_intp parts = (n + most * lanes - 1) / (most * lanes);  // of near equal size
    for (npy_intp part = 0; part < parts; ++part) {
        const npy_intp j = part * n / parts, width = (part + 1) * n / parts - j;
        columns_of<false>(width, k, x, dx, y + j, row, out + j);
    }
}

// Each of S vectors with the one S further on: of lanes l and l ^ S the sum of either.
template <typename T, int S>
VECTORS_INLINE void halve(typename Lanes<T>::vector* sums) {
    for (int i = 0; i < S; ++i)
        sums[i] = Shuffle<T, S>::low(sums[i], sums[i + S])
                  + Shuffle<T, S>::high(sums[i], sums[i + S]);
}

// out[j] = y[j] x for as many rows j as a vector has lanes. `last` is the end of x, with zeros for
// what whole vectors have of it.
template <typename T>
VECTORS_INLINE void rows(npy_intp k, const T* x, typename Lanes<T>::vector last, const T* y,
                         npy_intp row, T* out) {
    typedef typename Lanes<T>::vector vector;
    const int n = Lanes<T>::n;
    const int few = n < 8 ? n : 8;  // rows at a time, of which a processor reads ahead
    vector sums[n];
    for (int at = 0; at < n; at += few) {
        for (int i = at; i < at + few; ++i) sums[i] = last * load(y + i * row + k - n);
        for (npy_intp l = 0; l + n <= k; l += n) {
            const vector part = load(x + l);
            for (int i = at; i < at + few; ++i) sums[i] += part * load(y + i * row + l);
        }
    }
    if (n > 8) halve<T, 8>(sums);
    if (n > 4) halve<T, 4>(sums);
    if (n > 2) halve<T, 2>(sums);
    halve<T, 1>(sums);
    store(out, sums[0]);
}

// out (n) = x (k) y (k, n), y by columns, x dense; n and k are at least one vector.
template <typename T>
static inline void by_columns(npy_intp n, npy_intp k, const T* x, const T* y, npy_intp column,
                              T* out) {
    const int lanes = Lanes<T>::n;
    typename Lanes<T>::vector last = load(x + k - lanes);
    for (int l = 0; l < lanes; ++l)
        if (l < lanes - k % lanes) last[l] = 0;
    npy_intp j = 0;
    for (; j + lanes <= n; j += lanes) rows(k, x, last, y + j * column, column, out + j);
    if (j < n) rows(k, x, last, y + (n - lanes) * column, column, out + n - lanes);
}

// ---- by panels: y laid out anew, for as many products as a loop has steps

// The columns of y in panels of near equal width, at most as many vectors as `by_rows` takes at
// once; a panel has its rows one after the other, each vector within cache lines.
template <typename T>
struct Layout {
    static const int lanes = Lanes<T>::n, MOST = REGISTERS / 4;
    npy_intp n, vectors, parts;
    explicit Layout(npy_intp n)
        : n(n), vectors((n + lanes - 1) / lanes), parts((vectors + MOST - 1) / MOST) {}
    npy_intp first(npy_intp part) const { return part * vectors / parts; }  // vector
    npy_intp begin(npy_intp part) const { return std::min(n, first(part) * lanes); }  // column
    int count(npy_intp part) const { return int(first(part + 1) - first(part)); }
    npy_intp size(npy_intp k) const { return vectors * lanes * k; }  // of all panels, in elements
};

// Copy y (k, n), dense by rows or by columns, to panels.
template <typename T>
static inline void pack(npy_intp n, npy_intp k, const T* y, npy_intp row, npy_intp column, T* to) {
    const Layout<T> layout(n);
    const int lanes = layout.lanes;
    for (npy_intp part = 0; part < layout.parts; ++part) {
        const int M = layout.count(part), width = M * lanes;
        for (int i = 0; i < M; ++i) {
            const npy_intp j = i < M - 1 ? layout.begin(part) + i * lanes
                                         : layout.begin(part + 1) - lanes;
            if (column != 1) transposed(k, y + j * column, column, to + i * lanes, width);
            else for (npy_intp l = 0; l < k; ++l)
                store(to + l * width + i * lanes, load(y + l * row + j));
        }
        to += k * width;
    }
}

// out (n) = x (k) y (k, n), y in panels, which are read from the first to the last or, `backwards`,
// from the last to the first: what one product has read last, the next finds in the first cache. A
// lone panel that is larger than the cache is read in blocks of rows, for the same reason. Their sums
// are added in one order, so both directions give the same bits.
template <typename T>
static inline void by_panels(npy_intp n, npy_intp k, const T* x, npy_intp dx, const T* y, T* out,
                             bool backwards) {
    const Layout<T> layout(n);
    const npy_intp bytes = layout.size(k) * npy_intp(sizeof(T));
    if (layout.parts > 1 || bytes <= CACHE) {
        for (npy_intp i = 0; i < layout.parts; ++i) {
            const npy_intp part = backwards ? layout.parts - 1 - i : i, j = layout.begin(part);
            columns_of<true>(layout.begin(part + 1) - j, k, x, dx,
                             y + layout.first(part) * layout.lanes * k,
                             layout.count(part) * layout.lanes, out + j);
        }
        return;
    }
    const npy_intp row = layout.vectors * layout.lanes;
    const npy_intp blocks = std::min(MANY, (bytes + CACHE - 1) / CACHE + 1);
    T sums[MANY * layout.MOST * layout.lanes];
    for (npy_intp i = 0; i < blocks; ++i) {
        const npy_intp block = backwards ? blocks - 1 - i : i, l = block * k / blocks;
        columns_of<true>(n, (block + 1) * k / blocks - l, x + l * dx, dx, y + l * row, row,
                         sums + block * row);
    }
    std::copy(sums, sums + n, out);
    for (npy_intp block = 1; block < blocks; ++block)
        for (npy_intp j = 0; j < n; ++j) out[j] += sums[block * row + j];
}

// Whether panels are faster. By columns a row of products ends in shuffles; by rows, panels gain
// only where the first cache holds them, or where a row of y is longer than a panel's.
template <typename T>
static inline bool gains(npy_intp n, npy_intp k, bool is_by_rows) {
    const Layout<T> layout(n);
    return !is_by_rows || layout.parts > 1 || layout.size(k) * npy_intp(sizeof(T)) <= CACHE;
}

// Whether the functions above can compute it.
template <typename T>
static inline bool fits(npy_intp n, npy_intp k, bool is_by_rows, npy_intp dx) {
#ifdef BLAS_GEMV
    return false;
#else
    return n >= Lanes<T>::n && (is_by_rows || (k >= Lanes<T>::n && dx == 1));
#endif
}

}  // namespace gemv

#endif
