"""Every kind of network of the oracle: its equations, and each cell by hand."""

import numpy as np
import pytest
from kinds import GATES, KINDS, SOME_KINDS, assert_same, embedded, named, net

from theano_rnn.reference import NumpyRNN

# Numbers by hand, with tanh(ln 3) = 4/5, sigma(ln 3) = 3/4 and sigma(-ln 3) = 1/4

LN3 = np.log(3)


def column(*values):
    return np.array(values, dtype=float)[:, None]


def two_step_net(W, first, second, s_0, D):
    """One unit, whose gates are `first` at token 0 and `second` at token 1; E by sigma(D s)."""
    U = np.hstack([column(*first), column(*second) - W * s_0])
    return {"U": U, "V": column(D, 0), "W": W}


def test_one_gru_step_by_hand():
    # From s' = 0: z = r = 1/2, h = 4/5, so s = 0.4, and o = (3/4, 1/4) as D s = ln 3.
    D = LN3 / 0.4
    parameters = two_step_net(column(5, -5, 10), (0, 0, LN3), (0, 0, 0), 0.4, D)
    model = NumpyRNN(parameters, cell="gru")
    np.testing.assert_allclose(model.hidden_states([0]), [[0.4], [0]], rtol=1e-14)
    np.testing.assert_allclose(model.forward_propagation([0]), [[0.75, 0.25]], rtol=1e-14)
    gradients = model.bptt([0], [0])
    ds = -D / 4  # V' (o - y)
    # dp_z = ds (0 - 4/5) / 4, dp_r = 0 as s' = 0, dp_h = ds / 2 * (1 - 16/25)
    expected = [-0.2 * ds, 0, 0.18 * ds]
    np.testing.assert_allclose(gradients["U"][:, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(gradients["V"], [[-0.1], [0.1]], rtol=1e-14)
    assert not gradients["W"].any() and not gradients["U"][:, 1].any()


def test_two_gru_steps_by_hand():
    # From s' = 0.4: z = 3/4, r = 1/4, h = 4/5, so s = 0.75 * 0.4 + 0.25 * 0.8 = 0.5.
    D = LN3 / 0.4
    # W_h meets r * s', a quarter of s': the rest of what two_step_net subtracts is given back.
    second = (LN3, -LN3, LN3 + 0.75 * 10 * 0.4)
    parameters = two_step_net(column(5, -5, 10), (0, 0, LN3), second, 0.4, D)
    model = NumpyRNN(parameters, cell="gru")
    np.testing.assert_allclose(model.hidden_states([0, 1]), [[0.4], [0.5], [0]], rtol=1e-14)
    ds_0, ds_1 = -D / 4, -D / (1 + np.exp(D * 0.5))
    # dp_z = ds (0.4 - 0.8) 3/16, dp_h = ds / 4 * 9/25, dp_r = 10 dp_h * 0.4 * 3/16
    dp = np.array([-0.075, 0.0675, 0.09]) * ds_1
    # ds' = ds (z + 5 * (-0.075) - 5 * 0.0675 + 10 * 0.09 * r) = 0.2625 ds
    for truncation, ds in (("full", ds_0 + 0.2625 * ds_1), ("chunk:1", ds_0), ("last:1", 0)):
        gradients = NumpyRNN(parameters, truncation, cell="gru").bptt([0, 1], [0, 0])
        expected = np.stack([np.array([-0.2, 0, 0.18]) * ds, dp], axis=1)
        np.testing.assert_allclose(gradients["U"], expected, rtol=1e-13)
        # s' for z and r, r * s' for h
        np.testing.assert_allclose(gradients["W"], column(0.4, 0.4, 0.1) * dp[:, None], rtol=1e-13)


def test_two_steps_of_the_gru_that_resets_after_by_hand():
    # From s' = 0: z = r = 1/2, q = a = 2, h = 4/5, so s = 0.4. Then z = 3/4, r = 1/4,
    # q = 10 * 0.4 + 2 = 6, h = 4/5, so s = 0.75 * 0.4 + 0.25 * 0.8 = 0.5.
    D, W = LN3 / 0.4, column(5, -5, 10)
    second = (LN3, -LN3, LN3 - 6 / 4 + 10 * 0.4)  # what two_step_net subtracts is given back
    parameters = two_step_net(W, (0, 0, LN3 - 2 / 2), second, 0.4, D)
    parameters |= {"b": np.zeros(3), "a": np.array([2.0]), "c": np.zeros(2)}
    kind = {"cell": "gru_after", "bias": True}
    model = NumpyRNN(parameters, **kind)
    np.testing.assert_allclose(model.hidden_states([0, 1]), [[0.4], [0.5], [0]], rtol=1e-14)
    ds_0, ds_1 = -D / 4, -D / (1 + np.exp(D * 0.5))
    # dp_z = ds (0.4 - 0.8) 3/16, dp_h = ds / 4 * 9/25, dp_r = 6 dp_h * 3/16, dq = dp_h / 4
    dp_z, dp_r, dp_h, dq = np.array([-0.075, 0.10125, 0.09, 0.0225]) * ds_1
    # ds' = ds (z + 5 * (-0.075) - 5 * 0.10125 + 10 * 0.0225) = 0.09375 ds
    for truncation, ds in (("full", ds_0 + 0.09375 * ds_1), ("chunk:1", ds_0), ("last:1", 0)):
        gradients = NumpyRNN(parameters, truncation, **kind).bptt([0, 1], [0, 0])
        # dp_z = -ds 4/5 / 4, dp_h = ds / 2 * 9/25, dp_r = 2 dp_h / 4, dq = dp_h / 2
        first = np.array([-0.2, 0.09, 0.18]) * ds
        expected = np.stack([first, [dp_z, dp_r, dp_h]], axis=1)
        np.testing.assert_allclose(gradients["U"], expected, rtol=1e-13)
        np.testing.assert_allclose(gradients["W"], 0.4 * column(dp_z, dp_r, dq), rtol=1e-13)
        np.testing.assert_allclose(gradients["b"], expected.sum(axis=1), rtol=1e-13)
        np.testing.assert_allclose(gradients["a"], [0.09 * ds + dq], rtol=1e-13)


def test_one_lstm_step_by_hand():
    # From s' = c' = 0: i = 1/2, f = 3/4, o = 1/4, g = 4/5, so c = 0.4, s = tanh(0.4) / 4.
    s = np.tanh(0.4) / 4
    parameters = two_step_net(column(1, 2, 3, 4), (0, LN3, -LN3, LN3), (0, 0, 0, 0), 0, LN3 / s)
    model = NumpyRNN(parameters, cell="lstm")
    np.testing.assert_allclose(model.hidden_states([0]), [[s, 0.4], [0, 0]], rtol=1e-14)
    np.testing.assert_allclose(model.forward_propagation([0]), [[0.75, 0.25]], rtol=1e-14)
    gradients = model.bptt([0], [0])
    ds = -LN3 / s / 4  # V' (o - y)
    dc = ds / 4 * (1 - np.tanh(0.4) ** 2)
    # dp_i = dc * 4/5 / 4, dp_f = 0 as c' = 0, dp_o = ds tanh(0.4) 3/16, dp_g = dc / 2 * 9/25
    expected = [0.2 * dc, 0, ds * np.tanh(0.4) * 3 / 16, 0.18 * dc]
    np.testing.assert_allclose(gradients["U"][:, 0], expected, rtol=1e-13)
    np.testing.assert_allclose(gradients["V"], [[-s / 4], [s / 4]], rtol=1e-14)
    assert not gradients["W"].any() and not gradients["U"][:, 1].any()


def test_two_lstm_steps_by_hand():
    # From c' = 0.4: i = 1/4, f = 3/4, o = 1/2, g = -4/5, so c = 0.3 - 0.2 = 0.1.
    s_0, s_1 = np.tanh(0.4) / 4, np.tanh(0.1) / 2
    W, second = column(1, 2, 3, 4), (-LN3, LN3, 0, -LN3)
    parameters = two_step_net(W, (0, LN3, -LN3, LN3), second, s_0, LN3 / s_0)
    model = NumpyRNN(parameters, cell="lstm")
    expected = [[s_0, 0.4], [s_1, 0.1], [0, 0]]
    np.testing.assert_allclose(model.hidden_states([0, 1]), expected, rtol=1e-13)
    D = LN3 / s_0
    ds_0, ds_1 = -D / 4, -D / (1 + np.exp(D * s_1))
    dc_1 = ds_1 / 2 * (1 - np.tanh(0.1) ** 2)
    # dp_i = dc (-4/5) 3/16, dp_f = dc * 0.4 * 3/16, dp_o = ds tanh(0.1) / 4, dp_g = dc / 4 * 9/25
    dp = np.array([-0.15 * dc_1, 0.075 * dc_1, ds_1 * np.tanh(0.1) / 4, 0.09 * dc_1])
    # The state before is a pair: ds' = W' dp, dc' = dc * 3/4; a cut cuts both.
    for truncation, ds, dc in (
        ("full", ds_0 + (W[:, 0] * dp).sum(), 0.75 * dc_1),
        ("chunk:1", ds_0, 0),
        ("last:1", 0, 0),
    ):
        dc = dc + ds / 4 * (1 - np.tanh(0.4) ** 2)
        first = [0.2 * dc, 0, ds * np.tanh(0.4) * 3 / 16, 0.18 * dc]
        gradients = NumpyRNN(parameters, truncation, cell="lstm").bptt([0, 1], [0, 0])
        np.testing.assert_allclose(gradients["U"], np.stack([first, dp], axis=1), rtol=1e-12)
        np.testing.assert_allclose(gradients["W"], s_0 * dp[:, None], rtol=1e-12)


def test_relu_has_half_a_derivative_at_zero_as_that_of_theano():
    # z = 0: s = 0 and o = (1/2, 1/2), so dE/ds = V' (o - y) = -2, of which b gets one half.
    parameters = {name: np.zeros(1) for name in ("U", "V", "W", "b", "c")}
    parameters |= {"U": np.zeros((1, 2)), "V": column(3, -1), "W": np.ones((1, 1))}
    parameters["c"] = np.zeros(2)
    gradients = NumpyRNN(parameters, cell="relu", bias=True).bptt([0], [0])
    assert gradients["b"].tolist() == [-1] and gradients["U"].tolist() == [[-1, 0]]
    assert gradients["c"].tolist() == [-0.5, 0.5]


# States, probabilities, layout


def sigma(a):
    return 1 / (1 + np.exp(-a))


def one_step(cell, U, W, b, a, x, s, c):
    """The equations as they are written, gate by gate."""
    H = len(s)
    U, b = (m.reshape(GATES[cell], H, *m.shape[1:]) for m in (U, b))
    if cell == "mingru":
        z = sigma(U[0] @ x + b[0])
        return z * s + (1 - z) * (U[1] @ x + b[1]), None
    W = W.reshape(GATES[cell], H, H)
    if cell == "gru":
        z = sigma(U[0] @ x + W[0] @ s + b[0])
        r = sigma(U[1] @ x + W[1] @ s + b[1])
        h = np.tanh(U[2] @ x + W[2] @ (r * s) + b[2])
        return z * s + (1 - z) * h, None
    if cell == "gru_after":
        z = sigma(U[0] @ x + W[0] @ s + b[0])
        r = sigma(U[1] @ x + W[1] @ s + b[1])
        h = np.tanh(U[2] @ x + b[2] + r * (W[2] @ s + a))
        return z * s + (1 - z) * h, None
    a = U @ x + W @ s + b  # (G, H)
    if cell == "lstm":
        i, f, o, g = sigma(a[0]), sigma(a[1]), sigma(a[2]), np.tanh(a[3])
        c = f * c + i * g
        return o * np.tanh(c), c
    return {"tanh": np.tanh, "sigmoid": sigma, "relu": lambda z: z * (z > 0)}[cell](a[0]), None


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_states_probabilities_and_losses_are_those_of_the_equations(kind):
    parameters, x, y = net(kind, 8)
    cell, layers = kind["cell"], kind["layers"]
    model = NumpyRNN(parameters, **kind)
    assert {name: getattr(model, name) for name in kind} == kind
    assert (model.hidden_size, model.vocab_size) == (3, 5)
    found = model.hidden_states(x).reshape(7, layers, -1, 3)  # as documented
    assert found.shape[2] == (2 if cell == "lstm" else 1) and not found[-1].any()
    s, c, expected = np.zeros((layers, 3)), np.zeros((layers, 3)), 0.0
    for t, o_t in enumerate(model.forward_propagation(x)):
        below = embedded(parameters, x)[t]
        for l, suffix in enumerate(("", "2", "3")[:layers]):
            U, W = parameters["U" + suffix], parameters.get("W" + suffix)
            b = parameters.get("b" + suffix, np.zeros(len(U)))
            a = parameters.get("a" + suffix, 0)
            s[l], c[l] = one_step(cell, U, W, b, a, below, s[l], c[l])
            below = s[l]
        V = parameters["L" if kind["embedding"] else "U"].T if kind["tied"] else parameters["V"]
        logits = V @ below + parameters.get("c", 0)
        o = np.exp(logits) / np.exp(logits).sum()
        # A sum of two terms near 1 that cancel has lost digits: 1e-15 is a few of its last bits.
        np.testing.assert_allclose(found[t, :, 0], s, rtol=1e-12, atol=1e-15)
        if cell == "lstm":
            np.testing.assert_allclose(found[t, :, 1], c, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(o_t, o, rtol=1e-12)
        assert model.predict(x)[t] == o.argmax()
        expected -= np.log(o[y[t]])
    assert model.ce_error(x, y) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_parameters_and_gradients_have_the_documented_names_in_order_whatever_the_one_given(
    kind,
):
    parameters, x, y = net(kind, 9)
    expected = {  # of the cases with three layers; less is a beginning of it
        (False, False): ["U", "V", "W", "U2", "W2", "U3", "W3"],
        (False, True): ["U", "W", "U2", "W2", "U3", "W3"],
        (True, False): ["U", "V", "W", "b", "c", "U2", "W2", "b2", "U3", "W3", "b3"],
        (True, True): ["U", "W", "b", "c", "U2", "W2", "b2", "U3", "W3", "b3"],
    }[kind["bias"], kind["tied"]]
    if kind["cell"] == "gru_after":  # an a behind each b
        expected = [n for b in expected for n in ([b, "a" + b[1:]] if b[0] == "b" else [b])]
    if kind["cell"] == "mingru":
        expected = [n for n in expected if n[0] != "W"]
    expected = ["L"] * kind["embedding"] + expected
    assert list(parameters) == expected[: len(parameters)]
    model = NumpyRNN(dict(reversed(list(parameters.items()))), **kind)
    assert_same(model.parameters(), parameters)
    assert list(model.bptt(x, y)) == list(parameters)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind["bias"]], ids=named)
def test_biases_of_zero_are_no_biases(kind):
    parameters, x, y = net(kind, 10)
    for name in parameters:
        if name[0] in "abc":
            parameters[name] = np.zeros_like(parameters[name])
    without = {name: value for name, value in parameters.items() if name[0] not in "abc"}
    for truncation in ("full", "window:1", "last:2"):
        gradients = NumpyRNN(parameters, truncation, **kind).bptt(x, y)
        expected = NumpyRNN(without, truncation, **{**kind, "bias": False}).bptt(x, y)
        assert_same({name: gradients[name] for name in expected}, expected)


def test_saturated_gates_neither_overflow_nor_forget():
    # gru keeps s' where z = 1, lstm keeps c' where i = 0 and f = 1, both exactly.
    gru = two_step_net(np.ones((3, 1)), (1e4, -1e4, 1), (0, 0, 1), 0, 1)
    lstm = two_step_net(np.ones((4, 1)), (-1e4, 1e4, 1e4, 1), (0, 0, 0, 1), 0, 1)
    for cell, net_of_one in (("gru", gru), ("lstm", lstm)):
        for dtype in (np.float64, np.float32):
            parameters = {name: value.astype(dtype) for name, value in net_of_one.items()}
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                model = NumpyRNN(parameters, cell=cell)
                states = model.hidden_states([1, 0, 0, 0])
                assert states[0].all() and (states[1:4, -1] == states[0, -1]).all()
                assert all(np.isfinite(g).all() for g in model.bptt([1, 0], [0, 1]).values())


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_everything_is_computed_in_the_dtype_of_the_parameters(kind):
    parameters, x, y = net(kind, 11, T=3)
    single = {name: value.astype(np.float32) for name, value in parameters.items()}
    for truncation in ("full", "window:1", "chunk:2", "last:2"):
        model = NumpyRNN(single, truncation, **kind)
        gradients = model.bptt(x, y)
        assert_same(gradients, NumpyRNN(parameters, truncation, **kind).bptt(x, y), 1e-5)
        arrays = list(gradients.values()) + [model.hidden_states(x), model.forward_propagation(x)]
        assert {a.dtype for a in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
def test_sgd_step_subtracts_every_gradient_and_lowers_the_loss(kind):
    parameters, x, y = net(kind, 12)
    given = {name: value.copy() for name, value in parameters.items()}
    model = NumpyRNN(parameters, "window:2", **kind)
    loss, gradients = model.ce_error(x, y), model.bptt(x, y)
    assert all(g.any() for g in gradients.values())
    assert model.sgd_step(x, y, 0.01) == loss
    expected = {name: parameters[name] - 0.01 * gradients[name] for name in parameters}
    assert_same(model.parameters(), expected)
    assert model.ce_error(x, y) < loss
    assert_same(parameters, given)
