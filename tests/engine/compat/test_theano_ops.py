"""Every Op of Theano that this package uses: values, gradients, dtypes, shapes; Python and C.

The same on each Python and NumPy: the expected values are NumPy's functions, the expected
gradients their central differences.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np
import pytest
from conftest import COMPILED, IN_PYTHON, first

from theano_rnn.engine import tensor, theano

RNG = np.random.default_rng(15)
A = RNG.uniform(0.2, 0.9, (3, 4))  # in the domain of every function below
B = RNG.uniform(0.2, 0.9, (3, 4))
C = RNG.uniform(-0.9, 0.9, (4, 2))
R = RNG.uniform(-0.9, 0.9, 4)
ROWS = np.array([2, 0, 2])
BITS = np.array([[True, False, True, False]] * 3)


@dataclass(frozen=True)
class Case:
    """An expression in Theano and in NumPy, of arrays; floats are differentiated, ints are not."""

    theano: Callable[..., Any]
    numpy: Callable[..., Any]
    arrays: Sequence[Any]
    dtype: str = "floatX"  # of the result


def same(function: str, *arrays: Any, dtype: str = "floatX", theano: str = "") -> Case:
    return Case(getattr(tensor, theano or function), getattr(np, function), arrays, dtype)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def changed(x, index, y, add):
    x = x.copy()
    if add:
        np.add.at(x, index, y)
    else:
        x[index] = y
    return x


def sorted_unique_inverse(x):
    return np.searchsorted(np.unique(x), x)


ELEMENTWISE = {
    "add": Case(lambda a, b: a + b, np.add, [A, B]),
    "add a row": Case(lambda a, r: a + r, np.add, [A, R]),
    "sub": Case(lambda a, b: a - b, np.subtract, [A, B]),
    "mul": Case(lambda a, b: a * b, np.multiply, [A, B]),
    "mul of three": Case(lambda a, b, r: a * b * r, lambda a, b, r: a * b * r, [A, B, R]),
    "true_div": Case(lambda a, b: a / b, np.divide, [A, B]),
    "int_div": Case(lambda i: i // 2, lambda i: i // 2, [ROWS - 1], "int64"),
    "mod": Case(lambda i: i % 2, lambda i: i % 2, [ROWS - 1], "int64"),
    "neg": Case(lambda a: -a, np.negative, [A]),
    "inv": Case(lambda a: tensor.inv(a), lambda a: 1 / a, [A]),
    "sqr": same("square", A, theano="sqr"),
    "sqrt": same("sqrt", A),
    "pow": Case(lambda a, b: a**b, np.power, [A, B]),
    "pow of a constant": Case(lambda a: 0.5**a, lambda a: 0.5**a, [A]),
    "pow to a constant": Case(lambda a: a**3, lambda a: a**3, [A]),
    "exp": same("exp", A),
    "exp2": same("exp2", A),
    "expm1": same("expm1", A),
    "log": same("log", A),
    "log1p": same("log1p", A),
    "log2": same("log2", A),
    "sin": same("sin", A),
    "arcsin": same("arcsin", A),
    "arccos": same("arccos", A),
    "arctan": same("arctan", A),
    "tanh": same("tanh", A),
    "arctanh": same("arctanh", A),
    "arcsinh": same("arcsinh", A),
    "arccosh": same("arccosh", A + 2),
    "sigmoid": Case(tensor.nnet.sigmoid, lambda a: 1 / (1 + np.exp(-a)), [A]),
    "softplus": Case(tensor.nnet.softplus, lambda a: np.log1p(np.exp(a)), [A]),
    "relu": Case(tensor.nnet.relu, lambda a: np.maximum(a, 0), [R]),
    "abs": Case(abs, np.abs, [R]),
    "sgn": same("sign", R, theano="sgn"),
    "maximum": same("maximum", A, B),
    "minimum": same("minimum", A, B),
    "clip": Case(lambda a: tensor.clip(a, 0.3, 0.6), lambda a: np.clip(a, 0.3, 0.6), [A]),
    "switch": Case(tensor.switch, np.where, [BITS, A, B]),
    "floor": same("floor", R),
    "cast to int": Case(
        lambda a: (9 * a).astype("int32"), lambda a: np.trunc(9 * a), [R], "int32"
    ),
    "cast to int8": Case(
        lambda i: (100 + 100 * i).astype("int8"),
        lambda i: (100 + 100 * i).astype("int8"),
        [ROWS],
        "int8",
    ),
    "cast from bool": Case(lambda m: m.astype("float64"), lambda m: m * 1.0, [BITS], "float64"),
    "eq": same("equal", ROWS, ROWS[::-1].copy(), dtype="bool", theano="eq"),
    "neq": same("not_equal", ROWS, ROWS[::-1].copy(), dtype="bool", theano="neq"),
    "lt": same("less", A, B, dtype="bool", theano="lt"),
    "le": same("less_equal", A, B, dtype="bool", theano="le"),
    "gt": same("greater", A, B, dtype="bool", theano="gt"),
    "ge": same("greater_equal", A, B, dtype="bool", theano="ge"),
    "and": Case(lambda m, a: m & (a > 0.5), lambda m, a: m & (a > 0.5), [BITS, A], "bool"),
    "or": Case(lambda m, a: m | (a > 0.5), lambda m, a: m | (a > 0.5), [BITS, A], "bool"),
    "not": Case(lambda m: ~m, np.logical_not, [BITS], "bool"),
    "isnan": same("isnan", A, dtype="bool"),
    "isinf": same("isinf", A, dtype="bool"),
    "sum of int and float": Case(lambda i, a: i * a.T, lambda i, a: i * a.T, [ROWS, A], "float64"),
    "sum of int8": Case(
        lambda i: i.astype("int8") + np.int8(100), lambda i: i + np.int8(100), [ROWS], "int8"
    ),
}

OTHERS = {
    "dot of matrices": Case(tensor.dot, np.dot, [A, C]),
    "dot of matrix and vector": Case(tensor.dot, np.dot, [A, R]),
    "dot of vector and matrix": Case(tensor.dot, np.dot, [R, C]),
    "dot of vectors": Case(tensor.dot, np.dot, [R, A[0]]),
    "dot of the transposed": Case(lambda a, b: tensor.dot(a.T, b), lambda a, b: a.T @ b, [A, B]),
    "gemm": Case(
        lambda a, c, d: d - 0.5 * a.dot(c), lambda a, c, d: d - 0.5 * a @ c, [A, C, A[:, :2]]
    ),
    "outer": same("outer", R, A[0]),
    "sum": Case(lambda a: a.sum(), np.sum, [A]),
    "sum of rows": Case(lambda a: a.sum(0), lambda a: a.sum(0), [A]),
    "sum of columns": Case(lambda a: a.sum(1), lambda a: a.sum(1), [A]),
    "sum of ints": Case(lambda i: i.sum(), np.sum, [ROWS], "int64"),
    "sum of bits": Case(lambda m: m.sum(), np.sum, [BITS], "int64"),
    "mean": Case(lambda a: a.mean(), np.mean, [A]),
    "prod": Case(lambda a: a.prod(1), lambda a: a.prod(1), [A]),
    "max": Case(lambda a: a.max(), np.max, [A]),
    "max of rows": Case(lambda a: a.max(axis=1), lambda a: a.max(1), [A]),
    "min": Case(lambda a: a.min(axis=0), lambda a: a.min(0), [A]),
    "argmax": Case(lambda a: a.argmax(), np.argmax, [A], "int64"),
    "argmax of rows": Case(lambda a: a.argmax(axis=1), lambda a: a.argmax(1), [A], "int64"),
    "argsort": Case(lambda a: a.argsort(), np.argsort, [A], "int64"),
    "sort of all": Case(lambda a: tensor.sort(a, None), lambda a: np.sort(a, None), [A]),
    "all": Case(lambda m: m.all(0), lambda m: m.all(0), [BITS], "bool"),
    "any": Case(lambda m: m.any(1), lambda m: m.any(1), [BITS], "bool"),
    "cumsum": Case(lambda a: a.cumsum(), np.cumsum, [A]),
    "cumsum of columns": Case(lambda a: a.cumsum(1), lambda a: a.cumsum(1), [A]),
    "cumprod": Case(lambda a: a.cumprod(), np.cumprod, [A]),
    "norm": Case(lambda a: a.norm(2), lambda a: np.sqrt((a**2).sum()), [A]),
    "softmax": Case(tensor.nnet.softmax, softmax, [A]),
    "categorical_crossentropy": Case(
        lambda a, i: tensor.nnet.categorical_crossentropy(tensor.nnet.softmax(a), i),
        lambda a, i: -np.log(softmax(a)[np.arange(3), i]),
        [A, ROWS],
    ),
    "logsumexp": Case(
        lambda a: tensor.log(tensor.exp(a).sum()), lambda a: np.log(np.exp(a).sum()), [A]
    ),
    "row": Case(lambda a: a[1], lambda a: a[1], [A]),
    "slice": Case(lambda a: a[1:, ::-1], lambda a: a[1:, ::-1], [A]),
    "slice by a variable": Case(lambda a, i: a[: i[0]], lambda a, i: a[: i[0]], [A, ROWS]),
    "rows": Case(lambda a, i: a[i], lambda a, i: a[i], [A, ROWS]),
    "rows of a vector": Case(lambda r, i: r[i], lambda r, i: r[i], [R, ROWS]),
    "elements": Case(
        lambda a, i: a[tensor.arange(3), i], lambda a, i: a[np.arange(3), i], [A, ROWS]
    ),
    "by a mask": Case(lambda a, m: a[m.nonzero()], lambda a, m: a[m], [A, BITS]),
    "inc_subtensor": Case(
        lambda a, b: tensor.inc_subtensor(a[1:], b[:2]),
        lambda a, b: changed(a, slice(1, None), b[:2], True),
        [A, B],
    ),
    "set_subtensor": Case(
        lambda a, r: tensor.set_subtensor(a[0], r),
        lambda a, r: changed(a, 0, r, False),
        [A, R],
    ),
    "inc of rows": Case(
        lambda a, i, b: tensor.inc_subtensor(a[i], b),
        lambda a, i, b: changed(a, i, b, True),
        [A, ROWS, B],
    ),
    "inc of rows by a row": Case(
        lambda a, i, r: tensor.inc_subtensor(a[i], r),
        lambda a, i, r: changed(a, i, r, True),
        [A, ROWS, R],
    ),
    "set of rows": Case(
        lambda a, i, b: tensor.set_subtensor(a[i[:2]], b[:2]),
        lambda a, i, b: changed(a, i[:2], b[:2], False),
        [A, ROWS, B],
    ),
    "inc of elements": Case(
        lambda a, i, r: tensor.inc_subtensor(a[tensor.arange(3), i], r[:3]),
        lambda a, i, r: changed(a, (np.arange(3), i), r[:3], True),
        [A, ROWS, R],
    ),
    "concatenate": Case(
        lambda a, b: tensor.concatenate([a, b], 1), lambda a, b: np.concatenate([a, b], 1), [A, B]
    ),
    "stack": Case(lambda a, b: tensor.stack([a, b]), lambda a, b: np.stack([a, b]), [A, B]),
    "stack of scalars": Case(
        lambda a: tensor.stack([a[0, 0], a[1, 1]]), lambda a: np.stack([a[0, 0], a[1, 1]]), [A]
    ),
    "split": Case(
        lambda a: tensor.split(a, [1, 3], 2, 1)[1], lambda a: np.split(a, [1], 1)[1], [A]
    ),
    "reshape": Case(lambda a: a.reshape((2, -1)), lambda a: a.reshape(2, -1), [A]),
    "flatten": Case(lambda a: a.flatten(), np.ravel, [A]),
    "transpose": Case(lambda a: a.T, np.transpose, [A]),
    "dimshuffle": Case(
        lambda a: a.dimshuffle(1, "x", 0), lambda a: a.transpose(1, 0)[:, None], [A]
    ),
    "shape_padleft": Case(tensor.shape_padleft, lambda r: r[None], [R]),
    "repeat": Case(lambda a: tensor.repeat(a, 2, 0), lambda a: np.repeat(a, 2, 0), [A]),
    "repeat of all": Case(lambda a: tensor.repeat(a, 2), lambda a: np.repeat(a, 2), [A]),
    "tile": Case(lambda r: tensor.tile(r, 2), lambda r: np.tile(r, 2), [R]),
    "diag": same("diag", R),
    "eye": Case(lambda i: tensor.eye(i[0]), lambda i: np.eye(i[0]), [ROWS]),
    "alloc": Case(
        lambda a, i: tensor.alloc(a, i[0], 3, 4), lambda a, i: np.stack([a] * 2), [A, ROWS]
    ),
    "zeros_like": same("zeros_like", A),
    "ones_like": same("ones_like", A),
    "shape": Case(lambda a: a.shape, lambda a: np.array(a.shape), [A], "int64"),
    "arange": Case(lambda i: tensor.arange(i[0]), lambda i: np.arange(i[0]), [ROWS], "int64"),
    "arange of floats": Case(
        lambda i: tensor.arange(0.0, i[0], 0.5, dtype="float64"),
        lambda i: np.arange(0, i[0], 0.5),
        [ROWS],
        "float64",
    ),
    "nonzero": Case(lambda m: m.nonzero()[1], lambda m: m.nonzero()[1], [BITS], "int64"),
    "unique": Case(tensor.extra_ops.Unique(), np.unique, [ROWS], "int64"),
    "unique's index": Case(
        lambda i: tensor.extra_ops.Unique(True, True, True)(i)[1],
        lambda i: np.unique(i, return_index=True)[1],
        [ROWS],
        "int64",
    ),
    "unique's inverse": Case(
        lambda i: tensor.extra_ops.Unique(True, True, True)(i)[2],
        sorted_unique_inverse,
        [ROWS],
        "int64",
    ),
    "unique's inverse of a matrix": Case(
        lambda m: tensor.extra_ops.Unique(False, True)(m)[1],
        lambda m: sorted_unique_inverse(m).ravel(),
        [np.array([[3, 1], [1, 2]])],
        "int64",
    ),
    "unique's inverse of rows": Case(
        lambda m: tensor.extra_ops.Unique(False, True, axis=0)(m)[1],
        lambda m: np.array([1, 0, 1]),
        [np.array([[3, 1], [1, 2], [3, 1]])],
        "int64",
    ),
    "scan": Case(
        lambda a, r: theano.scan(lambda x, s: tensor.tanh(x + s), a, r)[0],
        lambda a, r: np.stack(
            list(_accumulate(lambda s, x: np.tanh(x + s), a, r)),
        ),
        [A, R],
    ),
    "ifelse": Case(lambda a, b: theano.ifelse.ifelse(a[0, 0] > 1, a, b), lambda a, b: b, [A, B]),
}

CASES = {**ELEMENTWISE, **OTHERS}


def _accumulate(step, xs, state):
    for x in xs:
        state = step(state, x)
        yield state


@functools.cache
def graph(name: str, floatX: str):
    """Inputs, and the result with the gradient of its weighted sum in each float input."""
    case = CASES[name]
    with theano.config.change_flags(floatX=floatX):
        inputs = [
            tensor.TensorType(floatX if a.dtype == "float64" else str(a.dtype), [False] * a.ndim)()
            for a in case.arrays
        ]
        result = tensor.as_tensor_variable(case.theano(*inputs))
        floats = [x for x in inputs if x.dtype == floatX]
        gradients = []
        if result.dtype in tensor.float_dtypes and floats:
            cost = (result * weights(result.ndim)).sum()
            gradients = theano.grad(cost, floats, disconnected_inputs="ignore")
    return inputs, [result, *gradients]


def weights(ndim: int):
    """Of the elements of a result: 1.5 for the first along each axis."""
    return theano.tensor.ones((1,) * ndim) + 0.5 if ndim else 1.5


def expected(case: Case):
    """The result in float64, and the central differences of its sum times 1.5."""
    arrays = [a.copy() for a in case.arrays]
    result = np.asarray(case.numpy(*arrays))
    gradients = []
    for array in arrays:
        if array.dtype != "float64":
            continue
        gradient = np.empty_like(array)
        for i in np.ndindex(array.shape):
            before, sums = array[i], []
            for sign in (1, -1):
                array[i] = before + sign * 1e-6
                sums.append(1.5 * np.sum(case.numpy(*arrays)))
            array[i] = before
            gradient[i] = (sums[0] - sums[1]) / 2e-6
        gradients.append(gradient)
    return result, gradients


def agree(name: str, floatX: str, values) -> None:
    case = CASES[name]
    result, gradients = expected(case)
    assert values[0].dtype == (floatX if case.dtype == "floatX" else case.dtype)
    assert values[0].shape == result.shape
    rtol = 1e-12 if floatX == "float64" else 1e-5
    np.testing.assert_allclose(values[0], result, rtol, rtol, err_msg=name)
    for gradient, reference in zip(values[1:], gradients):
        assert gradient.dtype == floatX and gradient.shape == reference.shape
        rtol = 1e-7 if floatX == "float64" else 1e-4
        np.testing.assert_allclose(gradient, reference, rtol, rtol, err_msg=name)


@pytest.mark.parametrize("floatX", first(1, ["float32", "float64"]))
@pytest.mark.parametrize("name", CASES)
def test_an_op_in_python_agrees_with_numpy(name, floatX):
    inputs, outputs = graph(name, floatX)
    mode = IN_PYTHON.excluding("native_loop")
    function = theano.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    agree(name, floatX, function(*arguments(name, floatX)))


def arguments(name: str, floatX: str):
    return [a.astype(floatX) if a.dtype == "float64" else a for a in CASES[name].arrays]


@pytest.mark.slow  # a module for each Op
@pytest.mark.parametrize("floatX", ["float64", "float32"])
@pytest.mark.parametrize("cases", [ELEMENTWISE, OTHERS], ids=["elementwise", "others"])
def test_the_ops_in_c_agree_with_numpy(cases, floatX):
    graphs = [graph(name, floatX) for name in cases]
    function = theano.function(
        [x for inputs, _ in graphs for x in inputs],
        [y for _, outputs in graphs for y in outputs],
        mode=COMPILED,
        on_unused_input="ignore",
    )
    values = function(*[a for name in cases for a in arguments(name, floatX)])
    for name, (_, outputs) in zip(cases, graphs):
        agree(name, floatX, [values.pop(0) for _ in outputs])
