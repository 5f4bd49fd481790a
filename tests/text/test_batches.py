"""Minibatches: each sentence once, little padding, a text in rows that go on, bad ones refused."""

import itertools
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from theano_rnn.common.errors import RNNError
from theano_rnn.common.validation import token_batch
from theano_rnn.text import batches
from theano_rnn.text.batches import LARGEST, Stream, batch, buckets, padding
from theano_rnn.text.corpus import count_tokens, load_corpus

SIZES = (16, 32, 64)


def sentences(count, seed=0, longest=200):
    """Of lengths as in prose: many short, few long; 0 starts and 1 ends each."""
    rng = np.random.default_rng(seed)
    steps = np.minimum(rng.lognormal(2.9, 0.8, count).astype(int) + 1, longest)
    return [np.r_[0, rng.integers(2, 50, n - 1), 1] for n in steps]


def steps_of(sequences):
    return np.array([len(s) - 1 for s in sequences])


def listed(groups):
    return [group.tolist() for group in groups]


# Sentences of near equal length


@pytest.mark.parametrize("count, batch_size", [(1, 1), (1, 8), (7, 1), (64, 8), (1000, 32)])
def test_every_sentence_is_in_one_batch(count, batch_size):
    groups = buckets(sentences(count), batch_size, seed=3)
    assert sorted(np.concatenate(groups).tolist()) == list(range(count))
    assert all(1 <= len(group) <= batch_size and group.dtype == np.int64 for group in groups)


def test_equal_lengths_make_full_batches_and_no_padding():
    groups = buckets([np.zeros(6, int)] * 70, 32, seed=0)
    assert sorted(len(group) for group in groups) == [6, 32, 32]
    assert padding([5] * 70, groups) == 0


@pytest.mark.parametrize("seed", [0, [7, 2]])
def test_batches_are_decided_by_the_seed(seed):
    text = sentences(500)
    assert listed(buckets(text, 16, seed)) == listed(buckets(text, 16, seed))


def test_other_seeds_make_other_batches_in_another_order():
    text = sentences(500)
    epochs = [listed(buckets(text, 16, [0, epoch])) for epoch in range(3)]
    for one, other in itertools.combinations(epochs, 2):
        companions = {frozenset(group) for group in one} & {frozenset(group) for group in other}
        assert len(companions) < len(one) / 10  # a lone long sentence may stay alone
        lengths = [[len(text[group[0]]) for group in groups] for groups in (one, other)]
        assert lengths[0] != lengths[1]


def test_short_sentences_do_not_come_first():
    text = sentences(5000)
    means = [np.mean([len(text[n]) for n in group]) for group in buckets(text, 16, seed=1)]
    half = len(means) // 2
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2
    assert 0.7 < np.mean(means[:half]) / np.mean(means[half:]) < 1.4


def test_very_long_sentences_share_no_large_batch():
    text = [np.zeros(11, int)] * 400 + [np.zeros(1001, int)] * 5 + [np.zeros(30_001, int)]
    steps = steps_of(text)
    groups = buckets(text, 8, seed=0)
    cap = LARGEST * 8 * steps.mean()
    large = [group for group in groups if steps[group].max() * len(group) > cap]
    assert 4000 > cap and listed(large) == [[405]]  # alone, what exceeds it by itself
    assert sorted(len(group) for group in groups if steps[group].max() == 1000) == [2, 3]
    assert sorted(np.concatenate(groups).tolist()) == list(range(406))


@pytest.mark.parametrize("largest", [1e-6, 0.5, 1, LARGEST])
def test_no_batch_of_several_exceeds_the_cap(largest, monkeypatch):
    monkeypatch.setattr(batches, "LARGEST", largest)
    text = sentences(1000)
    steps = steps_of(text)
    cap = largest * 64 * steps.mean()
    for seed in range(10):
        groups = buckets(text, 64, seed)
        assert sorted(np.concatenate(groups).tolist()) == list(range(1000))
        assert all(len(group) for group in groups)
        sizes = [steps[group].max() * len(group) for group in groups if len(group) > 1]
        assert all(size <= cap for size in sizes)
        assert largest < 0.1 or max(sizes) > 0.8 * cap  # nor is it far below


@pytest.mark.parametrize("batch_size", SIZES)
def test_padding_is_below_a_tenth(batch_size):
    text = sentences(13_000)
    for seed in range(3):
        assert padding(steps_of(text), buckets(text, batch_size, seed)) < 0.1


def test_padding_counts_the_positions_of_the_arrays():
    text = sentences(300)
    groups = buckets(text, 8, seed=5)
    masks = [batch([text[n] for n in group])[2] for group in groups]
    wasted = sum((~mask).sum() for mask in masks) / sum(mask.size for mask in masks)
    assert 0 < padding(steps_of(text), groups) == pytest.approx(wasted, rel=1e-12)
    assert padding([4, 2, 1], [[0, 1], [2]]) == 2 / 9


def data(name):
    folder = os.environ.get("THEANO_RNN_DATA")
    if not folder or not Path(folder, name).is_file():
        pytest.skip(f"needs {name} in the folder that THEANO_RNN_DATA names")
    return Path(folder, name)


def real_corpus(name):
    if name == "python":
        return load_corpus()
    if name == "shakespeare":
        return load_corpus(data("tinyshakespeare.txt"), level="char")
    return load_corpus(**{s: data(f"warandpeace.{s}.txt") for s in ("train", "valid", "test")})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["python", "war and peace", "shakespeare"])
def test_padding_of_a_real_corpus_is_below_a_tenth(name):
    train = real_corpus(name).train
    for batch_size in SIZES:
        groups = buckets(train, batch_size, seed=0)
        assert padding(steps_of(train), groups) < 0.06
        assert len(groups) <= 1.02 * len(train) / batch_size  # the cap makes few more


# One batch


def test_a_batch_holds_its_sentences_and_zeros():
    text = sentences(9)
    x, y, mask = batch(text)
    assert x.dtype == y.dtype == np.int64 and mask.dtype == bool
    assert x.shape == y.shape == mask.shape == (max(steps_of(text)), 9)
    for b, s in enumerate(text):
        assert x[mask[:, b], b].tolist() == s[:-1].tolist()
        assert y[mask[:, b], b].tolist() == s[1:].tolist()
        assert mask[:, b].tolist() == [True] * (len(s) - 1) + [False] * (len(x) - len(s) + 1)
    assert not x[~mask].any() and not y[~mask].any()


def test_the_smallest_batch():
    x, y, mask = batch([[3, 4]])
    assert (x.tolist(), y.tolist(), mask.tolist()) == ([[3]], [[4]], [[True]])


def test_a_batch_passes_its_checks_unchanged():
    made = batch(sentences(9))
    for one, other in zip(token_batch(*made, vocab_size=50), made):
        assert one.dtype == other.dtype and (one == other).all()


# A long text in rows


STREAMS = list(itertools.product((1, 2, 3, 7), (1, 2, 5, 1000)))


@pytest.mark.parametrize("B, K", STREAMS)
def test_pieces_joined_by_row_are_the_text(B, K):
    text = sentences(20)
    stream = Stream(text, B, K)
    n = count_tokens(text)
    inputs = np.concatenate([s[:-1] for s in text])
    targets = np.concatenate([s[1:] for s in text])
    x, y = (np.concatenate(pieces) for pieces in zip(*stream))  # (n // B, B)
    assert x.shape == y.shape == (n // B, B)
    assert x.T.ravel().tolist() == inputs[: n // B * B].tolist()
    assert y.T.ravel().tolist() == targets[: n // B * B].tolist()
    assert stream.tokens == y.size and stream.left_out == n - y.size < B


@pytest.mark.parametrize("B, K", STREAMS)
def test_all_pieces_but_the_last_have_K_steps(B, K):
    text = sentences(20)
    lengths = [len(x) for x, y in Stream(text, B, K)]
    assert len(lengths) == len(Stream(text, B, K))
    assert set(lengths[:-1]) <= {K} and 1 <= lengths[-1] <= K


def test_a_row_goes_on_where_its_last_piece_ended():
    stream = Stream([np.arange(101)], batch_size=4, steps=6)
    assert len(stream) == 5
    for (x, y), (following, _) in zip(stream, stream[1:]):
        assert (following[0] == x[-1] + 1).all() and (following[0] == y[-1]).all()


def test_a_text_goes_on_from_the_end_of_a_sentence_to_the_next_start():
    ((x, y),) = Stream([np.array([0, 5, 1]), np.array([0, 6, 7, 1])], 1, 9)
    assert x.ravel().tolist() == [0, 5, 0, 6, 7]
    assert y.ravel().tolist() == [5, 1, 6, 7, 1]


def test_pieces_are_found_by_index():
    stream = Stream(sentences(20), batch_size=3, steps=5)
    pieces = list(stream)
    for i in (0, 1, len(pieces) - 1, -1, np.int64(2)):
        assert all((a == b).all() for a, b in zip(stream[i], pieces[i]))
    resumed = stream[2:]
    assert len(resumed) == len(pieces) - 2
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(resumed, pieces[2:]))
    for i in (len(pieces), -len(pieces) - 1):
        with pytest.raises(IndexError):
            stream[i]
    with pytest.raises(TypeError):
        stream[0.5]


@pytest.mark.parametrize("n", [1_000, 100_000])
def test_the_memory_of_an_epoch_does_not_grow_with_the_text(n):
    stream = Stream([np.arange(n + 1) % 50], batch_size=4, steps=10)
    tracemalloc.start()
    try:
        for x, y in stream:
            assert x.shape == y.shape
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000  # bytes; the token ids are there already


def test_pieces_are_views_of_one_array_and_cannot_be_written():
    stream = Stream(sentences(20), batch_size=3, steps=5)
    for again in (0, 1):
        for x, y in (stream[again], stream[-1]):
            assert x.base is stream[0][0].base is not None and y.base is stream[0][1].base
            assert x.flags.c_contiguous and x.dtype == y.dtype == np.int64
            assert token_batch(x, y, None, vocab_size=50)[0] is x  # not copied
            with pytest.raises(ValueError, match="read-only"):
                x[0, 0] = 1


def test_a_text_of_as_many_tokens_as_rows_is_one_step():
    ((x, y),) = Stream([[3, 4, 5, 6]], batch_size=3, steps=2)
    assert (x.tolist(), y.tolist()) == ([[3, 4, 5]], [[4, 5, 6]])


# What is refused


ONE = [np.array([0, 1])]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: buckets([], 2, 0), "sequences is empty; pass at least one"),
        (lambda: batch([]), "sequences is empty"),
        (lambda: Stream([], 1, 1), "sequences is empty"),
        (lambda: buckets(ONE + [[0]], 2, 0), "sequences[1] has 1 tokens; pass at least two"),
        (lambda: batch(ONE + [[]]), "sequences[1] has 0 tokens"),
        (lambda: Stream([[5]], 1, 1), "sequences[0] has 1 tokens"),
        (lambda: buckets(ONE, 0, 0), "batch size must be a whole number of at least 1, not 0"),
        (lambda: buckets(ONE, 2.0, 0), "batch size must be a whole number"),
        (lambda: buckets(ONE, 2, -1), "seed must be a whole number of at least 0, not -1"),
        (
            lambda: buckets(ONE, 2, [0, None]),
            "seed must be a whole number of at least 0, not None",
        ),
        (lambda: buckets(ONE, 2, "a"), "seed must be a whole number"),
        (
            lambda: Stream(ONE, True, 1),
            "batch size must be a whole number of at least 1, not True",
        ),
        (lambda: Stream(ONE, 1, 0), "steps must be a whole number of at least 1, not 0"),
        (
            lambda: Stream([[0, 5, 6, 1]], 4, 1),
            "the text has 3 tokens to predict, fewer than the 4 rows of a batch; pass a longer",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises(RNNError) as error:
        call()
    assert message in str(error.value)


GOOD = [[1, 2], [3, 4], [0, 2]]  # (3, 2)
BAD_IDS = [
    ([[1, 2], [3, 5], [0, 2]], "x[1, 1] is 5; pass token ids from 0 to 4"),
    (np.array([[1, 2], [3, 4], [-1, 2]]), "x[2, 0] is -1"),
    (np.array([[1, 2], [3, 2**64 - 1], [1, 2]], np.uint64), "x[1, 1] is 18446744073709551615"),
    ([[1, 2], [3, 2**70], [0, 2]], "x has dtype object; pass integers"),
    ([[1, 2], [3, 4.0], [0, 2]], "x[1][1] is a float; pass integers, the ids of tokens"),
    ([[1, 2], [True, 4], [0, 2]], "x[1][0] is a bool"),
    ([np.array([1, 2]), np.array([True, False]), [0, 2]], "x[1][0] is a bool"),
    ([["a", "b"]], "x[0][0] is a str"),
    (np.array(GOOD, float), "x has dtype float64; pass integers"),
    (np.array(GOOD, bool), "x has dtype bool"),
    ([[1, 2], [3], [0, 2]], "x has rows of different lengths; pass an array (T, B)"),
    ([np.array([1, 2]), np.array([3])], "x has rows of different lengths"),
    ([1, 2], "x[0] is a int; pass a row of ids for each time step"),
    ([[1, 2], None], "x[1] is a NoneType; pass a row"),
    ([np.array(1)], "x[0] is a ndarray; pass a row"),
    ([[[1]]], "x[0][0] is a list"),
    (np.array([1, 2]), "x has shape (2,); pass a batch of token ids, time first, shape (T, B)"),
    (np.zeros((1, 1, 1), int), "x has shape (1, 1, 1)"),
    (3, "x has shape ()"),
    ({1}, "x has shape ()"),
    ([], "x has shape (0,)"),
    ([[], []], "x has shape (2, 0); pass at least one step of at least one sequence"),
    (np.zeros((0, 2), int), "x has shape (0, 2); pass at least one step"),
]


def refused(x, y, mask, message):
    with pytest.raises(RNNError) as error:
        token_batch(x, y, mask, vocab_size=5)
    assert message in str(error.value)


@pytest.mark.filterwarnings("error")  # of NumPy, about lists of different lengths
@pytest.mark.parametrize("ids, message", BAD_IDS)
def test_bad_ids_of_a_batch_are_refused(ids, message):
    refused(ids, None, None, message)
    refused(ids, GOOD, None, message)
    refused(GOOD, ids, None, message.replace("x", "y", 1))


@pytest.mark.parametrize("y", [np.zeros((2, 3), int), [[1, 2]], [[1], [2], [3]]])
def test_targets_of_another_shape_are_refused(y):
    shape = np.shape(y)
    refused(GOOD, y, None, f"x has shape (3, 2) and y has shape {shape}")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "mask, message",
    [
        ([[1, 1], [1, 1]], "mask has shape (2, 2) and x has (3, 2)"),
        ([1, 1, 0], "mask has shape (3,)"),
        (True, "mask has shape ()"),
        ([[1, 1], [1], [1, 1]], "mask has rows of different lengths"),
        ([["1", "1"]] * 3, "mask has dtype <U1; pass booleans, or numbers that are 0 or 1"),
        (np.ones((3, 2), object), "mask has dtype object"),
        (np.ones((3, 2), complex), "mask has dtype complex128"),
        ([[1, 1], [1, 2], [0, 0]], "mask[1, 1] is 2; pass 1 for a token and 0 for padding"),
        ([[1, 1], [1, 0.5], [0, 0]], "mask[1, 1] is 0.5"),
        ([[1, 1], [-1, 1], [0, 0]], "mask[1, 0] is -1"),
        ([[1, 1], [1, np.nan], [0, 0]], "mask[1, 1] is nan"),
        ([[1, 1], [1, 0], [1, 1]], "column 1 of mask has a 0 at step 1 and a 1 at step 2; pad on"),
        ([[0, 1], [1, 1], [1, 1]], "column 0 of mask has a 0 at step 0 and a 1 at step 1"),
        ([[1, 0], [1, 0], [0, 0]], "column 1 of mask has no 1"),
        (np.zeros((3, 2), bool), "mask has no 1"),
    ],
)
def test_bad_masks_are_refused(mask, message):
    refused(GOOD, GOOD, mask, message)
    refused(GOOD, None, mask, message)


# What is taken


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float32])
def test_padding_is_not_looked_at_and_made_zero(dtype):
    x = np.asfortranarray([[1, 2], [3, -7], [4, 2**40]])
    y = np.array([[3, 1], [4, 5], [2, 99]], order="F")
    kept = x.copy(), y.copy()
    mask = np.array([[1, 1], [1, 0], [1, 0]], dtype)
    made = token_batch(x, y, mask, vocab_size=5)
    assert made[0].tolist() == [[1, 2], [3, 0], [4, 0]]
    assert made[1].tolist() == [[3, 1], [4, 0], [2, 0]]
    assert made[2].tolist() == [[True, True], [True, False], [True, False]]
    assert [a.dtype for a in made] == [np.int64, np.int64, bool]
    assert all(a.flags.c_contiguous for a in made)
    assert (x == kept[0]).all() and (y == kept[1]).all()


def test_the_same_ids_are_refused_where_the_mask_is_one():
    refused([[1, 2], [3, -7]], None, [[1, 1], [1, 1]], "x[1, 1] is -7")
    refused([[1, 2], [3, 9], [9, 9]], None, [[1, 1], [1, 1], [0, 0]], "x[1, 1] is 9")


@pytest.mark.parametrize("mask", [None, np.ones((3, 2)), [[True, True]] * 3])
@pytest.mark.parametrize("make", [list, tuple, np.int8, np.uint64, np.asfortranarray])
def test_a_mask_of_ones_is_none(mask, make):
    ids = make(GOOD)
    x, y, made = token_batch(ids, ids, mask, vocab_size=5)
    assert made is None and x.tolist() == y.tolist() == GOOD
    assert x.dtype == y.dtype == np.int64 and x.flags.c_contiguous and y.flags.c_contiguous


def test_targets_may_be_left_out():
    x, y, mask = token_batch([[4]], None, [[1]], vocab_size=5)
    assert x.tolist() == [[4]] and y is None and mask is None
