"""Gradients of every kind of network and truncation: differences, surrogates, pictures."""

import numpy as np
import pytest
from conftest import PICTURES, first, some
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kinds import (
    GATES,
    KINDS,
    PLAIN,
    SOME_KINDS,
    assert_projection_agrees,
    assert_same,
    embedded,
    hears,
    is_smooth,
    named,
    net,
    surrogate,
    truncations,
)

from theano_rnn.reference import NumpyRNN, finite_differences
from theano_rnn.reference.cells import CELLS

#: Every fifth, which are of each cell, and then the others.
KINDS_IN_TURN = first(
    len(SOME_KINDS[::5]), [kind for start in range(5) for kind in SOME_KINDS[start::5]]
)


def relative_norm(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# Gradients


@pytest.mark.parametrize("kind", KINDS_IN_TURN, ids=named)
def test_full_gradient_is_the_central_difference_of_the_loss_element_by_element(kind):
    parameters, x, y = net(kind, 1, hidden_size=2, vocab_size=3, T=4)
    assert is_smooth(parameters, x, kind)
    expected = finite_differences(lambda p: NumpyRNN(p, **kind).ce_error(x, y), parameters)
    gradients = NumpyRNN(parameters, **kind).bptt(x, y)
    assert_same(gradients, expected, 1e-8)
    assert [g.shape for g in gradients.values()] == [p.shape for p in parameters.values()]


@pytest.mark.parametrize("kind", KINDS_IN_TURN, ids=named)
def test_truncated_gradients_project_as_their_surrogates_which_are_the_true_loss(kind):
    parameters, x, y = net(kind, 2, hidden_size=2, T=4)
    assert is_smooth(parameters, x, kind)
    loss = NumpyRNN(parameters, **kind).ce_error(x, y)
    for truncation in truncations(T=4):
        function = surrogate(parameters, x, y, truncation, kind)
        assert function(parameters) == pytest.approx(loss, rel=1e-14)
        gradients = NumpyRNN(parameters, truncation, **kind).bptt(x, y)
        assert_projection_agrees(function, parameters, gradients, seed=2)


any_kind = st.sampled_from(KINDS)
any_scheme = st.sampled_from(("full", "window", "chunk", "last"))


@settings(deadline=None, max_examples=some(150))
@given(
    kind=any_kind,
    hidden_size=st.integers(1, 2),
    vocab_size=st.integers(1, 3),
    T=st.integers(1, 4),
    scheme=any_scheme,
    k=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_tiny_gradient_is_the_central_difference_of_its_surrogate_element_by_element(
    kind, hidden_size, vocab_size, T, scheme, k, seed
):
    parameters, x, y = net(kind, seed, hidden_size, vocab_size, T)
    assume(is_smooth(parameters, x, kind, margin=3e-4))
    truncation = scheme if scheme == "full" else f"{scheme}:{k}"
    function = surrogate(parameters, x, y, truncation, kind)
    expected = finite_differences(function, parameters)
    assert_same(NumpyRNN(parameters, truncation, **kind).bptt(x, y), expected, 1e-7)


@settings(deadline=None, max_examples=some(300))
@given(
    kind=any_kind,
    hidden_size=st.integers(1, 9),
    vocab_size=st.integers(1, 12),
    T=st.integers(1, 10),
    scheme=any_scheme,
    k=st.integers(1, 12),
    repeated=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_gradient_projects_as_its_surrogate_does(
    kind, hidden_size, vocab_size, T, scheme, k, repeated, seed
):
    parameters, x, y = net(kind, seed, hidden_size, vocab_size, T)
    if repeated:
        x[:] = x[0]
    assume(is_smooth(parameters, x, kind))
    truncation = scheme if scheme == "full" else f"{scheme}:{k}"
    model = NumpyRNN(parameters, truncation, **kind)
    function, gradients = surrogate(parameters, x, y, truncation, kind), model.bptt(x, y)
    assert function(parameters) == pytest.approx(model.ce_error(x, y), rel=1e-13, abs=1e-13)
    assert_projection_agrees(function, parameters, gradients, seed)
    if scheme == "full":
        true_loss = lambda p: NumpyRNN(p, **kind).ce_error(x, y)  # noqa: E731
        assert_projection_agrees(true_loss, parameters, gradients, seed)


@pytest.mark.parametrize("kind", KINDS_IN_TURN, ids=named)
def test_a_cut_no_shorter_than_the_sentence_is_no_cut(kind):
    parameters, x, y = net(kind, 3, T=4)
    full = NumpyRNN(parameters, **kind).bptt(x, y)
    for scheme, enough in (("window", 3), ("chunk", 4), ("last", 4)):
        short = NumpyRNN(parameters, f"{scheme}:{enough - 1}", **kind).bptt(x, y)
        assert relative_norm(short["U"], full["U"]) > 1e-6
        for k in (enough, enough + 1, 1000):
            assert_same(NumpyRNN(parameters, f"{scheme}:{k}", **kind).bptt(x, y), full)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind["tied"]], ids=named)
def test_V_and_c_have_the_full_gradient_under_every_truncation(kind):
    parameters, x, y = net(kind, 4, T=4)
    full = NumpyRNN(parameters, **kind).bptt(x, y)
    for truncation in truncations(T=4):
        cut = NumpyRNN(parameters, truncation, **kind).bptt(x, y)
        for name in {"V", "c"} & set(cut):
            assert (cut[name] == full[name]).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind["tied"]], ids=named)
def test_tied_gradient_is_the_sum_of_both_uses_and_only_the_use_as_input_is_cut(kind):
    parameters, x, y = net(kind, 5, T=4)
    table = "L" if kind["embedding"] else "U"
    untied = {"V": parameters[table].T.copy(), **parameters}
    for truncation in truncations(T=4):
        two = NumpyRNN(untied, truncation, **{**kind, "tied": False}).bptt(x, y)
        two[table] = two[table] + two.pop("V").T
        one = NumpyRNN(parameters, truncation, **kind).bptt(x, y)
        assert_same(one, two, 1e-14)


@pytest.mark.parametrize("kind", [kind for kind in SOME_KINDS if kind["layers"] > 1], ids=named)
def test_last_is_what_each_layer_cut_to_its_last_steps_gives_one_layer_after_the_other(kind):
    # As stacked calls of theano.scan(truncate_gradient=k) are differentiated: the whole sweep of
    # the upper one first; its gradient by its input is zero at the steps it did not reach.
    parameters, x, y = net(kind, 6, T=6)
    model = NumpyRNN(parameters, **kind)
    T, cell, layers = 6, kind["cell"], kind["layers"]
    s = model.hidden_states(x).reshape(T + 1, layers, CELLS[cell].parts, 3)
    table = "L" if kind["embedding"] else "U"
    V = parameters["V"] if "V" in parameters else parameters[table].T
    for k in range(1, T + 2):
        gradients = NumpyRNN(parameters, f"last:{k}", **kind).bptt(x, y)
        d_above = (model.forward_propagation(x) - np.eye(5)[y]) @ V  # (T, H) V' (o_t - y_t)
        for l in reversed(range(layers)):
            suffix = "" if l == 0 else str(l + 1)
            U, W, b, a = (parameters.get(name + suffix, 0) for name in "UWba")
            recurrent = [W, a][: len(CELLS[cell].recurrent)]
            inputs = embedded(parameters, x) if l == 0 else s[:-1, l - 1, 0]
            dU, dW, d_inputs = np.zeros_like(U), np.zeros_like(W), np.zeros_like(inputs)
            d = np.zeros((CELLS[cell].parts, 3))
            for j in list(reversed(range(T)))[:k]:
                d[0] += d_above[j]
                before = s[j - 1, l]
                p = U @ inputs[j] + b
                dp, *d_recurrent, d_before = CELLS[cell].backward(p, *recurrent, before, d)
                d = np.array(d_before)
                dU, dW = dU + np.outer(dp, inputs[j]), dW + (d_recurrent or [0])[0]
                d_inputs[j] = U.T @ dp
            if l == 0:
                d_table = d_inputs.T @ np.eye(5)[x] if kind["embedding"] else dU
                if kind["tied"]:
                    error = model.forward_propagation(x) - np.eye(5)[y]
                    d_table += s[:-1, -1, 0].T @ error
                np.testing.assert_allclose(gradients[table], d_table, rtol=0, atol=1e-13)
            np.testing.assert_allclose(gradients["U" + suffix], dU, rtol=0, atol=1e-13)
            if "W" in CELLS[cell].recurrent:
                np.testing.assert_allclose(gradients["W" + suffix], dW, rtol=0, atol=1e-13)
            d_above = d_inputs


# Which step hears which output


@pytest.mark.parametrize("truncation", PICTURES)
@pytest.mark.parametrize(
    "layers, embedding", [(1, False), (2, False), (3, False), (1, True), (2, True)]
)
@pytest.mark.parametrize("cell", GATES)
def test_each_step_hears_exactly_the_outputs_of_the_table_however_many_layers(
    cell, layers, embedding, truncation
):
    kind = {**PLAIN, "cell": cell, "layers": layers, "bias": True, "embedding": embedding}
    matrix = hears(truncation, kind)
    rows = ["".join(".x"[int(heard)] for heard in row) for row in matrix]
    assert rows == list(PICTURES[truncation][:6])
