"""Theano's products by BLAS, of operands that are empty or overlap themselves.

Two defects of the C of Gemm, Dot22, Dot22Scalar, BatchedDot, CGemv and CGer (theano-pymc 1.1.2,
``theano/tensor/blas.py`` and ``blas_c.py``), which test strides for one element's size:

An empty array has no such stride, as NumPy 1.23 and later make all its strides 0: "some matrix has
no unit stride". Theano copies such an operand, but a copy has the same strides.

An operand whose elements share memory has one, such as a sliding window with the strides (8, 8);
and a vector repeated by broadcasting has the stride 0, even one of a single element. BLAS refuses
both. It prints that and computes nothing, and Theano returns what was in memory.

The patch: an operand that BLAS cannot read is copied, and BLAS is not asked for an empty result.
"""

from typing import Any

from theano.graph.basic import Apply
from theano.tensor.blas import BatchedDot, GemmRelated
from theano.tensor.blas_c import BaseBLAS, CGemv, CGer

#: In C++: whether BLAS can read an operand, and the operand itself or a copy that it can read.
FOR_BLAS = """
static inline bool is_for_blas(npy_intp size, const npy_intp* n, const npy_intp* s) {
    const bool by_rows = (n[1] == 1 || s[1] == size)
        && (n[0] == 1 || (s[0] % size == 0 && s[0] >= n[1] * size));
    const bool by_columns = (n[0] == 1 || s[0] == size)
        && (n[1] == 1 || (s[1] % size == 0 && s[1] >= n[0] * size));
    return by_rows || by_columns || n[0] == 0 || n[1] == 0;
}

static inline bool copy_for_blas(PyArrayObject** a) {
    PyArrayObject* const copy = (PyArrayObject*)PyArray_NewCopy(*a, NPY_CORDER);
    if (copy == NULL) return false;
    Py_DECREF(*a);
    *a = copy;
    return true;
}

static inline bool matrix_for_blas(PyArrayObject** a) {
    return is_for_blas(PyArray_ITEMSIZE(*a), PyArray_DIMS(*a), PyArray_STRIDES(*a))
        || copy_for_blas(a);
}

static inline bool vector_for_blas(PyArrayObject** a) {
    const npy_intp stride = PyArray_STRIDE(*a, 0);
    return PyArray_DIM(*a, 0) == 0 || (stride != 0 && stride % PyArray_ITEMSIZE(*a) == 0)
        || copy_for_blas(a);
}
"""

#: In the place of GemmRelated's own.
CHECK_STRIDES = """
        if (!matrix_for_blas(&%(_x)s) || !matrix_for_blas(&%(_y)s)
            || !matrix_for_blas(&%(_zout)s)) %(fail)s;
        Nx = PyArray_DIMS(%(_x)s); Sx = PyArray_STRIDES(%(_x)s);
        Ny = PyArray_DIMS(%(_y)s); Sy = PyArray_STRIDES(%(_y)s);
        Nz = PyArray_DIMS(%(_zout)s); Sz = PyArray_STRIDES(%(_zout)s);
        """

#: After GemmRelated's own, which reads the strides of x and y: with nothing to add up these are
#: empty, and BLAS only multiplies z by beta.
WITHOUT_TERMS = """
        if (Nx[1] == 0) {
            unit &= 0xf;
            sx_0 = 1;
            sy_0 = Nz[1] + 1;
        }
        """

#: Around the function that BatchedDot calls.
BATCH = """
template <typename T, typename Gemm>
static bool batch_gemm(Gemm gemm, int size, PyArrayObject* x, PyArrayObject* y, PyArrayObject* z) {
    const bool fits = PyArray_DIM(x, 0) == PyArray_DIM(y, 0)
        && PyArray_DIM(x, 2) == PyArray_DIM(y, 1);
    if (fits && (PyArray_SIZE(z) == 0 || PyArray_DIM(x, 2) == 0)) {
        PyArray_FILLWBYTE(z, 0);
        return false;
    }
    Py_INCREF(x);
    Py_INCREF(y);
    PyArrayObject** const operands[] = {&x, &y};
    bool failed = false;
    for (PyArrayObject** a : operands)
        if (!failed && !is_for_blas(size, PyArray_DIMS(*a) + 1, PyArray_STRIDES(*a) + 1))
            failed = !copy_for_blas(a);
    failed = failed || shipped_batch_gemm<T>(gemm, size, x, y, z);
    Py_DECREF(x);
    Py_DECREF(y);
    return failed;
}
"""

#: Added to the version of each Op.
VERSION = 1

shipped_version = GemmRelated.build_gemm_version
shipped_gemm_support = GemmRelated.c_support_code
shipped_batched_support = BatchedDot.c_support_code
shipped_batched_version = BatchedDot.c_code_cache_version
shipped_vector_support = BaseBLAS.c_support_code


def install() -> None:
    """Copy operands that BLAS cannot read, and make empty results without BLAS."""
    GemmRelated.c_support_code = lambda self, **kwargs: shipped_gemm_support(self) + FOR_BLAS
    GemmRelated.check_strides = CHECK_STRIDES
    GemmRelated.compute_strides += WITHOUT_TERMS
    GemmRelated.begin_switch_typenum = (
        "if (Nz[0] != 0 && Nz[1] != 0)" + GemmRelated.begin_switch_typenum
    )
    GemmRelated.build_gemm_version = lambda self: (*shipped_version(self), VERSION)
    BatchedDot.c_support_code = batched_support
    BatchedDot.c_code_cache_version = lambda self: (*shipped_batched_version(self), VERSION)
    BaseBLAS.c_support_code = lambda self, **kwargs: shipped_vector_support(self) + FOR_BLAS
    for op, operands in ((CGemv, {2: "matrix", 3: "vector"}), (CGer, {2: "vector", 3: "vector"})):
        _prepare(op, operands)


def batched_support(self: BatchedDot, **kwargs: Any) -> str:
    """The shipped code, and around its function one that copies what BLAS cannot read."""
    code: str = shipped_batched_support(self, **kwargs)
    return FOR_BLAS + code.replace("batch_gemm", "shipped_batch_gemm") + BATCH


def _prepare(op: Any, operands: dict[int, str]) -> None:
    """Have the C of an Op copy these of its operands first, where BLAS cannot read them."""
    shipped_code, shipped_op_version = op.c_code, op.c_code_cache_version

    def c_code(
        self: Any, node: Apply, name: str, inp: list[str], out: list[str], sub: dict[str, str]
    ) -> str:
        ready = " && ".join(f"{kind}_for_blas(&{inp[i]})" for i, kind in operands.items())
        code: str = shipped_code(self, node, name, inp, out, sub)
        # A vector of one element is written over, too: whatever its stride is, 1 serves.
        code = code.replace("int Sz = ", f"int Sz = PyArray_DIM({inp[0]}, 0) == 1 ? 1 : ")
        return f"if (!({ready})) {{ {sub['fail']} }}\n" + code

    op.c_code = c_code
    op.c_code_cache_version = lambda self: (*shipped_op_version(self), VERSION)
