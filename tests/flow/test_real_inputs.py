"""A flow on real inputs, of a loss known by dE_t/ds_t: against naive NumPy and differences."""

import numpy as np
import pytest
from conftest import first
from flow.naive import Stack

from theano_rnn import Flow
from theano_rnn.flow.followed import Network
from theano_rnn.model.architecture import Architecture

T, H, N = 6, 3, 4
KINDS = {
    "tanh": ("tanh", 1, False), "two of tanh": ("tanh", 2, True), "relu": ("relu", 2, True),
    "gru_after": ("gru_after", 2, True),
    "lstm": ("lstm", 2, True), "gru": ("gru", 1, False), "sigmoid": ("sigmoid", 3, False),
    "mingru": ("mingru", 2, True),
}  # fmt: skip


def network(kind, seed=0):
    """A network without an output, random inputs X (T, N), e (T, H), and a start."""
    cell, layers, bias = KINDS[kind]
    rng = np.random.default_rng(seed)
    a = Architecture(N, H, cell, layers, bias)
    low, high = (-0.2, 0.5) if cell == "relu" else (-1, 1)
    arrays = {n: rng.uniform(low, high, shape) for n, shape in a.shapes.items() if n not in "Vc"}
    arrays.update(V=np.zeros((0, H)), **({"c": np.zeros(0)} if bias else {}))
    X, e = abs(rng.normal(size=(T, N))), rng.normal(size=(T, H))
    return Network(a, arrays), X, e, 0.5 * rng.uniform(size=a.state_size)


def naive(net):
    a = net.architecture
    return Stack(net.arrays, a.cell, a.layers)


def differences(function, at, step=1e-6):
    ways = step * np.eye(len(at))
    return np.array([(function(at + d) - function(at - d)) / (2 * step) for d in ways])


@pytest.mark.parametrize("kind", KINDS)
def test_the_naive_errors_are_differences(kind):
    net, X, e, start = network(kind)
    stack = naive(net)
    errors, gradients, dX = stack.errors(X, e, start)
    top = slice(-stack.cell.parts * H, None if stack.cell.parts == 1 else -H)
    h = stack.states(X, start)
    for t, k in [(6, 6), (6, 3), (5, 1), (2, 1)]:
        expected = differences(
            lambda s, t=t, k=k: stack.states(X[k:t], s)[-1, top] @ e[t - 1], h[k]
        )
        np.testing.assert_allclose(errors[t - 1, k - 1], expected, rtol=0, atol=2e-8)

    def loss(X):
        return (stack.states(X.reshape(T, N), start)[1:, top] * e).sum()

    np.testing.assert_allclose(dX.ravel(), differences(loss, X.ravel()), rtol=0, atol=2e-8)
    for name in gradients:
        array = net.arrays[name]

        def of_parameter(values, name=name, shape=array.shape):
            changed = {**net.arrays, name: values.reshape(shape)}
            s = Stack(changed, net.architecture.cell, net.architecture.layers)
            return (s.states(X, start)[1:, top] * e).sum()

        expected = differences(of_parameter, array.ravel()).reshape(array.shape)
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=5e-8, err_msg=name)


@pytest.mark.parametrize("kind", first(1, KINDS))
def test_the_flow_is_the_naive_one(kind):
    net, X, e, start = network(kind)
    flow = Flow(net, X, state=start, loss_gradient=e)
    errors, gradients, dX = naive(net).errors(X, e, start)
    np.testing.assert_allclose(flow.states, naive(net).states(X, start), rtol=0, atol=1e-12)
    np.testing.assert_allclose(flow.errors, errors, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(flow.losses, (flow.states[1:, flow.top] * e).sum(axis=1))
    found = flow.gradient()
    assert found.keys() == {"L", *gradients}  # without V and c
    np.testing.assert_allclose(found["L"], dX.T, rtol=1e-12, atol=1e-12)
    for name in gradients:
        np.testing.assert_allclose(found[name], gradients[name], rtol=1e-12, atol=1e-12)
    assert abs(flow.shares(flow.recurrent).sum() - 1) < 1e-12
    d = flow.errors[4, 4]
    np.testing.assert_allclose(d @ flow.jacobian(5, 2), flow.errors[4, 1], rtol=0, atol=1e-12)
