"""The oracle's factors of dropout: differences, equal networks without them, exact values."""

import numpy as np
import pytest
from kinds import GATES, PLAIN, assert_same, factors, is_smooth, named, net

from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss

TRUNCATIONS = ("full", "window:1", "chunk:2", "last:2")
#: Each cell in one and two layers, as it is, and with biases over a tied embedding.
SOME_KINDS = [
    {**PLAIN, "cell": cell, "layers": layers, **settings}
    for cell in GATES
    for layers in (1, 2)
    for settings in ({}, {"bias": True, "tied": True, "embedding": True})
]
STACKED = [kind for kind in SOME_KINDS if kind["layers"] == 2]


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_gradients_are_the_central_differences_of_their_surrogates_element_by_element(kind):
    parameters, x, y = net(kind, 1, hidden_size=2, vocab_size=3, T=4)
    kept = factors(kind, 1, hidden_size=2, T=4)
    assert is_smooth(parameters, x, kind, kept=kept)
    frozen = NumpyRNN(parameters, **kind).hidden_states(x, kept)
    for truncation in TRUNCATIONS:
        model = NumpyRNN(parameters, truncation, **kind)

        def surrogate(p, cut=truncation):
            return frozen_state_loss(p, frozen, x, y, cut, **kind, kept=kept)

        assert surrogate(parameters) == pytest.approx(model.ce_error(x, y, kept=kept), rel=1e-14)
        gradients = model.bptt(x, y, kept=kept)
        assert_same(gradients, finite_differences(surrogate, parameters), 1e-8)
        assert any((gradients[name] != g).any() for name, g in model.bptt(x, y).items())


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_gradients_of_four_layers_are_the_central_differences_of_their_surrogates(cell):
    kind = {**PLAIN, "cell": cell, "layers": 4, "bias": True}
    parameters, x, y = net(kind, 5, hidden_size=2, vocab_size=3, T=3)
    kept = factors(kind, 6, hidden_size=2, T=3) + 0.1  # or most of what is above a 0 is one
    frozen = NumpyRNN(parameters, **kind).hidden_states(x, kept)

    def surrogate(p):
        return frozen_state_loss(p, frozen, x, y, "window:1", **kind, kept=kept)

    gradients = NumpyRNN(parameters, "window:1", **kind).bptt(x, y, kept=kept)
    assert_same(gradients, finite_differences(surrogate, parameters), 1e-8)


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_factors_of_one_are_none(kind):
    parameters, x, y = net(kind, 2)
    ones = np.ones((6, kind["layers"], 3))
    frozen = NumpyRNN(parameters, **kind).hidden_states(x)
    for kept in (ones, ones.astype(int), ones.astype(bool), ones.tolist()):
        model = NumpyRNN(parameters, "window:2", **kind)
        assert model.ce_error(x, y, kept=kept) == model.ce_error(x, y)
        assert (model.hidden_states(x, kept) == frozen).all()
        assert_same(model.bptt(x, y, kept=kept), model.bptt(x, y))
        assert frozen_state_loss(
            parameters, frozen, x, y, "chunk:2", **kind, kept=kept
        ) == frozen_state_loss(parameters, frozen, x, y, "chunk:2", **kind)


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_zeros_at_the_top_leave_the_outputs_to_c_and_teach_c_alone(kind):
    parameters, x, y = net(kind, 3)
    kept = factors(kind, 3)
    kept[:, -1] = 0
    model = NumpyRNN(parameters, **kind)
    c = parameters.get("c", np.zeros(5))
    o = np.exp(c) / np.exp(c).sum()  # uniform without c
    for target in range(5):
        loss = model.ce_error(x[:1], [target], kept=kept[:1])
        assert loss == pytest.approx(-np.log(o[target]), rel=1e-14)
    gradients = model.bptt(x, y, kept=kept)
    if kind["bias"]:
        expected = 6 * o - np.bincount(y, minlength=5)
        np.testing.assert_allclose(gradients.pop("c"), expected, atol=1e-14)
    assert not any(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("kind", STACKED, ids=named)
def test_a_factor_constant_in_time_is_one_of_the_columns_of_the_matrix_that_reads(kind):
    # U2 (a * s) = (U2 a) s: the same network with U2 and V scaled, where V is a matrix of its own.
    kind = {**kind, "tied": False}
    parameters, x, y = net(kind, 4)
    a = np.array([[0.5, 0, 2], [1.5, -1, 0.25]])  # (layers, H)
    kept = np.broadcast_to(a, (6, 2, 3))
    scaled = {**parameters, "U2": parameters["U2"] * a[0], "V": parameters["V"] * a[1]}
    for truncation in TRUNCATIONS:
        one = NumpyRNN(parameters, truncation, **kind)
        two = NumpyRNN(scaled, truncation, **kind)
        assert one.ce_error(x, y, kept=kept) == pytest.approx(two.ce_error(x, y), rel=1e-13)
        np.testing.assert_allclose(one.hidden_states(x, kept), two.hidden_states(x), atol=1e-13)
        expected = two.bptt(x, y)
        expected["U2"], expected["V"] = expected["U2"] * a[0], expected["V"] * a[1]
        assert_same(one.bptt(x, y, kept=kept), expected, 1e-13)


@pytest.mark.parametrize("kind", STACKED, ids=named)
def test_states_of_a_layer_ignore_its_own_factors_and_those_of_the_layers_above(kind):
    parameters, x, _ = net(kind, 5)
    model = NumpyRNN(parameters, **kind)
    kept = factors(kind, 5)
    plain = model.hidden_states(x).reshape(7, 2, -1)
    dropped = model.hidden_states(x, kept).reshape(7, 2, -1)
    assert (dropped[:, 0] == plain[:, 0]).all() and (dropped[:, 1] != plain[:, 1]).any()
    kept[:, 0] = 1  # the top layer's factors are read by the output alone
    assert (model.hidden_states(x, kept) == model.hidden_states(x)).all()


def test_two_layers_written_out():
    kind = {**PLAIN, "layers": 2, "bias": True, "embedding": True}
    parameters, x, y = net(kind, 6)
    L, U, V, W, b, c, U2, W2, b2 = parameters.values()
    kept = factors(kind, 6)
    s, s2, expected = np.zeros(3), np.zeros(3), 0.0
    for t in range(6):
        s = np.tanh(U @ L[:, x[t]] + W @ s + b)
        s2 = np.tanh(U2 @ (kept[t, 0] * s) + W2 @ s2 + b2)
        o = np.exp(V @ (kept[t, 1] * s2) + c)
        expected -= np.log(o[y[t]] / o.sum())
    model = NumpyRNN(parameters, **kind)
    assert model.ce_error(x, y, kept=kept) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_everything_is_computed_in_the_dtype_of_the_parameters_whatever_that_of_the_factors(
    truncation,
):
    kind = {**PLAIN, "cell": "lstm", "layers": 2, "embedding": True}
    parameters, x, y = net(kind, 7)
    kept = factors(kind, 7)
    single = NumpyRNN({n: p.astype(np.float32) for n, p in parameters.items()}, truncation, **kind)
    gradients = single.bptt(x, y, kept=kept)
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}
    assert single.hidden_states(x, kept).dtype == np.float32
    double = NumpyRNN(parameters, truncation, **kind)
    assert_same(gradients, double.bptt(x, y, kept=kept), 1e-5)


def with_value(value):
    kept = np.ones((6, 2, 3))
    kept[4, 1, 2] = value
    return kept


BAD = [
    (np.ones((6, 2, 4)), r"kept has shape \(6, 2, 4\): pass \(T, layers, H\) = \(6, 2, 3\)"),
    (np.ones((6, 6)), r"kept has shape \(6, 6\)"),
    (np.ones((7, 2, 3)), r"kept has shape \(7, 2, 3\)"),
    (np.ones((2, 6, 3)), r"kept has shape \(2, 6, 3\)"),
    (np.ones((6, 1, 2, 3)), r"kept has shape \(6, 1, 2, 3\)"),
    (0.5, r"kept has shape \(\)"),
    (with_value(np.nan), r"kept\[4, 1, 2\] is nan: pass finite factors"),
    (with_value(-np.inf), r"kept\[4, 1, 2\] is -inf"),
    (np.ones((6, 2, 3), complex), "kept is complex128: pass numbers"),
    (np.full((6, 2, 3), "1"), "kept is <U1"),
    (np.full((6, 2, 3), None), "kept is object"),
]


@pytest.mark.parametrize("kept, message", BAD)
def test_factors_of_another_shape_or_not_finite_are_refused_and_nothing_changes(kept, message):
    kind = {**PLAIN, "cell": "gru", "layers": 2}
    parameters, x, y = net(kind)
    model = NumpyRNN(parameters, **kind)
    frozen = model.hidden_states(x)
    for call in (
        lambda: model.hidden_states(x, kept),
        lambda: model.ce_error(x, y, kept=kept),
        lambda: model.bptt(x, y, kept=kept),
        lambda: frozen_state_loss(parameters, frozen, x, y, "full", **kind, kept=kept),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert_same(model.parameters(), parameters)


def test_factors_too_large_for_the_dtype_of_the_parameters_are_refused():
    parameters, x, y = net(PLAIN)
    model = NumpyRNN({name: p.astype(np.float32) for name, p in parameters.items()})
    with pytest.raises(ValueError, match=r"kept\[0, 0, 0\] is inf"), np.errstate(over="ignore"):
        model.ce_error(x, y, kept=np.full((6, 1, 3), 1e300))
