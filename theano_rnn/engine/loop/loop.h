// What every native loop calls: products, and the arrays of a Scan.

#ifndef THEANO_RNN_LOOP
#define THEANO_RNN_LOOP

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

// As Theano declares them.
extern "C" {
void sgemm_(char*, char*, const int*, const int*, const int*, const float*, const float*,
            const int*, const float*, const int*, const float*, float*, const int*);
void dgemm_(char*, char*, const int*, const int*, const int*, const double*, const double*,
            const int*, const double*, const int*, const double*, double*, const int*);
void sgemv_(char*, const int*, const int*, const float*, const float*, const int*, const float*,
            const int*, const float*, float*, const int*);
void dgemv_(char*, const int*, const int*, const double*, const double*, const int*,
            const double*, const int*, const double*, double*, const int*);
}

namespace native_loop {

static inline void one_gemm(char ta, char tb, int m, int n, int k, float alpha, const float* a,
                            int lda, const float* b, int ldb, float beta, float* c, int ldc) {
    sgemm_(&ta, &tb, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}

static inline void one_gemm(char ta, char tb, int m, int n, int k, double alpha, const double* a,
                            int lda, const double* b, int ldb, double beta, double* c, int ldc) {
    dgemm_(&ta, &tb, &m, &n, &k, &alpha, a, &lda, b, &ldb, &beta, c, &ldc);
}

// c (m, n) = alpha a (m, k) b (k, n) + beta c, all by columns. Each thread has some of the columns of
// c, or of its rows, where these are more.
template <typename T>
static inline void gemm(char ta, char tb, int m, int n, int k, const T* a, int lda, const T* b,
                        int ldb, T* c, int ldc, T alpha = 1, T beta = 0) {
    const bool tells = threads::OneThread::count() > 0;  // else BLAS has threads as it likes
    const int parts = tells ? threads::number(npy_intp(m) * n * k) : 1;
    const threads::OneThread blas;
    const int size = std::max(m, n), piece = (size / parts + 7) / 8 * 8;  // whole vectors
    threads::run(parts, [=](int i) {
        const npy_intp begin = std::min(size, i * piece);
        const int end = i + 1 == parts ? size : std::min(size, int(begin) + piece);
        const int some = end - int(begin);
        if (some == 0) return true;
        if (n >= m)
            one_gemm(ta, tb, m, some, k, alpha, a, lda, b + begin * (tb == 'N' ? ldb : 1), ldb,
                     beta, c + begin * ldc, ldc);
        else
            one_gemm(ta, tb, some, n, k, alpha, a + begin * (ta == 'N' ? 1 : lda), lda, b, ldb,
                     beta, c + begin, ldc);
        return true;
    });
}

static inline void blas_gemv(char t, int m, int n, const float* a, int lda, const float* x, int dx,
                        float* y, int dy) {
    const float one = 1, zero = 0;
    sgemv_(&t, &m, &n, &one, a, &lda, x, &dx, &zero, y, &dy);
}

static inline void blas_gemv(char t, int m, int n, const double* a, int lda, const double* x, int dx,
                        double* y, int dy) {
    const double one = 1, zero = 0;
    dgemv_(&t, &m, &n, &one, a, &lda, x, &dx, &zero, y, &dy);
}

// BLAS reads by columns. To BLAS, a matrix stored by rows is a transpose, "T"; one stored by
// columns is not, "N". The other stride must be at least 1, also if a dimension is 1.
template <typename T>
static inline bool is_by_rows(const Matrix<T>& a, npy_intp columns) {
    return a.column == 1 || columns == 1;
}

template <typename T>
static inline int leading(const Matrix<T>& a, npy_intp rows, npy_intp columns) {
    const bool by_rows = is_by_rows(a, columns);
    const npy_intp other = by_rows ? a.row : a.column, least = by_rows ? columns : rows;
    return int(std::max(std::max(other, least), npy_intp(1)));
}

// out (m, n) = x (m, k) y (k, n); out is dense, by rows.
template <typename T>
static inline void product(npy_intp m, npy_intp n, npy_intp k, Matrix<const T> x,
                           Matrix<const T> y, T* out) {
    if (m == 0 || n == 0) return;
    if (k == 0) {
        std::fill(out, out + m * n, T(0));
        return;
    }
#ifdef THEANO_RNN_BF16_GEMM
    if (bf16_gemm::computed(m, n, k, T(1), x, y, false, out, n)) return;
#endif
    const int ldx = leading(x, m, k), ldy = leading(y, k, n);
    const bool x_by_rows = is_by_rows(x, k), y_by_rows = is_by_rows(y, n);
    if (m == 1) {  // out' = y' x'
        const int dx = int(k == 1 ? 1 : x.column);
        if (gemv::fits<T>(n, k, y_by_rows, dx)) {
            if (y_by_rows) gemv::by_rows<T>(n, k, x.at, dx, y.at, ldy, out);
            else gemv::by_columns<T>(n, k, x.at, y.at, ldy, out);
        } else if (y_by_rows) blas_gemv('N', n, k, y.at, ldy, x.at, dx, out, 1);
        else blas_gemv('T', k, n, y.at, ldy, x.at, dx, out, 1);
    } else {  // to BLAS, out is (n, m): out' = y' x'
        gemm(y_by_rows ? 'N' : 'T', x_by_rows ? 'N' : 'T', int(n), int(m), int(k), y.at, ldy, x.at,
             ldx, out, int(n));
    }
}

// The right side of a product that every step makes of one row: laid out once where that gains.
template <typename T>
struct Panels {
    static const npy_intp FEW = 8;  // products; the layout costs as much as some of them
    npy_intp n, k;
    Matrix<const T> y;
    bool is_used;
    mutable bool backwards;  // the next product reads them from the end
    const T* at;
    Panels(npy_intp products, npy_intp m, npy_intp n, npy_intp k, Matrix<const T> y)
        : n(n), k(k), y(y), is_used(false), backwards(false), at(NULL) {
        if (products <= FEW || m != 1 || k <= 1 || n <= 1) return;
        is_used = gemv::fits<T>(n, k, y.column == 1, 1) && gemv::gains<T>(n, k, y.column == 1);
    }
    npy_intp bytes() const {
        return is_used ? gemv::Layout<T>(n).size(k) * npy_intp(sizeof(T)) : 0;
    }
    void pack(char* memory) {
        if (!is_used) return;
        gemv::pack<T>(n, k, y.at, y.row, y.column, (T*)memory);
        at = (const T*)memory;
    }
};

template <typename T>
static inline void product(npy_intp m, npy_intp n, npy_intp k, Matrix<const T> x,
                           const Panels<T>& y, T* out) {
    if (!y.is_used) return product<T>(m, n, k, x, y.y, out);
    gemv::by_panels<T>(n, k, x.at, x.column, y.at, out, y.backwards);
    y.backwards = !y.backwards;
}

// out (m, n) += alpha x (m, k) y (k, n); the rows of out are `row` elements apart; no size is 0.
template <typename T>
static inline void add_product(npy_intp m, npy_intp n, npy_intp k, T alpha, Matrix<const T> x,
                               Matrix<const T> y, T* out, npy_intp row) {
#ifdef THEANO_RNN_BF16_GEMM
    if (bf16_gemm::computed(m, n, k, alpha, x, y, true, out, row)) return;
#endif
    gemm(is_by_rows(y, n) ? 'N' : 'T', is_by_rows(x, k) ? 'N' : 'T', int(n), int(m), int(k), y.at,
         leading(y, k, n), x.at, leading(x, m, k), out, int(row), alpha, T(1));
}

template <typename T>
static inline void copy(npy_intp rows, npy_intp columns, Matrix<const T> from, T* to,
                        npy_intp to_row) {
    for (npy_intp i = 0; i < rows; ++i)
        if (from.column == 1)
            std::memcpy(to + i * to_row, from.at + i * from.row, columns * sizeof(T));
        else for (npy_intp j = 0; j < columns; ++j)
            to[i * to_row + j] = from.at[i * from.row + j * from.column];
}

template <typename T>
static inline void add(npy_intp rows, npy_intp columns, Matrix<const T> from, T* to,
                       npy_intp to_row) {
    for (npy_intp i = 0; i < rows; ++i)
        for (npy_intp j = 0; j < columns; ++j)
            to[i * to_row + j] += from.at[i * from.row + j * from.column];
}

// An end of a slice, counted and clipped as Python does.
static inline npy_intp slice_end(npy_intp end, npy_intp length) {
    if (end < 0) end += length;
    return std::min(std::max(end, npy_intp(0)), length);
}

// The array itself if each array[i] is dense, else a copy. Returns a new reference.
static inline PyArrayObject* with_dense_rows(PyArrayObject* array, int from_axis) {
    npy_intp dense = PyArray_ITEMSIZE(array);
    bool is_dense = PyArray_ISBEHAVED_RO(array);
    for (int axis = PyArray_NDIM(array) - 1; axis >= from_axis; --axis) {
        const npy_intp length = PyArray_DIM(array, axis);
        if (length > 1 && PyArray_STRIDE(array, axis) != dense) is_dense = false;
        dense *= length;
    }
    for (int axis = 0; axis < from_axis; ++axis)
        if (PyArray_STRIDE(array, axis) % PyArray_ITEMSIZE(array)) is_dense = false;
    if (!is_dense) return (PyArrayObject*)PyArray_NewCopy(array, NPY_CORDER);
    Py_INCREF(array);
    return array;
}

// A stride of a dense array, in elements.
static inline npy_intp stride(PyArrayObject* array, int axis) {
    return PyArray_STRIDE(array, axis) / PyArray_ITEMSIZE(array);
}

// The matrix itself if BLAS can read it, by rows or by columns, else a copy. Returns a new
// reference.
static inline PyArrayObject* for_blas(PyArrayObject* a) {
    const npy_intp size = PyArray_ITEMSIZE(a);
    if (PyArray_ISBEHAVED_RO(a) && PyArray_NDIM(a) == 2) {
        const npy_intp n0 = PyArray_DIM(a, 0), n1 = PyArray_DIM(a, 1);
        const npy_intp s0 = PyArray_STRIDE(a, 0), s1 = PyArray_STRIDE(a, 1);
        const bool by_rows = s1 == size && s0 % size == 0 && s0 >= n1 * size;
        const bool by_columns = s0 == size && s1 % size == 0 && s1 >= n0 * size;
        if (by_rows || by_columns) {
            Py_INCREF(a);
            return a;
        }
    }
    return with_dense_rows(a, 0);
}

// Make *output a dense array of this shape; reuse that of the last call if it fits.
static inline bool allocate(PyArrayObject** output, int ndim, npy_intp* shape, int type) {
    if (*output != NULL && PyArray_CHKFLAGS(*output, NPY_ARRAY_CARRAY)
        && PyArray_NDIM(*output) == ndim
        && PyArray_CompareLists(PyArray_DIMS(*output), shape, ndim))
        return true;
    Py_XDECREF(*output);
    *output = (PyArrayObject*)PyArray_EMPTY(ndim, shape, type, 0);
    return *output != NULL;
}

// Make *output the buffer of a state, and copy the first `rows` rows from `first`.
static inline bool state_buffer(PyArrayObject* first, PyArrayObject** output, npy_intp rows,
                                bool inplace) {
    if (inplace && PyArray_CHKFLAGS(first, NPY_ARRAY_CARRAY)) {
        Py_INCREF(first);
        Py_XDECREF(*output);
        *output = first;
        return true;
    }
    if (!allocate(output, PyArray_NDIM(first), PyArray_DIMS(first), PyArray_TYPE(first)))
        return false;
    if (!PyArray_CHKFLAGS(first, NPY_ARRAY_CARRAY_RO)) return PyArray_CopyInto(*output, first) == 0;
    const npy_intp length = PyArray_DIM(first, 0);
    if (rows < length) rows *= PyArray_NBYTES(first) / length;  // bytes now
    else rows = PyArray_NBYTES(first);
    std::memcpy(PyArray_DATA(*output), PyArray_DATA(first), rows);
    return true;
}

// Turn a circular buffer so that the row at `first` becomes row 0.
static inline void turn(char* rows, npy_intp n, npy_intp first, npy_intp bytes) {
    std::rotate(rows, rows + first * bytes, rows + n * bytes);
}

// The memory of one call, in pieces that begin at cache lines.
struct Workspace {
    char* memory;
    npy_intp size;
    Workspace() : memory(NULL), size(0) {}
    ~Workspace() { std::free(memory); }
    npy_intp reserve(npy_intp bytes) {
        const npy_intp at = size;
        size += (bytes + 63) / 64 * 64;
        return at;
    }
    bool allocate() {
        void* made = NULL;
        if (posix_memalign(&made, 64, std::max(size, npy_intp(64)))) return false;
        memory = (char*)made;
        return true;
    }
};

// References that a call holds, and releases at its end.
struct References {
    std::vector<PyArrayObject*> held;
    ~References() {
        for (PyArrayObject* array : held) Py_XDECREF(array);
    }
    PyArrayObject* keep(PyArrayObject* array) {
        held.push_back(array);
        return array;
    }
};

}  // namespace native_loop

#endif
