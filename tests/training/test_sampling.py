"""Sampling: the distribution, the temperature, the prime, and that the state is carried."""

import numpy as np
import pytest

from theano_rnn import RNN
from theano_rnn.common.errors import NotFinite, RNNError
from theano_rnn.model.draw import Draw
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.sampling import generate, texts

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
        self.vocab_size = len(probabilities)
        self.calls = []

    def next_token(self, token, state=None):
        self.calls.append((token, state))
        return self.probabilities, len(self.calls)


def test_draws_follow_the_probabilities():
    random = np.random.default_rng(0)
    p = np.array([0.5, 0.25, 0.25, 0.0])
    counts = np.bincount([Draw()(p, random) for _ in range(4000)], minlength=4)
    np.testing.assert_allclose(counts / 4000, p, atol=4 * 0.5 / 4000**0.5)
    assert counts[3] == 0


def test_temperature_raises_the_probabilities_to_its_inverse():
    random = np.random.default_rng(0)
    p = np.array([0.8, 0.2])
    share = np.mean([Draw(0.5)(p, random) for _ in range(4000)])
    expected = 0.2**2 / (0.2**2 + 0.8**2)
    assert abs(share - expected) < 4 * (expected / 4000) ** 0.5


def test_a_low_temperature_draws_the_most_likely():
    random = np.random.default_rng(0)
    assert {Draw(1e-3)(np.array([0.3, 0.31, 0.39]), random) for _ in range(50)} == {2}


def test_temperature_0_takes_the_most_likely():
    p = np.array([0.34, 0.0, 0.66])
    assert Draw(0)(p, None) == 2 and Draw(0)(p, None, never={2}) == 0


P = np.array([0.1, 0.4, 0.2, 0.3])


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"top_k": 2}, {1, 3}),
        ({"top_k": 9}, {0, 1, 2, 3}),
        ({"top_p": 0.4}, {1}),
        ({"top_p": 0.41}, {1, 3}),
        ({"top_p": 1.0}, {0, 1, 2, 3}),
        ({"top_p": 1e-9}, {1}),
        ({"top_p": 0.6, "temperature": 0.3}, {1}),  # 0.65 after the temperature
        ({"top_k": 3, "top_p": 0.7}, {1, 3}),  # 0.78 of what top_k leaves
    ],
)
def test_only_the_likely_tokens_of_top_k_and_top_p_are_drawn(how, expected):
    random = np.random.default_rng(0)
    assert {Draw(**how)(P, random) for _ in range(300)} == expected


def test_top_k_keeps_the_proportions_of_the_tokens_it_leaves():
    random = np.random.default_rng(0)
    share = np.mean([Draw(top_k=2)(P, random) == 1 for _ in range(4000)])
    assert abs(share - 4 / 7) < 4 * (0.25 / 4000) ** 0.5


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, {1, 2}), (1e-308, {2})])
def test_excluded_tokens_are_never_drawn(temperature, expected):
    random = np.random.default_rng(0)
    p = np.array([0.97, 0.01, 0.02])
    assert {Draw(temperature)(p, random, never={0}) for _ in range(100)} == expected


def test_the_state_is_carried_from_word_to_word(vocabulary):
    cat = vocabulary.encode("cat")[1]
    p = np.zeros(vocabulary.size)
    p[cat] = 1.0
    recorder = Recorder(p)
    (sentence,) = generate(recorder, vocabulary, longest=4)
    assert sentence == "cat cat cat cat"
    assert recorder.calls == [(vocabulary.start, None), (cat, 1), (cat, 2), (cat, 3)]


def test_a_sentence_ends_where_the_state_outgrows_all_numbers(vocabulary):
    class Growing(Recorder):
        def next_token(self, token, state=None):
            probabilities, n = super().next_token(token, state)
            if n == 4:
                raise NotFinite("as RNN says")
            return probabilities, n

    cat = vocabulary.encode("cat")[1]
    model = Growing(np.eye(vocabulary.size)[cat])
    assert generate(model, vocabulary) == ["cat cat cat"]
    assert len(model.calls) == 4


def test_a_sentence_ends_at_the_end_token(vocabulary):
    p = np.zeros(vocabulary.size)
    p[vocabulary.end] = 1.0
    assert generate(Recorder(p), vocabulary, count=2) == ["", ""]


def test_where_all_that_may_be_drawn_has_no_probability_it_is_drawn_evenly():
    p, random = np.array([0.0, 0.0, 1.0, 0.0], np.float32), np.random.default_rng(0)
    assert {Draw(1.0)(p, random, never={2, 0}) for _ in range(50)} == {1, 3}


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


@pytest.fixture(scope="module")
def letters():
    return Vocabulary.train(["ab ", "ba"], "char")


def ends_each(letters, number):
    """A model that says "a", but an end after so many tokens; it records what it read."""

    class Model(Recorder):
        def next_token(self, token, state=None):
            super().next_token(token, state)
            is_end = len(self.calls) % number == 0
            return np.eye(letters.size)[letters.end if is_end else token_a], len(self.calls)

    token_a = letters.encode("a")[1]
    return Model(np.zeros(letters.size))


def test_a_text_goes_on_past_its_lines_with_the_state_carried_on_request(letters):
    for carry in (True, False):
        model = ends_each(letters, 3)
        (text,) = generate(model, letters, length=8, carry=carry)
        assert text == "aa\naa\naa"
        starts = [state for token, state in model.calls if token == letters.start]
        assert starts == [None, 3 if carry else None, 6 if carry else None]


def test_a_prime_of_several_lines_is_read_line_by_line(letters):
    model = ends_each(letters, 99)
    (text,) = generate(model, letters, prime="ab\n\nb", length=2, carry=True)
    assert text == "ab\n\nbaa"
    read = "".join(letters.tokens[token] for token, _ in model.calls)
    assert read == "<s>ab<s><s>ba"


@pytest.mark.parametrize("level", ["word", "bpe"])
@pytest.mark.parametrize(
    ("ends", "prime", "parts"),
    [
        ("capitals", "The cat sat. The\ndog ran. A", ["The cat sat.", "The dog ran.", "A"]),
        ("auto", "The cat sat. The\ndog", ["The cat sat.", "The dog"]),
        ("lines", "The cat\n\nsat. The\n", ["The cat", "sat. The", ""]),
        ("blank-lines", "The cat.\n\nThe dog.", ["The cat.", "The dog."]),
    ],
)
def test_the_sentences_of_a_prime_end_where_those_of_the_training_text_do(
    level, ends, prime, parts
):
    words = Vocabulary.train(["The cat sat. A dog ran."] * 9, level)
    p = np.eye(words.size)[words.end]
    model = Recorder(p)
    generate(model, words, prime=prime, sentences=ends, length=1, carry=True)
    # The state goes on from the end of a sentence to the start of the next; the last goes on.
    read = [int(token) for part in parts for token in words.encode(part)[:-1]]
    assert [token for token, _ in model.calls][: len(read)] == read


def test_a_long_prime_is_followed_by_new_text_and_spaces_in_it_stay(letters):
    (text,) = generate(ends_each(letters, 900), letters, prime=" " + "b" * 400, longest=5)
    assert text == " " + "b" * 400 + "aaaaa"


def test_a_text_is_there_while_it_is_drawn(letters):
    model = ends_each(letters, 99)
    (pieces,) = texts(model, letters, length=1000)
    assert [next(pieces), next(pieces)] == ["a", "a"] and len(model.calls) == 2


def test_unknown_tokens_of_a_prime_are_named_or_left_out(letters, vocabulary):
    with pytest.raises(RNNError, match="vocabulary: 'é', 'Z'; use"):
        generate(ends_each(letters, 3), letters, prime="aébZ é")
    model = ends_each(letters, 99)
    (text,) = generate(model, letters, prime="aébZ", skip_unknown=True, longest=1)
    assert text == "aba" and letters.unknown not in [token for token, _ in model.calls]
    with pytest.raises(RNNError, match="vocabulary: 'Zebra'; use"):
        generate(Recorder(np.ones(vocabulary.size)), vocabulary, prime="The Zebra the cat")


def test_the_same_seed_draws_the_same(model, vocabulary):
    first, again, other = (
        generate(model, vocabulary, count=5, seed=seed, longest=10) for seed in (4, 4, 5)
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"temperature": -1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"count": 0}, "count"),
        ({"count": 1.5}, "count"),
        ({"seed": -1}, "seed"),
        ({"prime": "the zebra"}, "zebra"),
        ({"length": 0}, "length"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, not 0"),
        ({"lenght": 3}, "generate has no argument lenght; did you mean length"),
        ({"top_p": 1.1}, "top_p"),
    ],
)
def test_bad_arguments_are_named(model, vocabulary, arguments, message):
    with pytest.raises(RNNError, match=message):
        generate(model, vocabulary, **arguments)
