"""The compiled forward methods against the naive ones, against BPTT, and what they refuse."""

import numpy as np
import pytest
from conftest import first, some
from hypothesis import given, settings
from hypothesis import strategies as st
from kinds import GATES, KINDS, PLAIN, assert_same, is_defined, named, net

from theano_rnn import RNN
from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.online import METHODS, OnlineGradient
from theano_rnn.online.compiled import random_signs
from theano_rnn.reference import NumpyRNN
from theano_rnn.reference.online import online_gradients


def model_of(kind, parameters, dtype="float64"):
    """The compiled model of a kind, with parameters as ``kinds.net`` draws them."""
    settings = {n: kind[n] for n in ("cell", "layers", "bias", "tied")}
    D = parameters["L"].shape[0] if kind["embedding"] else None
    table = parameters["L" if kind["embedding"] else "U"]
    H = parameters.get("V", parameters.get("P", table.T)).shape[1]
    model = RNN(table.shape[1], H, **settings, embedding_size=D, dtype=dtype)
    model.set_parameters(parameters)
    return model


#: Every cell with every method, and two layers over an embedding, with and without a tied table.
ALL = [
    (method, {**PLAIN, "cell": cell, "bias": True, **more})
    for more in (
        {},
        {"layers": 2, "embedding": True},
        {"embedding": True, "tied": True},
        {"embedding": True, "tied": True, "projection": True},
    )
    for cell in GATES
    for method in METHODS
]
ALL = [pair for pair in ALL if is_defined(*pair)]
QUICK = [("rtrl", "tanh"), ("snap1", "lstm"), ("uoro", "gru_after"), ("uoro", "mingru")]
ALL.sort(key=lambda pair: (pair[0], pair[1]["cell"]) not in QUICK or pair[1]["embedding"])


@pytest.mark.parametrize("method, kind", first(len(QUICK), ALL), ids=lambda v: str(v)[:60])
def test_a_method_is_its_naive_twin(method, kind, uncompiled):
    model = model_of(kind, net(kind)[0])
    gradient, S = OnlineGradient(model, method), model.architecture.state_size

    @settings(max_examples=some(25), deadline=None, database=None)
    @given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.floats(0.01, 2))
    def equal(seed, T, scale):
        parameters, x, y = net(kind, seed, T=T)
        parameters = {name: scale * p for name, p in parameters.items()}
        model.set_parameters(parameters)
        signs = random_signs(seed, (T, S), "float64")
        found = gradient(x, y, signs=signs if method == "uoro" else None)
        expected = online_gradients(parameters, x, y, method, signs, **kind)
        assert list(found) == list(expected)
        for name, g in expected.items():
            # to an element, or to the largest where that is above 1
            assert abs(found[name] - g).max() < 1e-12 * max(1, abs(g).max())

    equal()


@pytest.mark.parametrize("method", ["snap1", "local"])
def test_a_method_of_the_own_unit_is_exact_where_each_unit_is_alone(method, uncompiled):
    kind = {**PLAIN, "cell": "mingru", "bias": True}
    parameters, x, y = net(kind, seed=3, T=7)
    model = model_of(kind, parameters)
    assert_same(OnlineGradient(model, method)(x, y), model.bptt(x, y), 1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS[::7], ids=named)
def test_rtrl_is_the_full_gradient_of_every_kind_of_network(kind, uncompiled):
    parameters, x, y = net(kind, seed=3, T=7)
    found = OnlineGradient(model_of(kind, parameters), "rtrl")(x, y)
    assert_same(found, NumpyRNN(parameters, **kind).bptt(x, y), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_method_computes_the_same_compiled_and_in_float32(method):
    """Here the graph goes through all rewrites, and in ``make test-all`` through C."""
    kind = {**PLAIN, "cell": "gru_after", "bias": True}
    parameters, x, y = net(kind, hidden_size=4, T=8)
    signs = {"signs": random_signs(0, (8, 4), "float64")} if method == "uoro" else {}
    expected = online_gradients(parameters, x, y, method, *signs.values(), **kind)
    assert_same(OnlineGradient(model_of(kind, parameters), method)(x, y, **signs), expected, 1e-12)
    found = OnlineGradient(model_of(kind, parameters, "float32"), method)(x, y, **signs)
    assert {g.dtype.name for g in found.values()} == {"float32"}
    assert_same(found, expected, 2e-5)


@pytest.fixture
def tanh():
    kind = {**PLAIN, "bias": True}
    parameters, x, y = net(kind, T=4)
    return model_of(kind, parameters), x, y


def test_a_gradient_has_the_names_the_order_and_the_shapes_of_bptt(tanh, uncompiled):
    model, x, y = tanh
    found = OnlineGradient(model, "immediate")(x, y)
    assert list(found) == list(model.architecture.shapes)
    assert {name: g.shape for name, g in found.items()} == model.architecture.shapes
    assert all(g.flags.c_contiguous for g in found.values())


@pytest.mark.slow
def test_the_signs_come_from_the_seed(tanh, uncompiled):
    model, x, y = tanh
    gradient = OnlineGradient(model, "uoro")
    a, again, b = gradient(x, y, seed=1), gradient(x, y, seed=1), gradient(x, y, seed=2)
    assert_same(a, again)
    assert abs(a["W"] - b["W"]).max() > 1e-3
    signs = random_signs(1, (4, 3), "float64")
    assert_same(a, gradient(x, y, signs=signs))
    assert set(signs.ravel()) == {-1, 1}


@pytest.mark.slow
def test_a_state_to_begin_in_is_that_of_the_step_before(tanh, uncompiled):
    """No parameter has influenced it: the gradient is that of a chunk."""
    model, x, y = tanh
    _, state = model.loss_and_state(x[:2], y[:2])
    gradient = OnlineGradient(model, "rtrl")
    two = [gradient(x[:2], y[:2]), gradient(x[2:], y[2:], state[0])]
    chunk = NumpyRNN(model.parameters(), "chunk:2", bias=True).bptt(x, y)
    assert_same({name: two[0][name] + two[1][name] for name in chunk}, chunk, 1e-12)


@pytest.mark.parametrize(
    "method, settings, words",
    [
        ("bptt", {}, "method 'bptt' is unknown; use rtrl, snap1, uoro, local, immediate"),
        (4, {}, "method 4 is unknown"),
        ("snap1", {"layers": 2}, "snap1 follows .* with 2 layers .* use one layer"),
        ("local", {"embedding_size": 3}, "local follows .* with an embedding .* rtrl or uoro"),
        ("snap1", {"cell": "gru"}, "in a step of gru it reaches all units.* use another cell"),
    ],
)
def test_a_method_that_does_not_fit_is_refused_and_the_message_says_what_does(
    method, settings, words
):
    with pytest.raises(RNNError, match=words):
        OnlineGradient(RNN(5, 3, **settings), method)


def test_rtrl_of_a_large_network_is_refused_before_anything_is_allocated(monkeypatch):
    monkeypatch.setattr(memory, "total", lambda: 10**6)
    model = RNN(50, 40, dtype="float64")
    gradient = OnlineGradient(model, "rtrl")
    words = r"rtrl would carry the influence of 1,680 parameters on a state of 40 numbers, 0.0 GB"
    with pytest.raises(RNNError, match=words + ".*; use a smaller hidden_size, or uoro"):
        gradient([1, 2], [2, 3])
    assert not gradient._functions  # not even compiled


def test_bad_input_is_one_message(tanh, uncompiled):
    model, x, y = tanh
    uoro, rtrl = OnlineGradient(model, "uoro"), OnlineGradient(model, "rtrl")
    for call, words in [
        (lambda: rtrl([0, 9], [1, 1]), r"x\[1\] is 9"),
        (lambda: rtrl(x[:2, None], y[:2, None]), r"x has shape \(2, 1\)"),
        (lambda: rtrl(x, y, np.full(3, np.nan)), "state has 3 values that are NaN"),
        (lambda: rtrl(x, y, np.zeros(2)), "state has shape"),
        (lambda: rtrl(x, y, signs=np.ones((4, 3))), "rtrl draws no signs"),
        (lambda: uoro(x, y, signs=np.ones((3, 3))), r"signs has shape \(3, 3\)"),
        (lambda: uoro(x, y, seed=-1), "seed must be a whole number of at least 0"),
    ]:
        with pytest.raises(RNNError, match=words):
            call()
