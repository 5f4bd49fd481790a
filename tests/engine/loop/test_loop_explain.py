"""Which loops run as one C++ function, and why the others do not."""

import numpy as np
import pytest
from conftest import first
from theano.compile.mode import get_default_mode
from theano.scan.utils import until

from theano_rnn import RNN
from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.engine.loop import explain
from theano_rnn.optim.step import Step


def test_both_loops_of_a_step_run_in_c():
    loops = explain(Step(RNN(5, 3)).function())
    assert [(loop.name, loop.is_native) for loop in loops] == [
        ("recurrence", True),
        ("grad_of_recurrence", True),
    ]
    assert loops[0].reason == "products: 1 a step; fused loops: 1 a step"


@pytest.mark.parametrize(
    ("cell", "layers", "products"),
    first(0, [("gru", 1, [2]), ("gru_after", 1, [1]), ("lstm", 2, [1, 1]), ("mingru", 1, [0])]),
)
def test_the_inputs_are_projected_outside_of_the_loops_of_gates(cell, layers, products):
    """In a step stand the products with W alone: for gru one of z and r, and one of h."""
    loops = explain(Step(RNN(5, 3, cell=cell, layers=layers)).function())
    forward = [loop.reason for loop in loops if loop.name == "recurrence"]
    assert [reason.split(" a step")[0] for reason in forward] == [
        f"products: {n}" for n in products
    ]


def test_a_loop_that_ends_on_a_condition_stays_a_scan_and_says_so():
    def doubled(x_t):
        return 2 * x_t, until(x_t > 3)

    x = tensor.dvector("x")
    y, _ = theano.scan(doubled, x, name="doubling")
    (loop,) = explain(compile_function([x], y))
    assert not loop.is_native and loop.name == "doubling"
    assert loop.reason == "it ends on a condition (until)"


def test_a_slice_that_gets_numbers_of_another_dtype_stays_with_theano():
    x, s = tensor.dtensor3("x"), tensor.dmatrix("s")

    def step(x_t, s):
        return tensor.tanh(x_t + tensor.inc_subtensor(s[:, 1:], 1))

    f = compile_function([x, s], theano.scan(step, x, s)[0])
    (loop,) = explain(f)
    assert not loop.is_native and loop.reason == "it adds int8 to a slice of float64"
    expected = np.tanh(np.tanh([[0.0, 1.0]]) + [[0.0, 1.0]])
    np.testing.assert_allclose(f(np.zeros((2, 1, 2)), np.zeros((1, 2)))[-1], expected)


def test_a_loop_that_was_left_out_says_so():
    x = tensor.dvector("x")
    start = tensor.constant(0.0, dtype="float64")
    s, _ = theano.scan(lambda x_t, s: tensor.tanh(x_t + s), x, start, strict=True)
    (loop,) = explain(theano.function([x], s, mode=get_default_mode().excluding("native_loop")))
    assert not loop.is_native and loop.reason == "the rewrite native_loop was left out"
