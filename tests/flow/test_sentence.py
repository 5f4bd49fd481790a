"""Which sentence a report looks at: the first easy one, the longest, or another."""

import numpy as np
import pytest

from theano_rnn import RNNError
from theano_rnn.flow.sentence import axis_labels, choose, sample, visible
from theano_rnn.text.vocabulary import Vocabulary
from theano_rnn.training.settings import Settings

SETTINGS = Settings(tokenized=True)
VOCABULARY = Vocabulary(["</s>", "<unk>", "a", "b", "."], tokenized=True)


@pytest.fixture
def text(tmp_path):
    """A text of lines of so many words, the end at both their ends beside them."""

    def write(*words, last="b"):
        path = tmp_path / "text.txt"
        lines = [" ".join(["a"] * (n - 1) + [last]) for n in words]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize(
    "words, lag, number",
    [
        ([3, 13, 14, 20], None, 3),  # 16 tokens
        ([3, 31, 30, 20], None, 3),  # 32
        ([3, 9, 31, 40, 40], None, 4),  # none easy: the first of the longest
        ([20, 21, 22, 23, 24], 23, 4),  # as long as the lag needs
        ([20, 35, 34], 34, 3),  # a lag beyond what is easy
        ([3, 35], 35, 2),
    ],
)
def test_the_first_of_16_to_32_tokens_or_the_longest(text, words, lag, number):
    x, y, found = choose(VOCABULARY, SETTINGS, text(*words), lag=lag)
    n = words[number - 1]
    assert found == number and len(x) == len(y) == n + 1
    assert x.tolist() == [0] + [2] * (n - 1) + [3] and y.tolist() == [2] * (n - 1) + [3, 0]


def test_a_sentence_and_its_first_steps_as_asked_for(text):
    x, y, number = choose(VOCABULARY, SETTINGS, text(2, 5, 3), number=2, steps=3)
    assert (x.tolist(), y.tolist(), number) == ([0, 2, 2], [2, 2, 2], 2)
    x, _, number = choose(VOCABULARY, SETTINGS, text(2, 5, 3), number=3, steps=30, lag=3)
    assert (x.tolist(), number) == ([0, 2, 2, 3], 3)


def test_a_sentence_without_a_known_word_is_not_chosen(text):
    path = text(20)
    path.write_text(". . " * 10 + "\n" + "zzz " * 20 + "\n" + "a b\n" + path.read_text())
    assert choose(VOCABULARY, SETTINGS, path)[2] == 4
    for number in (1, 2):
        with pytest.raises(RNNError, match=f"^sentence {number} of .* has no word that this run"):
            choose(VOCABULARY, SETTINGS, path, number=number)
    path.write_text("zzz .\n")
    with pytest.raises(RNNError, match=r"text\.txt has no word that this run knows; give a text"):
        choose(VOCABULARY, SETTINGS, path)


def test_a_language_without_letters_has_sentences_too(tmp_path):
    brackets = Vocabulary.train(["( ( ) )", "( )"])
    path = tmp_path / "dyck.txt"
    path.write_text("( )\n( ( ) ) ( )\n")
    x, _, number = choose(brackets, SETTINGS, path)
    assert number == 2 and len(x) == 7


@pytest.mark.parametrize(
    "given, message",
    [
        ({"number": 3}, "has 2 sentences, and no sentence 3$"),
        ({"number": 0}, "--sentence"),
        ({"steps": 0}, "--steps"),
        ({"lag": 0}, "--lag"),
        (
            {"number": 1, "lag": 4},
            r"^lag 4 needs 5 steps, and sentence 1 of .*text.txt has 4; give",
        ),
        (
            {"number": 2, "steps": 2, "lag": 2},
            "lag 2 needs 3 steps, and sentence 2 of .* has 2 with --steps; give a",
        ),
    ],
    ids=str,
)
def test_what_the_text_has_not_is_told(text, given, message):
    with pytest.raises(RNNError, match=message):
        choose(VOCABULARY, SETTINGS, text(3, 4), **given)
    assert choose(VOCABULARY, SETTINGS, text(3, 4), number=2, lag=4)[2] == 2


def test_of_a_table_a_column_is_read(tmp_path):
    path = tmp_path / "text.CSV"
    path.write_text("n,words\n1,a b b\n")
    settings = Settings(tokenized=True, column="words")
    assert choose(VOCABULARY, settings, path)[0].tolist() == [0, 2, 3, 3]


def test_tokens_are_shown_without_white_space_and_cut_to_twenty_letters():
    assert axis_labels(VOCABULARY, [2, 0]) == ["a", "</s>"]
    assert visible("x" * 20) == "x" * 20 and visible("x" * 21) == "x" * 19 + "…"
    assert visible("\n") == "\\n" and visible("a b") == "a␣b" and visible("abcd", 3) == "ab…"


def test_a_sample_is_from_all_parts_of_a_text():
    found = [np.arange(i, i + 5) for i in range(101)]
    assert [ids[0] for ids in sample(found, 10, 3)] == [0, 50, 100]
    assert len(sample(found, 10)) == 50 and len(sample(found, 100_000)) == 5
    assert [len(ids) for ids in sample(found, 10, 3, steps=2)] == [3, 3, 3]


def test_a_text_of_few_sentences_gives_parts_of_them():
    long = np.arange(250)
    parts = sample([long, np.array([7])], 10, 4)
    assert [(p[0], p[-1]) for p in parts] == [(0, 100), (100, 200), (200, 249)]
    assert sample([np.array([7])], 10) == []
    with pytest.raises(RNNError, match="--sentences"):
        sample([long], 10, 0)
