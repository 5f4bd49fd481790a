"""The gradient's loop reads products that the forward loop has made: the same gradient, less work.

That it is the gradient of every cell, truncation and batch is tested in test_loop.py.
"""

import numpy as np
import pytest
from conftest import IN_PYTHON
from loops import function, loops, variable

from theano_rnn.engine import tensor, theano
from theano_rnn.rnn import RNN


def gradient(cell, truncation, layers, is_masked, mode=IN_PYTHON, masks=()):
    """The compiled gradients of a net, and how many products its loops make."""
    net = RNN(7, 5, cell=cell, layers=layers, truncation=truncation, dtype="float64")
    symbols, _, made = net.network(is_masked, masks)
    f = function(symbols, theano.grad(made.loss, list(net.shared.values())), mode=mode)
    works = [loop.program.work for loop in loops(f)]
    return f, sum(work.products + work.block_products for work in works)


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize(
    "cell, truncation, spared",
    [
        ("lstm", "full", 2),
        ("gru", "full", 2),  # one of two: the other is of r * s
        pytest.param("gru_after", "last:3", 2, marks=pytest.mark.slow),
        pytest.param("mingru", "full", 0, marks=pytest.mark.slow),  # it has none
        pytest.param("lstm", "chunk:3", 0, marks=pytest.mark.slow),  # of a state that is cut
    ],
)
def test_two_layers_have_the_same_gradients_with_fewer_products(
    cell, truncation, spared, is_masked, random
):
    on, few = gradient(cell, truncation, 2, is_masked)
    off, many = gradient(cell, truncation, 2, is_masked, IN_PYTHON.excluding("reused_products"))
    assert many - few == spared
    x, y = random.integers(7, size=(2, 6, 3))
    state = random.uniform(-1, 1, (3, 2 * 5 * (2 if cell == "lstm" else 1)))
    mask = np.ones((6, 3), bool)
    mask[4:, 1] = False
    masks = [mask, np.flatnonzero(mask)] if is_masked else []
    given = [x, y[mask] if is_masked else y.ravel(), *masks, state]
    for a, b in zip(on(*given), off(*given)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "cell, is_masked, spared",
    [
        ("lstm", False, 2),
        pytest.param("lstm", True, 2, marks=pytest.mark.slow),
        pytest.param("gru", False, 2, marks=pytest.mark.slow),
        pytest.param("gru_after", True, 2, marks=pytest.mark.slow),
    ],
)
def test_products_with_masked_states_are_lent_too(cell, is_masked, spared, random):
    """Each layer has its own mask: the product of the other would be another gradient."""
    kinds = ("recurrent",)
    on, few = gradient(cell, "full", 2, is_masked, masks=kinds)
    without = IN_PYTHON.excluding("reused_products")
    off, many = gradient(cell, "full", 2, is_masked, without, kinds)
    assert many - few == spared
    x, y = random.integers(7, size=(2, 6, 3))
    state = random.uniform(-1, 1, (3, 2 * 5 * (2 if cell == "lstm" else 1)))
    padding = np.ones((6, 3), bool)
    padding[4:, 1] = False
    masks = [padding, np.flatnonzero(padding)] if is_masked else []
    of_states = random.integers(2, size=(2, 1, 3, 5)) * 2.0
    given = [x, y[padding] if is_masked else y.ravel(), *masks, state, of_states]
    for a, b in zip(on(*given), off(*given)):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_a_buffer_that_keeps_the_last_states_alone_lends_nothing(random):
    """Its rows are no steps: the loss reads the last state, and Theano keeps no other."""
    x, W, first = variable("TBH", "x"), variable("HH", "W"), variable("BH", "first")

    def step(x, s, W):
        return tensor.tanh(x + tensor.dot(s, W))

    s, _ = theano.scan(step, [x], [first], [W], strict=True)
    again, _ = theano.scan(lambda s, W: tensor.dot(s, W), [s[:-1][-2:]], None, [W], strict=True)
    arrays = [random.normal(size=shape) for shape in ((7, 3, 4), (4, 4), (3, 4))]
    f = function([x, W, first], again)
    states = [arrays[2]]
    for row in arrays[0]:
        states.append(np.tanh(row + states[-1] @ arrays[1]))
    np.testing.assert_allclose(f(*arrays), np.array(states[-3:-1]) @ arrays[1], rtol=1e-12)
