// What the Ops of skinny_gemm.py call: skinny products are computed here, all others by BLAS.
//
// Theano compiles this as C++ after loop/loop.h and skinny_gemm.h.

namespace skinny_gemm {

using native_loop::Matrix;
using native_loop::References;

static bool fits(PyArrayObject* x, PyArrayObject* y) {
    if (PyArray_DIM(x, 1) == PyArray_DIM(y, 0)) return true;
    PyErr_Format(PyExc_ValueError, "a product of (%zd, %zd) and (%zd, %zd): the inner sizes differ",
                 (Py_ssize_t)PyArray_DIM(x, 0), (Py_ssize_t)PyArray_DIM(x, 1),
                 (Py_ssize_t)PyArray_DIM(y, 0), (Py_ssize_t)PyArray_DIM(y, 1));
    return false;
}

template <typename T>
static Matrix<const T> matrix(PyArrayObject* a) {
    return Matrix<const T>{(const T*)PyArray_DATA(a), native_loop::stride(a, 0),
                           native_loop::stride(a, 1)};
}

// Whether `add` can compute x (m, k) y (k, n), and is faster than BLAS.
template <typename T>
static bool adds(npy_intp m, npy_intp n, npy_intp k, const Matrix<const T>& y) {
    const bool is_skinny = (1 < m && m <= FEW && k >= MANY) || (k <= FEW && m >= MANY);
    return is_skinny && y.column == 1 && n >= Lanes<T>::n;
}

// *out = x y. False, with a Python exception set, if it failed.
template <typename T>
static bool product(PyArrayObject* x, PyArrayObject* y, PyArrayObject** out) {
    npy_intp shape[] = {PyArray_DIM(x, 0), PyArray_DIM(y, 1)};
    const npy_intp m = shape[0], n = shape[1], k = PyArray_DIM(x, 1);
    if (!fits(x, y) || !native_loop::allocate(out, 2, shape, PyArray_TYPE(x))) return false;
    References held;
    x = held.keep(native_loop::for_blas(x));
    y = held.keep(native_loop::for_blas(y));
    if (x == NULL || y == NULL) return false;
    const Matrix<const T> a = matrix<T>(x), b = matrix<T>(y);
    T* const to = (T*)PyArray_DATA(*out);
    bool has_memory = true;
    if (1 < m && m <= FEW && n >= MANY && b.row == 1 && b.column >= k) {
        has_memory = by_transposed_in_threads(m, n, k, a.at, a.row, a.column, b.at, b.column, to, n);
    } else if (adds(m, n, k, b)) {
        std::fill(to, to + m * n, T(0));
        has_memory = add_in_threads(m, n, k, T(1), a.at, a.row, a.column, b.at, b.row, to, n);
    } else {
        native_loop::product<T>(m, n, k, a, b, to);
    }
    if (!has_memory) PyErr_NoMemory();
    return has_memory;
}

// out += alpha x y, in place. False, with a Python exception set, if it failed.
template <typename T>
static bool add_product(PyArrayObject* out, T alpha, PyArrayObject* x, PyArrayObject* y) {
    const npy_intp m = PyArray_DIM(x, 0), n = PyArray_DIM(y, 1), k = PyArray_DIM(x, 1);
    if (!fits(x, y)) return false;
    if (PyArray_DIM(out, 0) != m || PyArray_DIM(out, 1) != n) {
        PyErr_Format(PyExc_ValueError, "a product of (%zd, %zd) cannot be added to (%zd, %zd)",
                     (Py_ssize_t)m, (Py_ssize_t)n, (Py_ssize_t)PyArray_DIM(out, 0),
                     (Py_ssize_t)PyArray_DIM(out, 1));
        return false;
    }
    if (m == 0 || n == 0 || k == 0) return true;
    References held;
    x = held.keep(native_loop::for_blas(x));
    y = held.keep(native_loop::for_blas(y));
    if (x == NULL || y == NULL) return false;
    const Matrix<const T> a = matrix<T>(x), b = matrix<T>(y);
    const npy_intp size = sizeof(T), row = PyArray_STRIDE(out, 0) / size;
    const bool by_rows = PyArray_ISBEHAVED(out) && PyArray_STRIDE(out, 1) == size
                         && PyArray_STRIDE(out, 0) % size == 0 && row >= n;
    if (!by_rows) {
        PyArrayObject* sum = NULL;
        if (!product<T>(x, y, &sum)) return false;
        held.keep(sum);
        for (npy_intp i = 0; i < m; ++i)
            for (npy_intp j = 0; j < n; ++j) {
                char* at = (char*)PyArray_GETPTR2(out, i, j);
                T value;  // which may not be aligned
                std::memcpy(&value, at, size);
                value += alpha * *(T*)PyArray_GETPTR2(sum, i, j);
                std::memcpy(at, &value, size);
            }
        return true;
    }
    T* const to = (T*)PyArray_DATA(out);
    if (!adds(m, n, k, b)) {
        native_loop::add_product<T>(m, n, k, alpha, a, b, to, row);
    } else if (!add_in_threads(m, n, k, alpha, a.at, a.row, a.column, b.at, b.row, to, row)) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

}  // namespace skinny_gemm
