"""The naive Lyapunov exponents: those of the product of all Jacobians."""

import numpy as np
import pytest
from kinds import GATES

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.flossing import exponents, jacobian, loss


def recurrence(cell, T=4, H=3, k=2, seed=0):
    """p, the weights and orthonormal columns, all random."""
    rng, S = np.random.default_rng(seed), CELLS[cell].parts * H
    p = rng.uniform(0, 1, (T, GATES[cell] * H))
    shapes = {"W": (GATES[cell] * H, H), "a": H}
    weights = [rng.uniform(-0.8, 0.8, shapes[name]) for name in CELLS[cell].recurrent]
    return p, tuple(weights), np.linalg.qr(rng.normal(size=(S, k)))[0]


@pytest.mark.parametrize("cell", GATES)
def test_the_exponents_are_those_of_the_product_of_all_jacobians(cell):
    p, weights, Q = recurrence(cell)
    product, before = np.eye(len(Q)), np.zeros((CELLS[cell].parts, 3))
    for p_t in p:
        product = jacobian(cell, p_t, weights, before) @ product
        before = np.array(CELLS[cell].forward(p_t, *weights, before))
    R = np.linalg.qr(product @ Q)[1]
    expected = np.log(abs(np.diag(R))) / len(p)
    assert abs(exponents(cell, p, weights, Q) - expected).max() < 1e-12


@pytest.mark.parametrize("cell", GATES)
def test_the_jacobian_is_the_difference_of_a_step(cell):
    p, weights, _ = recurrence(cell)
    before = np.random.default_rng(1).uniform(0.1, 0.9, (CELLS[cell].parts, 3))
    J, epsilon = jacobian(cell, p[0], weights, before), 1e-6
    for column, d in zip(J.T, np.eye(before.size)):
        d = epsilon * d.reshape(before.shape)
        after = [np.array(CELLS[cell].forward(p[0], *weights, before + s * d)) for s in (1, -1)]
        assert abs(column - (after[0] - after[1]).ravel() / (2 * epsilon)).max() < 1e-9


def test_a_permutation_has_exponents_0_and_one_that_halves_has_log_2():
    W = np.array([[0.0, 1.0], [1.0, 0.0]])
    p = np.ones((5, 2)) * 3  # every unit of relu is on
    assert abs(exponents("relu", p, (W,), np.eye(2))).max() < 1e-15
    halved = exponents("relu", p, (W / 2,), np.eye(2))
    assert abs(halved + np.log(2)).max() < 1e-15 and abs(loss(halved) - np.log(2) ** 2) < 1e-15


def test_a_direction_that_is_lost_has_a_finite_exponent():
    off = exponents("relu", np.full((3, 2), -9.0), (np.eye(2),), np.eye(2))
    assert abs(off - np.log(1e-10)).max() < 1e-12
