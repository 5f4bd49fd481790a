"""Sampling: the distribution, the temperature, the prime, and that the state is carried."""

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.common.errors import RNNError
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.sampling import draw, generate

SENTENCES = ["the cat sat", "the dog sat", "a cat ran home"]


@pytest.fixture(scope="module")
def vocabulary():
    return Vocabulary.train(SENTENCES, "word")


@pytest.fixture(scope="module")
def model(vocabulary):
    return RNN(vocabulary.size, 6, seed=1)


class Recorder:
    """A model that always says the same probabilities, and records what it was asked."""

    def __init__(self, probabilities):
        self.probabilities = np.array(probabilities)
        self.calls = []

    def next_token(self, token, state=None):
        self.calls.append((token, state))
        return self.probabilities, len(self.calls)


def test_draws_follow_the_probabilities():
    random = np.random.default_rng(0)
    p = np.array([0.5, 0.25, 0.25, 0.0])
    counts = np.bincount([draw(p, 1.0, random) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(counts / 4000, p, atol=4 * 0.5 / 4000**0.5)
    assert counts[3] == 0


def test_temperature_raises_the_probabilities_to_its_inverse():
    random = np.random.default_rng(0)
    p = np.array([0.8, 0.2])
    share = np.mean([draw(p, 0.5, random) for _ in range(4000)])
    expected = 0.2**2 / (0.2**2 + 0.8**2)
    assert abs(share - expected) < 4 * (expected / 4000) ** 0.5


def test_a_low_temperature_draws_the_most_likely():
    random = np.random.default_rng(0)
    assert {draw(np.array([0.3, 0.31, 0.39]), 1e-3, random) for _ in range(50)} == {2}


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, {1, 2}), (1e-308, {2})])
def test_excluded_tokens_are_never_drawn(temperature, expected):
    random = np.random.default_rng(0)
    p = np.array([0.97, 0.01, 0.02])
    assert {draw(p, temperature, random, never={0}) for _ in range(100)} == expected


def test_the_state_is_carried_from_word_to_word(vocabulary):
    cat = vocabulary.encode("cat")[1]
    p = np.zeros(vocabulary.size)
    p[cat] = 1.0
    recorder = Recorder(p)
    (sentence,) = generate(recorder, vocabulary, longest=4)
    assert sentence == "cat cat cat cat"
    assert recorder.calls == [(vocabulary.start, None), (cat, 1), (cat, 2), (cat, 3), (cat, 4)]


def test_a_sentence_ends_where_the_state_outgrows_all_numbers(vocabulary):
    class Growing(Recorder):
        def next_token(self, token, state=None):
            probabilities, n = super().next_token(token, state)
            return probabilities, np.array([1e38 if n < 4 else np.inf])

    cat = vocabulary.encode("cat")[1]
    model = Growing(np.eye(vocabulary.size)[cat])
    assert generate(model, vocabulary) == ["cat cat cat"]
    assert len(model.calls) == 4


def test_a_sentence_ends_at_the_end_token(vocabulary):
    p = np.zeros(vocabulary.size)
    p[vocabulary.end] = 1.0
    assert generate(Recorder(p), vocabulary, count=2) == ["", ""]


def test_unknown_and_start_are_never_written(vocabulary):
    p = np.full(vocabulary.size, 1e-3)
    p[[vocabulary.unknown, vocabulary.start]] = 1.0
    for sentence in generate(Recorder(p), vocabulary, count=20, longest=10):
        assert "<" not in sentence


def test_the_prime_is_read_first_and_stands_in_front(vocabulary):
    p = np.zeros(vocabulary.size)
    p[vocabulary.end] = 1.0
    recorder = Recorder(p)
    assert generate(recorder, vocabulary, prime="The cat") == ["the cat"]
    ids = [token for token, _ in recorder.calls]
    assert ids == list(vocabulary.encode("the cat")[:-1])


def test_the_same_seed_draws_the_same(model, vocabulary):
    first, again, other = (
        generate(model, vocabulary, count=5, seed=seed, longest=10) for seed in (4, 4, 5)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"count": 0}, "count"),
        ({"count": 1.5}, "count"),
        ({"seed": -1}, "seed"),
        ({"prime": "the zebra"}, "zebra"),
    ],
)
def test_bad_arguments_are_named(model, vocabulary, arguments, message):
    with pytest.raises(RNNError, match=message):
        generate(model, vocabulary, **arguments)
