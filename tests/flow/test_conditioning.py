"""Condition number and effective rank of products of Jacobians that are known."""

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.flow import Flow
from theano_rnn.flow.conditioning import effective_rank


def test_of_a_linear_network_they_are_those_of_powers_of_W(uncompiled):
    """A relu whose units are all on: J = W = diag(1, 1/2), at every step."""
    model = RNN(3, 2, cell="relu", bias=True, dtype="float64")
    zeros = {name: 0 * p for name, p in model.parameters().items()}
    model.set_parameters({**zeros, "W": np.diag([1.0, 0.5]), "b": np.ones(2)})
    condition, rank = Flow(model, [0, 1, 2, 0], [1, 2, 0, 0]).conditioning(ends=1)
    lag = np.arange(4)
    np.testing.assert_allclose(condition[0], 2.0**lag, rtol=1e-12)  # the end is step 4
    p = 1 / (1 + 0.5**lag)
    expected = np.exp(-p * np.log(p) - (1 - p) * np.log(1 - p))
    np.testing.assert_allclose(rank[0], expected, rtol=1e-12)


def test_products_that_overflow_are_infinite(uncompiled):
    model = RNN(3, 2, cell="relu", bias=True, dtype="float64")
    zeros = {name: 0 * p for name, p in model.parameters().items()}
    # From a state of 0 every unit is on at each step.
    model.set_parameters({**zeros, "W": 1e120 * np.eye(2), "b": np.full(2, 1e-300)})
    flow = Flow(model, [0] * 4, [0] * 4)
    assert np.isposinf(flow.norms_by_lag(1)[0, 3])
    condition, rank = flow.conditioning(ends=1)
    assert condition[0, :3].tolist() == [1, 1, 1] and np.isposinf(condition[0, 3])
    assert rank[0, :3] == pytest.approx(2) and np.isnan(rank[0, 3])


def test_where_nothing_is_left_the_rank_is_0_and_the_condition_infinite(uncompiled):
    model = RNN(3, 2, cell="relu", dtype="float64")
    model.set_parameters({name: -1 - 0 * p for name, p in model.parameters().items()})
    condition, rank = Flow(model, [0, 1, 2], [1, 2, 0]).conditioning()
    assert condition[-1, 0] == 1 and rank[-1, 0] == pytest.approx(2)
    assert condition[-1, 1] == np.inf and rank[-1, 1] == 0


def test_the_rank_of_equal_singular_values_is_their_number():
    assert effective_rank(np.full(5, 1e300)) == pytest.approx(5)
    assert effective_rank(np.array([1.0, 1.0, 0.0])) == pytest.approx(2)
