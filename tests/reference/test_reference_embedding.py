"""The oracle's lookup table: the same network without one, numbers by hand, differences."""

import numpy as np
import pytest
from kinds import GATES, KINDS, PLAIN, assert_same, is_smooth, named, net

from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss

TRUNCATIONS = ("full", "window:1", "chunk:2", "last:2")
EMBEDDED = [kind for kind in KINDS if kind["embedding"]]
UNTIED = [kind for kind in EMBEDDED if not kind["tied"]]
SHALLOW = [kind for kind in EMBEDDED if (kind["layers"], kind["bias"]) in ((1, True), (2, False))]


@pytest.mark.parametrize("kind", UNTIED, ids=named)
def test_an_embedding_is_the_network_whose_U_is_the_product_U_L(kind):
    # So the chain rule gives its gradients by those of the product: dU = d(UL) L', dL = U' d(UL).
    parameters, x, y = net(kind, 1)
    product = {name: value for name, value in parameters.items() if name != "L"}
    product["U"] = parameters["U"] @ parameters["L"]
    without = {**kind, "embedding": False}
    for truncation in TRUNCATIONS:
        one = NumpyRNN(parameters, truncation, **kind)
        two = NumpyRNN(product, truncation, **without)
        assert one.ce_error(x, y) == pytest.approx(two.ce_error(x, y), rel=1e-13)
        np.testing.assert_allclose(one.hidden_states(x), two.hidden_states(x), atol=1e-13)
        gradients, expected = one.bptt(x, y), two.bptt(x, y)
        d_product = expected["U"]
        expected["U"] = d_product @ parameters["L"].T
        expected = {"L": parameters["U"].T @ d_product, **expected}
        assert_same(gradients, expected, 1e-13)


@pytest.mark.parametrize("kind", SHALLOW, ids=named)
def test_gradients_are_the_central_differences_of_their_surrogates_element_by_element(kind):
    parameters, x, y = net(kind, 2, hidden_size=2, vocab_size=3, T=3)
    assert is_smooth(parameters, x, kind)
    frozen = NumpyRNN(parameters, **kind).hidden_states(x)
    for truncation in ("full", "window:1", "chunk:2", "last:1"):
        expected = finite_differences(
            lambda p, cut=truncation: frozen_state_loss(p, frozen, x, y, cut, **kind), parameters
        )
        assert_same(NumpyRNN(parameters, truncation, **kind).bptt(x, y), expected, 1e-8)


def test_one_tied_step_by_hand():
    # x_0 = L[:, 0] = ln 3, s_0 = tanh(U x_0) = 4/5 and V s_0 = L' s_0 = (4/5 ln 3, 0).
    L, U = np.array([[np.log(3), 0]]), np.ones((1, 1))
    model = NumpyRNN({"L": L, "U": U, "W": U}, tied=True, embedding=True)
    error = 3**0.8 / (3**0.8 + 1) - 1  # o - y at the target 0, its opposite at 1
    dz = np.log(3) * error * (1 - 16 / 25)
    gradients = model.bptt([0], [0])
    np.testing.assert_allclose(gradients["U"], [[dz * np.log(3)]], rtol=1e-14)
    # Of token 0 both uses, as V: (o - y) s_0, and as input: U' dz; of token 1 the first alone.
    np.testing.assert_allclose(gradients["L"], [[0.8 * error + dz, -0.8 * error]], rtol=1e-14)
    assert not gradients["W"].any()


@pytest.mark.parametrize("cell", GATES)
def test_tokens_not_read_have_no_gradient_in_an_untied_table_and_all_have_one_in_a_tied(cell):
    for tied in (False, True):
        kind = {**PLAIN, "cell": cell, "tied": tied, "embedding": True}
        parameters, _, _ = net(kind, 3, vocab_size=6)
        gradient = NumpyRNN(parameters, **kind).bptt([1, 4, 1], [0, 5, 2])["L"]
        assert gradient.any(axis=0).tolist() == [tied, True, tied, tied, True, tied]


def test_the_setting_is_a_property_and_the_vocabulary_is_that_of_the_table():
    kind = {**PLAIN, "cell": "lstm", "embedding": True}
    parameters, _, _ = net(kind, 4, vocab_size=7)
    model = NumpyRNN(parameters, **kind)
    assert (model.embedding, model.vocab_size, model.hidden_size) == (True, 7, 3)
    assert model.forward_propagation([6]).shape == (1, 7)
    with pytest.raises(ValueError, match=r"x\[0\] is 7: pass token ids from 0 to 6"):
        model.hidden_states([7])
    with pytest.raises(AttributeError):
        model.embedding = False


UNTIED_GRU = {**PLAIN, "cell": "gru", "embedding": True}  # L (4, 5), U (9, 4)
TIED_GRU = {**UNTIED_GRU, "tied": True}  # L (3, 5), U (9, 3)
BAD = [
    (UNTIED_GRU, {"L": None}, r"missing \['L'\], .* pass L \(D, vocab_size\), U \(3H, D\), V"),
    (UNTIED_GRU, {"L": np.zeros((3, 5))}, r"disagree: L \(3, 5\), U \(9, 4\)"),
    (UNTIED_GRU, {"L": np.zeros((4, 6))}, r"disagree: L \(4, 6\), .* V \(5, 3\)"),
    (UNTIED_GRU, {"U": np.zeros((9, 5))}, r"disagree: L \(4, 5\), U \(9, 5\)"),
    (UNTIED_GRU, {"L": np.zeros((0, 5))}, r"parameter L has shape \(0, 5\)"),
    (UNTIED_GRU, {"L": np.zeros((4, 5), np.float32)}, "mix dtypes: L float32"),
    (UNTIED_GRU, {"L": np.full((4, 5), np.nan)}, r"parameter L\[0, 0\] is nan"),
    (TIED_GRU, {"V": np.zeros((5, 3))}, r"unknown \['V'\]: pass L \(H, vocab_size\), U \(3H, H\)"),
    (
        TIED_GRU,  # an embedding of another size than H
        {"L": np.zeros((4, 5)), "U": np.zeros((9, 4))},
        r"disagree: L \(4, 5\), .* pass L \(H, vocab_size\), .* tied=True, embedding=True",
    ),
    (PLAIN, {"L": np.zeros((4, 5))}, r"unknown \['L'\]: .* embedding=False"),
]


@pytest.mark.parametrize("kind, change, message", BAD)
def test_tables_that_do_not_fit_are_refused_and_nothing_changes(kind, change, message):
    parameters, x, y = net(kind)
    model = NumpyRNN(parameters, **kind)
    frozen = model.hidden_states(x)
    bad = {name: p for name, p in {**parameters, **change}.items() if p is not None}
    for call in (
        lambda: NumpyRNN(bad, **kind),
        lambda: model.set_parameters(bad),
        lambda: frozen_state_loss(bad, frozen, x, y, "full", **kind),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert_same(model.parameters(), parameters)
