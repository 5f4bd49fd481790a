"""A text as sequences of token ids, in three splits: training, validation and test.

A sequence is one sentence between a start and an end token (see ``theano_rnn.text.tokens``). What
counts as a sentence depends on the form of the text:

- at the levels word and bpe, a sentence (see ``theano_rnn.text.sentences``);
- in the tokenized form (Penn Treebank), a line that is not blank;
- at character level, a line, blank ones too; the end token stands for its newline.

A sentence of more than 1000 tokens is several sequences.

The vocabulary comes from the training split alone. Every other token becomes ``<unk>``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Optional

import numpy as np

from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints
from theano_rnn.common.validation import one_of, shown, whole_number
from theano_rnn.text import splitting
from theano_rnn.text.cutting import LONGEST, Cutter, Records
from theano_rnn.text.python_docs import python_sentences
from theano_rnn.text.reading import Paths, Progress, read_pieces
from theano_rnn.text.sentences import ENDS, SAMPLE, resolve, units
from theano_rnn.text.sequences import Sequences
from theano_rnn.text.tokens import END, RULES, UNKNOWN, Form
from theano_rnn.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Size:
    """How long a text is, whatever a token is.

    Attributes
    ----------
    words : int
        The tokens that the level word has for this text, the end of each sentence counted.
    bytes : int
        In UTF-8, with one byte after each sentence or line.
    """

    words: int
    bytes: int


@dataclass(frozen=True, eq=False)
class Corpus:
    """Splits of sequences of token ids: to train, to validate and to test.

    Attributes
    ----------
    vocabulary : Vocabulary
        The tokens of the training split.
    train, valid, test : sequences of 1-D int64 arrays
        Each array is a sequence: the start token, the tokens, the end token. One that goes on
        in the next sequence has no end token, and the next begins with its last token. Where
        there is no test text, ``test`` is ``valid``.
    oov_rate : float
        The share of the test split's tokens that are unknown, start and end tokens not counted;
        from 0 to 1.
    sizes : dict
        A ``Size`` for each of "valid" and "test".
    notes : tuple of str
        What a user should know about how the text was read.
    has_test : bool
        False for a text that is split in two: what is judged on the test text otherwise is judged
        on the validation text, which has picked the model.
    ends : str
        Where a sentence of the text ends, see ``sentences.resolve``; "auto" for sentences that
        were given as such.
    """

    vocabulary: Vocabulary
    train: Sequence[Ints]
    valid: Sequence[Ints]
    test: Sequence[Ints]
    oov_rate: float
    sizes: dict[str, Size] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    has_test: bool = True
    ends: str = "auto"

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {name}" for name, count in self.token_counts.items())
        return f"Corpus(tokens: {counts}; {self.vocabulary!r})"

    @property
    def token_counts(self) -> dict[str, int]:
        """The number of tokens that a model predicts in "train", "valid" and, if any, "test".

        All tokens of a sequence are predicted but the start.
        """
        names = ("train", "valid", "test") if self.has_test else ("train", "valid")
        return {name: count_tokens(getattr(self, name)) for name in names}


@dataclass(frozen=True, eq=False)
class Reading:
    """A text in the vocabulary of another one.

    Attributes
    ----------
    sentences : list of str
        At level "char", its lines.
    sequences : sequence of 1-D int64 arrays
        As those of a ``Corpus``.
    counts : (sentences,) int array
        The sequences of each sentence.
    oov_rate : float
        As that of a ``Corpus``.
    size : Size
    """

    sentences: Sequence[str]
    sequences: Sequence[Ints]
    counts: Ints
    oov_rate: float
    size: Size


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
    """
    if isinstance(sequences, Sequences):
        return int((sequences.lengths - 1).sum())
    return sum(len(s) - 1 for s in sequences)


def load_corpus(
    text: Optional[Paths] = None,
    train: Optional[Paths] = None,
    valid: Optional[Paths] = None,
    test: Optional[Paths] = None,
    column: Optional[str] = None,
    level: str = "word",
    vocab_size: Optional[int] = None,
    tokenized: bool = False,
    seed: int = 0,
    *,
    sentences: str = "auto",
    encoding: str = "utf-8",
    lower: Optional[bool] = None,
    rules: int = RULES[-1],
    progress: Optional[Progress] = None,
    split: str = splitting.USUAL,
) -> Corpus:
    """A corpus from one text, from three, or without a file from Python's own documentation.

    A text is read in pieces, and takes less than ten bytes of memory a token.

    Parameters
    ----------
    text : path or paths, optional
        A text to split, in one file or several; see ``reading.expanded``.
    train, valid, test : paths, optional
        Three texts instead of one; they are not shuffled.
    column : str, optional
        The files are CSV, and this column is the text; each of its cells is a document.
    level : {"word", "char", "bpe"}
        What a token is.
    vocab_size : int, optional
        Tokens in the vocabulary, special ones included. By default all of a tokenized text,
        otherwise at most 8000.
    tokenized : bool
        Each line is one sentence, tokenized already (Penn Treebank form).
    seed : int
        Seeds the shuffle.
    sentences : str
        Where a sentence ends, one of ``sentences.ENDS``; "auto" looks at the beginning of the
        text, or of ``train``.
    encoding : str
        Of the files.
    lower : bool, optional
        See ``tokens.Form``.
    rules : int
        See ``tokens.RULES``.
    progress : function, optional
        Called after each piece of the files; see ``reading.Progress``.
    split : str
        How one text is split, see ``splitting``.

    Raises
    ------
    RNNError
        For a file that cannot be read (see ``reading.read_pieces``), a wrong combination of
        files, a text too short to split, or a vocabulary size that the text does not allow.
    """
    form = Form(level, tokenized, lower, rules)  # an error before any file is read
    shares = splitting.parse(split)
    if split != splitting.USUAL and any((train, valid, test)):
        raise RNNError(f"split {split} is of one text, and three are given; leave split out")
    splits_given = {"train": train, "valid": valid, "test": test}
    missing = [name for name, path in splits_given.items() if path is None]
    reader = _Reader(form, sentences)

    def read(paths: Paths) -> Records:
        normal = rules != 1
        pieces = read_pieces(paths, column, encoding, progress, normal)
        return reader.cut(reader.sentences(pieces))

    if text is not None:
        if len(missing) < 3:
            raise RNNError("give either one text or train, valid and test, not both")
        records = read(text)
    elif train is not None and valid is not None and test is not None:
        three = [read(paths) for paths in (train, valid, test)]
        return reader.corpus([(r, np.arange(len(r))) for r in three], vocab_size)
    elif len(missing) < 3:
        raise RNNError(
            "give train, valid and test together, or one text that is split; "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        )
    else:
        if column is not None or tokenized:
            word = "tokenized" if column is None else "column"
            raise RNNError(f"{word} is for a text, and none is given; give one, or leave it out")
        records = reader.cut(python_sentences())
    rng = np.random.default_rng(whole_number(seed, "seed", at_least=0))
    hint = "" if level == "char" else _more_sentences(form, sentences)
    orders = splitting.parts(records, shares, level == "char", rng, hint)
    return reader.corpus([(records, order) for order in orders], vocab_size)


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

    Raises
    ------
    RNNError
        For a vocabulary size that the text does not allow, and for a split without a sentence.
    """
    reader = _Reader(Form(level, tokenized), "auto")
    splits = []
    for name, given in (("train", train), ("valid", valid), ("test", test)):
        if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
            raise RNNError(f"the {name} split must be a list of texts, not {shown(given)}")
        if not len(given):
            raise RNNError(f"the {name} split has no sentence; give at least one")
        records = reader.cut(given)
        splits.append((records, np.arange(len(records))))
    return reader.corpus(splits, vocab_size)


def read_text(
    vocabulary: Vocabulary,
    text: Paths,
    column: Optional[str] = None,
    *,
    sentences: str = "auto",
    encoding: str = "utf-8",
) -> Reading:
    """A text in a vocabulary, read as ``load_corpus`` reads one.

    Parameters
    ----------
    vocabulary : Vocabulary
    text, column, sentences, encoding
        As for ``load_corpus``.

    Raises
    ------
    RNNError
        As ``load_corpus``, or if its sentences do not fit into the memory.
    """
    reader = _Reader(vocabulary.form, sentences)
    most = memory.total() // 16  # its sentences are kept, and take more than the file
    pieces = read_pieces(text, column, encoding, normal=vocabulary.form.rules != 1, most=most)
    return reader.reading(vocabulary, list(reader.sentences(pieces)))


def read_sentences(
    vocabulary: Vocabulary, given: Sequence[str], sentences: str = "auto"
) -> Reading:
    """Sentences in a vocabulary.

    Parameters
    ----------
    vocabulary : Vocabulary
    given : sequence of str
        Sentences; at level "char", lines.
    sentences : str
        As for ``load_corpus``: where the words of lines of characters end.

    Raises
    ------
    RNNError
        For what is not Unicode text, and for a tokenized sentence that contains ``</s>``.
    """
    return _Reader(vocabulary.form, sentences).reading(vocabulary, given)


def _more_sentences(form: Form, ends: str) -> str:
    """What to try where the text has hardly a sentence."""
    if form.tokenized:
        return ""
    if ends == "auto":
        return ", whose sentences end with a full stop or with the line"
    return ", or leave out --sentences"


class _Reader:
    """Cuts the splits of a text, which share their types, and makes a corpus of them."""

    def __init__(self, form: Form, ends: str) -> None:
        one_of(ends, "sentences", ENDS)
        self._form, self._ends = form, ends
        self._found: Optional[str] = None  # where sentences end, once a text is looked at
        self._cutter = Cutter(form)
        # A text has the same words at every level, so that levels can be compared.
        self._words = Cutter(Form(rules=form.rules)) if form.level != "word" else None
        self._spelled = 0  # how often the text has "<unk>"

    def sentences(self, pieces: Iterable[str]) -> Iterator[str]:
        """The sentences of a text that comes in pieces."""
        pieces = self._looked_at(pieces)
        first: list[str] = []
        if self._found is None:
            first = list(_first(pieces, SAMPLE))
            self._found = resolve("".join(first)[:SAMPLE], self._ends, self._form.rules)
        return units(chain(first, pieces), self._form, self._found)

    def cut(self, sentences: Iterable[str]) -> Records:
        """Sentences, cut."""
        words = self._words if self._form.level == "bpe" else None
        records = Records(self._cutter, words, LONGEST if self._form.rules != 1 else None)
        for number, sentence in enumerate(sentences):
            records.add(sentence)
            if number % 10_000 == 0:
                records.check_memory()
        return records

    def corpus(self, splits: Sequence[tuple[Records, Ints]], vocab_size: Optional[int]) -> Corpus:
        """Training, validation and test text: of each the records, and which of them, in order.

        Without the last there is no test text.
        """
        records, order = splits[0]
        counts = dict(zip(self._cutter.types, records.counts(order).tolist()))
        vocabulary = Vocabulary.of_counts(counts, self._form, vocab_size)
        train, valid, *more = self._encoded(vocabulary, splits)
        test = more[0] if more else valid
        of_valid, *of_more = (self.size(*split) for split in splits[1:])
        sizes = {"valid": of_valid, "test": of_more[0] if more else of_valid}
        oov_rate, notes = _unknown(test, vocabulary), tuple(self._notes())
        ends = self._found or "auto"
        return Corpus(vocabulary, train, valid, test, oov_rate, sizes, notes, bool(more), ends)

    def reading(self, vocabulary: Vocabulary, sentences: Sequence[str]) -> Reading:
        """Sentences in the vocabulary of another text."""
        records = self.cut(sentences)
        if self._found is None:  # of sentences that were given
            sample = "\n".join(sentences[:SAMPLE])[:SAMPLE]
            self._found = resolve(sample, self._ends, self._form.rules)
        order = np.arange(len(records))
        (sequences,) = self._encoded(vocabulary, [(records, order)])
        counts, unknown = records.per_sentence(), _unknown(sequences, vocabulary)
        return Reading(sentences, sequences, counts, unknown, self.size(records))

    def _encoded(
        self, vocabulary: Vocabulary, splits: Sequence[tuple[Records, Ints]]
    ) -> list[Sequences]:
        types = self._cutter.types
        if self._form.tokenized and END in types:
            raise RNNError(f"a tokenized line contains {END}; remove it, for a line ends with it")
        ids = vocabulary.ids(types)
        around = vocabulary.start, vocabulary.end
        dtype = "uint16" if vocabulary.size <= 2**16 else "uint32"
        return [records.sequences(order, ids, *around, dtype) for records, order in splits]

    def size(self, records: Records, order: Optional[Ints] = None) -> Size:
        """How long a text is: some of its records, or all. A text of blank lines is one word."""
        order = np.arange(len(records)) if order is None else order
        words, size = records.sizes(order)
        if self._form.level == "char" and self._words is not None:
            ends = self._found or "capitals"
            sentences = units(records.text(order), Form(rules=self._form.rules), ends)
            words = sum(1 + sum(1 for _ in self._words.cut(s)) for s in sentences)
        return Size(max(words, 1), size)

    def _notes(self) -> Iterator[str]:
        form = self._form
        if self._spelled and form.level == "word" and not form.tokenized:
            yield (
                f"The text contains {UNKNOWN} {self._spelled:,} times, as tokenized texts do, and "
                "it is read as three words each; with --tokenized it is the unknown token."
            )
        if self._ends == "auto" and self._found == "lines" and form.level != "char":
            if not form.tokenized:
                yield (
                    "Each line is read as a sentence, as the beginning of the text suggests; "
                    "--sentences punctuation looks for full stops instead."
                )

    def _looked_at(self, pieces: Iterable[str]) -> Iterator[str]:
        for piece in pieces:
            self._spelled += piece.count(UNKNOWN)
            yield piece


def _unknown(sequences: Sequences, vocabulary: Vocabulary) -> float:
    """The share of the tokens that are unknown, start and end tokens not counted."""
    targets = sequences.targets()
    inner = int((targets != vocabulary.end).sum())
    return float((targets == vocabulary.unknown).sum() / max(inner, 1))


def _first(pieces: Iterator[str], size: int) -> Iterator[str]:
    """The first pieces, until they have so many characters."""
    while size > 0 and (piece := next(pieces, None)) is not None:
        yield piece
        size -= len(piece)
