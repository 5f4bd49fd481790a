"""Rows added by number, told apart, and squares summed: as by Theano's own Ops, in place."""

import functools

import numpy as np
import pytest
from conftest import some
from hypothesis import given, settings
from hypothesis import strategies as st
from theano.compile.mode import get_default_mode

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops import rows

NAMES = ("row_increment", "row_unique", "sum_of_squares", "column_sums")
TYPES = {"row_increment": rows.RowIncrement, "row_unique": rows.RowUnique}
TYPES.update(sum_of_squares=rows.SumOfSquares, column_sums=rows.ColumnSums)


@functools.cache
def function(name, dtype="float64", is_on=True, linker=None):
    x, y = tensor.matrix("x", dtype), tensor.matrix("y", dtype)
    number = tensor.lvector("number")
    inputs, outputs = {
        "row_increment": ([x, y, number], tensor.inc_subtensor(x[number], y)),
        "row_unique": ([number], tensor.extra_ops.Unique(return_inverse=True)(number)),
        "sum_of_squares": ([x], tensor.sqr(x).sum()),
        "column_sums": ([x], x.sum(axis=0)),
    }[name]
    mode = get_default_mode() if linker is None else theano.Mode(linker, "fast_run")
    mode = mode if is_on else mode.excluding(name)
    return theano.function(inputs, outputs, mode=mode)


def has_ours(made, name):
    return any(isinstance(node.op, TYPES[name]) for node in made.maker.fgraph.apply_nodes)


@pytest.mark.parametrize("name", NAMES)
def test_each_stands_in_the_place_of_theanos_and_is_switched_off_by_its_name(name):
    assert has_ours(function(name), name)
    assert not has_ours(function(name, is_on=False), name)


def matrices(draw, shape, dtype):
    """Of any layout: by rows, by columns, with steps, turned round."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    a = rng.normal(size=(2 * shape[0], 3 * shape[1])).astype(dtype)
    layouts = (
        a[: shape[0], : shape[1]].copy(),
        a[: shape[0], : shape[1]].copy("F"),
        a[::2, ::3],
        a[::2, ::3][::-1, ::-1],
    )
    return draw(st.sampled_from(layouts))


@st.composite
def increments(draw, dtype):
    n, m, columns = draw(st.integers(1, 6)), draw(st.integers(0, 8)), draw(st.integers(0, 5))
    number = np.array(draw(st.lists(st.integers(-n, n - 1), min_size=m, max_size=m)), np.int64)
    return matrices(draw, (n, columns), dtype), matrices(draw, (m, columns), dtype), number


@pytest.mark.parametrize("dtype", rows.FLOATS)
def test_an_increment_adds_each_row_in_turn(dtype):
    @settings(max_examples=some(150), deadline=None)
    @given(increments(dtype))
    def check(case):
        x, y, number = case
        before, expected = x.copy(), x.copy()
        for i, n in enumerate(number):
            expected[n] += y[i]
        got = function("row_increment", dtype)(x, y, number)
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(x, before)  # a user's array stays as it was

    check()


def test_in_place_the_shared_matrix_itself_is_changed():
    x = theano.shared(np.zeros((4, 3)), "x", borrow=True)
    y, number = tensor.dmatrix("y"), tensor.lvector("number")
    update = theano.function([y, number], updates=[(x, tensor.inc_subtensor(x[number], y))])
    (node,) = [n for n in update.maker.fgraph.apply_nodes if isinstance(n.op, rows.RowIncrement)]
    assert node.op.inplace
    at = x.get_value(borrow=True).ctypes.data
    update(np.ones((3, 3)), [1, 1, -1])
    assert x.get_value(borrow=True).ctypes.data == at
    np.testing.assert_array_equal(x.get_value()[:, 0], [0, 2, 0, 1])


@pytest.mark.parametrize(
    "y, number, error, message",
    [
        (np.ones((2, 3)), [0, 4], IndexError, "row 4 of 4"),
        (np.ones((2, 3)), [0, -5], IndexError, "row -5 of 4"),
        (np.ones((3, 3)), [0, 1], ValueError, "3 x 3 numbers for 2 rows of 3"),
        (np.ones((2, 2)), [0, 1], ValueError, "2 x 2 numbers for 2 rows of 3"),
    ],
)
def test_a_row_that_is_not_there_is_an_error_and_changes_nothing(y, number, error, message):
    x = theano.shared(np.zeros((4, 3)), "x", borrow=True)
    Y, n = tensor.dmatrix("y"), tensor.lvector("number")
    update = theano.function([Y, n], updates=[(x, tensor.inc_subtensor(x[n], Y))])
    with pytest.raises(error, match=message):
        update(y, number)
    assert not x.get_value().any()


@settings(max_examples=some(150), deadline=None)
@given(
    st.lists(st.integers(-(2**62), 2**62) | st.integers(0, 5), max_size=30),
    st.sampled_from([1, 2, -1]),
)
def test_unique_is_that_of_numpy(numbers, step):
    x = np.repeat(np.array(numbers, np.int64), 2)[::step]
    different, place = function("row_unique")(x)
    expected, inverse = np.unique(x, return_inverse=True)
    np.testing.assert_array_equal(different, expected)
    np.testing.assert_array_equal(place, inverse)


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-13), ("float32", 2e-6)])
def test_squares_are_summed_over_any_layout(dtype, tolerance):
    @settings(max_examples=some(100), deadline=None)
    @given(st.data())
    def check(data):
        shape = data.draw(st.integers(0, 5)), data.draw(st.integers(0, 1500))
        x = matrices(data.draw, shape, dtype)
        got = function("sum_of_squares", dtype)(x)
        assert got.dtype == dtype and got.shape == ()
        np.testing.assert_allclose(got, np.square(x.astype("float64")).sum(), rtol=tolerance)

    check()


@pytest.mark.parametrize("dtype, tolerance", [("float64", 1e-12), ("float32", 1e-5)])
def test_columns_are_summed_over_any_layout(dtype, tolerance):
    @settings(max_examples=some(100), deadline=None)
    @given(st.data())
    def check(data):
        shape = data.draw(st.integers(0, 200)), data.draw(st.integers(0, 5))
        x = matrices(data.draw, shape, dtype)
        got = function("column_sums", dtype)(x)
        assert got.dtype == dtype and got.shape == shape[1:]
        size = np.abs(x).sum(axis=0).max(initial=1)
        np.testing.assert_allclose(got, x.astype("float64").sum(axis=0), atol=tolerance * size)

    check()


def test_squares_of_what_is_not_finite_are_not_finite():
    x = np.ones((3, 700))
    for value in (np.nan, np.inf, -np.inf):
        x[1, 650] = value
        expected = np.nan if np.isnan(value) else np.inf
        np.testing.assert_equal(function("sum_of_squares")(x), expected)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_c_compiler_their_python_does_the_same(name):
    given = {"x": np.arange(6.0).reshape(3, 2), "y": np.ones((2, 2)), "number": np.array([2, 0])}
    arguments = {
        "row_increment": ("x", "y", "number"),
        "row_unique": ("number",),
        "sum_of_squares": ("x",),
        "column_sums": ("x",),
    }[name]
    ours = function(name, linker="py")(*(given[a] for a in arguments))
    theirs = function(name, is_on=False)(*(given[a] for a in arguments))
    for a, b in zip(np.atleast_1d(ours), np.atleast_1d(theirs)):
        np.testing.assert_array_equal(a, b)


def test_they_stand_in_one_module():
    """Theano's linker "c" puts the C of all Ops into one."""
    x = tensor.dmatrix()
    mode = theano.Mode("c", "fast_run")
    made = theano.function([x], [tensor.sqr(x).sum(), x.sum(axis=0)], mode=mode)
    assert has_ours(made, "sum_of_squares") and has_ours(made, "column_sums")
    squares, columns = made(np.arange(6.0).reshape(2, 3))
    assert squares == 55 and list(columns) == [3, 5, 7]
