"""``x[rows] += y`` and ``x[rows] = y`` in C++, for every type and layout."""

import numpy as np
import pytest
from conftest import first

from theano_rnn.engine import tensor, theano

ROWS = np.array([3, 0, -1, 0])
DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES += ("float32", "float64", "complex64", "complex128")


def changed(x, y, rows, is_set):
    x = x.copy()
    if is_set:
        x[rows] = y
    else:
        np.add.at(x, rows, y)
    return x


def functions(x, y, rows="int64"):
    """x with rows set to y, x with rows incremented by y, of arrays as these two."""
    arrays = [tensor.TensorType(str(a.dtype), [False] * a.ndim)() for a in (x, y)]
    rows = tensor.TensorType(rows, [False])()
    mode = theano.compile.mode.get_default_mode().excluding("row_increment")
    return [
        theano.function([*arrays, rows], change(arrays[0][rows], arrays[1]), mode=mode)
        for change in (tensor.set_subtensor, tensor.inc_subtensor)
    ]


@pytest.mark.parametrize("dtype", first(2, DTYPES[:1] + DTYPES[-4:]))
def test_rows_of_each_type(dtype):
    rng = np.random.default_rng(0)
    x, y = (rng.integers(0, 9, (4, 3)).astype(dtype) for _ in range(2))
    for is_set, function in zip((True, False), functions(x, y)):
        assert function.maker.fgraph.outputs[0].dtype == dtype
        np.testing.assert_array_equal(function(x, y, ROWS), changed(x, y, ROWS, is_set))


def test_rows_of_bool_are_set():
    mode = theano.compile.mode.get_default_mode().excluding("row_increment")
    inputs = [tensor.TensorType("bool", [False] * 2)() for _ in range(2)]
    function = theano.function(
        inputs, tensor.set_subtensor(inputs[0][[2, 0]], inputs[1]), mode=mode
    )
    before, rows = np.zeros((3, 2), bool), np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(function(before, rows), [rows[1], [False] * 2, rows[0]])


def test_rows_of_each_layout_and_number_of_dimensions():
    rng = np.random.default_rng(0)
    vector, matrix = rng.normal(size=(2, 6))[:, :4], rng.normal(size=(4, 4))
    cube = rng.normal(size=(4, 2, 3))
    for x, ys in [
        (vector[0], [vector[1]]),
        (matrix, [matrix * 2, matrix.T, matrix[::-1, ::-1], matrix[:, :1], vector[0]]),
        (cube, [cube * 2, cube[:, :, ::-1], cube[0], cube[0, 0]]),
    ]:
        for y in ys:
            for is_set, function in zip((True, False), functions(x, y)):
                expected = changed(x, y, ROWS, is_set)
                np.testing.assert_array_equal(function(x, y, ROWS), expected)
                fortran = np.asfortranarray(x)
                np.testing.assert_array_equal(function(fortran, y, ROWS), expected)


def test_rows_by_numbers_of_another_type():
    x, y = np.zeros((4, 2)), np.ones((4, 2))
    for dtype in ("int8", "uint8"):
        _, increment = functions(x, y, dtype)
        np.testing.assert_array_equal(increment(x, y, np.array([1, 1, 0, 3], dtype))[1], [2, 2])


def test_rows_that_are_not_there_and_another_shape_are_refused():
    x, y = np.zeros((4, 2)), np.ones((4, 2))
    for function in functions(x, y):
        with pytest.raises(IndexError, match="index 4 is out of bounds for axis 0 with size 4"):
            function(x, y, np.array([0, 1, 2, 4]))
        with pytest.raises(ValueError, match="3 elements where x has 2"):
            function(x, np.ones((4, 3)), ROWS)
        with pytest.raises(ValueError, match="4 elements where x has 2"):
            function(x, y, ROWS[:2])
    assert not x.any()


def test_increments_by_rows_of_x_itself():
    x = theano.shared(np.arange(8.0).reshape(4, 2))
    before = x.get_value()
    mode = theano.compile.mode.get_default_mode().excluding("row_increment")
    update = [(x, tensor.inc_subtensor(x[tensor.constant(ROWS)], x[::-1]))]
    theano.function([], updates=update, mode=mode)()
    np.testing.assert_array_equal(x.get_value(), changed(before, before[::-1], ROWS, False))
