"""One row times a matrix equals NumPy's and BLAS's product, whatever the sizes and layouts."""

import itertools

import numpy as np
import pytest
from interpreters import run_python

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.loop.op import NativeLoop

#: Around one vector, and around the blocks of four and eight of them.
SIZES = (1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100, 127, 129, 257)
#: k and n of each product; the last have so many rows that a panel is read in many blocks.
PRODUCTS = [*itertools.product(SIZES, SIZES), *itertools.product([2500, 20000], [7, 31, 64, 100])]


def loop(dtype, is_transposed):
    """A scan of products s W, of which the loop in C++ makes each.

    The row is multiplied by a state, so that Theano does not move the product out of the loop.
    """
    x, W = tensor.matrix("x", dtype), tensor.matrix("W", dtype)
    first = tensor.matrix("first", dtype)

    def step(row, state, W):
        s = row.dimshuffle("x", 0) * state
        return tensor.tanh(state), tensor.dot(s, W.T if is_transposed else W)

    (_, out), _ = theano.scan(
        step, sequences=[x], outputs_info=[first, None], non_sequences=[W], strict=True
    )
    made = theano.function([x, first, W], out[:, 0])
    (node,) = (n for n in made.maker.fgraph.apply_nodes if isinstance(n.op, NativeLoop))
    assert node.op.program.work.products == 1
    return made


@pytest.mark.in_c
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("is_transposed", [False, True])
@pytest.mark.parametrize("steps", [2, 10], ids=["as it lies", "in panels"])
def test_each_row_times_a_matrix_is_that_of_numpy(dtype, is_transposed, steps, random):
    made = loop(dtype, is_transposed)
    for k, n in PRODUCTS:
        x = random.normal(size=(steps, k)).astype(dtype)
        states = [random.normal(size=(1, k)).astype(dtype)]
        while len(states) < steps:
            states.append(np.tanh(states[-1]))
        W = random.normal(size=(n, k) if is_transposed else (k, n)).astype(dtype)
        y, s = (W.T if is_transposed else W).astype("float64"), x * np.concatenate(states)
        scale = abs(s) @ abs(y) + 1
        found = made(x, states[0], W)
        assert (abs(found - s @ y) <= 8 * np.finfo(dtype).eps * scale).all(), (k, n)


#: Prints the loss and the sums of the parameters after three steps in float64.
PROGRAM = """
import numpy as np
from theano_rnn import RNN
for cell in ("tanh", "gru", "lstm"):
    model = RNN(30, 37, cell=cell, dtype="float64", seed=1)
    x, y = np.random.default_rng(0).integers(30, size=(2, 50))
    losses = [model.sgd_step(x, y, 0.1) for _ in range(3)]
    print(*map(repr, map(float, losses)), *(float(p.sum()) for p in model.parameters().values()))
"""


#: Whatever make test has.
IN_C = {"mode": "Mode", "linker": "cvm", "optimizer": "fast_run"}


@pytest.mark.slow
def test_the_switch_calls_blas_and_computes_the_same():
    ours, of_blas = (
        np.array(run_python(PROGRAM, flags={**IN_C, **flags}).split(), float)
        for flags in ({}, {"gcc__cxxflags": "-DBLAS_GEMV"})
    )
    np.testing.assert_allclose(ours, of_blas, rtol=1e-12)
    assert (ours != of_blas).any()  # it was another product
