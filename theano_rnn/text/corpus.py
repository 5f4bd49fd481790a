"""Text to sentences to sequences of token ids, in three splits.

A sequence is one sentence between a start and an end token (see `theano_rnn.text.vocabulary`):

- at word level, a sentence of the text; a long one is kept whole, the trainer copes;
- in the tokenized form (Penn Treebank), a line that is not blank;
- at character level, a line that is not blank; the end token stands for its newline. A line of
  more than 1000 characters is cut, at spaces where it has them, and each piece is a sequence.

The vocabulary is made of the training split alone; what it leaves out is ``<unk>``.
"""

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Optional

import numpy as np

from theano_rnn.common import files, memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.common.validation import shown
from theano_rnn.text.python_docs import python_sentences
from theano_rnn.text.sentences import split_text
from theano_rnn.text.tokens import special_tokens
from theano_rnn.text.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Corpus:
    """Three splits of sequences of token ids.

    Attributes
    ----------
    vocabulary : Vocabulary
        Of the training split.
    train, valid, test : list of 1-D int64 arrays
        Each a sequence: the start token, the tokens, the end token.
    oov_rate : float
        The share of the test split's tokens, start and end left out, that are unknown.
    """

    vocabulary: Vocabulary
    train: list[Ints]
    valid: list[Ints]
    test: list[Ints]
    oov_rate: float

    @property
    def token_counts(self) -> dict[str, int]:
        """Tokens a model predicts in each split: all but the start, one end a sequence.

        Returns
        -------
        dict
            By "train", "valid" and "test".
        """
        return {name: count_tokens(getattr(self, name)) for name in ("train", "valid", "test")}


def pairs(sequences: Sequence[Ints]) -> tuple[list[Ints], list[Ints]]:
    """What a model reads, and what it is to predict: each sequence but its last, but its first.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays

    Returns
    -------
    x, y : lists of 1-D int arrays

    Examples
    --------
    >>> pairs([np.array([0, 7, 8, 1])])
    ([array([0, 7, 8])], [array([7, 8, 1])])
    """
    return [s[:-1] for s in sequences], [s[1:] for s in sequences]


def count_tokens(sequences: Sequence[Ints]) -> int:
    """How many tokens of the sequences are predicted: all but the start of each.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays

    Returns
    -------
    int
    """
    return sum(len(s) - 1 for s in sequences)


def load_corpus(
    text: Optional[PathLike] = None,
    train: Optional[PathLike] = None,
    valid: Optional[PathLike] = None,
    test: Optional[PathLike] = None,
    column: Optional[str] = None,
    level: str = "word",
    vocab_size: Optional[int] = None,
    tokenized: bool = False,
    seed: int = 0,
) -> Corpus:
    """Read a corpus from one file, from three, or from none: Python's own documentation.

    One text is split 80/10/10: shuffled sentences, or at character level, where a line is
    understood from the one above, the first 80 % of the lines, the next 10 % and the last.

    Parameters
    ----------
    text : path, optional
        A UTF-8 text to split.
    train, valid, test : paths, optional
        Three texts instead, not shuffled.
    column : str, optional
        The files are CSV and this column of them is the text, each cell a document.
    level : {"word", "char"}
        What a token is.
    vocab_size : int, optional
        Tokens in the vocabulary, special ones included. Left out: all of a tokenized text,
        otherwise at most 8000.
    tokenized : bool
        One sentence a line, tokenized already, kept as it is (Penn Treebank form).
    seed : int
        Of the shuffle.

    Returns
    -------
    Corpus

    Raises
    ------
    RNNError
        For a file that cannot be read (see `read_text`), a wrong combination of files, a text
        too short to split, or a vocabulary size the text does not allow.
    """
    special_tokens(level, tokenized)  # refuses a wrong form before any file is read
    files = {"train": train, "valid": valid, "test": test}
    missing = [name for name, path in files.items() if path is None]
    if text is not None:
        if len(missing) < 3:
            raise RNNError("give either one text or train, valid and test, not both")
        sentences = split_text(read_text(text, column), level, tokenized)
    elif train is not None and valid is not None and test is not None:
        train_text, valid_text, test_text = (
            split_text(read_text(p, column), level, tokenized) for p in (train, valid, test)
        )
        return build_corpus(train_text, valid_text, test_text, level, vocab_size, tokenized)
    elif len(missing) < 3:
        raise RNNError(
            f"train, valid and test belong together: {' and '.join(missing)} missing; "
            "a single file to be split is the text"
        )
    else:
        if column is not None or tokenized:
            raise RNNError("column and tokenized need a file: the default corpus is plain text")

        sentences = python_sentences()
    splits = _split(sentences, _rng(seed) if level == "word" else None)
    return build_corpus(*splits, level=level, vocab_size=vocab_size, tokenized=tokenized)


def build_corpus(
    train: Sequence[str],
    valid: Sequence[str],
    test: Sequence[str],
    level: str = "word",
    vocab_size: Optional[int] = None,
    tokenized: bool = False,
) -> Corpus:
    """A corpus of sentences that are split already; parameters as for `load_corpus`.

    Parameters
    ----------
    train, valid, test : sequences of str
        Sentences; of level "char", lines.
    level, vocab_size, tokenized
        As for `load_corpus`.

    Returns
    -------
    Corpus

    Raises
    ------
    RNNError
        As `load_corpus` does for a bad size, and for a split without a sentence.
    """
    for name, sentences in (("train", train), ("valid", valid), ("test", test)):
        if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Sequence):
            raise RNNError(f"the {name} split must be a list of texts, not {shown(sentences)}")
        if not len(sentences):
            raise RNNError(f"the {name} split has no sentence: every split needs at least one")
    vocabulary = Vocabulary.train(train, level, vocab_size, tokenized)
    train_ids, valid_ids, test_ids = (
        [vocabulary.encode(s) for s in sentences] for sentences in (train, valid, test)
    )
    inner = np.concatenate([s[1:-1] for s in test_ids])
    oov_rate = float(np.mean(inner == vocabulary.unknown))
    return Corpus(vocabulary, train_ids, valid_ids, test_ids, oov_rate)


def read_text(path: PathLike, column: Optional[str] = None) -> str:
    r"""The text of a UTF-8 file, a byte order mark removed and every line end a ``\n``.

    Parameters
    ----------
    path : path
        A plain text, or a CSV file (``.csv``; ``.tsv`` with tabs) with a header line.
    column : str, optional
        The column of the CSV file; its cells become documents apart by a blank line.

    Returns
    -------
    str

    Raises
    ------
    RNNError
        When the file is missing, is a directory, is empty, is not UTF-8 (the byte is named), is
        a CSV file and the column was not given or is not in it (the columns are listed), or is
        not one and a column was given.
    """
    try:
        path = Path(path)
    except TypeError:
        raise RNNError(f"a text is the name of a file, not {shown(path)}") from None
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    if column is not None and delimiter is None:
        raise RNNError(
            f"a column needs a .csv or .tsv file, and {path!s:.200} is not one: leave it out"
        )
    try:
        with open(path, "rb") as file:
            # Sentences and their token ids take several times the text.
            text = files.read_stream(file, memory.total() // 16).decode("utf-8")
    except OSError as error:
        raise RNNError(f"cannot read {path!s:.200}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise RNNError(
            f"{path} is not UTF-8: byte {error.start} (0x{error.object[error.start]:02x}), "
            f"{error.reason}; convert it to UTF-8"
        ) from None
    except ValueError as error:
        raise RNNError(f"cannot read {path!s:.200}: {error}") from None  # a NUL in the name
    text = text[1:] if text.startswith("\ufeff") else text
    if not text.strip():
        raise RNNError(f"{path} is empty: there is no text in it")
    if delimiter is not None:
        text = "\n\n".join(_cells(text, column, delimiter, path))
        if not text.strip():
            raise RNNError(f"column {column!r} of {path} is empty: there is no text in it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cells(text: str, column: Optional[str], delimiter: str, path: Path) -> list[str]:
    limit = csv.field_size_limit(sys.maxsize)  # a document may well exceed the default 128 KiB
    try:
        # No DictReader: it goes over all columns of the header for each row, however short.
        rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = next(filter(None, rows), [])
        if column not in columns:
            what = "say which column is the text" if column is None else f"no column {column!r}"
            names = ", ".join(f"{name!r:.60}" for name in columns[:20])
            raise RNNError(f"{path}: {what}; its columns are {names}")
        at = len(columns) - 1 - columns[::-1].index(column)  # the last of that name
        return [row[at] for row in rows if len(row) > at and row[at]]
    except csv.Error as error:
        raise RNNError(f"{path} is not well-formed CSV, line {rows.line_num}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _rng(seed: int) -> np.random.Generator:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise RNNError(f"the seed must be a whole number from 0, not {shown(seed)}")
    return np.random.default_rng(seed)


def _split(
    sentences: Sequence[str], rng: Optional[np.random.Generator]
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """80/10/10, shuffled if there is a generator."""
    n = len(sentences)
    if n < 3:
        raise RNNError(
            f"the text has {n} sentence{'s' * (n != 1)}, and each of the three splits needs one: "
            "give a longer text, or --tokenized where each line is a sentence"
        )
    if rng is not None:
        sentences = [sentences[i] for i in rng.permutation(n)]
    held_out = max(1, n // 10)
    valid, test = n - 2 * held_out, n - held_out
    return sentences[:valid], sentences[valid:test], sentences[test:]
