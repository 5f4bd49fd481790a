"""A variable with a gradient of its own: value, gradient, and nothing is left of it."""

import numpy as np
from conftest import IN_PYTHON

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.ops.with_gradient import with_gradient


def test_the_value_stays_and_the_error_is_what_the_function_makes_of_it():
    x = tensor.dvector("x")
    y = with_gradient(tensor.exp(x), lambda error: 10 * error)
    value, gradient = theano.function([x], [y, theano.grad((3 * y).sum(), x)], mode=IN_PYTHON)(
        [0.0, 1.0]
    )
    np.testing.assert_allclose(value, np.exp([0, 1]))
    np.testing.assert_allclose(gradient, 30 * np.exp([0, 1]))


def test_two_of_one_variable_keep_their_gradients_and_none_is_compiled():
    x = tensor.dscalar("x")
    a, b = (with_gradient(x, lambda error, n=n: n * error) for n in (2, 5))
    f = theano.function([x], [a * b, *theano.grad(a * b, [x, a, b])], mode=IN_PYTHON)
    assert [float(value) for value in f(3)] == [9, 21, 3, 3]
    assert not any("WithGradient" in str(node.op) for node in f.maker.fgraph.apply_nodes)
