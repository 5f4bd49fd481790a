"""The oracle's projection: V = L' P, against the network with that V, and by differences."""

import pytest
from kinds import PROJECTED, assert_same, factors, is_smooth, named, net

from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss
from theano_rnn.reference.online import online_gradients

SHALLOW = [kind for kind in PROJECTED if (kind["layers"], kind["bias"]) in ((1, True), (2, False))]


@pytest.mark.parametrize("kind", PROJECTED, ids=named)
def test_a_projection_is_the_untied_network_whose_V_is_the_product(kind):
    # So the chain rule gives its gradients by those of the product: dP = L dV, dL = U' dp + P dV'.
    parameters, x, y = net(kind, 1)
    L, P = parameters["L"], parameters["P"]
    product = {name: value for name, value in parameters.items() if name != "P"}
    product = {"L": L, "U": parameters["U"], "V": L.T @ P, **product}
    untied = {**kind, "tied": False, "projection": False}
    for truncation in ("full", "window:1", "chunk:2", "last:2"):
        one = NumpyRNN(parameters, truncation, **kind)
        two = NumpyRNN(product, truncation, **untied)
        assert one.ce_error(x, y) == pytest.approx(two.ce_error(x, y), rel=1e-13)
        gradients, expected = one.bptt(x, y), two.bptt(x, y)
        dV = expected.pop("V")
        expected["L"] = expected["L"] + P @ dV.T
        expected = {name: {**expected, "P": L @ dV}[name] for name in parameters}
        assert_same(gradients, expected, 1e-13)


@pytest.mark.parametrize("kind", SHALLOW, ids=named)
def test_gradients_are_the_central_differences_of_their_surrogates(kind):
    parameters, x, y = net(kind, 2, hidden_size=2, vocab_size=3, T=3)
    assert is_smooth(parameters, x, kind)
    kept = factors(kind, hidden_size=2, T=3)
    frozen = NumpyRNN(parameters, **kind).hidden_states(x, kept)
    for truncation in ("full", "window:1", "chunk:2", "last:1"):
        expected = finite_differences(
            lambda p, cut=truncation: frozen_state_loss(p, frozen, x, y, cut, **kind, kept=kept),
            parameters,
        )
        assert_same(NumpyRNN(parameters, truncation, **kind).bptt(x, y, kept=kept), expected, 1e-8)


def test_the_influence_carried_forward_gives_the_gradient_of_P_too():
    kind = PROJECTED[0]
    parameters, x, y = net(kind, 3)
    full = NumpyRNN(parameters, **kind).bptt(x, y)
    assert_same(online_gradients(parameters, x, y, "rtrl", **kind), full, 1e-12)


def test_a_projection_needs_a_tied_embedding_and_is_a_property():
    parameters, _, _ = net(PROJECTED[0])
    assert NumpyRNN(parameters, **PROJECTED[0]).projection
    for wrong in ({"tied": False}, {"embedding": False}):
        with pytest.raises(ValueError, match="pass tied=True and embedding=True too"):
            NumpyRNN(parameters, **{**PROJECTED[0], **wrong})
    with pytest.raises(ValueError, match=r"missing \['P'\]"):
        NumpyRNN({n: p for n, p in parameters.items() if n != "P"}, **PROJECTED[0])
