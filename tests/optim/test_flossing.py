"""Gradient flossing: the exponents against the oracle, their gradient against differences."""

import numpy as np
import pytest
from conftest import first
from kinds import GATES

from theano_rnn.engine import tensor, theano
from theano_rnn.model.cells import CELLS
from theano_rnn.optim import flossing
from theano_rnn.reference import directional_difference
from theano_rnn.reference import flossing as oracle

T, B, H = 5, 2, 3


def arrays(cell, k, seed=0):
    """p (T, B, G*H), W and a where the cell has them, and orthonormal columns."""
    rng, rows = np.random.default_rng(seed), GATES[cell] * H
    found = {"p": rng.uniform(0, 1, (T, B, rows))}
    if CELLS[cell].has_W:
        found["W"] = rng.uniform(-0.8, 0.8, (rows, H))
    if CELLS[cell].has_recurrent_bias:
        found["a"] = rng.uniform(-0.8, 0.8, H)
    return found, np.linalg.qr(rng.normal(size=(CELLS[cell].parts * H, k)))[0]


def compiled(cell, k):
    """f(p, W, a, Q) -> exponents, and the gradients of the loss by p, W and a."""
    symbols = {"p": tensor.dtensor3("p")}
    if CELLS[cell].has_W:
        symbols["W"] = tensor.dmatrix("W")
    if CELLS[cell].has_recurrent_bias:
        symbols["a"] = tensor.dvector("a")
    Q, step = tensor.dmatrix("Q"), CELLS[cell].step
    p, *recurrent = symbols.values()
    weights = CELLS[cell].weights(*recurrent)
    with theano.config.change_flags(floatX="float64"):
        before, states = [tensor.zeros((B, H)) for _ in CELLS[cell].state], []
        for t in range(T):
            states.append(before)
            before = step(p[t], before, weights)
        stacked = [tensor.stack(part) for part in zip(*states)]
        exponents = flossing.exponents(step, p, stacked, weights, Q, k)
        gradients = theano.grad(flossing.loss(exponents), list(symbols.values()))
    return theano.function([*symbols.values(), Q], [exponents, *gradients])


KINDS = [
    ("tanh", 1),
    ("lstm", 2),
    ("sigmoid", 3),
    ("relu", 2),
    ("gru", 3),
    ("gru_after", 2),
    ("mingru", 2),
]


@pytest.mark.parametrize("cell, k", first(2, KINDS))
def test_the_exponents_and_the_gradient_of_the_loss_are_those_of_the_oracle(cell, k, uncompiled):
    given, Q = arrays(cell, k)
    found, *gradients = compiled(cell, k)(*given.values(), Q)

    def of(values):
        p, *weights = values.values()
        return np.array(
            [oracle.exponents(cell, p[:, b], tuple(weights), Q) for b in range(B)]
        ).T  # (k, B)

    assert abs(found - of(given)).max() < 1e-12
    rng = np.random.default_rng(1)
    direction = {name: rng.standard_normal(value.shape) for name, value in given.items()}
    slope = sum((g * d).sum() for g, d in zip(gradients, direction.values()))
    difference = directional_difference(lambda values: oracle.loss(of(values)), given, direction)
    assert abs(slope - difference) < 1e-7 * max(1, abs(slope))


def test_the_bound_is_that_of_the_oracle():
    assert flossing.BOUND == oracle.BOUND
