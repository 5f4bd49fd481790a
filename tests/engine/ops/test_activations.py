"""Our tanh and sigmoid against NumPy in extended precision, and against Theano's own."""

import functools
import os

import numpy as np
import pytest
from conftest import first, some
from hypothesis import given, settings
from hypothesis import strategies as st
from interpreters import run_python
from scipy.special import expit
from theano.compile.mode import get_default_mode
from theano.scalar import Composite, Tanh
from theano.scan.op import Scan
from theano.tensor.elemwise import Elemwise
from theano.tensor.nnet.sigm import ScalarSigmoid, ScalarSoftplus

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops.activations import VectorizedSigmoid, VectorizedTanh

DTYPES = ("float32", "float64")
THEANOS = {"tanh": tensor.tanh, "sigmoid": tensor.nnet.sigmoid}
OURS = {VectorizedTanh, VectorizedSigmoid}
#: FAST_RUN's graph, executed by the Ops' Python instead of their C: nothing to compile.
IN_PYTHON = theano.Mode("py", "fast_run")
# How a matrix can lie in memory: the same values, never a plain copy but for the first.
LAYOUTS = {
    "dense": lambda x: x.copy(),
    "transposed": lambda x: x.T.copy().T,
    "every other column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "columns backwards": lambda x: x[:, ::-1].copy()[:, ::-1],
    "part of wider rows": lambda x: np.pad(x, ((0, 0), (3, 2)))[:, 3:-2],
}


def oracle(name, x):
    """In the longest floating point numbers there are."""
    x = x.astype(np.longdouble)
    if name == "tanh":
        return np.tanh(x)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def scalar_ops(function):
    """The classes of all scalar Ops, of fused ones and of those in scans too."""
    found = set()
    for node in function.maker.fgraph.apply_nodes:
        if isinstance(node.op, Scan):
            found |= scalar_ops(node.op.fn)
        elif isinstance(node.op, Elemwise) and isinstance(node.op.scalar_op, Composite):
            found |= {type(inner.op) for inner in node.op.scalar_op.fgraph.apply_nodes}
        elif isinstance(node.op, Elemwise):
            found.add(type(node.op.scalar_op))
    return found


@functools.cache
def compiled(name, dtype, ndim, inplace=False, mode=None):
    """f(x) -> tanh or sigmoid of an array; "inplace" writes it over x."""
    x = tensor.TensorType(dtype, (False,) * ndim)("x")
    argument = theano.In(x, mutable=True) if inplace else x
    f = theano.function([argument], THEANOS[name](x), mode=mode)
    assert scalar_ops(f) == {VectorizedTanh if name == "tanh" else VectorizedSigmoid}
    (node,) = f.maker.fgraph.apply_nodes
    assert bool(node.op.inplace_pattern) == inplace
    return f


def off(mode=None):
    return (mode or get_default_mode()).excluding("vectorized_tanh", "vectorized_sigmoid")


def dense_grid(dtype):
    """Both signs: evenly over the range where anything happens, and over every magnitude."""
    lowest = float(np.finfo(dtype).smallest_subnormal)
    even = np.linspace(0, 90 if dtype == "float32" else 710, 200001)
    small = np.linspace(0, 3, 200001)
    magnitudes = np.geomspace(lowest, 100, 200001)
    x = np.concatenate([even, small, magnitudes]).astype(dtype)
    return np.concatenate([x, -x])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(THEANOS))
def test_accurate_to_two_units_of_the_last_digit(name, dtype):
    x = dense_grid(dtype)
    actual, wanted = compiled(name, dtype, 1)(x), oracle(name, x)
    assert actual.dtype == dtype
    normal = np.abs(wanted) >= np.finfo(dtype).tiny
    assert normal.mean() > 0.9
    error = np.abs(actual[normal] - wanted[normal]) / np.abs(wanted[normal])
    assert error.max() <= 2 * np.finfo(dtype).eps
    if name == "sigmoid":
        assert not actual[~normal].any()
    else:
        np.testing.assert_array_equal(actual[~normal], x[~normal])
        assert np.abs(actual).max() == 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("length", [1, 9])
@pytest.mark.parametrize("mode", [None, IN_PYTHON], ids=["C", "Python"])
def test_special_values(dtype, inplace, length, mode):
    # One alone, and as many as fill vector lanes and leave some over.
    huge = np.finfo(dtype).max
    cases = [
        (np.nan, np.nan, np.nan),
        (np.inf, 1, 1),
        (-np.inf, -1, 0),
        (huge, 1, 1),
        (-huge, -1, 0),
        (0.0, 0.0, 0.5),
        (-0.0, -0.0, 0.5),
    ]
    for x, tanh, sigmoid in cases:
        for name, wanted in (("tanh", tanh), ("sigmoid", sigmoid)):
            f = compiled(name, dtype, 1, inplace, mode)
            actual = f(np.full(length, x, dtype))
            np.testing.assert_array_equal(actual, np.full(length, wanted, dtype))
            if wanted == 0:
                assert np.signbit(actual).all() == np.signbit(wanted)


@pytest.mark.parametrize("dtype", DTYPES)
def test_tanh_is_odd_and_neighbours_of_nan_are_not_touched(dtype):
    x = np.random.default_rng(0).normal(size=101).astype(dtype)
    tanh = compiled("tanh", dtype, 1)
    np.testing.assert_array_equal(tanh(-x), -tanh(x))
    broken = np.where(np.arange(101) % 7 == 3, np.nan, x).astype(dtype)
    np.testing.assert_array_equal(np.isnan(tanh(broken)), np.isnan(broken))


@st.composite
def matrices(draw):
    """x, and the layout it is to have."""
    shape = draw(st.integers(0, 5)), draw(st.sampled_from([0, 1, 2, 3, 7, 8, 31, 64, 100]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    x = rng.normal(scale=draw(st.sampled_from([1e-3, 1, 10])), size=shape)
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    return x.astype(draw(st.sampled_from(DTYPES))), layout


@pytest.mark.slow
@settings(max_examples=some(150), deadline=None)
@given(matrices(), st.sampled_from(sorted(THEANOS)), st.booleans())
def test_every_shape_and_layout(problem, name, inplace):
    x, layout = problem
    given_x, rtol = layout(x), 2 * np.finfo(x.dtype).eps
    actual = compiled(name, x.dtype.name, 2, inplace)(given_x)
    assert actual.dtype == x.dtype and actual.shape == x.shape
    np.testing.assert_allclose(actual, oracle(name, x), rtol=rtol)
    np.testing.assert_array_equal(given_x, actual if inplace else x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_number_alone_is_a_number(dtype):
    for x in np.array([-3.0, 1e-5, 0.7], dtype):
        actual = compiled("tanh", dtype, 0)(x)
        assert actual.shape == () and actual.dtype == dtype
        np.testing.assert_allclose(actual, np.tanh(x), rtol=4 * np.finfo(dtype).eps)


# The user's graph: tensor.tanh, tensor.nnet.sigmoid and theano.grad of them.


def fused(dtype, mode):
    """f(x, b) -> an expression of both, and its gradients."""
    x, b = tensor.matrix("x", dtype), tensor.vector("b", dtype)
    E = tensor.tanh(x + b) * tensor.nnet.sigmoid(3 * x - b) - tensor.tanh(x) ** 2
    return theano.function([x, b], [E, *theano.grad(E.sum(), [x, b])], mode=mode)


def recurrence(dtype, mode):
    """f(x, w) -> the states of a recurrence with both, and the gradients of their sum."""
    x, w = tensor.matrix("x", dtype), tensor.vector("w", dtype)

    def step(x_t, s, w):
        return tensor.tanh(x_t + w * s) * tensor.nnet.sigmoid(s)

    s, _ = theano.scan(step, x, tensor.zeros_like(w), [w], strict=True, mode=mode)  # (T, H)
    # The steps are what is tested: only they are compiled.
    outer = mode or IN_PYTHON
    return theano.function([x, w], [s, *theano.grad(s.sum(), [x, w])], mode=outer)


@pytest.mark.parametrize(
    "graph, shapes, dtype",
    first(
        1,
        [
            (fused, [(6, 9), (9,)], "float64"),
            (fused, [(6, 9), (9,)], "float32"),
            (recurrence, [(8, 9), (9,)], "float64"),
        ],
    ),
)
def test_ours_and_theanos_agree(graph, shapes, dtype):
    # Theano's in Python: only ours is compiled.
    ours, theanos = graph(dtype, None), graph(dtype, off(IN_PYTHON))
    assert OURS <= scalar_ops(ours)
    assert not scalar_ops(ours) & {Tanh, ScalarSigmoid}
    assert {Tanh, ScalarSigmoid} <= scalar_ops(theanos)
    assert not scalar_ops(theanos) & OURS
    rng = np.random.default_rng(4)
    values = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    for actual, wanted in zip(ours(*values), theanos(*values)):
        np.testing.assert_allclose(actual, wanted, rtol=tolerance, atol=tolerance)


def test_they_are_fused_with_their_neighbours():
    x, b = tensor.fmatrix("x"), tensor.fmatrix("b")
    f = theano.function([x, b], tensor.nnet.sigmoid(tensor.tanh(x + b) * b), mode=IN_PYTHON)
    (node,) = f.maker.fgraph.apply_nodes
    assert isinstance(node.op.scalar_op, Composite)
    assert scalar_ops(f) > OURS
    values = np.random.default_rng(5).normal(size=(2, 3, 4)).astype("float32")
    wanted = expit(np.tanh(values[0] + values[1]) * values[1])
    np.testing.assert_allclose(f(*values), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", sorted(THEANOS))
def test_each_is_switched_off_by_its_name(name):
    x = tensor.fvector("x")
    outputs = [tensor.tanh(x), tensor.nnet.sigmoid(x)]
    f = theano.function([x], outputs, mode=IN_PYTHON.excluding(f"vectorized_{name}"))
    assert (
        scalar_ops(f)
        == {
            "tanh": {Tanh, VectorizedSigmoid},
            "sigmoid": {VectorizedTanh, ScalarSigmoid},
        }[name]
    )


def test_rewrites_that_know_the_sigmoid_come_first():
    x = tensor.fvector("x")
    f = theano.function([x], tensor.log(tensor.nnet.sigmoid(x)), mode=IN_PYTHON)
    assert ScalarSoftplus in scalar_ops(f)
    assert not scalar_ops(f) & OURS


@pytest.mark.parametrize("dtype", ["int8", "int32", "float16", "complex64"])
def test_other_types_stay_theanos(dtype):
    x = tensor.vector("x", dtype)
    f = theano.function([x], tensor.tanh(x), mode=IN_PYTHON)
    assert Tanh in scalar_ops(f) and not scalar_ops(f) & OURS


def test_fast_compile_keeps_theanos():
    x = tensor.fvector("x")
    f = theano.function([x], tensor.tanh(x), mode="FAST_COMPILE")
    assert scalar_ops(f) == {Tanh}
    np.testing.assert_allclose(f(np.ones(3, "float32")), np.tanh(np.ones(3)), rtol=1e-6)


HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.mark.slow
def test_without_a_compiler_theanos_stay_and_work():
    code = """
import numpy as np
import theano_rnn.engine
import test_activations as tests
f = tests.fused("float64", None)
E, *_ = f(np.ones((1, 1)), np.ones(1))
print(tests.scalar_ops(f) & tests.OURS, E.item())
"""
    found, E = run_python(code, flags={"cxx": ""}, cwd=HERE).rsplit(" ", 1)
    assert found == "set()"
    assert float(E) == pytest.approx(np.tanh(2) * expit(2) - np.tanh(1) ** 2, rel=1e-12)
