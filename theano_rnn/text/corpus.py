"""A text as sequences of token ids, in three splits: training, validation and test.

A sequence is one sentence between a start and an end token (see ``theano_rnn.text.tokens``). What
counts as a sentence depends on the form of the text:

- at word level, a sentence, however long;
- in the tokenized form (Penn Treebank), a line that is not blank;
- at character level, a line that is not blank; the end token stands for its newline. A line of
  more than 1000 characters is cut, at spaces if it has any, and each piece is a sequence.

The vocabulary comes from the training split alone. Every other token becomes ``<unk>``.
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
from theano_rnn.common.validation import shown, whole_number
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
        The tokens of the training split.
    train, valid, test : list of 1-D int64 arrays
        Each array is a sequence: the start token, the tokens, the end token.
    oov_rate : float
        The share of the test split's tokens that are unknown, start and end tokens not counted;
        from 0 to 1.
    """

    vocabulary: Vocabulary
    train: list[Ints]
    valid: list[Ints]
    test: list[Ints]
    oov_rate: float

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.token_counts.items())
        return f"Corpus(tokens: {counts}; {self.vocabulary!r})"

    @property
    def token_counts(self) -> dict[str, int]:
        """The number of tokens that a model predicts in "train", "valid" and "test".

        All tokens of a sequence are predicted but the start.

        Returns
        -------
        dict
        """
        return {name: count_tokens(getattr(self, name)) for name in ("train", "valid", "test")}


def pairs(sequences: Sequence[Ints]) -> tuple[list[Ints], list[Ints]]:
    """Inputs and targets: each sequence without its last token, and without its first.

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
    """The number of tokens that a model predicts: all tokens but the start of each sequence.

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
    """A corpus from one file, from three, or without a file from Python's own documentation.

    One text is split 80/10/10. At word level its sentences are shuffled first. At character level,
    where a line depends on the lines above it, the splits are the first 80 % of the lines, the
    next 10 % and the last 10 %.

    Parameters
    ----------
    text : path, optional
        A UTF-8 text to split.
    train, valid, test : paths, optional
        Three texts instead of one; they are not shuffled.
    column : str, optional
        The files are CSV, and this column is the text; each of its cells is a document.
    level : {"word", "char"}
        What a token is.
    vocab_size : int, optional
        Tokens in the vocabulary, special ones included. By default all of a tokenized text,
        otherwise at most 8000.
    tokenized : bool
        Each line is one sentence, tokenized already (Penn Treebank form).
    seed : int
        Seeds the shuffle.

    Returns
    -------
    Corpus

    Raises
    ------
    RNNError
        For a file that cannot be read (see ``read_text``), a wrong combination of files, a text
        too short to split, or a vocabulary size that the text does not allow.
    """
    special_tokens(level, tokenized)  # before any file is read: an error for an unknown form
    splits_given = {"train": train, "valid": valid, "test": test}
    missing = [name for name, path in splits_given.items() if path is None]
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
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing; give train, "
            "valid and test together, or one text that is split"
        )
    else:
        if column is not None or tokenized:
            raise RNNError("column and tokenized need a file; give a text, or leave them out")
        sentences = python_sentences()
    rng = np.random.default_rng(whole_number(seed, "seed", at_least=0))
    splits = _split(sentences, rng if level == "word" else None)
    return build_corpus(*splits, level=level, vocab_size=vocab_size, tokenized=tokenized)


def build_corpus(
    train: Sequence[str],
    valid: Sequence[str],
    test: Sequence[str],
    level: str = "word",
    vocab_size: Optional[int] = None,
    tokenized: bool = False,
) -> Corpus:
    """A corpus from three lists of sentences.

    Parameters
    ----------
    train, valid, test : sequences of str
        Sentences; at level "char", lines.
    level, vocab_size, tokenized
        As for ``load_corpus``.

    Returns
    -------
    Corpus

    Raises
    ------
    RNNError
        For a vocabulary size that the text does not allow, and for a split without a sentence.
    """
    for name, sentences in (("train", train), ("valid", valid), ("test", test)):
        if isinstance(sentences, (str, bytes)) or not isinstance(sentences, Sequence):
            raise RNNError(f"the {name} split must be a list of texts, not {shown(sentences)}")
        if not len(sentences):
            raise RNNError(f"the {name} split has no sentence; give at least one")
    vocabulary = Vocabulary.train(train, level, vocab_size, tokenized)
    train_ids, valid_ids, test_ids = (
        [vocabulary.encode(s) for s in sentences] for sentences in (train, valid, test)
    )
    inner = np.concatenate([s[1:-1] for s in test_ids])
    oov_rate = float(np.mean(inner == vocabulary.unknown))
    return Corpus(vocabulary, train_ids, valid_ids, test_ids, oov_rate)


def read_text(path: PathLike, column: Optional[str] = None) -> str:
    r"""The text of a UTF-8 file, with every line end a ``\n`` and without a byte order mark.

    Parameters
    ----------
    path : path
        A plain text, or a CSV file (``.csv``; ``.tsv`` with tabs) with a header line.
    column : str, optional
        The column of the CSV file that holds the text. A blank line separates its cells.

    Returns
    -------
    str

    Raises
    ------
    RNNError
        If the file is missing, a folder, empty, too large for the memory, or not UTF-8; if it is
        a CSV file without this column, or if a column is given for a file that is no CSV file.
    """
    try:
        path = Path(path)
    except TypeError:
        raise RNNError(f"the text is {shown(path)}; pass the name of a file") from None
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    if column is not None and delimiter is None:
        raise RNNError(
            f"a column needs a .csv or .tsv file, but {path!s:.200} is none; leave the column out"
        )
    try:
        with open(path, "rb") as file:
            # Its sentences and token ids will take several times the memory of the text.
            text = files.read_stream(file, memory.total() // 16).decode("utf-8")
    except OSError as error:
        raise RNNError(f"{path!s:.200} cannot be read: {files.reason(error)}") from None
    except UnicodeDecodeError as error:
        raise RNNError(
            f"{path} is not UTF-8: byte {error.start} (0x{error.object[error.start]:02x}), "
            f"{error.reason}; convert it to UTF-8"
        ) from None
    except ValueError as error:
        raise RNNError(f"{path!s:.200} cannot be read: {error}") from None  # a NUL in its name
    text = text[1:] if text.startswith("\ufeff") else text
    if not text.strip():
        raise RNNError(f"{path} is empty; give a file with text in it")
    if delimiter is not None:
        text = "\n\n".join(_cells(text, column, delimiter, path))
        if not text.strip():
            raise RNNError(f"column {column!r} of {path} is empty; give a column with text in it")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _cells(text: str, column: Optional[str], delimiter: str, path: Path) -> list[str]:
    limit = csv.field_size_limit(sys.maxsize)  # a document can be longer than the 128 KiB allowed
    try:
        # Not a DictReader, which visits every column of the header for every row.
        rows = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = next(filter(None, rows), [])
        if column not in columns:
            wrong = "give the column with the text" if column is None else f"no column {column!r}"
            names = ", ".join(f"{name!r:.60}" for name in columns[:20])
            raise RNNError(f"{path}: {wrong}; its columns are {names}")
        at = len(columns) - 1 - columns[::-1].index(column)  # the last column of that name
        return [row[at] for row in rows if len(row) > at and row[at]]
    except csv.Error as error:
        raise RNNError(f"line {rows.line_num} of {path} is not CSV: {error}; mend it") from None
    finally:
        csv.field_size_limit(limit)


def _split(
    sentences: Sequence[str], rng: Optional[np.random.Generator]
) -> tuple[Sequence[str], Sequence[str], Sequence[str]]:
    """The sentences in three parts, 80/10/10, shuffled if there is a generator."""
    n = len(sentences)
    if n < 3:
        raise RNNError(
            f"the text has {n} sentence{'s' * (n != 1)}, and each of the three splits needs one; "
            "give a longer text, or --tokenized if each line is a sentence"
        )
    if rng is not None:
        sentences = [sentences[i] for i in rng.permutation(n)]
    held_out = max(1, n // 10)
    valid, test = n - 2 * held_out, n - held_out
    return sentences[:valid], sentences[valid:test], sentences[test:]
