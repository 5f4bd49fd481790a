"""Token ids, checked and arranged for the compiled functions."""

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.model.batch_inputs import batch_inputs, batch_x, is_single

#: Three sequences of 2, 4 and 1 tokens; -1 and 99 stand in the padding.
X = np.array([[1, 3, 2], [2, 4, -1], [99, 5, -1], [-1, 6, 99]])
Y = np.array([[2, 4, 7], [3, 5, 99], [-1, 6, 99], [-1, 7, -1]])
MASK = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 1, 0]])


def sequences(batch):
    """What a graph reads of a batch with a mask: inputs and targets of each sequence, in order."""
    B = batch.rows
    y = np.full(batch.x.size, -1)
    y[batch.position] = batch.y
    y = y.reshape(batch.x.shape)
    return [
        (batch.x[batch.mask[:, b], b].tolist(), y[batch.mask[:, b], b].tolist()) for b in range(B)
    ]


def test_one_sequence_is_a_batch_of_one_without_a_mask():
    for x in ([1, 2, 3], (1, 2, 3), np.array([1, 2, 3], "uint8"), range(1, 4)):
        batch = batch_inputs(x, [2, 3, 1], None, 8, align_right=True)
        assert batch.x.tolist() == [[1], [2], [3]] and batch.y.tolist() == [2, 3, 1]
        assert batch.rows == 1 and not batch.is_masked and len(batch.arrays()) == 2
        assert batch_x(x, 8).tolist() == [[1], [2], [3]]


def test_the_targets_of_a_batch_are_in_the_order_of_its_states():
    x, y = np.arange(6).reshape((3, 2)), np.arange(1, 7).reshape((3, 2))
    for form in (np.array, np.ndarray.tolist):
        batch = batch_inputs(form(x), form(y), None, 8, align_right=False)
        assert (batch.x == x).all() and batch.y.tolist() == [1, 2, 3, 4, 5, 6] and batch.rows == 2
        assert (batch_x(form(x), 8) == x).all()


@pytest.mark.parametrize("align_right", [False, True])
def test_a_mask_leaves_the_tokens_of_each_sequence_with_their_targets(align_right):
    batch = batch_inputs(X, Y, MASK, 8, align_right)
    assert sequences(batch) == [([1, 2], [2, 3]), ([3, 4, 5, 6], [4, 5, 6, 7]), ([2], [7])]
    assert len(batch.arrays()) == 4 and batch.y.shape == batch.position.shape == (7,)
    assert batch.x.min() >= 0 and batch.x.max() < 8  # what stood in the padding is no token


def test_sequences_begin_together_and_under_last_they_end_together():
    assert (batch_inputs(X, Y, MASK, 8, align_right=False).mask == MASK.astype(bool)).all()
    ended = batch_inputs(X, Y, MASK, 8, align_right=True)
    assert (ended.mask == MASK[::-1].astype(bool)).all()
    assert ended.x[:, 0].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("align_right", [False, True])
def test_values_of_the_steps_go_where_their_steps_go(align_right):
    batch = batch_inputs(X, Y, MASK, 8, align_right)
    tokens = np.where(MASK, X, 0)
    a = np.stack([tokens, 10 * tokens])[..., None]  # (layers, T, B, H)
    assert (batch.arranged(a)[..., 0] == [batch.x, 10 * batch.x]).all()


def test_a_mask_of_ones_is_none():
    assert not batch_inputs(X[:1], Y[:1], np.ones((1, 3), bool), 8, align_right=True).is_masked


def test_arrays_are_in_one_piece_of_64_bit_integers():
    for align_right in (False, True):
        batch = batch_inputs(np.asfortranarray(X), Y, MASK, 8, align_right)
        assert [a.dtype for a in batch.arrays()] == [np.int64, np.int64, bool, np.int64]
        assert all(a.flags.c_contiguous for a in batch.arrays())


def test_what_could_be_no_batch_is_one_sequence_and_refused_as_such():
    for x in ([1, 2], np.zeros((2, 2, 2)), [], None, "ab", 3, iter([1]), {1}):
        assert is_single(x)
    for x in ([[1], [2]], ((1,), (2,)), [np.array([1, 2])], np.zeros((0, 2))):
        assert not is_single(x)
    with pytest.raises(RNNError, match="y has shape"):
        batch_inputs([1, 2], np.zeros((2, 1), int), None, 8, align_right=False)
