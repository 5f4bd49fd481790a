"""Networks for the tasks: outputs, losses, gradients and Omega against the oracle."""

import dataclasses

import numpy as np
import pytest
from conftest import first, function_in_python

from theano_rnn.engine import tensor, theano
from theano_rnn.long_term import remedies, tasks
from theano_rnn.long_term.net import TaskNet
from theano_rnn.model.cells import CELLS
from theano_rnn.reference import NumpyRNN, directional_difference
from theano_rnn.reference.omega import omega
from theano_rnn.reference.online import Online

#: 5 symbols in, 5 out, the last 3 outputs asked for: what NumpyRNN can do too.
ECHO = tasks.Task("echo", 5, 5, draw=None, answers=3)
MEAN = dataclasses.replace(tasks.TASKS["addition"], answers=2)


def net(task, cell="tanh", remedy="sgd", hidden_size=4, **settings):
    """A float64 net whose parameters are all random, the biases too."""
    made = TaskNet(
        task, cell, remedies.parse(remedy), hidden_size=hidden_size, dtype="float64", **settings
    )
    rng = np.random.default_rng(1)
    for shared in made.shared.values():
        shape = shared.get_value().shape
        shared.set_value(rng.uniform(-0.9, 0.9, shape))
    return made


def values(made):
    return {name: shared.get_value() for name, shared in made.shared.items()}


def compiled(made):
    """f(x, y) -> E, o, gradients by name."""
    x, y = made.symbols()
    signs = [tensor.dtensor3("signs")] if made.remedy.credit == "uoro" else []
    with theano.config.change_flags(floatX="float64"):
        p, states, o = made.network(x)
        E = made.loss(o, y)
        gradients = made.gradients(E, p, states, x, *signs)
    f = function_in_python([x, y, *signs], [E, o, *gradients.values()])

    def run(*arrays):
        E, o, *rest = f(*arrays)
        return float(E), o, dict(zip(gradients, rest))

    return run


def echo(T=6, B=3):
    rng = np.random.default_rng(2)
    symbols, answers = rng.integers(5, size=(T, B)), rng.integers(5, size=(3, B))
    return symbols, tasks.one_hot(symbols, 5).astype("float64"), answers


@pytest.mark.parametrize("cell", first(2, CELLS))
def test_outputs_loss_and_gradients_are_those_of_the_oracle(cell):
    made = net(ECHO, cell)
    symbols, x, y = echo()
    T, B = symbols.shape
    E, o, gradients = compiled(made)(x, y)
    oracle = NumpyRNN(values(made), "full", cell=cell, bias=True)
    expected = dict.fromkeys(made.shared, 0)
    loss = 0
    for b in range(B):
        # The oracle asks for every output: less those before the last three, those remain.
        all_y = np.concatenate([np.zeros(T - 3, int), y[:, b]])
        before, begun = symbols[: T - 3, b], all_y[: T - 3]
        loss += (oracle.ce_error(symbols[:, b], all_y) - oracle.ce_error(before, begun)) / B
        whole, part = oracle.bptt(symbols[:, b], all_y), oracle.bptt(before, begun)
        expected = {name: expected[name] + (whole[name] - part[name]) / B for name in expected}
        softmax = np.exp(o[:, b]) / np.exp(o[:, b]).sum(axis=1, keepdims=True)
        assert np.allclose(softmax, oracle.forward_propagation(symbols[:, b])[-3:], atol=1e-12)
    assert abs(E - loss) < 1e-12
    for name in expected:
        assert np.abs(gradients[name] - expected[name]).max() < 1e-12, name


def test_the_squared_error_has_the_gradient_of_its_differences():
    made = net(MEAN)
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 3, 2)), rng.random((2, 3))
    f = compiled(made)
    E, o, gradients = f(x, y)
    assert abs(E - ((o[:, :, 0] - y) ** 2).sum() / 3) < 1e-12
    at = values(made)

    def loss(parameters):
        for name, value in parameters.items():
            made.shared[name].set_value(value)
        return f(x, y)[0]

    direction = {name: rng.standard_normal(value.shape) for name, value in at.items()}
    slope = sum((gradients[name] * direction[name]).sum() for name in at)
    assert abs(slope - directional_difference(loss, at, direction)) < 1e-8


def test_omega_is_added_to_the_gradient_of_W_alone():
    _, x, y = echo(T=4, B=2)
    plain = compiled(net(ECHO))(x, y)[2]
    made = net(ECHO, remedy="omega+orthogonal", alpha=3.0)
    _, o, gradients = compiled(made)(x, y)
    U, V, W, b, _ = (values(made)[name] for name in "UVWbc")
    s = np.zeros((5, 2, 4))  # s[-1] is the state before the first step
    for t in range(4):
        s[t] = np.tanh(x[t] @ U.T + b + s[t - 1] @ W.T)
    softmax = np.exp(o) / np.exp(o).sum(axis=2, keepdims=True)
    ds = np.zeros((4, 2, 4))
    ds[-3:] = ((softmax - np.eye(5)[y]) @ V) / 2
    dz = np.zeros((4, 2, 4))
    for t in (3, 2, 1, 0):
        dz[t] = ds[t] * (1 - s[t] ** 2)
        if t > 0:
            ds[t - 1] += dz[t] @ W
    _, dW = omega(W, dz, ds)
    assert np.abs(gradients["W"] - plain["W"] - 3 * dW).max() < 1e-12
    assert all((gradients[name] == plain[name]).all() for name in "UVbc")


@pytest.mark.parametrize("method, cell", first(1, [
    *(("uoro", cell) for cell in ("tanh", "mingru", "gru_after", "lstm", "gru", "relu")),
    ("rtrl", "lstm"),
]))  # fmt: skip
def test_forward_methods_are_those_of_the_oracle_on_each_sequence(method, cell, caplog):
    made = net(ECHO, cell, method)
    symbols, x, y = echo()
    T, B = symbols.shape
    signs = np.random.default_rng(3).choice([-1.0, 1.0], (T, B, 4 * CELLS[cell].parts))
    given = [signs] if method == "uoro" else []
    _, _, found = compiled(made)(x, y, *given)
    expected = dict.fromkeys(found, 0)
    for b in range(B):
        online = Online(values(made), method, cell=cell, bias=True)
        for t in range(T):
            _, gradients = online.step(
                symbols[t, b], y[t - T, b] if t >= T - 3 else 0, signs[t, b]
            )
            if t >= T - 3:  # the others are not asked for
                expected = {name: expected[name] + gradients[name] / B for name in expected}
    for name in expected:
        assert np.abs(found[name] - expected[name]).max() < 1e-12, name
    assert not caplog.records  # no rewrite of Theano's has failed


@pytest.mark.slow
def test_immediate_credit_leaves_early_inputs_without_a_gradient():
    symbols = np.array([[4], [4], [0], [1], [0]])  # the last 3 outputs are asked for
    x, y = tasks.one_hot(symbols, 5).astype("float64"), np.array([[0], [1], [2]])
    E, _, full = compiled(net(ECHO, "lstm"))(x, y)
    same, _, immediate = compiled(net(ECHO, "lstm", "immediate"))(x, y)
    assert E == same and abs(full["V"] - immediate["V"]).max() < 1e-15
    assert abs(full["U"][:, 4]).max() > 1e-3 and not immediate["U"][:, 4].any()
    assert abs(immediate["U"][:, 0]).max() > 1e-3


def test_an_update_is_clipped_where_that_is_a_remedy(monkeypatch):
    monkeypatch.setattr("theano_rnn.long_term.net.compile_function", function_in_python)
    _, x, y = echo()
    moved = {}
    for remedy in ("sgd", "clip"):
        made = net(ECHO, remedy=remedy, clip=0.01)
        before = values(made)
        _, norm = made.compile_update(0.5)(x, y)
        steps = {name: value - before[name] for name, value in values(made).items()}
        moved[remedy] = np.sqrt(sum((step**2).sum() for step in steps.values()))
        assert norm > 0.01
    assert abs(moved["sgd"] - 0.5 * norm) < 1e-12 and abs(moved["clip"] - 0.5 * 0.01) < 1e-12


def test_flossing_moves_the_exponents_to_0(monkeypatch, uncompiled):
    def uncompiled_function(inputs, outputs, updates, name):
        return theano.function(inputs, outputs, updates=updates)

    monkeypatch.setattr("theano_rnn.long_term.net.compile_function", uncompiled_function)
    monkeypatch.setattr("theano_rnn.long_term.net.FLOSSING_RATE", 0.02)
    made, rng = net(ECHO, remedy="flossing+orthogonal"), np.random.default_rng(3)
    made.shared["W"].set_value(made.shared["W"].get_value() / 2)
    output, floss = made.shared["V"].get_value(), made.compile_flossing(2)
    _, x, _ = echo(T=8)
    first, *_, last = (floss(x, np.linalg.qr(rng.normal(size=(4, 2)))[0])[0] for _ in range(60))
    assert first.max() < -0.4 and abs(last).max() < 0.1, (first, last)
    assert (made.shared["V"].get_value() == output).all()


@pytest.mark.parametrize("remedy", ["orthogonal", "identity", "spectral"])
def test_a_remedy_says_how_W_begins(remedy):
    W = TaskNet(ECHO, "relu", remedies.parse(remedy), hidden_size=6).shared["W"].get_value()
    judged = {
        "orthogonal": np.abs(W @ W.T - np.eye(6)).max(),
        "identity": np.abs(W - np.eye(6)).max(),
        "spectral": abs(np.abs(np.linalg.eigvals(W)).max() - 1),
    }
    assert judged[remedy] < 1e-5


@pytest.mark.parametrize("cell, gate", [("gru", 0), ("lstm", 1), ("mingru", 0)])
def test_chrono_gates_keep_their_units_for_up_to_the_length(cell, gate):
    made = TaskNet(ECHO, cell, remedies.parse("chrono"), hidden_size=500, length=80)
    b = np.split(made.shared["b"].get_value(), CELLS[cell].G)
    steps = np.exp(b[gate])
    assert 1 <= steps.min() < 3 and 77 < steps.max() < 79 and abs(steps.mean() - 40) < 4
    written = -b[1] if cell == "lstm" else np.zeros(500)
    assert (b[0] == written).all() or cell != "lstm"
    assert all((other == 0).all() for other in b[2 if cell == "lstm" else 1 :])
