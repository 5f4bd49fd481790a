// x[rows] += y and x[rows] = y for arrays of every type and layout that Theano has; of bool the
// second alone, as in NumPy.

namespace compat_rows {

template <typename T>
struct Plain {
    static void add(char* to, const char* from) { *(T*)to += *(const T*)from; }
    static void set(char* to, const char* from) { *(T*)to = *(const T*)from; }
};

template <typename T>
struct Complex {  // two T, whatever NumPy calls them
    static void add(char* to, const char* from) {
        ((T*)to)[0] += ((const T*)from)[0];
        ((T*)to)[1] += ((const T*)from)[1];
    }
    static void set(char* to, const char* from) {
        ((T*)to)[0] = ((const T*)from)[0];
        ((T*)to)[1] = ((const T*)from)[1];
    }
};

// One row: nd dimensions of x and of y, whose strides are 0 where it is broadcast.
template <typename Element>
static void row(char* to, const char* from, int nd, const npy_intp* dims, const npy_intp* dx,
                const npy_intp* dy, bool is_sum) {
    if (nd == 0) {
        is_sum ? Element::add(to, from) : Element::set(to, from);
    } else if (nd > 1) {
        for (npy_intp i = 0; i < dims[0]; ++i)
            row<Element>(to + i * dx[0], from + i * dy[0], nd - 1, dims + 1, dx + 1, dy + 1,
                         is_sum);
    } else if (is_sum) {
        for (npy_intp i = 0; i < dims[0]; ++i) Element::add(to + i * dx[0], from + i * dy[0]);
    } else {
        for (npy_intp i = 0; i < dims[0]; ++i) Element::set(to + i * dx[0], from + i * dy[0]);
    }
}

template <typename Element>
static void rows(PyArrayObject* x, const npy_intp* number, npy_intp count, const char* y,
                 const npy_intp* dy, bool is_sum) {
    const int nd = PyArray_NDIM(x);
    for (npy_intp i = 0; i < count; ++i)
        row<Element>(PyArray_BYTES(x) + number[i] * PyArray_STRIDE(x, 0), y + i * dy[0], nd - 1,
                     PyArray_DIMS(x) + 1, PyArray_STRIDES(x) + 1, dy + 1, is_sum);
}

typedef void (*Rows)(PyArrayObject*, const npy_intp*, npy_intp, const char*, const npy_intp*, bool);

// The loop for a type of NumPy, or NULL.
static Rows rows_of(int type) {
    switch (type) {
        case NPY_BOOL: return rows<Plain<npy_bool> >;
        case NPY_INT8: return rows<Plain<npy_int8> >;
        case NPY_INT16: return rows<Plain<npy_int16> >;
        case NPY_INT32: return rows<Plain<npy_int32> >;
        case NPY_INT64: return rows<Plain<npy_int64> >;
        case NPY_UINT8: return rows<Plain<npy_uint8> >;
        case NPY_UINT16: return rows<Plain<npy_uint16> >;
        case NPY_UINT32: return rows<Plain<npy_uint32> >;
        case NPY_UINT64: return rows<Plain<npy_uint64> >;
        case NPY_FLOAT32: return rows<Plain<npy_float32> >;
        case NPY_FLOAT64: return rows<Plain<npy_float64> >;
        case NPY_COMPLEX64: return rows<Complex<npy_float32> >;
        case NPY_COMPLEX128: return rows<Complex<npy_float64> >;
        default: return NULL;
    }
}

// The strides of y when it is broadcast to count rows of x; false, with ValueError set, if it
// cannot be.
static bool broadcast(PyArrayObject* y, PyArrayObject* x, npy_intp count, npy_intp* strides) {
    const int nd = PyArray_NDIM(x), missing = nd - PyArray_NDIM(y);
    for (int d = 0; d < nd; ++d) {
        const npy_intp wanted = d == 0 ? count : PyArray_DIM(x, d);
        const npy_intp found = d < missing ? 1 : PyArray_DIM(y, d - missing);
        if (missing < 0 || (found != wanted && found != 1)) {
            PyErr_Format(PyExc_ValueError,
                         "rows of x changed by y: y has %zd elements where x has %zd, in "
                         "dimension %d",
                         found, wanted, d);
            return false;
        }
        strides[d] = found == 1 ? 0 : PyArray_STRIDE(y, d - missing);
    }
    return true;
}

// Counted from the end where negative; false, with IndexError set, if x has no such row.
static bool from_the_front(npy_intp* number, npy_intp count, npy_intp size) {
    for (npy_intp i = 0; i < count; ++i) {
        if (number[i] < -size || number[i] >= size) {
            PyErr_Format(PyExc_IndexError,
                         "index %zd is out of bounds for axis 0 with size %zd", number[i], size);
            return false;
        }
        if (number[i] < 0) number[i] += size;
    }
    return true;
}

}  // namespace compat_rows

// Change x, or nothing and return -1 with an exception set. The shipped c_code calls this.
static int inplace_increment(PyArrayObject* x, PyObject* index, PyArrayObject* y, int is_sum) {
    if (PyArray_FailUnlessWriteable(x, "input/output array") < 0) return -1;
    const compat_rows::Rows rows = compat_rows::rows_of(PyArray_TYPE(x));
    if (rows == NULL || PyArray_NDIM(x) == 0) {
        PyErr_SetString(PyExc_TypeError, "rows of an array of this type cannot be changed in C");
        return -1;
    }
    // A copy of the numbers, and y in the type of x.
    PyArrayObject* number = (PyArrayObject*)PyArray_FromAny(
        index, PyArray_DescrFromType(NPY_INTP), 1, 1,
        NPY_ARRAY_CARRAY | NPY_ARRAY_FORCECAST | NPY_ARRAY_ENSURECOPY, NULL);
    PyArray_Descr* type = PyArray_DESCR(x);
    Py_INCREF(type);
    PyArrayObject* value = (PyArrayObject*)PyArray_FromAny(
        (PyObject*)y, type, 0, 0, NPY_ARRAY_FORCECAST | NPY_ARRAY_ALIGNED, NULL);
    npy_intp strides[64];  // as many dimensions as NumPy 2 has
    int failed = -1;
    if (number != NULL && value != NULL) {
        npy_intp* numbers = (npy_intp*)PyArray_DATA(number);
        const npy_intp count = PyArray_DIM(number, 0);
        if (compat_rows::broadcast(value, x, count, strides) &&
            compat_rows::from_the_front(numbers, count, PyArray_DIM(x, 0))) {
            rows(x, numbers, count, PyArray_BYTES(value), strides, is_sum != 0);
            failed = 0;
        }
    }
    Py_XDECREF(number);
    Py_XDECREF(value);
    return failed;
}
