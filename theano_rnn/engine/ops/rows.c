// Rows of a matrix by number, and sums over a matrix. They replace AdvancedIncSubtensor1, Unique and
// Sum{axis=0} of Theano, which call NumPy or Python for each row.

namespace rows {

// x[number[i]] += y[i], one row after the other. False, with IndexError set, if x has no such row.
template <typename T>
static bool increment(PyArrayObject* x, PyArrayObject* y, PyArrayObject* number) {
    const npy_intp n = PyArray_DIM(number, 0), columns = PyArray_DIM(x, 1), size = sizeof(T);
    if (PyArray_DIM(y, 0) != n || PyArray_DIM(y, 1) != columns) {
        PyErr_Format(PyExc_ValueError, "increment of rows: %zd x %zd numbers for %zd rows of %zd",
                     PyArray_DIM(y, 0), PyArray_DIM(y, 1), n, columns);
        return false;
    }
    for (npy_intp i = 0; i < n; ++i) {  // check all, before anything changes
        const npy_int64 row = *(npy_int64*)PyArray_GETPTR1(number, i);
        if (row < -PyArray_DIM(x, 0) || row >= PyArray_DIM(x, 0)) {
            PyErr_Format(PyExc_IndexError, "increment of rows: row %lld of %zd",
                         (long long)row, PyArray_DIM(x, 0));
            return false;
        }
    }
    const npy_intp dx = PyArray_STRIDE(x, 1), dy = PyArray_STRIDE(y, 1);
    for (npy_intp i = 0; i < n; ++i) {
        npy_int64 row = *(npy_int64*)PyArray_GETPTR1(number, i);
        if (row < 0) row += PyArray_DIM(x, 0);
        char* to = (char*)PyArray_GETPTR2(x, row, 0);
        const char* from = (const char*)PyArray_GETPTR2(y, i, 0);
        if (dx == size && dy == size) {
            T* a = (T*)to;
            const T* b = (const T*)from;
#pragma omp simd
            for (npy_intp j = 0; j < columns; ++j) a[j] += b[j];
        } else {
            for (npy_intp j = 0; j < columns; ++j) *(T*)(to + j * dx) += *(T*)(from + j * dy);
        }
    }
    return true;
}

// The distinct numbers of x, sorted, and the place of each element of x among them.
static bool unique(PyArrayObject* x, PyArrayObject** different, PyArrayObject** place) {
    const npy_intp n = PyArray_DIM(x, 0);
    std::vector<std::pair<npy_int64, npy_intp> > sorted(n);
    for (npy_intp i = 0; i < n; ++i)
        sorted[i] = std::make_pair(*(npy_int64*)PyArray_GETPTR1(x, i), i);
    std::sort(sorted.begin(), sorted.end());
    npy_intp found = 0, length = n;
    for (npy_intp i = 0; i < n; ++i) found += i == 0 || sorted[i].first != sorted[i - 1].first;
    Py_XDECREF(*different);
    Py_XDECREF(*place);
    *different = (PyArrayObject*)PyArray_EMPTY(1, &found, NPY_INT64, 0);
    *place = (PyArrayObject*)PyArray_EMPTY(1, &length, NPY_INT64, 0);
    if (*different == NULL || *place == NULL) return false;
    npy_int64* values = (npy_int64*)PyArray_DATA(*different);
    npy_int64* places = (npy_int64*)PyArray_DATA(*place);
    npy_intp k = -1;
    for (npy_intp i = 0; i < n; ++i) {
        if (i == 0 || sorted[i].first != sorted[i - 1].first) values[++k] = sorted[i].first;
        places[sorted[i].second] = k;
    }
    return true;
}

// Sum of each column: blocks of rows in T, and their sums in double.
template <typename T>
static void column_sums(PyArrayObject* x, T* out) {
    const npy_intp rows = PyArray_DIM(x, 0), columns = PyArray_DIM(x, 1), block = 32;
    const npy_intp d = PyArray_STRIDE(x, 1);
    std::vector<double> total(columns, 0.0);
    std::vector<T> part(columns);
    T* const sum = part.data();
    for (npy_intp begin = 0; begin < rows; begin += block) {
        std::fill(part.begin(), part.end(), T(0));
        for (npy_intp i = begin; i < std::min(rows, begin + block); ++i) {
            const char* row = (const char*)PyArray_GETPTR2(x, i, 0);
            if (d == (npy_intp)sizeof(T)) {
                const T* a = (const T*)row;
#pragma omp simd
                for (npy_intp j = 0; j < columns; ++j) sum[j] += a[j];
            } else {
                for (npy_intp j = 0; j < columns; ++j) sum[j] += *(const T*)(row + j * d);
            }
        }
        for (npy_intp j = 0; j < columns; ++j) total[j] += sum[j];
    }
    for (npy_intp j = 0; j < columns; ++j) out[j] = T(total[j]);
}

}  // namespace rows
