"""Where a sentence ends, and how long lines are cut."""

import numpy as np
import pytest

from theano_rnn.text.sentences import LONGEST_LINE, split_sentences, split_text


@pytest.mark.parametrize(
    "text, expected",
    [
        ("", []),
        (" \n\t\n", []),
        ("a", ["a"]),
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("one\ntwo\n\nthree", ["one two", "three"]),
        ("one\n \t\ntwo\x0c\n\n\nthree", ["one", "two", "three"]),
        ("It is 3.14. 15 is more. so", ["It is 3.14.", "15 is more. so"]),
        ("Mr. Smith, Mrs. Jones and Dr. No met.", ["Mr. Smith, Mrs. Jones and Dr. No met."]),
        ("On St. Mary's vs. Paul. He", ["On St. Mary's vs. Paul.", "He"]),
        ("By J. R. R. Tolkien. He", ["By J. R. R. Tolkien.", "He"]),
        ("A. Adams, B. Bell, H. Hill, J. Jay and Z. Zola met.", None),
        ("It was I. He left.", ["It was I.", "He left."]),
        ("So, Dr! Who? No. No! He", ["So, Dr!", "Who?", "No.", "No!", "He"]),
        ("E.g. Python, i.e. C, (e.g. Java) etc. and so.", None),
        ("Cats, etc. The end.", ["Cats, etc.", "The end."]),
        ("See No. 5 and p. 7. No. He", ["See No. 5 and p. 7.", "No.", "He"]),
        ("1. First item. 2. Second item.", ["1. First item.", "2. Second item."]),
        ("In 1812. He left.", ["In 1812.", "He left."]),
        ('"Yes!" "No." (Why?) “So…” He', ['"Yes!"', '"No."', "(Why?)", "“So…”", "He"]),
        ("“Halt!” he cried. Wait... what?", ["“Halt!” he cried.", "Wait... what?"]),
        ("Wait... What?!", ["Wait...", "What?!"]),
        ("Été fini. Été. это. Это", ["Été fini.", "Été. это.", "Это"]),
        ("نعم. لا", ["نعم.", "لا"]),
    ],
)
def test_sentences(text, expected):
    assert split_sentences(text) == ([text] if expected is None else expected)


@pytest.mark.parametrize(
    "unit", [".", '."', "\n ", "a. ", "A. ", '" ', "Mr. ", "?!) X", ". (", "a", " "]
)
def test_sentences_of_hostile_text(unit):
    text = unit * (2_000_000 // len(unit))
    sentences = split_sentences(text)  # in quadratic time it would not end
    assert all(sentences)
    assert " ".join(sentences) == " ".join(text.split())


def test_no_word_is_lost_or_moved():
    rng = np.random.default_rng(0)
    words = ["Mr.", "a.", "B!", '"C', 'd."', "...", "5", "(E)", "\n", "\n\n", "’", "_"]
    for _ in range(300):
        text = " ".join(rng.choice(words, 30))
        sentences = split_sentences(text)
        assert " ".join(sentences).split() == text.split()
        assert all(s == s.strip() != "" for s in sentences)


def test_lines_at_char_level_are_kept_as_they_are():
    text = "  Ab\t\n\n \nc  d \n"
    assert split_text(text, "char") == text.split("\n")[:-1]
    assert split_text(text, "word", tokenized=True) == ["  Ab\t", "c  d "]


@pytest.mark.parametrize(
    "line", ["a" * 2500, "word " * 700, "words " * 600, " " * 1500 + "a", "a" * 1000]
)
def test_long_lines_of_older_runs_are_cut_and_nothing_is_lost(line):
    pieces = split_text(line, "char", rules=1)
    assert "".join(pieces) == line
    assert max(map(len, pieces)) <= LONGEST_LINE == 1000
    assert len(pieces) == -(-len(line) // LONGEST_LINE)
    if "word" in line:
        assert all(piece.endswith(" ") for piece in pieces)
