"""Batches of the oracle: a sum over columns, each cut to its own length and run alone."""

import numpy as np
import pytest
from kinds import GATES, PLAIN, assert_same, factors, named, net

from theano_rnn.reference import NumpyRNN, finite_differences, frozen_state_loss

TRUNCATIONS = ("full", "window:1", "chunk:2", "last:2")
LENGTHS = (6, 1, 3, 6, 4)
SOME_KINDS = [
    {**PLAIN, "cell": cell, "layers": 2, **settings}
    for cell in GATES
    for settings in ({}, {"bias": True, "tied": True, "embedding": True})
]


def batch(kind, seed=0):
    """Parameters; x, y, mask (T, B); kept (T, B, layers, H), of five sentences of LENGTHS."""
    parameters, _, _ = net(kind, seed)
    rng = np.random.default_rng(seed)
    x, y = rng.integers(5, size=(2, 6, 5))
    mask = np.arange(6)[:, None] < np.array(LENGTHS)
    kept = np.stack([factors(kind, seed + b) for b in range(5)], axis=1)
    return parameters, x, y, mask, kept


def total(gradients):
    return {name: sum(g[name] for g in gradients) for name in gradients[0]}


@pytest.mark.parametrize("kind", SOME_KINDS, ids=named)
@pytest.mark.parametrize("dropout", [False, True])
def test_a_batch_is_the_sum_of_its_sentences_each_truncated_by_its_own_length(kind, dropout):
    parameters, x, y, mask, kept = batch(kind, 1)
    kept = kept if dropout else None
    alone = [
        (x[:T, b], y[:T, b], None, kept[:T, b] if dropout else None) for b, T in enumerate(LENGTHS)
    ]
    for truncation in TRUNCATIONS:
        model = NumpyRNN(parameters, truncation, **kind)
        expected = sum(model.ce_error(*sentence) for sentence in alone)
        assert model.ce_error(x, y, mask, kept) == pytest.approx(expected, rel=1e-14)
        expected = total([model.bptt(*sentence) for sentence in alone])
        assert_same(model.bptt(x, y, mask, kept), expected, 1e-14)


def all_columns_at_once(parameters, x, y, mask, kept):
    """Loss of a biased tanh net with L, all columns side by side, masked after the fact."""
    L, U, V, W, b, c = parameters.values()
    s = np.zeros((x.shape[1], len(W)))  # (B, H)
    loss = 0.0
    for x_t, y_t, mask_t, kept_t in zip(x, y, mask, kept[:, :, 0]):
        s = np.tanh(L.T[x_t] @ U.T + s @ W.T + b)
        logits = (kept_t * s) @ V.T + c  # (B, vocab_size)
        log_o = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        loss -= (mask_t * log_o[np.arange(len(y_t)), y_t]).sum()
    return loss


def test_loss_and_gradient_are_those_of_all_columns_computed_side_by_side():
    kind = {**PLAIN, "bias": True, "embedding": True}
    parameters, x, y, mask, kept = batch(kind, 2)
    model = NumpyRNN(parameters, **kind)
    expected = all_columns_at_once(parameters, x, y, mask, kept)
    assert model.ce_error(x, y, mask, kept) == pytest.approx(expected, rel=1e-14)
    expected = finite_differences(
        lambda p: all_columns_at_once(p, x, y, mask, kept), parameters, epsilon=1e-5
    )
    assert_same(model.bptt(x, y, mask, kept), expected, 1e-8)


def test_last_truncation_counts_from_the_end_of_each_column():
    # Distinct tokens: a column of dU belongs to one step of one sentence.
    kind = {**PLAIN, "cell": "gru"}
    parameters, _, _ = net(kind, 3, vocab_size=12)
    x = np.arange(12).reshape(6, 2)
    mask = np.arange(6)[:, None] < np.array([6, 3])
    dU = NumpyRNN(parameters, "last:2", **kind).bptt(x, x, mask)["U"]
    assert dU.any(axis=0).nonzero()[0].tolist() == [3, 5, 8, 10]  # x[1:3, 1] and x[4:6, 0]


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_whatever_stands_in_the_padding_is_ignored(truncation):
    kind = {**PLAIN, "cell": "lstm", "layers": 2}
    parameters, x, y, mask, kept = batch(kind, 4)
    model = NumpyRNN(parameters, truncation, **kind)
    loss, gradients = model.ce_error(x, y, mask, kept), model.bptt(x, y, mask, kept)
    kept[~mask] = np.nan
    for rubbish in (-1, 10**9, 0.5, None, "end"):
        a, b = x.astype(object), y.astype(object)
        a[~mask] = b[~mask] = rubbish
        assert model.ce_error(a, b, mask, kept) == loss
        assert_same(model.bptt(a.tolist(), b.tolist(), mask.tolist(), kept), gradients)


def test_a_mask_is_booleans_or_zeros_and_ones_and_none_is_all_ones():
    parameters, x, y, mask, _ = batch(PLAIN, 5)
    model = NumpyRNN(parameters, "window:2")
    loss = model.ce_error(x, y, mask)
    for same in (mask.astype(int), mask.astype(np.int8), mask.astype(np.float32), mask.tolist()):
        assert model.ce_error(x, y, same) == loss
        assert_same(model.bptt(x, y, same), model.bptt(x, y, mask))
    ones = np.ones((6, 5), dtype=bool)
    assert model.ce_error(x, y, ones) == model.ce_error(x, y) != loss
    assert_same(model.bptt(x, y, ones), model.bptt(x, y))


def test_a_batch_of_one_is_its_sentence():
    kind = {**PLAIN, "cell": "gru", "layers": 2}
    parameters, x, y, _, kept = batch(kind, 6)
    model = NumpyRNN(parameters, "chunk:2", **kind)
    column = (x[:, :1], y[:, :1], None, kept[:, :1])
    assert model.ce_error(*column) == model.ce_error(x[:, 0], y[:, 0], kept=kept[:, 0])
    assert_same(model.bptt(*column), model.bptt(x[:, 0], y[:, 0], kept=kept[:, 0]))


def test_gradients_of_a_batch_have_the_dtype_of_the_parameters():
    kind = {**PLAIN, "cell": "lstm", "embedding": True}
    parameters, x, y, mask, kept = batch(kind, 7)
    model = NumpyRNN({name: p.astype(np.float32) for name, p in parameters.items()}, **kind)
    gradients = model.bptt(x, y, mask, kept)
    assert {g.dtype for g in gradients.values()} == {np.dtype(np.float32)}
    assert_same(gradients, NumpyRNN(parameters, **kind).bptt(x, y, mask, kept), 1e-5)


def test_nothing_given_is_changed():
    given = batch(PLAIN, 8)
    parameters, *arrays = given
    copies = [array.copy() for array in arrays]
    model = NumpyRNN(parameters)
    model.bptt(*arrays)
    model.ce_error(*arrays)
    assert all((a == b).all() for a, b in zip(arrays, copies))
    assert_same(model.parameters(), batch(PLAIN, 8)[0])


def column(*values):
    """Values of the second column of a mask whose others are ones."""
    mask = np.ones((6, 5), dtype=object)
    mask[:, 1] = values
    return mask


BAD_MASKS = [
    (np.ones((5, 6)), r"mask has shape \(5, 6\) and x has shape \(6, 5\)"),
    (np.ones(6), r"mask has shape \(6,\)"),
    (np.ones((6, 5, 1)), r"mask has shape \(6, 5, 1\)"),
    ([[1, 0], [1]], r"mask has shape \(2,\)"),
    (True, r"mask has shape \(\)"),
    (column(0, 0, 0, 0, 0, 0), r"mask\[0, 1\] is 0: every column needs a token"),
    (column(0, 1, 1, 1, 1, 1), r"mask\[0, 1\] is 0: .* padding goes after it"),
    (column(1, 1, 0, 1, 0, 0), r"mask\[3, 1\] is 1 after a 0"),
    (column(1, 1, 0, 0, 1, 0), r"mask\[4, 1\] is 1 after a 0: pass ones then zeros"),
    (column(1, 1, 1, 2, 0, 0), r"mask\[3, 1\] is 2: pass booleans, or 0 and 1"),
    (column(1, 0.5, 0, 0, 0, 0), r"mask\[1, 1\] is 0.5"),
    (column(1, 1, np.nan, 0, 0, 0), r"mask\[2, 1\] is nan"),
    (column(1, 1, None, 0, 0, 0), r"mask\[2, 1\] is None"),
    (column(1, 1, "0", 0, 0, 0), r"mask\[2, 1\] is '0'"),
    (column(1, -1, 0, 0, 0, 0), r"mask\[1, 1\] is -1"),
]


@pytest.mark.parametrize("mask, message", BAD_MASKS)
def test_masks_other_than_ones_then_zeros_are_refused_and_nothing_changes(mask, message):
    parameters, x, y, _, _ = batch(PLAIN)
    model = NumpyRNN(parameters)
    for call in (model.ce_error, model.bptt):
        with pytest.raises(ValueError, match=message):
            call(x, y, mask)
    assert_same(model.parameters(), parameters)


GOOD = np.zeros((6, 5), dtype=int)
BAD_BATCHES = [
    ((GOOD, GOOD[:, :4]), r"x has shape \(6, 5\) and y has shape \(6, 4\): pass \(T, B\) both"),
    ((GOOD[:0], GOOD[:0]), r"x has shape \(0, 5\) .* neither of them 0"),
    ((GOOD[:, :0], GOOD[:, :0]), r"x has shape \(6, 0\)"),
    ((GOOD, GOOD[0]), "x has 2 dimensions and y has 1 dimensions: pass one list .* or two arrays"),
    ((GOOD[0], GOOD), "x has 1 dimensions and y has 2 dimensions"),
    ((GOOD[None], GOOD[None]), "x has 3 dimensions"),
    ((GOOD + 5, GOOD), r"x\[:, 0\]\[0\] is 5: pass token ids from 0 to 4"),
    ((GOOD, np.diag([0, 0, 0, -1, 0, 0])[:, :5]), r"y\[:, 3\]\[3\] is -1"),
    ((GOOD.astype(float), GOOD), r"x\[:, 0\]\[0\] is 0.0, not an integer"),
    ((GOOD, GOOD, None, np.ones((6, 1, 3))), r"kept has .* pass \(T, B, layers, H\) = \(6, 5, 1"),
    ((GOOD, GOOD, None, np.full((6, 5, 1, 3), np.inf)), r"kept\[0, 0, 0, 0\] is inf"),
    ((GOOD[0], GOOD[0], np.ones(5)), r"mask is for batches: pass x and y \(T, B\)"),
]


@pytest.mark.parametrize("arguments, message", BAD_BATCHES)
def test_bad_batches_are_refused_and_nothing_changes(arguments, message):
    parameters, _, _, _, _ = batch(PLAIN)
    model = NumpyRNN(parameters)
    for call in (model.ce_error, model.bptt):
        with pytest.raises(ValueError, match=message):
            call(*arguments)
    assert_same(model.parameters(), parameters)


def test_a_bad_token_before_the_end_of_a_column_is_refused_where_padding_is_not():
    parameters, x, y, mask, _ = batch(PLAIN)
    model = NumpyRNN(parameters)
    x[3, 4] = x[4, 4] = 5  # the last column has four tokens
    with pytest.raises(ValueError, match=r"x\[:, 4\]\[3\] is 5"):
        model.bptt(x, y, mask)


def test_what_is_of_one_sentence_refuses_a_batch_and_nothing_changes():
    parameters, x, y, _, _ = batch(PLAIN)
    model = NumpyRNN(parameters)
    for call in (
        lambda: model.hidden_states(x),
        lambda: model.forward_propagation(x),
        lambda: model.predict(x),
        lambda: model.sgd_step(x, y, 0.1),
        lambda: frozen_state_loss(parameters, np.zeros((7, 3)), x, y, "full"),
    ):
        with pytest.raises(ValueError, match="x has 2 dimensions: pass one list of token ids"):
            call()
    assert_same(model.parameters(), parameters)
