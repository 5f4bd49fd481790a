"""What is added to all of an array of zeros is the result: the same numbers, without the sum."""

import numpy as np
import pytest
from theano.compile.mode import get_default_mode
from theano.tensor import IncSubtensor

from theano_rnn.engine import tensor, theano

x, y, n = tensor.dtensor3("x"), tensor.dtensor3("y"), tensor.lscalar("n")
TWO = tensor.constant(2.0, dtype="float64")


def compiled(make, inputs, is_on=True):
    mode = get_default_mode()
    mode = mode if is_on else mode.excluding("increment_of_zeros")
    return theano.function(inputs, make(*inputs), mode=mode, on_unused_input="ignore")


def increments(function):
    return sum(isinstance(node.op, IncSubtensor) for node in function.maker.fgraph.apply_nodes)


def zeros(of):
    return tensor.zeros_like(of)


def add(to, index, what):
    return tensor.inc_subtensor(to[index], what)


#: The gradient of each slice, and how many sums are left.
SLICES = {
    "all": (lambda x, y: add(zeros(x), slice(None, x.shape[0]), y), 0),
    "from 0": (lambda x, y: add(zeros(x), slice(0, None), y), 0),
    "all of two axes": (
        lambda x, y: add(zeros(x), (slice(0, x.shape[0]), slice(0, x.shape[1])), y),
        0,
    ),
    "all, twice": (
        lambda x, y: add(zeros(x), slice(0, None), add(zeros(x), slice(None, x.shape[0]), y)),
        0,
    ),
    "some": (lambda x, y: add(zeros(x), slice(1, None), y[1:]), 1),
    "as many as the other axis": (lambda x, y: add(zeros(x), slice(None, x.shape[1]), y), 1),
    "turned": (lambda x, y: add(zeros(x), slice(None, None, -1), y), 1),
    "a row": (lambda x, y: add(zeros(x), -1, y[0]), 1),
    "a number": (lambda x, y: add(zeros(x), slice(None, x.shape[0]), TWO), 1),
    "of ones": (lambda x, y: add(tensor.ones_like(x), slice(None, x.shape[0]), y), 1),
    "of another": (lambda x, y: add(x, slice(None, x.shape[0]), y), 1),
}


@pytest.mark.parametrize("name", SLICES)
def test_it_is_the_same_and_without_a_sum_where_zeros_are_added_to(name):
    make, left = SLICES[name]
    on, off = (compiled(make, [x, y], is_on) for is_on in (True, False))
    assert increments(on) == left
    assert increments(off) > 0
    random = np.random.default_rng(0)
    for T in (3, 1):
        arrays = random.normal(size=(2, T, 3, 2))
        arrays[1, 0, 0] = np.nan, np.inf
        kept = arrays.copy()
        np.testing.assert_array_equal(on(*arrays), off(*arrays))
        np.testing.assert_array_equal(arrays, kept)


def test_what_theano_would_broadcast_is_an_error_and_not_another_shape():
    on = compiled(SLICES["all"][0], [x, y])
    with pytest.raises(AssertionError):
        on(np.zeros((3, 2, 2)), np.ones((1, 2, 2)))


def test_the_gradient_of_a_scan_by_its_sequence_is_not_added_to_zeros():
    def make(x, n):
        states = theano.scan(
            lambda x_t, s: tensor.tanh(x_t + s), x, tensor.zeros_like(x[0]), n_steps=n
        )[0]
        return theano.grad((states**2).sum(), x)

    def by_all(x):
        return make(x, x.shape[0])

    on, off = compiled(by_all, [x]), compiled(by_all, [x], is_on=False)
    assert increments(on) == increments(off) - 2  # of x[:n] and of x[0:]
    values = np.random.default_rng(0).normal(size=(4, 2, 3))
    np.testing.assert_array_equal(on(values), off(values))
    np.testing.assert_array_equal(compiled(make, [x, n])(values, 4), off(values))


def test_without_shapes_nothing_is_replaced():
    mode = get_default_mode().excluding("ShapeOpt")
    with theano.config.change_flags(on_opt_error="raise"):
        function = theano.function([x, y], SLICES["from 0"][0](x, y), mode=mode)
    values = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    np.testing.assert_array_equal(function(*values), values[1])
    assert increments(function) == 1
