"""Token ids as they are fed to the compiled functions."""

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.model.batch_inputs import feed, feed_inputs, is_single

#: Three sequences of 2, 4 and 1 tokens; -1 and 99 stand in the padding.
X = np.array([[1, 3, 2], [2, 4, -1], [99, 5, -1], [-1, 6, 99]])
Y = np.array([[2, 4, 7], [3, 5, 99], [-1, 6, 99], [-1, 7, -1]])
MASK = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 1, 0]])


def sequences(fed):
    """What a graph reads of a feed with a mask: inputs and targets of each sequence, in order."""
    B = fed.rows
    y = np.full(fed.x.size, -1)
    y[fed.position] = fed.y
    y = y.reshape(fed.x.shape)
    return [(fed.x[fed.is_in[:, b], b].tolist(), y[fed.is_in[:, b], b].tolist()) for b in range(B)]


def test_one_sequence_is_a_batch_of_one_without_a_mask():
    for x in ([1, 2, 3], (1, 2, 3), np.array([1, 2, 3], "uint8"), range(1, 4)):
        fed = feed(x, [2, 3, 1], None, 8, is_last=True)
        assert fed.x.tolist() == [[1], [2], [3]] and fed.y.tolist() == [2, 3, 1]
        assert fed.rows == 1 and not fed.is_masked and len(fed.arrays()) == 2
        assert feed_inputs(x, 8).tolist() == [[1], [2], [3]]


def test_the_targets_of_a_batch_are_in_the_order_of_its_states():
    x, y = np.arange(6).reshape((3, 2)), np.arange(1, 7).reshape((3, 2))
    for form in (np.array, np.ndarray.tolist):
        fed = feed(form(x), form(y), None, 8, is_last=False)
        assert (fed.x == x).all() and fed.y.tolist() == [1, 2, 3, 4, 5, 6] and fed.rows == 2
        assert (feed_inputs(form(x), 8) == x).all()


@pytest.mark.parametrize("is_last", [False, True])
def test_a_mask_leaves_the_tokens_of_each_sequence_with_their_targets(is_last):
    fed = feed(X, Y, MASK, 8, is_last)
    assert sequences(fed) == [([1, 2], [2, 3]), ([3, 4, 5, 6], [4, 5, 6, 7]), ([2], [7])]
    assert len(fed.arrays()) == 4 and fed.y.shape == fed.position.shape == (7,)
    assert fed.x.min() >= 0 and fed.x.max() < 8  # what stood in the padding is no token


def test_sequences_begin_together_and_under_last_they_end_together():
    assert (feed(X, Y, MASK, 8, is_last=False).is_in == MASK.astype(bool)).all()
    ended = feed(X, Y, MASK, 8, is_last=True)
    assert (ended.is_in == MASK[::-1].astype(bool)).all()
    assert ended.x[:, 0].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("is_last", [False, True])
def test_values_of_the_steps_go_where_their_steps_go(is_last):
    fed = feed(X, Y, MASK, 8, is_last)
    tokens = np.where(MASK, X, 0)
    a = np.stack([tokens, 10 * tokens])[..., None]  # (layers, T, B, H)
    assert (fed.arranged(a)[..., 0] == [fed.x, 10 * fed.x]).all()


def test_a_mask_of_ones_is_none():
    assert not feed(X[:1], Y[:1], np.ones((1, 3), bool), 8, is_last=True).is_masked


def test_arrays_are_in_one_piece_of_64_bit_integers():
    for is_last in (False, True):
        fed = feed(np.asfortranarray(X), Y, MASK, 8, is_last)
        assert [a.dtype for a in fed.arrays()] == [np.int64, np.int64, bool, np.int64]
        assert all(a.flags.c_contiguous for a in fed.arrays())


def test_what_could_be_no_batch_is_one_sequence_and_refused_as_such():
    for x in ([1, 2], np.zeros((2, 2, 2)), [], None, "ab", 3, iter([1]), {1}):
        assert is_single(x)
    for x in ([[1], [2]], ((1,), (2,)), [np.array([1, 2])], np.zeros((0, 2))):
        assert not is_single(x)
    with pytest.raises(RNNError, match="y has shape"):
        feed([1, 2], np.zeros((2, 1), int), None, 8, is_last=False)
