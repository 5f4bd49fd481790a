"""Modified Kneser-Ney against dicts of tuples and sums done by hand."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from conftest import some
from hypothesis import given, settings
from hypothesis import strategies as st

from theano_rnn.baselines.bigram import bigram_perplexity
from theano_rnn.baselines.kneser_ney import fit_kneser_ney
from theano_rnn.common.errors import RNNError

# Ids: 0 start, 1 end.
TRAIN = [np.array([0, 2, 3, 1]), np.array([0, 2, 2, 1])]
VALID = [np.array([0, 2, 3, 3, 1])]
V = 6  # 4 and 5 are never seen in training


def occurrences(sequences, across):
    """Every predicted token with the tuple of all tokens before it."""
    history = ()
    for s in sequences:
        if not across:
            history = ()
        for x, y in zip(s[:-1].tolist(), s[1:].tolist()):
            history += (x,)
            yield history, y


class Naive:
    """The definition, one n-gram at a time: no ids, no keys, nothing sorted."""

    def __init__(self, train, vocab_size, order, across):
        self.vocab_size, self.order, self.across = vocab_size, order, across
        self.counts = [defaultdict(Counter) for _ in range(order)]  # of n - 1: history: word: c
        preceding = [defaultdict(set) for _ in range(order)]
        for history, w in occurrences(train, across):
            for k in range(min(order, len(history) + 1)):
                h = history[len(history) - k :]
                if k == order - 1 or k == len(history):
                    self.counts[k][h][w] += 1
                else:
                    v = history[len(history) - k - 1]
                    if v not in preceding[k][h, w]:
                        self.counts[k][h][w] += 1
                    preceding[k][h, w].add(v)
        self.discounts = [self.estimate(counts) for counts in self.counts]

    @staticmethod
    def estimate(counts):
        n = Counter(c for words in counts.values() for c in words.values())
        if not all(n[i] for i in (1, 2, 3, 4)):
            return [0.5, 1.0, 1.5]
        Y = n[1] / (n[1] + 2 * n[2])
        D = [1 - 2 * Y * n[2] / n[1], 2 - 3 * Y * n[3] / n[2], 3 - 4 * Y * n[4] / n[3]]
        return D if min(D) > 0 else [0.5, 1.0, 1.5]

    def p(self, history, w):
        p = 1 / self.vocab_size
        for k in range(min(self.order, len(history) + 1)):
            words = self.counts[k].get(tuple(history[len(history) - k :]))
            if words is None:
                return p
            D = [0] + self.discounts[k] + [self.discounts[k][2]] * max(words.values())
            gamma = sum(D[c] for c in words.values())
            p = (words[w] - D[words[w]] + gamma * p) / sum(words.values())
        return p

    def log_probabilities(self, sequences):
        return [math.log(self.p(h, w)) for h, w in occurrences(sequences, self.across)]

    def perplexity(self, sequences):
        return math.exp(-np.mean(self.log_probabilities(sequences)))


def markov_text(seed, n, vocab_size=20, length=12):
    """Sentences of one bigram source: the same transitions whatever the seed."""
    transitions = np.random.default_rng(0).dirichlet(np.full(vocab_size - 2, 0.1), vocab_size)
    rng = np.random.default_rng(seed)
    sentences = []
    for _ in range(n):
        words = [0]
        for _ in range(rng.integers(1, length)):
            words.append(2 + rng.choice(vocab_size - 2, p=transitions[words[-1]]))
        sentences.append(np.array(words + [1]))
    return sentences


@st.composite
def texts(draw):
    """A vocabulary size and two splits; start and end may be one token, and stand anywhere."""
    vocab_size = draw(st.sampled_from([2, 3, 6, 20, 60]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    end = draw(st.integers(0, 1))
    skew = draw(st.sampled_from([0.2, 1.0, 10.0]))  # few n-grams seen often, or many seldom
    p = rng.dirichlet(np.full(vocab_size, skew))
    splits = []
    for longest, n in (
        (draw(st.sampled_from([2, 5, 40])), draw(st.sampled_from([1, 4, 40]))),
        (6, 3),
    ):
        lengths = rng.integers(2, longest + 1, n)
        splits.append([rng.choice(vocab_size, length, p=p) for length in lengths])
        for s in splits[-1]:
            s[0], s[-1] = 0, end
    return vocab_size, splits


@settings(max_examples=some(150), deadline=None)
@given(texts(), st.integers(1, 5), st.booleans())
def test_equals_dicts_of_tuples(text, order, across):
    vocab_size, (train, test) = text
    model = fit_kneser_ney(train, None, vocab_size, order, across)
    naive = Naive(train, vocab_size, order, across)
    assert model.order == order
    for ngrams, discounts in zip(model.ngrams, naive.discounts):
        np.testing.assert_allclose(ngrams.discounts, discounts, rtol=1e-12)
    for split in (train, test):
        log_p = model.log_probabilities(split)
        np.testing.assert_allclose(log_p, naive.log_probabilities(split), rtol=1e-12, atol=1e-12)
    for history, _ in occurrences(test, across):
        p = model.probabilities(history)
        expected = [naive.p(history, w) for w in range(vocab_size)]
        np.testing.assert_allclose(p, expected, rtol=1e-12)


@settings(max_examples=some(150), deadline=None)
@given(texts(), st.integers(1, 5), st.booleans(), st.lists(st.integers(0, 1), max_size=7))
def test_sums_to_one_after_any_history(text, order, across, history):
    vocab_size, (train, valid) = text
    p = fit_kneser_ney(train, valid, vocab_size, order, across).probabilities(history)
    assert p.shape == (vocab_size,) and p.min() > 0
    assert p.sum() == pytest.approx(1, abs=1e-12)


@settings(max_examples=some(60), deadline=None)
@given(texts(), st.integers(1, 5), st.booleans())
def test_counts_and_discounts_are_in_their_bounds(text, order, across):
    vocab_size, (train, _) = text
    model = fit_kneser_ney(train, None, vocab_size, order, across)
    for ngrams in model.ngrams:
        assert np.all(ngrams.discounts > 0) and np.all(ngrams.discounts <= [1, 2, 3])
        assert np.all(ngrams.shares >= 0)
        assert np.all(ngrams.backoffs > 0) and np.all(ngrams.backoffs <= 1)
    assert model.ngrams[-1].counts.sum() == sum(
        len(history) >= order - 1 for history, _ in occurrences(train, across)
    )


def test_discounts_by_hand():
    # Of the words, 4 stand once, 3 twice, 2 three times, 1 four times: Y = 4 / (4 + 6).
    words = [2, 3, 4, 5] + [6, 7, 8] * 2 + [9, 10] * 3 + [11] * 4
    model = fit_kneser_ney([np.array([0, *words])], None, 12, order=1)
    expected = [1 - 2 * 0.4 * 3 / 4, 2 - 3 * 0.4 * 2 / 3, 3 - 4 * 0.4 * 1 / 2]
    np.testing.assert_allclose(model.ngrams[0].discounts, expected, rtol=1e-15)


def test_a_text_without_counts_of_four_takes_fixed_discounts():
    model = fit_kneser_ney([np.array([0, 2, 3, 3, 4, 4, 4])], None, 5, order=1)
    assert model.ngrams[0].discounts.tolist() == [0.5, 1.0, 1.5]


def test_a_negative_discount_is_not_taken():
    # n1 to n4 = 1, 1, 5, 1: D2 = 2 - 3 * (1/3) * 5 = -3.
    words = [2] + [3] * 2 + [4, 5, 6, 7, 8] * 3 + [9] * 4
    model = fit_kneser_ney([np.array([0, *words])], None, 10, order=1)
    assert model.ngrams[0].discounts.tolist() == [0.5, 1.0, 1.5]


def test_a_lower_order_counts_what_precedes_not_occurrences():
    # 3 stands three times but only after 2; 4 and 5 follow two tokens each.
    train = [np.array([0, 2, 3, 2, 3, 2, 3, 4, 5, 4, 2, 5])]
    model = fit_kneser_ney(train, None, 6, order=2, across=True)
    assert model.ngrams[0].counts.tolist() == [3, 1, 2, 2]  # of 2, 3, 4, 5
    assert fit_kneser_ney(train, None, 6, order=1).ngrams[0].counts.tolist() == [4, 3, 2, 2]


def test_at_the_start_of_a_sentence_a_lower_order_counts_occurrences():
    train = [np.array([0, 2, 1])] * 7
    alone = fit_kneser_ney(train, None, 3, order=3)
    # The pairs (0, 2) and (2, 1): nothing before the first, always 0 before the second.
    assert alone.ngrams[1].counts.tolist() == [7, 1]
    # As one text 0 2 0 2 ..., where 2 precedes each 0 but the first.
    across = fit_kneser_ney(train, None, 3, order=3, across=True)
    assert across.ngrams[1].counts.tolist() == [2, 1]


def test_across_sees_the_sentence_before_and_alone_does_not():
    # The first word of a sentence tells that of the next: 2 3 4 2 3 4 ...
    train = [np.array([0, 2 + i % 3, 1]) for i in range(300)]
    text = train[:31]
    assert fit_kneser_ney(train, None, 5, 3, across=True).perplexity(text) < 1.1
    # Of two tokens the end is certain and the word one of three.
    alone = fit_kneser_ney(train, None, 5, 3).perplexity(text)
    assert alone == pytest.approx(math.sqrt(3), rel=0.01)


@pytest.mark.parametrize("across", [False, True])
def test_both_modes_predict_the_tokens_of_the_other_baselines(across):
    train = markov_text(1, 30)
    model = fit_kneser_ney(train, train, 20, 4, across)
    assert model.across is across
    assert len(model.log_probabilities(train)) == sum(len(s) - 1 for s in train)
    perplexity = math.exp(-model.log_probabilities(train).mean())
    assert model.perplexity(train) == pytest.approx(perplexity, rel=1e-12)


def test_one_sentence_is_the_same_alone_and_across():
    train, test = [np.concatenate(markov_text(1, 30))], markov_text(2, 1)
    for order in range(1, 6):
        alone, across = (fit_kneser_ney(train, None, 20, order, a) for a in (False, True))
        np.testing.assert_array_equal(
            alone.log_probabilities(test), across.log_probabilities(test)
        )


@pytest.mark.parametrize("order", range(1, 6))
def test_more_text_of_a_bigram_source_lowers_the_perplexity(order):
    test = markov_text(1, 200)
    text = markov_text(2, 2000)
    sizes = (20, 200, 2000)
    few, some, many = (fit_kneser_ney(text[:n], None, 20, order).perplexity(test) for n in sizes)
    assert few > some > many


def test_beats_the_bigram_where_two_tokens_tell_the_next():
    rng = np.random.default_rng(0)
    words = [2, 3]
    for _ in range(3000):  # the sum of the two before, one time in five any word
        words.append(2 + (rng.integers(10) if rng.random() < 0.2 else sum(words[-2:]) % 10))
    splits = [[np.array(words[:2000])], [np.array(words[2000:2500])], [np.array(words[2500:])]]
    model = fit_kneser_ney(splits[0], splits[1], 12)
    assert model.order == 3
    assert model.perplexity(splits[2]) < 0.5 * bigram_perplexity(*splits, 12)


@pytest.mark.parametrize("across", [False, True])
def test_validation_chooses_the_order(across):
    train, valid = markov_text(1, 100), markov_text(2, 50)
    each = [fit_kneser_ney(train, None, 20, n, across).perplexity(valid) for n in range(1, 6)]
    model = fit_kneser_ney(train, valid, 20, 5, across)
    assert model.order == 1 + int(np.argmin(each)) == 2  # the order of the source
    assert model.perplexity(valid) == min(each)


def test_validation_chooses_a_long_order_for_a_long_pattern():
    # 2 2 2 3 2 2 2 4: only after four tokens is the next one known.
    text = [np.array([0] + [2, 2, 2, 3, 2, 2, 2, 4] * 40 + [1])]
    assert fit_kneser_ney(text, text, 5).order == 5


def test_only_the_last_tokens_of_a_history_count():
    text = markov_text(1, 50)
    model = fit_kneser_ney(text, None, 20, 3)
    v, h = text[0][1:3].tolist()
    p = model.probabilities([0, v, h])
    np.testing.assert_array_equal(p, model.probabilities([7, 8, v, h]))
    np.testing.assert_array_equal(p, model.probabilities(np.array([v, h], np.int32)))
    assert not np.array_equal(p, model.probabilities([h]))


@pytest.mark.parametrize("across", [False, True])
def test_sequences_that_predict_nothing_change_nothing(across):
    text = markov_text(1, 20)
    empty = [np.array([], np.int64), np.array([0])]
    model = fit_kneser_ney(text, None, 20, 4, across)
    padded = fit_kneser_ney(empty + text[:9] + empty + text[9:] + empty, None, 20, 4, across)
    np.testing.assert_array_equal(
        padded.log_probabilities(text[:5] + empty + text[5:]), model.log_probabilities(text)
    )


def test_an_order_longer_than_any_sentence_changes_nothing():
    usual, long = (fit_kneser_ney(TRAIN, None, V, order) for order in (4, 9))
    np.testing.assert_array_equal(usual.log_probabilities(VALID), long.log_probabilities(VALID))


def test_five_words_of_a_large_vocabulary_do_not_overflow():
    # 100,000 ** 5 is far above 64 bits; the same text with small ids is the oracle.
    small = markov_text(1, 60)
    large = [s * 5000 for s in small]
    expected = fit_kneser_ney(small, None, 20)
    model = fit_kneser_ney(large, None, 100_000)
    for mine, its in zip(model.ngrams, expected.ngrams):
        np.testing.assert_array_equal(mine.counts, its.counts)
        np.testing.assert_array_equal(mine.shares, its.shares)
        np.testing.assert_array_equal(mine.backoffs, its.backoffs)


def test_unseen_tokens_cost_a_finite_perplexity():
    assert V < fit_kneser_ney(TRAIN, VALID, V).perplexity([np.array([5, 5, 5])]) < 1e4


@pytest.mark.parametrize(
    "bad, message",
    [
        ([], "{} split has no token"),
        ([np.array([0])], "{} split has no token"),
        ([np.array([0, 6])], "from 0 to 5; it has"),
        ([np.array([-1, 2])], "it has -1"),
        ([np.array([0.0, 1.0])], "of type float64"),
        ([np.array([[0, 1], [2, 3]])], r"{} split must be 1-D .* shape \(2, 2\)"),
    ],
)
def test_bad_splits_are_refused(bad, message):
    with pytest.raises(RNNError, match=message.format("train")):
        fit_kneser_ney(bad, VALID, V)
    with pytest.raises(RNNError, match=message.format("valid")):
        fit_kneser_ney(TRAIN, bad, V)
    with pytest.raises(RNNError, match=message.format("test")):
        fit_kneser_ney(TRAIN, VALID, V).perplexity(bad)


@pytest.mark.parametrize("order", [0, -1, 2.0, True, "5", None])
def test_a_bad_order_is_refused(order):
    with pytest.raises(RNNError, match="the order must be a whole number of at least 1"):
        fit_kneser_ney(TRAIN, VALID, V, order)


def test_bad_vocabulary_sizes_and_histories_are_refused():
    with pytest.raises(RNNError, match=r"whole number .* not 6\.0"):
        fit_kneser_ney(TRAIN, VALID, 6.0)
    model = fit_kneser_ney(TRAIN, VALID, V)
    for history, message in (([0, 6], "from 0 to 5"), ([0.5], "float"), (2, "one sequence")):
        with pytest.raises(RNNError, match=message):
            model.probabilities(history)
