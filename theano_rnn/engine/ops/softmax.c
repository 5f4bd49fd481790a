// Softmax cross-entropy, row by row: max, then sum of exp, then (where wanted) the gradient.
//
// Theano compiles this as C++ in front of the Ops of softmax.py. exp is that of vector_math.h: only
// some C libraries have a vector exp, and it was no faster. The pragmas "omp simd" allow sums and
// maxima in vector lanes. Many rows are computed in threads.

namespace softmax_cross_entropy {

using vector_math::exp_of_nonpositive;

static const npy_intp block = 512;  // terms that are added in T; sums of blocks are added in double

// max_v z_v, without NaN: that appears again with the exponentials.
template <typename T>
static inline T row_max(const T* z, npy_intp V) {
    T most = -std::numeric_limits<T>::infinity();
#pragma omp simd reduction(max : most)
    for (npy_intp v = 0; v < V; ++v) most = z[v] > most ? z[v] : most;
    return most;
}

// sum_v exp(z_v - most). If `keep` is set, e gets the terms; e may be z itself.
template <bool keep, typename T>
static inline double exp_sum(const T* z, T most, T* e, npy_intp V) {
    double total = 0;
    for (npy_intp start = 0; start < V; start += block) {
        const npy_intp stop = std::min(V, start + block);
        T sum = 0;
#pragma omp simd reduction(+ : sum)
        for (npy_intp v = start; v < stop; ++v) {
            const T term = exp_of_nonpositive(T(z[v] - most));
            if (keep) e[v] = term;
            sum += term;
        }
        total += sum;
    }
    return total;
}

template <typename T>
static inline void scale(T* e, T factor, npy_intp V) {
#pragma omp simd
    for (npy_intp v = 0; v < V; ++v) e[v] *= factor;
}

// The matrix itself if its rows are dense and do not overlap, else a copy. Returns a new reference,
// or NULL.
template <typename T>
static PyArrayObject* with_dense_rows(PyArrayObject* matrix) {
    const npy_intp N = PyArray_DIM(matrix, 0), V = PyArray_DIM(matrix, 1), size = sizeof(T);
    const bool dense = V <= 1 || PyArray_STRIDE(matrix, 1) == size;
    const bool apart = N <= 1 || std::abs(PyArray_STRIDE(matrix, 0)) >= V * size;
    if (!dense || !apart) return (PyArrayObject*)PyArray_NewCopy(matrix, NPY_CORDER);
    Py_INCREF(matrix);
    return matrix;
}

// Make *output a writable array of this shape; reuse that of the last call if it fits.
static bool allocate(PyArrayObject** output, int ndim, npy_intp* shape, int type) {
    if (*output != NULL && PyArray_CHKFLAGS(*output, NPY_ARRAY_CARRAY)
        && PyArray_CompareLists(PyArray_DIMS(*output), shape, ndim))
        return true;
    Py_XDECREF(*output);
    *output = (PyArrayObject*)PyArray_SimpleNew(ndim, shape, type);
    return *output != NULL;
}

// False, with a Python exception set, if the shapes do not fit or a target is out of bounds.
static bool check(PyArrayObject* logits, PyArrayObject* y, PyArrayObject* weight) {
    const npy_intp N = PyArray_DIM(logits, 0), V = PyArray_DIM(logits, 1);
    if (PyArray_DIM(y, 0) != N) {
        PyErr_Format(PyExc_ValueError, "softmax cross-entropy: %zd targets for %zd rows of logits",
                     (Py_ssize_t)PyArray_DIM(y, 0), (Py_ssize_t)N);
        return false;
    }
    if (weight != NULL && PyArray_SIZE(weight) != 1 && PyArray_SIZE(weight) != N) {
        PyErr_Format(PyExc_ValueError, "softmax cross-entropy: %zd weights for %zd rows of logits",
                     (Py_ssize_t)PyArray_SIZE(weight), (Py_ssize_t)N);
        return false;
    }
    for (npy_intp i = 0; i < N; ++i) {
        const npy_int64 target = *(npy_int64*)PyArray_GETPTR1(y, i);
        if (target < 0 || target >= V) {
            PyErr_Format(PyExc_ValueError,
                         "softmax cross-entropy: target %lld in row %zd is out of bounds, "
                         "the logits have %zd columns",
                         (long long)target, (Py_ssize_t)i, (Py_ssize_t)V);
            return false;
        }
    }
    return true;
}

// The rows from `begin` to `end`; z has dense rows, and `gradient` is NULL where none is wanted.
template <typename T>
static void compute(npy_intp begin, npy_intp end, PyArrayObject* z, PyArrayObject* y,
                    PyArrayObject* weight, PyArrayObject* loss, PyArrayObject* gradient) {
    const npy_intp V = PyArray_DIM(z, 1);
    const npy_intp weight_step =
        weight == NULL || PyArray_SIZE(weight) == 1 ? 0 : PyArray_STRIDE(weight, 0);
    for (npy_intp i = begin; i < end; ++i) {
        const T* z_i = (const T*)(PyArray_BYTES(z) + i * PyArray_STRIDE(z, 0));
        const npy_int64 target = *(npy_int64*)PyArray_GETPTR1(y, i);
        const T most = row_max(z_i, V), wanted = z_i[target];
        double sum;
        if (gradient == NULL) {
            sum = exp_sum<false, T>(z_i, most, NULL, V);
        } else {
            const T w = *(const T*)(PyArray_BYTES(weight) + i * weight_step);
            T* g_i = (T*)(PyArray_BYTES(gradient) + i * PyArray_STRIDE(gradient, 0));
            sum = exp_sum<true, T>(z_i, most, g_i, V);
            // dE/dz_i = w_i (softmax(z_i) - onehot(y_i))
            scale(g_i, T(w / sum), V);
            g_i[target] -= w;
        }
        // E_i = log sum_v exp(z_iv) - z_iy
        *(T*)PyArray_GETPTR1(loss, i) = T(std::log(sum) + (double(most) - double(wanted)));
    }
}

// All rows, each by one thread: in any number of threads they are the same to the last bit.
template <typename T>
static void compute(PyArrayObject* z, PyArrayObject* y, PyArrayObject* weight,
                    PyArrayObject* loss, PyArrayObject* gradient) {
    const npy_intp N = PyArray_DIM(z, 0);
    const npy_intp work = 16 * N * PyArray_DIM(z, 1);  // an exp is some sixteen multiplications
    const WithoutGIL released(work);
    const int parts = threads::number(work);
    threads::run(parts, [=](int i) {
        compute<T>(N * i / parts, N * (i + 1) / parts, z, y, weight, loss, gradient);
        return true;
    });
}

// The loss of each row and, unless `gradient` is NULL, weight_i (softmax(z_i) - onehot(y_i)).
// `weight` has N elements or one. If `inplace` is set, the gradient is written over the logits.
// False, with a Python exception set, if it failed.
template <typename T>
static bool run(PyArrayObject* logits, PyArrayObject* y, PyArrayObject* weight,
                PyArrayObject** loss, PyArrayObject** gradient, bool inplace) {
    const int type = PyArray_TYPE(logits);
    npy_intp* shape = PyArray_DIMS(logits);
    if (!check(logits, y, weight) || !allocate(loss, 1, &shape[0], type)) return false;
    PyArrayObject* z = with_dense_rows<T>(logits);
    if (z == NULL) return false;
    if (gradient != NULL && inplace) {
        Py_XDECREF(*gradient);
        *gradient = z;  // the logits, or the copy that was needed anyway
        Py_INCREF(z);
    } else if (gradient != NULL && !allocate(gradient, 2, shape, type)) {
        Py_DECREF(z);
        return false;
    }
    compute<T>(z, y, weight, *loss, gradient == NULL ? NULL : *gradient);
    Py_DECREF(z);
    return true;
}

}  // namespace softmax_cross_entropy
