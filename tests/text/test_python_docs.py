"""The default text: English sentences from docstrings, without code, markup and tables."""

import sys

import numpy as np
import pytest

from theano_rnn.common.errors import RNNError
from theano_rnn.text import python_docs
from theano_rnn.text.python_docs import english, python_sentences


@pytest.fixture(scope="module")
def sentences():
    return python_sentences()


@pytest.mark.parametrize(
    "document, expected",
    [
        ("", []),
        ("f(x, y) -> z", []),
        ("+---+---+\n| a | the |\n+---+---+", []),
        ("'r'       open for reading (the default)", []),
        ("The title\n=========\n\nThis is the text.", ["This is the text."]),
        ("It returns the :class:`~a.B` or ``None``.", ["It returns the a.B or None."]),
        ("Open the file\nof that name.  Close it\n\n    later on.", None),
        ("- open the file now\n- close the\n  file then", None),
        ("name(args) -- Return the name of it.", ["Return the name of it."]),
        (":param x: The value of the sum.", ["The value of the sum."]),
        ('The "with" statement is one.', ["The with statement is one."]),
        (">>> this is the code\nthat is the output\n\nThis is the text.", ["This is the text."]),
        ("As in this::\n\n  this is the code\n\nThis is the text.", ["This is the text."]),
        (".. code-block:: c\n\n   this is the code\n\nThis is it, then.", ["This is it, then."]),
    ],
)
def test_english_of_documentation(document, expected):
    if document.startswith("Open"):
        expected = ["Open the file of that name."]  # the rest is too short to tell
    if document.startswith("-"):
        expected = ["open the file now.", "close the file then."]
    assert english(document) == expected


def test_docstrings_are_read_without_being_run_and_each_sentence_once(tmp_path):
    code = (
        'raise SystemExit\ndef f():\n    """Return the {} of it.\n\n    >>> f()\n    1\n    """\n'
    )
    (tmp_path / "a.py").write_text(code.format("sum"))
    (tmp_path / "b.py").write_text(
        code.format("sum") + "class A:\n    '''This  is THE class.'''\n"
    )
    (tmp_path / "c.py").write_text('class B:\n    """This is the class."""\n    def (')  # broken
    (tmp_path / "d.py").write_bytes(b'"""\xff This is not the text."""')
    for skipped in ("test", "site-packages"):
        (tmp_path / skipped).mkdir()
        (tmp_path / skipped / "e.py").write_text(code.format("product"))
    assert python_sentences(tmp_path) == ["Return the sum of it.", "This is THE class."]


def test_no_documentation_at_all_is_an_error(tmp_path):
    with pytest.raises(RNNError, match="no documentation in"):
        python_sentences(tmp_path)


def test_docstrings_alone_are_enough(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)  # as some distributions have it
    monkeypatch.setattr(python_docs, "_docstrings", lambda folder: ["This is the text."])
    assert python_sentences() == ["This is the text."]


@pytest.mark.slow
def test_default_corpus_reads_like_english(sentences):
    assert not any(mark in s for s in sentences for mark in (">>>", "::=", "``", "#", "\\", "|"))
    assert np.mean([s[0].isupper() for s in sentences]) > 0.9
    assert np.mean([s[-1] in ".:!?" for s in sentences]) > 0.97
    common = ("the", "of", "a", "is", "to")
    words = [word for s in sentences for word in s.lower().split()]
    assert np.mean([word in common for word in words]) > 0.15
