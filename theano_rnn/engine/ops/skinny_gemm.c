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
    const bool is_skinny = (1 < m && m <= FEW && k >= MANY) || (0 < k && k <= FEW && m >= MANY);
    return is_skinny && y.column == 1 && n >= Lanes<T>::n;
}

// out = x y, out by rows. False if there is no memory.
template <typename T>
static bool compute(npy_intp m, npy_intp n, npy_intp k, const Matrix<const T>& x,
                    const Matrix<const T>& y, T* out) {
    const WithoutGIL released(m * n * k);
    if (1 < m && m <= FEW && n >= MANY && y.row == 1 && y.column >= k)
        return by_transposed_in_threads(m, n, k, x.at, x.row, x.column, y.at, y.column, out, n);
    if (adds(m, n, k, y)) {
        std::fill(out, out + m * n, T(0));
        return add_in_threads(m, n, k, T(1), x.at, x.row, x.column, y.at, y.row, T(1), out, n);
    }
    native_loop::product<T>(m, n, k, x, y, out);
    return true;
}

// What is multiplied by 0 may be no number.
template <typename T>
static T scaled(T beta, T value) {
    return beta == 0 ? T(0) : beta * value;
}

// out = beta out + alpha x y, the rows of out `row` elements apart. False if there is no memory.
template <typename T>
static bool compute_sum(npy_intp m, npy_intp n, npy_intp k, T alpha, const Matrix<const T>& x,
                        const Matrix<const T>& y, T beta, T* out, npy_intp row) {
    const WithoutGIL released(m * n * k);
    if (beta != 0 && adds(m, n, k, y))
        return add_in_threads(m, n, k, alpha, x.at, x.row, x.column, y.at, y.row, beta, out, row);
    if (beta != 1)
        for (npy_intp i = 0; i < m; ++i)
            for (npy_intp j = 0; j < n; ++j) out[i * row + j] = scaled(beta, out[i * row + j]);
    if (k == 0) return true;
    native_loop::add_product<T>(m, n, k, alpha, x, y, out, row);
    return true;
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
    if (!compute<T>(m, n, k, a, b, to)) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

// out = beta out + alpha x y, in place. False, with a Python exception set, if it failed.
template <typename T>
static bool add_product(PyArrayObject* out, T alpha, PyArrayObject* x, PyArrayObject* y, T beta) {
    const npy_intp m = PyArray_DIM(x, 0), n = PyArray_DIM(y, 1), k = PyArray_DIM(x, 1);
    if (!fits(x, y)) return false;
    if (PyArray_DIM(out, 0) != m || PyArray_DIM(out, 1) != n) {
        PyErr_Format(PyExc_ValueError, "a product of (%zd, %zd) cannot be added to (%zd, %zd)",
                     (Py_ssize_t)m, (Py_ssize_t)n, (Py_ssize_t)PyArray_DIM(out, 0),
                     (Py_ssize_t)PyArray_DIM(out, 1));
        return false;
    }
    if (m == 0 || n == 0 || (k == 0 && beta == 1)) return true;
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
                value = scaled(beta, value) + alpha * *(T*)PyArray_GETPTR2(sum, i, j);
                std::memcpy(at, &value, size);
            }
        return true;
    }
    if (!compute_sum<T>(m, n, k, alpha, a, b, beta, (T*)PyArray_DATA(out), row)) {
        PyErr_NoMemory();
        return false;
    }
    return true;
}

}  // namespace skinny_gemm
