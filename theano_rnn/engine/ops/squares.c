// Sum of the squares of a matrix. It replaces Sum(sqr(x)) of Theano, which reads the matrix twice.

namespace squares {

// That of some rows: blocks of a row in T, and their sums in double.
template <typename T>
static double of_rows(PyArrayObject* x, npy_intp begin_row, npy_intp end_row) {
    const npy_intp columns = PyArray_DIM(x, 1), d = PyArray_STRIDE(x, 1), block = 512;
    double total = 0;
    for (npy_intp i = begin_row; i < end_row; ++i) {
        const char* row = (const char*)PyArray_GETPTR2(x, i, 0);
        for (npy_intp begin = 0; begin < columns; begin += block) {
            const npy_intp end = std::min(columns, begin + block);
            T sum = 0;
            if (d == (npy_intp)sizeof(T)) {
                const T* a = (const T*)row;
#pragma omp simd reduction(+ : sum)
                for (npy_intp j = begin; j < end; ++j) sum += a[j] * a[j];
            } else {
                for (npy_intp j = begin; j < end; ++j)
                    sum += *(const T*)(row + j * d) * *(const T*)(row + j * d);
            }
            total += sum;
        }
    }
    return total;
}

// Sum of the squares of all elements, in threads. Parts are added in the same order in any number.
template <typename T>
static double sum(PyArrayObject* x) {
    static const npy_intp PARTS = 16, WORK = 10;  // the time of an element, in multiplications
    const npy_intp rows = PyArray_DIM(x, 0), work = WORK * rows * PyArray_DIM(x, 1);
    double part[PARTS], total = 0;
    const WithoutGIL released(work / WORK);
    const int n = std::min<int>(threads::number(work), PARTS);
    threads::run(n, [&](int thread) {
        for (npy_intp k = thread; k < PARTS; k += n)
            part[k] = of_rows<T>(x, rows * k / PARTS, rows * (k + 1) / PARTS);
        return true;
    });
    for (npy_intp k = 0; k < PARTS; ++k) total += part[k];
    return total;
}

}  // namespace squares
