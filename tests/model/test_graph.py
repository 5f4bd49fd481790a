"""The symbolic graph against the NumPy loops, for any net, scheme and K."""

import kinds
import numpy as np
import pytest
from conftest import CUTTING, PICTURES, SCHEMES, compiled, cosine, named, net, some
from hypothesis import given, settings
from hypothesis import strategies as st

from theano_rnn.engine import compile_function, tensor, theano
from theano_rnn.gradcheck import relative_error
from theano_rnn.model import graph
from theano_rnn.model.architecture import Architecture
from theano_rnn.model.dropout import Masks
from theano_rnn.model.initialization import initial
from theano_rnn.model.truncation import Truncation
from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss

any_net = given(
    hidden_size=st.integers(1, 9),
    vocab_size=st.integers(1, 12),
    T=st.integers(1, 9),
    K=st.integers(1, 11),
    scale=st.floats(0.01, 1.5),
    repeated=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)


def errors(scheme, dtype, hidden_size, vocab_size, T, K, scale, repeated, seed):
    """Relative errors of o, E, dU, dV, dW of the graph in a dtype against NumPy in float64."""
    parameters, x, y = net(seed, hidden_size, vocab_size, T, scale, dtype)
    if repeated:
        x[:] = x[0]
    o, loss, gradients = compiled(scheme, dtype)(parameters, x, y, K)
    assert {a.dtype for a in (o, *gradients.values())} == {np.dtype(dtype)}
    exact = {name: value.astype("float64") for name, value in parameters.items()}
    oracle = NumpyRNN(exact, named(scheme, K))
    expected = oracle.bptt(x, y)
    pairs = [(o, oracle.forward_propagation(x)), (loss, oracle.ce_error(x, y))]
    pairs += [(gradients[name], expected[name]) for name in "UVW"]
    assert all(np.shape(a) == np.shape(b) for a, b in pairs)
    return [relative_error(a, b) for a, b in pairs]


# In 4800 nets of these sizes and scale <= 2 the largest error was 2.7e-12, the next 9e-13, all
# others below 1e-13: errors are larger where a unit is saturated, as 1 - s^2 then cancels.
@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None, max_examples=some(100))
@any_net
def test_outputs_loss_and_gradients_equal_numpy_for_any_net_and_K(scheme, **sizes):
    assert max(errors(scheme, "float64", **sizes)) < 1e-10


# Float32 has 29 bits less: 2^29 times the usual error of float64, 2e-12, is 1e-3.
@pytest.mark.parametrize("scheme", SCHEMES)
@settings(deadline=None, max_examples=some(40))
@any_net
def test_outputs_loss_and_gradients_equal_numpy_in_float32(scheme, **sizes):
    assert max(errors(scheme, "float32", **sizes)) < 1e-3


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
def test_the_loss_of_four_layers_with_biases_and_dropout_is_numpy_s(cell, uncompiled):
    kind = {"cell": cell, "layers": 4, "bias": True}
    parameters, x, y = kinds.net(kind, 3, T=4)
    kept = kinds.factors(kind, 3, T=4) + 0.1
    architecture = Architecture(5, 3, **kind)
    values = {name: theano.shared(p) for name, p in parameters.items()}
    values["U"] = values["U"].T
    state = theano.shared(np.zeros((1, 3 * architecture.state_size)))
    factors = theano.shared(kept.transpose(1, 0, 2)[:, :, None])  # (layers, T, B, H)
    inputs = graph.Inputs(theano.shared(x[:, None]), theano.shared(y), state, masks=Masks(factors))
    net = graph.network(architecture, Truncation("full"), values, inputs)
    loss, after = theano.function([], [net.loss, net.after])()
    model = NumpyRNN(parameters, **kind)
    assert loss == pytest.approx(model.ce_error(x, y, kept=kept), rel=1e-13)
    np.testing.assert_allclose(after[0], model.hidden_states(x, kept)[-2], atol=1e-14)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_saturated_nets_agree_to_rounding_of_the_largest_terms(scheme):
    # Relative errors mean nothing here: o - y and 1 - s^2 cancel to the last bits.
    for seed in range(20):
        parameters, x, y = net(seed, hidden_size=8, T=8, scale=30)
        _, loss, gradients = compiled(scheme)(parameters, x, y, 3)
        oracle = NumpyRNN(parameters, named(scheme, 3))
        assert loss == pytest.approx(oracle.ce_error(x, y), rel=1e-12)
        for name, expected in oracle.bptt(x, y).items():
            np.testing.assert_allclose(gradients[name], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("T", [1, 2, 5])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_truncated_gradients_are_finite_differences_of_the_loss_with_frozen_states(scheme, T):
    parameters, x, y = net(1, hidden_size=3, vocab_size=5, T=T)
    frozen = NumpyRNN(parameters).hidden_states(x)
    for K in (1, 2, 4):
        truncation = named(scheme, K)
        expected = finite_differences(
            lambda p, truncation=truncation: frozen_state_loss(p, frozen, x, y, truncation),
            parameters,
        )
        _, _, gradients = compiled(scheme)(parameters, x, y, K)
        for name in "UVW":
            np.testing.assert_allclose(gradients[name], expected[name], rtol=0, atol=1e-8)


@pytest.mark.parametrize("scheme", CUTTING)
def test_a_cut_no_shorter_than_the_sentence_is_no_cut(scheme):
    parameters, x, y = net(2)
    _, _, full = compiled("full")(parameters, x, y)
    enough = 5 if scheme == "window" else 6
    for K in (enough, enough + 1, 1000, 2**31 - 1):
        _, _, gradients = compiled(scheme)(parameters, x, y, K)
        assert all(relative_error(gradients[name], full[name]) < 1e-14 for name in "UVW")
    _, _, cut = compiled(scheme)(parameters, x, y, enough - 1)
    assert relative_error(cut["U"], full["U"]) > 1e-3


@pytest.mark.parametrize("picture", PICTURES)
def test_each_step_of_the_graph_hears_exactly_the_outputs_of_the_table(picture):
    *rows, terms = PICTURES[picture]
    scheme, _, K = picture.partition(":")
    parameters, _, y = net(3, T=6)
    x = np.random.default_rng(3).permutation(6)  # distinct tokens: a column of dU is a step

    def gradients(y):
        return compiled(scheme)(parameters, x, y, int(K or 0))[2]

    before = gradients(y)
    matrix = np.zeros((6, 6), dtype=bool)
    for t in range(6):
        other = y.copy()
        other[t] = (y[t] + 1) % 7
        after = gradients(other)
        # What does not hear it may still be rounded otherwise.
        matrix[t] = (abs(after["U"] - before["U"]) > 1e-12).any(axis=0)[x]
        assert (after["V"] != before["V"]).any()  # V hears every output under every scheme
    assert ["".join(".x"[heard] for heard in row) for row in matrix.astype(int)] == rows
    assert matrix.sum() == terms


# What the schemes do to learning


def tutorial_sentence(T):
    """The tutorial's initial parameters, and a sentence of distinct words."""
    parameters = initial(
        {"U": (100, 8000), "V": (8000, 100), "W": (100, 100)}, "tanh", "uniform", 0, "float64"
    )
    rng = np.random.default_rng(0)
    return parameters, rng.permutation(8000)[:T], rng.integers(8000, size=T)


def test_last_4_learns_a_sentence_of_20_words_from_its_last_four_only():
    # The tutorial's bptt_truncate = 4, handed to theano.scan(truncate_gradient=4).
    parameters, x, y = tutorial_sentence(20)
    other = y.copy()
    other[:16] = (y[:16] + 1) % 8000
    for scheme, heard in (("last", 4), ("window", 20)):
        _, _, before = compiled(scheme)(parameters, x, y, 4)
        _, _, after = compiled(scheme)(parameters, x, other, 4)
        columns = np.flatnonzero(before["U"].any(axis=0))
        assert sorted(columns) == sorted(x[-heard:])
        for name in ("U", "W"):
            unchanged = relative_error(before[name], after[name]) < 1e-12
            assert unchanged == (scheme == "last")


@pytest.mark.parametrize("T", [20, 40])
def test_the_direction_of_last_4_is_far_from_the_full_gradient_and_of_window_4_is_not(T):
    # Measured, dU / dW: 20 words .409 / .431 under last:4 and .998 / .998 under window:4;
    # 40 words .306 / .297 and .998 / .998.
    parameters, x, y = tutorial_sentence(T)
    _, _, full = compiled("full")(parameters, x, y)
    _, _, last = compiled("last")(parameters, x, y, 4)
    _, _, window = compiled("window")(parameters, x, y, 4)
    for name in ("U", "W"):
        assert cosine(last[name], full[name]) < 0.7
        assert cosine(window[name], full[name]) > 0.98
    for cut in (last, window):
        assert relative_error(cut["V"], full["V"]) < 1e-12


@pytest.mark.parametrize("scheme", CUTTING)
def test_the_norm_can_grow_under_truncation(scheme):
    parameters, x, y = net(9, hidden_size=3, vocab_size=5)
    _, _, full = compiled("full")(parameters, x, y)
    _, _, cut = compiled(scheme)(parameters, x, y, 2)
    assert np.linalg.norm(cut["W"]) > 1.05 * np.linalg.norm(full["W"])
    assert cosine(cut["W"], full["W"]) < 0.97


def softmax_inside(truncate_gradient):
    """f(x, y, U, V, W) -> dU, dV, dW of the loop as the tutorial writes it."""
    x, y = tensor.lvectors("x", "y")
    U, V, W = tensor.dmatrices("U", "V", "W")

    def step(x_t, y_t, s_before, U, V, W):
        s = tensor.tanh(U[:, x_t] + W.dot(s_before))
        o = tensor.nnet.softmax(V.dot(s).dimshuffle("x", 0))[0]
        return s, -tensor.log(o[y_t])

    (_, losses), _ = theano.scan(
        step,
        sequences=[x, y],
        outputs_info=[tensor.zeros_like(W[0]), None],
        non_sequences=[U, V, W],
        truncate_gradient=truncate_gradient,
        strict=True,
    )
    return compile_function([x, y, U, V, W], theano.grad(losses.sum(), [U, V, W]))


def test_a_float64_scan_whose_state_is_not_an_output_has_float32_gradients_and_ours_has_not():
    # Theano accumulates the gradient of a state that nothing outside the scan reads in floatX
    # (`dtype=config.floatX` in Scan.L_op); the graph of this package reads its states.
    parameters, x, y = net(4)
    expected = NumpyRNN(parameters).bptt(x, y)
    assert theano.config.floatX == "float32"
    dU, _, dW = softmax_inside(-1)(x, y, *parameters.values())
    assert dU.dtype == dW.dtype == np.float64
    assert relative_error(dU, expected["U"]) > 1e-10
    assert relative_error(dW, expected["W"]) > 1e-10
    with theano.config.change_flags(floatX="float64"):
        dU, _, _ = softmax_inside(-1)(x, y, *parameters.values())
    assert relative_error(dU, expected["U"]) < 1e-13
    _, _, ours = compiled("full")(parameters, x, y)
    assert relative_error(ours["U"], expected["U"]) < 1e-13


def test_with_the_softmax_inside_the_scan_last_cuts_dV_too_and_ours_does_not():
    parameters, tokens, targets = net(4)
    inside = softmax_inside(2)(tokens, targets, *parameters.values())
    gradients = dict(zip("UVW", inside))
    _, _, ours = compiled("last")(parameters, tokens, targets, 2)
    _, _, full = compiled("full")(parameters, tokens, targets)
    for name in ("U", "W"):
        assert relative_error(gradients[name], ours[name]) < 1e-6  # float32, as above
    assert relative_error(ours["V"], full["V"]) < 1e-12
    # Without the outputs before the last two, dV is theirs alone.
    oracle = NumpyRNN(parameters)
    s, o = oracle.hidden_states(tokens), oracle.forward_propagation(tokens)
    error = o - np.eye(7)[targets]  # (T, vocab_size)
    np.testing.assert_allclose(gradients["V"], error[-2:].T @ s[4:6], rtol=1e-10, atol=1e-13)
    assert relative_error(gradients["V"], full["V"]) > 0.1
