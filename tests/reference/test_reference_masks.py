"""The oracle's masks of every kind of dropout: differences, equal networks, exact values."""

import numpy as np
import pytest
from kinds import GATES, PLAIN, assert_same, is_smooth, masks, named, net

from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss

TRUNCATIONS = ("full", "window:1", "chunk:2", "last:2", "artbp:2")
KINDS = [
    {**PLAIN, "cell": cell, "layers": layers, **settings}
    for cell in GATES
    for layers, settings in (
        (1, {}),
        (2, {"bias": True, "tied": True, "embedding": True}),
        (2, {"embedding": True}),
    )
]


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_gradients_under_all_masks_are_the_central_differences_of_their_surrogates(kind):
    sizes = {"hidden_size": 2, "vocab_size": 3, "T": 4}
    parameters, x, y = net(kind, 1, **sizes)
    kept = masks(kind, 1, **sizes)
    assert is_smooth(parameters, x, kind, kept=kept)
    frozen = NumpyRNN(parameters, **kind).hidden_states(x, kept)
    for truncation in TRUNCATIONS:
        model = NumpyRNN(parameters, truncation, **kind)
        cuts = {"cuts": [False, True, False, False]} if truncation.startswith("artbp") else {}

        def surrogate(p, cut=truncation, cuts=cuts):
            return frozen_state_loss(p, frozen, x, y, cut, **kind, kept=kept, **cuts)

        assert surrogate(parameters) == pytest.approx(model.ce_error(x, y, kept=kept), rel=1e-14)
        gradients = model.bptt(x, y, kept=kept, **cuts)
        assert_same(gradients, finite_differences(surrogate, parameters), 1e-8)


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_each_kind_changes_the_loss_and_ones_do_not(kind):
    parameters, x, y = net(kind, 2)
    model = NumpyRNN(parameters, "window:2", **kind)
    for name, mask in masks(kind, 2).items():
        assert model.ce_error(x, y, kept={name: mask}) != model.ce_error(x, y)
        ones = {name: np.ones_like(mask)}
        assert model.ce_error(x, y, kept=ones) == model.ce_error(x, y)
        assert_same(model.bptt(x, y, kept=ones), model.bptt(x, y))


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_masks_of_a_column_or_an_element_are_those_of_another_net(kind):
    # L * e, W * M and W * m' in place of the masks: the same loss, where V is a matrix of its own.
    kind = {**kind, "tied": False}
    parameters, x, y = net(kind, 3)
    kept = {n: mask for n, mask in masks(kind, 3).items() if n not in ("states", "input")}
    table = "L" if kind["embedding"] else "U"
    of_net = {**parameters, table: parameters[table] * kept["embedding"]}
    if "weights" in kept:
        for l in range(kind["layers"]):
            name = "W" if l == 0 else f"W{l + 1}"
            of_net[name] = parameters[name] * kept["weights"][l] * kept["recurrent"][l]
    masked, plain = NumpyRNN(parameters, "chunk:4", **kind), NumpyRNN(of_net, "chunk:4", **kind)
    assert masked.ce_error(x, y, kept=kept) == pytest.approx(plain.ce_error(x, y), rel=1e-14)


def test_what_a_gate_carries_over_is_not_dropped():
    for cell in ("gru", "gru_after"):
        kind = {**PLAIN, "cell": cell}
        parameters, x, _ = net(kind, 4)
        states = NumpyRNN(parameters, **kind).hidden_states(x, {"recurrent": np.zeros((1, 3))})
        s = np.zeros(3)
        for t in range(6):  # the gates and the candidate read the input alone
            p_z, _, p_h = parameters["U"][:, x[t]].reshape(3, 3)
            z = 1 / (1 + np.exp(-p_z))
            s = z * s + (1 - z) * np.tanh(p_h)
            np.testing.assert_allclose(states[t], s, rtol=1e-13)


def test_an_lstm_and_an_embedded_tanh_written_out():
    def sigma(a):
        return 1 / (1 + np.exp(-a))

    for cell in ("lstm", "tanh"):
        kind = {**PLAIN, "cell": cell, "embedding": True}
        parameters, x, y = net(kind, 5)
        L, U, V, W = parameters.values()
        kept = masks(kind, 5)
        s, c, expected = np.zeros(3), np.zeros(3), 0.0
        for t in range(6):
            p = U @ (kept["input"][t] * kept["embedding"][x[t]] * L[:, x[t]])
            z = p + (kept["weights"][0] * W) @ (kept["recurrent"][0] * s)
            if cell == "tanh":
                s = np.tanh(z)
            else:
                i, f, o = sigma(z[:9]).reshape(3, 3)
                c = f * c + i * np.tanh(z[9:])
                s = o * np.tanh(c)
            out = np.exp(V @ (kept["states"][t, 0] * s))
            expected -= np.log(out[y[t]] / out.sum())
        model = NumpyRNN(parameters, **kind)
        assert model.ce_error(x, y, kept=kept) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("kind", KINDS, ids=named)
def test_a_batch_is_the_sum_of_its_sentences_with_their_masks(kind):
    T, lengths = 6, (2, 6, 3)
    columns = [net(kind, seed)[1:] for seed in range(3)]
    x, y = (np.stack(each, axis=1) for each in zip(*columns))
    kept = masks(kind, 6, B=(3,))
    mask = np.arange(T)[:, None] < np.array(lengths)
    for name in kept.keys() & {"states", "input"}:
        kept[name][~mask] = np.nan  # in the padding anything may stand
    model = NumpyRNN(net(kind)[0], "last:2", **kind)
    gradients = []
    for b, n in enumerate(lengths):
        own = dict(kept)
        for name in kept.keys() & {"states", "input"}:
            own[name] = kept[name][:n, b]
        if "recurrent" in kept:
            own["recurrent"] = kept["recurrent"][b]
        gradients.append(model.bptt(x[:n, b], y[:n, b], kept=own))
    expected = {name: sum(g[name] for g in gradients) for name in gradients[0]}
    assert_same(model.bptt(x, y, mask, kept), expected)


BAD = [
    ({}, {"dropped": np.ones(3)}, "kept has 'dropped': this network has masks states, em"),
    ({}, {"input": np.ones((6, 3))}, "kept has 'input'"),
    ({"cell": "mingru"}, {"weights": np.ones((1, 3, 3))}, "kept has 'weights'"),
    ({"cell": "mingru"}, {"recurrent": np.ones((1, 3))}, "kept has 'recurrent'"),
    ({}, {"recurrent": np.ones(3)}, r"kept\['recurrent'\] has shape \(3,\): pass \(layers, H\)"),
    ({}, {"weights": np.ones((1, 3, 4))}, r"pass \(layers, H, H\) = \(1, 3, 3\)"),
    ({"embedding": True}, {"input": np.ones((6, 3))}, r"pass \(T, D\) = \(6, 4\)"),
    ({}, {"embedding": np.ones(4)}, r"pass \(vocab_size,\) = \(5,\)"),
    ({}, {"embedding": np.full(5, np.inf)}, r"kept\['embedding'\]\[0\] is inf: pass finite"),
    ({}, {"recurrent": np.full((1, 3), "1")}, r"kept\['recurrent'\] is <U1: pass numbers"),
]


@pytest.mark.parametrize("kind, kept, message", BAD)
def test_bad_masks_are_refused(kind, kept, message):
    kind = {**PLAIN, **kind}
    parameters, x, y = net(kind)
    model = NumpyRNN(parameters, **kind)
    for call in (
        lambda: model.hidden_states(x, kept),
        lambda: model.ce_error(x, y, kept=kept),
        lambda: model.bptt(x, y, kept=kept),
        lambda: frozen_state_loss(parameters, np.zeros((7, 3)), x, y, "full", **kind, kept=kept),
    ):
        with pytest.raises(ValueError, match=message):
            call()
