// bf16 GEMM: products of large float32 matrices, rounded to bf16 before they are multiplied.
//
// bf16 is a float32 without its last 16 bits: 8 bits of precision, the same range. AVX512-BF16 adds
// two products of bf16 to each float32 of a vector in one instruction, where FMA adds one. So the
// matrices are rounded once, to nearest, ties to even, and packed by pairs of terms; the sums stay
// in float32 registers. Of matrices of normal numbers each element is within
// (2^-7 + (k + 2) 2^-23) sum_l |x_il y_lj| of the exact one: theano_rnn/reference/bf16.py says why.
//
// Blocks are those of Goto and van de Geijn, Anatomy of high-performance matrix multiplication
// (2008): a panel of y stays in the first cache, a block of x and a block of y in the second.

#ifndef THEANO_RNN_BF16_GEMM
#define THEANO_RNN_BF16_GEMM

#ifndef __AVX512BF16__
#error "bf16_gemm.h is for processors with AVX512-BF16"
#endif

#include <immintrin.h>

namespace bf16_gemm {

using native_loop::Matrix;

typedef __m512i Pairs;  // LANES pairs of bf16
static const int LANES = 16;
static const int M = 8, N = 3;  // a tile of `out`: M rows of N vectors
// Terms, rows and columns of a block.
static const npy_intp TERMS = 384, ROWS = 256, COLUMNS = 960;
static const npy_intp ROW = TERMS / 2;  // pairs from a packed row to the next

// What is smaller stays float32: there, packing costs much of what it saves.
static const npy_intp LEAST = 16, WORK = npy_intp(1) << 18;

VECTORS_INLINE __mmask16 first(npy_intp n) {
    return n >= LANES ? 0xffff : n <= 0 ? 0 : (1 << n) - 1;
}

// Memory that is read soon. The processor foresees no more than a few rows of a large matrix; what
// lies behind the matrix is fetched in vain, and is no error.
VECTORS_INLINE void fetch(const float* at) { _mm_prefetch((const char*)at, _MM_HINT_T0); }

// The first `terms` numbers at `at` by pairs, then zeros.
VECTORS_INLINE Pairs neighbours(const float* at, npy_intp terms) {
    const __m512 low = _mm512_maskz_loadu_ps(first(terms), at);
    const __m512 high = _mm512_maskz_loadu_ps(first(terms - LANES), at + LANES);
    return (Pairs)_mm512_cvtne2ps_pbh(high, low);
}

// Pairs of a number at `at` and the one `step` behind it; zeros where there are no more terms.
VECTORS_INLINE Pairs apart(const float* at, npy_intp step, npy_intp terms, __mmask16 mask) {
    const __m512 one = _mm512_maskz_loadu_ps(terms > 0 ? mask : 0, at);
    const __m512 other = _mm512_maskz_loadu_ps(terms > 1 ? mask : 0, at + step);
    const Pairs both = (Pairs)_mm512_cvtne2ps_pbh(other, one);  // 16 of one, 16 of the other
    const Pairs low = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(both));
    const Pairs high = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(both, 1));
    return _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
}

// A square of 16 lines (rows of x, or columns of y) and 16 pairs of terms, zeros at its edges: by
// lines, square[l] holds the pairs of line l; otherwise square[p] holds pair p of all lines.
VECTORS_INLINE void load_square(npy_intp lines, npy_intp terms, const float* from, npy_intp line,
                                npy_intp term, bool by_lines, Pairs* square) {
    const bool is_by_lines = term == 1;
    for (npy_intp i = 0; i < LANES; ++i)
        if (is_by_lines) {
            fetch(from + i * line + 4 * LANES);
            fetch(from + i * line + 5 * LANES);
            square[i] = i < lines ? neighbours(from + i * line, terms) : _mm512_setzero_si512();
        } else {
            fetch(from + 2 * i * term + 2 * LANES);
            fetch(from + (2 * i + 1) * term + 2 * LANES);
            square[i] = apart(from + 2 * i * term, term, terms - 2 * i, first(lines));
        }
    if (is_by_lines != by_lines)
        vectors::transpose<float>((vectors::Lanes<float>::vector*)square);
}

// Rows of x: pair p of row i goes to to[i * ROW + p].
static inline void pack_x(npy_intp rows, npy_intp terms, Matrix<const float> x, int* to) {
    for (npy_intp i = 0; i < rows; i += LANES)
        for (npy_intp l = 0; l < terms; l += 2 * LANES) {
            Pairs square[LANES];
            load_square(rows - i, terms - l, x.at + i * x.row + l * x.column, x.row, x.column, true,
                        square);
            for (npy_intp r = 0; r < LANES; ++r)
                _mm512_storeu_si512(to + (i + r) * ROW + l / 2, square[r]);
        }
}

// Columns of y, in `width` vectors: pair p of column j goes to to[(p * width) * LANES + j].
static inline void pack_y(npy_intp terms, npy_intp columns, int width, Matrix<const float> y,
                          int* to) {
    for (npy_intp l = 0; l < terms; l += 2 * LANES)
        for (int v = 0; v < width; ++v) {
            const npy_intp j = v * LANES;
            Pairs square[LANES];
            load_square(columns - j, terms - l, y.at + l * y.row + j * y.column, y.column, y.row,
                        false, square);
            for (npy_intp p = 0; p < LANES; ++p)
                _mm512_storeu_si512(to + ((l / 2 + p) * width + v) * LANES, square[p]);
        }
}

// out = alpha x y, or out += alpha x y, for at most M rows and W vectors of columns.
template <int W>
static inline void tile(npy_intp rows, npy_intp columns, npy_intp pairs, float alpha, const int* x,
                        const int* y, bool adds, float* out, npy_intp out_row) {
    __m512 sum[M][W];
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < W; ++j) sum[i][j] = _mm512_setzero_ps();
    for (int i = 0; i < M && i < rows; ++i)
        for (int j = 0; j < W; ++j) __builtin_prefetch(out + i * out_row + j * LANES, 1);
    for (npy_intp p = 0; p < pairs; ++p) {
        __m512bh terms[W];
        for (int j = 0; j < W; ++j)
            terms[j] = (__m512bh)_mm512_loadu_si512(y + (p * W + j) * LANES);
        for (int i = 0; i < M; ++i) {
            const __m512bh factor = (__m512bh)_mm512_set1_epi32(x[i * ROW + p]);
            for (int j = 0; j < W; ++j)
                sum[i][j] = _mm512_dpbf16_ps(sum[i][j], factor, terms[j]);
        }
    }
    const __m512 factor = _mm512_set1_ps(alpha);
    for (int i = 0; i < M && i < rows; ++i)
        for (int j = 0; j < W; ++j) {
            float* const at = out + i * out_row + j * LANES;
            const __mmask16 mask = first(columns - j * LANES);
            const __m512 result = adds ? _mm512_fmadd_ps(factor, sum[i][j],
                                                         _mm512_maskz_loadu_ps(mask, at))
                                       : _mm512_mul_ps(factor, sum[i][j]);
            _mm512_mask_storeu_ps(at, mask, result);
        }
}

// Columns in panels of at most N vectors, of near equal size.
struct Panels {
    npy_intp vectors, count;
    explicit Panels(npy_intp columns)
        : vectors((columns + LANES - 1) / LANES), count((vectors + N - 1) / N) {}
    npy_intp begin(npy_intp panel) const { return panel * vectors / count; }
    int width(npy_intp panel) const { return int(begin(panel + 1) - begin(panel)); }
};

// out = alpha x y, or out += alpha x y, the rows of out `row` elements apart; no size is 0. False
// if there is no memory.
static inline bool in_one_thread(npy_intp m, npy_intp n, npy_intp k, float alpha,
                                 Matrix<const float> x, Matrix<const float> y, bool adds,
                                 float* out, npy_intp row) {
    const npy_intp x_size = ROWS * ROW, y_size = COLUMNS * ROW;
    void* memory = NULL;
    if (posix_memalign(&memory, 64, (x_size + y_size) * sizeof(int))) return false;
    int *const packed_x = (int*)memory, *const packed_y = packed_x + x_size;
    for (npy_intp j = 0; j < n; j += COLUMNS)
        for (npy_intp l = 0; l < k; l += TERMS) {
            const npy_intp columns = std::min(COLUMNS, n - j), terms = std::min(TERMS, k - l);
            const Panels panels(columns);
            for (npy_intp p = 0; p < panels.count; ++p) {
                const npy_intp c = panels.begin(p) * LANES;
                const float* at = y.at + l * y.row + (j + c) * y.column;
                const Matrix<const float> from = {at, y.row, y.column};
                pack_y(terms, columns - c, panels.width(p), from, packed_y + c * ROW);
            }
            for (npy_intp i = 0; i < m; i += ROWS) {
                const npy_intp rows = std::min(ROWS, m - i);
                const float* at = x.at + i * x.row + l * x.column;
                pack_x(rows, terms, Matrix<const float>{at, x.row, x.column}, packed_x);
                for (npy_intp p = 0; p < panels.count; ++p) {
                    const npy_intp c = panels.begin(p) * LANES;
                    for (npy_intp r = 0; r < rows; r += M) {
#define BF16_CASE(W)                                                                         \
    case W:                                                                                  \
        tile<W>(rows - r, columns - c, (terms + 1) / 2, alpha, packed_x + r * ROW,           \
                packed_y + c * ROW, adds || l > 0, out + (i + r) * row + j + c, row);        \
        break;
                        switch (panels.width(p)) { BF16_CASE(1) BF16_CASE(2) BF16_CASE(3) }
#undef BF16_CASE
                    }
                }
            }
        }
    std::free(memory);
    return true;
}

// The same in as many threads as BLAS uses, each with a part of the rows or of the columns.
static inline bool compute(npy_intp m, npy_intp n, npy_intp k, float alpha, Matrix<const float> x,
                           Matrix<const float> y, bool adds, float* out, npy_intp row) {
    const int parts = threads::number(m * n * k);
    const npy_intp pieces = (std::max(m, n) + LANES - 1) / LANES;
    return threads::run(parts, [=](int i) {
        const npy_intp begin = pieces * i / parts * LANES;
        const npy_intp end = std::min(pieces * (i + 1) / parts * LANES, std::max(m, n));
        if (m >= n)
            return in_one_thread(end - begin, n, k, alpha,
                                 Matrix<const float>{x.at + begin * x.row, x.row, x.column}, y,
                                 adds, out + begin * row, row);
        return in_one_thread(m, end - begin, k, alpha, x,
                             Matrix<const float>{y.at + begin * y.column, y.row, y.column}, adds,
                             out + begin, row);
    });
}

// What native_loop's products ask first: whether this computed it.
static inline bool computed(npy_intp m, npy_intp n, npy_intp k, float alpha, Matrix<const float> x,
                            Matrix<const float> y, bool adds, float* out, npy_intp row) {
    return std::min(std::min(m, n), k) >= LEAST && m * n * k >= WORK
           && compute(m, n, k, alpha, x, y, adds, out, row);
}

static inline bool computed(npy_intp, npy_intp, npy_intp, double, Matrix<const double>,
                            Matrix<const double>, bool, double*, npy_intp) {
    return false;
}

}  // namespace bf16_gemm

#endif
