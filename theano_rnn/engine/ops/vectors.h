// Vectors of gcc and clang, as wide as the machine has them, and exchanges of their lanes.

#ifndef THEANO_RNN_VECTORS
#define THEANO_RNN_VECTORS

#include <cstddef>
#include <utility>

#define VECTORS_INLINE static inline __attribute__((always_inline))
// For functions whose sums are to stay in registers: in a large function gcc does not unroll their
// loops, and keeps the sums in memory.
#define OUT_OF_LINE __attribute__((noinline))

namespace vectors {

#if defined(__AVX512F__)
static const int BYTES = 64, REGISTERS = 32;
#elif defined(__AVX__)
static const int BYTES = 32, REGISTERS = 16;
#else
static const int BYTES = 16, REGISTERS = 16;
#endif

template <typename T>
struct Lanes {
    static const int n = BYTES / sizeof(T);
    typedef T vector __attribute__((vector_size(BYTES), aligned(sizeof(T)), may_alias));
};
template <typename T> struct Index { typedef npy_int32 type; };
template <> struct Index<npy_double> { typedef npy_int64 type; };

template <typename T>
VECTORS_INLINE typename Lanes<T>::vector load(const T* at) {
    return *(const typename Lanes<T>::vector*)at;
}

template <typename T>
VECTORS_INLINE void store(T* at, typename Lanes<T>::vector value) {
    *(typename Lanes<T>::vector*)at = value;
}

// The lanes of two vectors, a and b, of which blocks of S lanes are exchanged.
template <typename T, int S>
struct Shuffle {
    typedef typename Lanes<T>::vector vector;
    static const int n = Lanes<T>::n;
#ifdef __clang__
    // Indices must be constants, within the two vectors also for an S that is never used.
    template <std::size_t... l>
    VECTORS_INLINE vector low(vector a, vector b, std::index_sequence<l...>) {
        return __builtin_shufflevector(a, b, int((l & S ? n + l - S : l) % (2 * n))...);
    }
    template <std::size_t... l>
    VECTORS_INLINE vector high(vector a, vector b, std::index_sequence<l...>) {
        return __builtin_shufflevector(a, b, int((l & S ? n + l : l + S) % (2 * n))...);
    }
    VECTORS_INLINE vector low(vector a, vector b) {
        return low(a, b, std::make_index_sequence<n>());
    }
    VECTORS_INLINE vector high(vector a, vector b) {
        return high(a, b, std::make_index_sequence<n>());
    }
#else
    typedef typename Index<T>::type indices __attribute__((vector_size(BYTES)));
    VECTORS_INLINE vector low(vector a, vector b) {
        indices from;
        for (int l = 0; l < n; ++l) from[l] = l & S ? n + l - S : l;
        return __builtin_shuffle(a, b, from);
    }
    VECTORS_INLINE vector high(vector a, vector b) {
        indices from;
        for (int l = 0; l < n; ++l) from[l] = l & S ? n + l : l + S;
        return __builtin_shuffle(a, b, from);
    }
#endif
};

// For rows i and i + S of a square of lanes: blocks of S lanes exchanged across the diagonal.
template <typename T, int S>
VECTORS_INLINE void exchange(typename Lanes<T>::vector* rows) {
    for (int i = 0; i < Lanes<T>::n; ++i) {
        if (i & S) continue;
        const typename Lanes<T>::vector a = rows[i], b = rows[i + S];
        rows[i] = Shuffle<T, S>::low(a, b);
        rows[i + S] = Shuffle<T, S>::high(a, b);
    }
}

template <typename T>
VECTORS_INLINE void transpose(typename Lanes<T>::vector* rows) {
    if (Lanes<T>::n > 8) exchange<T, 8>(rows);
    if (Lanes<T>::n > 4) exchange<T, 4>(rows);
    if (Lanes<T>::n > 2) exchange<T, 2>(rows);
    exchange<T, 1>(rows);
}

// to[h * width + i] = from[i * row + h] for as many rows i as a vector has lanes.
template <typename T>
static inline void transposed(npy_intp columns, const T* from, npy_intp row, T* to,
                              npy_intp width) {
    const int n = Lanes<T>::n;
    npy_intp h = 0;
    for (; h + n <= columns; h += n) {
        typename Lanes<T>::vector square[n];
        for (int i = 0; i < n; ++i) square[i] = load(from + i * row + h);
        transpose<T>(square);
        for (int i = 0; i < n; ++i) store(to + (h + i) * width, square[i]);
    }
    for (; h < columns; ++h)
        for (int i = 0; i < n; ++i) to[h * width + i] = from[i * row + h];
}

}  // namespace vectors

#endif
