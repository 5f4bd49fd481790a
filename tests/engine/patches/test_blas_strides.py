"""Every Op of Theano's that calls BLAS, of operands laid out in every way: C against NumPy."""

import itertools

import numpy as np
import pytest
from conftest import first
from theano.compile.mode import get_default_mode
from theano.tensor.blas import BatchedDot, Dot22, Dot22Scalar, Gemm
from theano.tensor.blas_c import CGemv, CGer

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops.skinny_gemm import SkinnyGemm

DTYPES = first(1, ["float32", "float64"])
SIZES = (0, 1, 3)
PLAIN = theano.Mode("cvm" if theano.config.cxx else "vm", None)  # the Op itself, not a faster one


def compiled(op, ndims, dtype, overwrites=False):
    """The Op as a function of its operands, each of that many dimensions."""
    variables = [tensor.TensorType(dtype, (False,) * ndim)() for ndim in ndims]
    inputs = [
        theano.In(v, mutable=True, borrow=True) if overwrites and v is variables[0] else v
        for v in variables
    ]
    output = theano.Out(op(*variables), borrow=True)
    return theano.function(inputs, output, mode=PLAIN, accept_inplace=True)


def layouts(a):
    """The array, laid out in memory in every way that NumPy has."""
    yield a.copy()
    if a.ndim == 0:
        return
    yield np.asfortranarray(a)
    for axis in range(a.ndim):
        at = [slice(None)] * a.ndim
        for part, size in ((slice(None, None, -1), 1), (slice(None, None, 2), 2)):
            shape = [n * size if i == axis else n for i, n in enumerate(a.shape)]
            view = np.full(shape, np.nan, a.dtype)[(*at[:axis], part)]  # reversed, strided
            view[...] = a
            yield view
    view = np.full([2 * n + 1 for n in a.shape[::-1]], np.nan, a.dtype).T
    view = view[tuple(slice(1, None, 2) for _ in a.shape)]  # no element next to another
    view[...] = a
    yield view


def overlapping(a):
    """Arrays of that shape whose elements share memory."""
    for axis in range(a.ndim):
        yield np.broadcast_to(a[(slice(None),) * axis + (slice(1),)], a.shape)
    base = np.arange(sum(a.shape), dtype=a.dtype)
    yield np.lib.stride_tricks.as_strided(base, a.shape, base.strides * a.ndim)  # sliding windows


def all_layouts(operands):
    """The operands, each in turn in every layout; the first one may be overwritten."""
    for i, operand in enumerate(operands):
        views = list(layouts(operand))
        if i and operand.ndim and operand.size:
            views += overlapping(operand)
        for view in views:
            yield [view if j == i else a.copy() for j, a in enumerate(operands)]


def check(function, want, shapes, dtype, keeps=False):
    """Compare a function with NumPy's for operands of these shapes."""
    rng = np.random.default_rng(0)
    for operands in all_layouts([rng.standard_normal(s).astype(dtype) for s in shapes]):
        expected, before = want(*operands), operands[0].copy()
        made = function(*operands)
        assert made.dtype == dtype
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)
        if keeps:
            np.testing.assert_array_equal(operands[0], before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inplace", [False, True])
def test_gemm(inplace, dtype):
    f = compiled(Gemm(inplace), [2, 0, 2, 2, 0], dtype, inplace)
    for m, n, k in itertools.product(SIZES, repeat=3):
        shapes = [(m, n), (), (m, k), (k, n), ()]
        check(f, lambda z, a, x, y, b: b * z + a * (x @ y), shapes, dtype, not inplace)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inplace", [False, True])
def test_gemv(inplace, dtype):
    f = compiled(CGemv(inplace), [1, 0, 2, 1, 0], dtype, inplace)
    for m, k in itertools.product(SIZES, repeat=2):
        shapes = [(m,), (), (m, k), (k,), ()]
        check(f, lambda z, a, x, y, b: b * z + a * (x @ y), shapes, dtype, not inplace)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inplace", [False, True])
def test_ger(inplace, dtype):
    f = compiled(CGer(inplace), [2, 0, 1, 1], dtype, inplace)
    for m, n in [*itertools.product(SIZES, repeat=2), (40, 60)]:  # small ones are not BLAS's
        shapes = [(m, n), (), (m,), (n,)]
        check(f, lambda z, a, x, y: z + a * np.outer(x, y), shapes, dtype, not inplace)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dot22(dtype):
    f = compiled(Dot22(), [2, 2], dtype)
    for m, n, k in itertools.product(SIZES, repeat=3):
        check(f, lambda x, y: x @ y, [(m, k), (k, n)], dtype, True)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dot22_scalar(dtype):
    f = compiled(Dot22Scalar(), [2, 2, 0], dtype)
    for m, n, k in itertools.product(SIZES, repeat=3):
        check(f, lambda x, y, a: a * (x @ y), [(m, k), (k, n), ()], dtype, True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "sum_", first(1, ["bmk,bkn->bmn", "bk,bkn->bn", "bmk,bk->bm", "bk,bk->b"])
)
def test_batched_dot(sum_, dtype):
    names = sum_.partition("->")[0].split(",")
    f = compiled(BatchedDot(), [len(name) for name in names], dtype)
    for sizes in itertools.product((0, 2), *[SIZES] * 3):
        size = dict(zip("bmnk", sizes))
        shapes = [tuple(size[axis] for axis in name) for name in names]
        check(f, lambda x, y: np.einsum(sum_, x, y), shapes, dtype, True)


@pytest.mark.parametrize("op", [Gemm, SkinnyGemm])
def test_an_empty_parameter_is_updated_in_place(op):
    mode = get_default_mode()
    mode = mode.excluding("skinny_gemm") if op is Gemm else mode
    Z = theano.shared(np.zeros((0, 5)), "Z")
    A, B = tensor.dmatrices("A", "B")
    update = theano.function([A, B], updates=[(Z, 0.2 * Z + tensor.dot(A, B))], mode=mode)
    assert any(isinstance(node.op, op) for node in update.maker.fgraph.apply_nodes)
    update(np.ones((0, 4)), np.ones((4, 5)))
    assert Z.get_value().shape == (0, 5)
