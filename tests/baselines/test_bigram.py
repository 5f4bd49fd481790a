"""The counting models against loops over dicts and sums done by hand."""

import math
from collections import Counter

import numpy as np
import pytest

from theano_rnn.baselines.bigram import bigram_perplexity, fit_bigram, unigram_perplexity
from theano_rnn.common.errors import RNNError

# Ids: 0 start, 1 end.
TRAIN = [np.array([0, 2, 3, 1]), np.array([0, 2, 2, 1])]
VALID = [np.array([0, 2, 3, 3, 1])]
TEST = [np.array([0, 3, 1]), np.array([0, 2, 4, 1])]
V = 6  # 4 and 5 are never seen in training


def random_sequences(seed, n, vocab_size=30):
    rng = np.random.default_rng(seed)
    return [
        np.concatenate([[0], rng.zipf(1.5, rng.integers(1, 12)) % (vocab_size - 2) + 2, [1]])
        for _ in range(n)
    ]


def naive_bigram_perplexity(train, test, vocab_size, weights):
    pair_counts, history_counts, word_counts = Counter(), Counter(), Counter()
    for s in train:
        for h, w in zip(s[:-1], s[1:]):
            pair_counts[h, w] += 1
            history_counts[h] += 1
            word_counts[w] += 1
    log_p, n = 0.0, 0
    for s in test:
        for h, w in zip(s[:-1], s[1:]):
            unigram = word_counts[w] / sum(word_counts.values())
            bigram = pair_counts[h, w] / history_counts[h] if history_counts[h] else unigram
            parts = [1 / vocab_size, unigram, bigram]
            log_p += math.log(sum(weight * part for weight, part in zip(weights, parts)))
            n += 1
    return math.exp(-log_p / n)


def test_unigram_by_hand():
    # Predicted in training: 2 three times, 3 once, 1 twice; N + V = 12. Test: 3 1 2 4 1.
    p = [2 / 12, 3 / 12, 4 / 12, 1 / 12, 3 / 12]
    expected = math.prod(p) ** (-1 / 5)
    assert unigram_perplexity(TRAIN, TEST, V) == pytest.approx(expected, rel=1e-12)


def test_unigram_sums_to_one():
    each = [unigram_perplexity(TRAIN, [np.array([0, w])], V) for w in range(V)]
    assert sum(1 / perplexity for perplexity in each) == pytest.approx(1, abs=1e-12)


def test_start_is_never_predicted():
    p_start = 1 / unigram_perplexity(TRAIN, [np.array([2, 0])], V)
    assert p_start == pytest.approx(1 / 12)  # only the one that is added to every count


def test_bigram_components_by_hand():
    model = fit_bigram(TRAIN, VALID, V)
    # After 0: 2 twice. After 2: 3, 2, 1 once each. 4 is a history never seen.
    pairs = np.array([[0, 2], [2, 3], [3, 2], [2, 4], [4, 1], [5, 5]])
    components = model.components(pairs[:, 0], pairs[:, 1])
    uniform, unigram, bigram = components
    np.testing.assert_allclose(uniform, np.full(6, 1 / 6), rtol=1e-15)
    np.testing.assert_allclose(unigram, [3 / 6, 1 / 6, 3 / 6, 0, 2 / 6, 0], rtol=1e-15)
    np.testing.assert_allclose(bigram, [1, 1 / 3, 0, 0, 2 / 6, 0], rtol=1e-15)


def test_bigram_one_step_of_em_by_hand():
    model = fit_bigram([np.array([0, 1])], [np.array([0, 1])], 2, steps=1)
    # p_i of the one pair: 1/2, 1, 1; responsibilities 1/5, 2/5, 2/5; then mixed with 1/3 by half.
    np.testing.assert_allclose(model.weights, (np.array([0.2, 0.4, 0.4]) + 1 / 3) / 2)
    np.testing.assert_allclose(model.log_likelihoods, [math.log(5 / 6), math.log(0.9)])


def test_bigram_sums_to_one_after_every_history():
    model = fit_bigram(TRAIN, VALID, V)
    for history in range(V):
        p = model.probabilities(history)
        assert p.shape == (V,) and p.min() > 0
        assert p.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_bigram_equals_a_loop_over_dicts(seed):
    train, valid, test = (random_sequences(3 * seed + i, 40) for i in range(3))
    model = fit_bigram(train, valid, 30)
    expected = naive_bigram_perplexity(train, test, 30, model.weights)
    assert model.perplexity(test) == pytest.approx(expected, rel=1e-12)
    assert bigram_perplexity(train, valid, test, 30) == model.perplexity(test)


@pytest.mark.parametrize("seed", range(5))
def test_em_never_lowers_the_likelihood_and_finds_a_maximum(seed):
    train, valid = random_sequences(seed, 60), random_sequences(seed + 100, 30)
    model = fit_bigram(train, valid, 30, steps=2000, tolerance=0)
    assert np.all(np.diff(model.log_likelihoods) >= -1e-9)
    assert len(model.log_likelihoods) > 2
    best = -model.log_likelihoods[-1] / sum(len(s) - 1 for s in valid)
    for weights in np.random.default_rng(seed).dirichlet(np.ones(3), 50):
        assert naive_bigram_perplexity(train, valid, 30, weights) >= math.exp(best) - 1e-6


def test_weights_are_positive_and_sum_to_one():
    model = fit_bigram(TRAIN, VALID, V)
    assert model.weights.min() > 0
    assert model.weights.sum() == pytest.approx(1, abs=1e-12)


def test_unseen_tokens_cost_a_finite_perplexity():
    perplexity = bigram_perplexity(TRAIN, TRAIN, [np.array([5, 5, 5])], V)
    assert V < perplexity < 1e4


def test_bigram_predicts_a_deterministic_text():
    train = [np.tile([0, 2, 3, 4], 500)]
    assert bigram_perplexity(train, train, train, 10) < 1.01
    assert unigram_perplexity(train, train, 10) == pytest.approx(4, rel=0.01)


def test_uniform_text_has_the_perplexity_of_the_vocabulary():
    rng = np.random.default_rng(0)
    splits = [[rng.integers(0, 20, 50_000)] for _ in range(3)]
    assert unigram_perplexity(splits[0], splits[2], 20) == pytest.approx(20, rel=1e-2)
    assert bigram_perplexity(*splits, 20) == pytest.approx(20, rel=1e-2)


@pytest.mark.parametrize(
    "bad, message",
    [
        ([], "valid split has no token"),
        ([np.array([0])], "valid split has no token"),
        ([np.array([0, 6])], "from 0 to 5; it has"),
        ([np.array([-1, 2])], "it has -1"),
        ([np.array([0.0, 1.0])], "of type float64"),
    ],
)
def test_bad_splits_are_refused(bad, message):
    with pytest.raises(RNNError, match=message):
        fit_bigram(TRAIN, bad, V)
    with pytest.raises(RNNError, match=message.replace("valid", "test")):
        unigram_perplexity(TRAIN, bad, V)


def test_bad_vocabulary_size_is_refused():
    with pytest.raises(RNNError, match=r"whole number .* not 6\.0"):
        unigram_perplexity(TRAIN, TEST, 6.0)
