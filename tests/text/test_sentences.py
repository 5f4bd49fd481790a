"""Where a sentence ends, and how long lines are cut."""

import numpy as np
import pytest

from theano_rnn.common.errors import RNNError
from theano_rnn.text import sentences as sentences_module
from theano_rnn.text.sentences import LONGEST_LINE, resolve, split_sentences, split_text, units
from theano_rnn.text.tokens import Form


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


LINES = "the rose is red\nand violets blue\nand so are you\n"
PROSE = "He came. She left, as it was late\nin the day. What then? No one knew. So it ended.\n"


@pytest.mark.parametrize(
    "text, ends, sentences",
    [
        (LINES * 20, "lines", 60),
        ("the cat sat on the mat and the dog ran. " * 500, "anywhere", 500),
        ("it is. so is he.\n\n" * 30, "anywhere", 60),
        (PROSE * 20, "capitals", 100),
        ("今天天气很好。我们去公园吧！你去吗？“是的。”他说。" * 50, "capitals", 250),
        ("吾輩は猫である。「どこで。」と言う。\n" * 50, "capitals", 150),
        ("ذهب الولد. هل تحب القراءة؟ نعم، أحبها. " * 50, "capitals", 150),
        ("मैं घर जा रहा हूँ। क्या तुम आओगे? हाँ। " * 50, "capitals", 150),
        ("El Sr. García llegó. ¿Cómo está? ¡Bien! «Gracias.» " * 50, "capitals", 200),
        ("Er kam am 3. Oktober an. „Wie geht es?“ fragte sie. „Gut.“ " * 50, "capitals", 150),
        ("def f(x):\n    return x[0]  # No. Never.\n\n\nclass A:\n    b = 3\n" * 20, "lines", 80),
        ("2024-05-01 12:00:03 INFO Job 7 done. Took 9 ms. OK\n" * 50, "lines", 50),
    ],
)  # fmt: skip
def test_where_sentences_end_is_seen_in_the_text(text, ends, sentences):
    assert resolve(text) == ends
    found = split_text(text)
    assert len(found) == sentences
    assert " ".join(found).replace(" ", "") == "".join(text.split())


def test_the_option_says_where_sentences_end_instead():
    text = "One. Two\nthree.\n\nFour. Five."
    assert split_text(text, ends="lines") == ["One. Two", "three.", "Four. Five."]
    assert split_text(text, ends="blank-lines") == ["One. Two three.", "Four. Five."]
    assert split_text(text, ends="punctuation") == ["One.", "Two three.", "Four.", "Five."]
    assert split_text(LINES * 20, ends="punctuation") == [" ".join((LINES * 20).split())]
    with pytest.raises(RNNError, match="sentences 'dots' is unknown; use auto, lines"):
        split_text(text, ends="dots")


@pytest.mark.parametrize("ends", ["lines", "blank-lines", "capitals", "anywhere"])
@pytest.mark.parametrize("form", [Form(), Form("char"), Form(tokenized=True)], ids=str)
def test_sentences_do_not_depend_on_the_pieces(form, ends):
    text = "One. Two\n\n three 。four? “Five.”\n\n\n\nsix " * 9
    rng = np.random.default_rng(0)
    places = [n + 1 for n, character in enumerate(text) if character == "\n"]
    whole = list(units([text], form, ends))
    for _ in range(5):
        cuts = [0, *sorted(rng.choice(places, 4, replace=False).tolist()), len(text)]
        pieces = [text[a:b] for a, b in zip(cuts, cuts[1:])]
        assert list(units(pieces, form, ends)) == whole


def test_a_paragraph_without_end_is_cut_and_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(sentences_module, "LONGEST_PARAGRAPH", 10)
    pieces = ["a b c d end. F g h i j k\n", "l end. N o p q r s t u v w x y\n", "z. End\n"]
    found = list(units(pieces, Form(), "capitals"))
    assert " ".join(found) == " ".join("".join(pieces).split())
    assert found[:2] == ["a b c d end.", "F g h i j k l end."]
