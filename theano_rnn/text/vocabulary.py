"""Tokens and their ids."""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.common.validation import shown, whole_number
from theano_rnn.text import bpe
from theano_rnn.text.cutting import Cutter
from theano_rnn.text.tokens import END, LEVELS, RULES, UNKNOWN, Form, Line

DEFAULT_SIZE = 8000


class Vocabulary:
    """The tokens of a text and their ids; it encodes sentences and decodes ids.

    Parameters
    ----------
    tokens : sequence of str
        All distinct, first the special tokens of the form (see ``theano_rnn.text.tokens``).
    level : {"word", "char", "bpe"}
        What a token is.
    tokenized : bool
        The text is tokenized already and is cut at white space only. For ``level="word"``.
    lower : bool, optional
        The text is in lower case. By default at the level word, unless it is tokenized.
    rules : {1, 2}
        See ``theano_rnn.text.tokens.RULES``.
    merges : sequence of pairs of str
        For bpe: the tokens that are joined, in this order.

    Attributes
    ----------
    tokens : list of str
        By id.
    form : Form
        The arguments but for the tokens and merges.
    size : int
        The number of tokens, special ones included.
    start, end, unknown : int
        Ids of the special tokens; ``start == end`` in the tokenized form.

    Raises
    ------
    RNNError
        For an unknown level, or tokens that are not distinct strings with the special ones first.

    Examples
    --------
    >>> vocabulary = Vocabulary.train(["The cat sat.", "The dog didn't."])
    >>> vocabulary.tokens[:5]
    ['<s>', '</s>', '<unk>', '.', 'the']
    >>> vocabulary.encode("The bird.")
    array([0, 4, 2, 3, 1])
    >>> vocabulary.decode(vocabulary.encode("The dog didn't."))
    "the dog didn't."
    """

    def __init__(
        self,
        tokens: Sequence[str],
        level: str = "word",
        tokenized: bool = False,
        lower: Optional[bool] = None,
        rules: int = RULES[-1],
        merges: Sequence[Sequence[str]] = (),
    ) -> None:
        form = Form(level, tokenized, lower, rules)
        specials = form.specials
        tokens = list(tokens) if isinstance(tokens, Iterable) else [tokens]
        if not all(isinstance(token, str) for token in tokens):
            wrong = next(token for token in tokens if not isinstance(token, str))
            raise RNNError(f"a vocabulary has the token {shown(wrong)}; pass a list of strings")
        if tokens[: len(specials)] != specials or len(set(tokens)) != len(tokens):
            raise RNNError(
                f"a vocabulary has {len(tokens)} tokens, {len(set(tokens))} distinct, and begins "
                f"with {', '.join(map(shown, tokens[: len(specials)]))}; pass distinct tokens "
                f"that begin with {', '.join(specials)}"
            )
        self.tokens = tokens
        self.form = form
        self.level, self.tokenized = level, tokenized
        try:
            self._tokenizer = form.tokenizer(tokens, merges)
        except (TypeError, UnicodeEncodeError):
            raise RNNError(
                "a vocabulary has a token with a lone surrogate; pass Unicode text"
            ) from None
        self._ids = {token: index for index, token in enumerate(tokens)}
        self.start, self.end = self._ids[specials[0]], self._ids[END]
        self.unknown = self._ids[UNKNOWN]

    def __repr__(self) -> str:
        return f"Vocabulary({self.size:,} tokens, level {self.level!r})"

    @property
    def size(self) -> int:
        """The number of tokens, special ones included."""
        return len(self.tokens)

    @classmethod
    def train(
        cls,
        sentences: Iterable[str],
        level: str = "word",
        size: Optional[int] = None,
        tokenized: bool = False,
        lower: Optional[bool] = None,
    ) -> "Vocabulary":
        """The vocabulary of the most frequent tokens; equally frequent ones are sorted by text.

        Parameters
        ----------
        sentences : iterable of str
            The training split.
        level, tokenized, lower
            As for ``Vocabulary``.
        size : int, optional
            The number of tokens, special ones included. By default all of a tokenized text,
            because its vocabulary was chosen already; otherwise at most 8000.

        Raises
        ------
        RNNError
            If the size leaves no room for a token beside the special ones, or is larger than the
            number of tokens in the text.
        """
        form = Form(level, tokenized, lower)
        if not isinstance(sentences, Iterable):
            raise RNNError(f"sentences must be a list of texts, not {shown(sentences)}")
        cutter, counts = Cutter(form), Counter[int]()
        for sentence in sentences:
            try:
                counts.update(cutter.cut(sentence))
            except (AttributeError, TypeError, UnicodeEncodeError):
                raise RNNError(f"{shown(sentence)} is not Unicode text; pass a str") from None
        return cls.of_counts({token: counts[n] for token, n in cutter.types.items()}, form, size)

    @classmethod
    def of_counts(
        cls, counts: dict[str, int], form: Form, size: Optional[int] = None
    ) -> "Vocabulary":
        """The vocabulary of the types of a text; see ``train``.

        Parameters
        ----------
        counts : dict
            How often each type occurs, as ``cutting.Cutter`` names them.
        form : Form
        size : int, optional
            As for ``train``.

        Raises
        ------
        RNNError
            As ``train``.
        """
        specials = form.specials
        if not any(counts.values()):
            raise RNNError("the text is empty, so it has no vocabulary; pass a text with tokens")
        if size is not None:
            size = whole_number(size, "vocab_size", at_least=len(specials) + 1)
        if form.level == "bpe":
            tokens, merges = bpe.train(counts, specials, DEFAULT_SIZE if size is None else size)
            if size is not None and size > len(tokens):
                raise RNNError(
                    f"vocab_size is {size}, but the training split makes "
                    f"{len(tokens)} tokens; ask for at most as many, or leave it out"
                )
            return cls(tokens, form.level, form.tokenized, form.lower, form.rules, merges)
        counts = {token: n for token, n in counts.items() if n and token != UNKNOWN}
        if form.tokenized:
            if END in counts:
                raise RNNError(
                    f"the tokenized text contains {END} {counts[END]} times; remove them, for the "
                    f"end of each line becomes {END}"
                )
        else:
            # Only a tokenized text can contain the spelling of a special token.
            assert not any(token in counts for token in specials)
        distinct = len(counts) + len(specials)
        if size is None:
            size = distinct if form.tokenized else min(distinct, DEFAULT_SIZE)
        elif size > distinct:
            raise RNNError(
                f"vocab_size is {size}, but the training split has {len(counts)} "
                f"distinct tokens, {distinct} with {', '.join(specials)}; ask for at most "
                f"{distinct}, or leave it out"
            )
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        tokens = specials + ranked[: size - len(specials)]
        return cls(tokens, form.level, form.tokenized, form.lower, form.rules)

    def ids(self, types: Iterable[str]) -> list[list[int]]:
        """The ids of the tokens of each type, as ``cutting.Cutter`` names them.

        Returns
        -------
        list of lists of int
            Of length 1, but for bpe.
        """
        if self.level == "bpe":
            model = self._tokenizer.model
            return [[token.id for token in model.tokenize(word)] for word in types]
        return [[self._ids.get(token, self.unknown)] for token in types]

    def encode(self, sentence: str) -> Ints:
        """The ids of the tokens of one sentence, between the start and the end token.

        At character level a newline is unknown, because the end token stands for it.

        Returns
        -------
        (n,) int64 array

        Raises
        ------
        RNNError
            If the sentence is not Unicode text, or is a tokenized one that contains ``</s>``.
        """
        try:
            ids = np.array(self._tokenizer.encode(sentence).ids, dtype=np.int64)
        except TypeError:
            raise RNNError(f"{shown(sentence)} is not Unicode text; pass a str") from None
        if self.tokenized and self.end in ids[1:-1]:
            raise RNNError(f"the tokenized sentence {shown(sentence)} contains {END}; remove it")
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text: usual spaces, no start tokens, a newline for each end token but the last.

        Raises
        ------
        RNNError
            If an id is not in this vocabulary.
        """
        text = "".join(self.pieces(ids))
        return text[:-1] if text.endswith("\n") else text

    def pieces(self, ids: Iterable[int]) -> Iterator[str]:
        """The readable text of each token as it comes: what ``decode`` joins, but for its end.

        Parameters
        ----------
        ids : iterable of int
            It may be endless.

        Yields
        ------
        str
            The token, with the space before it if there is one; a newline for an end token.

        Raises
        ------
        RNNError
            If an id is not in this vocabulary.
        """
        given: Any = ids
        is_list = isinstance(given, Iterable) and getattr(given, "ndim", 1) == 1
        line = Line(self.level, self.tokenized)
        for n, index in enumerate(given if is_list else [given]):
            if not isinstance(index, (int, np.integer)) or not 0 <= index < self.size:
                raise RNNError(
                    f"id {shown(index)} is not in the vocabulary; its ids go from 0 to "
                    f"{self.size - 1}"
                )
            if index == self.end:
                if n or not self.tokenized:  # a tokenized text starts with it
                    yield "\n"
                line = Line(self.level, self.tokenized)
            elif index != self.start:
                yield line.add(self.tokens[index])

    def unknown_tokens(self, sentence: str) -> list[str]:
        """The tokens of a sentence that are not in the vocabulary, as they are written there.

        Returns
        -------
        list of str
            In their order; the special tokens of a sentence are none of them.
        """
        ids = self.encode(sentence)
        offsets = self._tokenizer.encode(sentence).offsets
        return [
            sentence[begin:end]
            for index, (begin, end) in zip(ids.tolist(), offsets)
            if index == self.unknown
        ]

    def save(self, path: PathLike) -> None:
        """Write a file ``tokenizer.json``, in the format of the ``tokenizers`` library.

        Raises
        ------
        RNNError
            If the file cannot be written.
        """
        with files.writing(path):
            files.replace(Path(path), self.to_json().encode("utf-8"))

    def to_json(self) -> str:
        """The content of the file that ``save`` writes."""
        return str(self._tokenizer.to_str(pretty=True))

    @classmethod
    def load(cls, path: PathLike) -> "Vocabulary":
        """The vocabulary in a file that ``save`` wrote.

        Raises
        ------
        RNNError
            If the file is missing, damaged, or not written by this package.
        """
        try:
            stored = json.loads(files.read(Path(path), files.VOCABULARY).decode("utf-8"))
        except OSError as error:
            raise RNNError(
                f"the vocabulary {path} cannot be read: {files.reason(error)}"
            ) from None
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            name = path if isinstance(path, Path) else shown(path)
            raise RNNError(f"the vocabulary {name} is damaged: {error}") from None
        try:
            ids = stored["model"]["vocab"]
            tokens = sorted(ids, key=ids.__getitem__)
            form = _form_of(stored)
            if form is not None:
                merges = stored["model"].get("merges", [])
                vocabulary = cls(
                    tokens, form.level, form.tokenized, form.lower, form.rules, merges
                )
                # The file must be exactly what ``save`` writes, so that nothing in it is ignored.
                if json.loads(vocabulary._tokenizer.to_str()) == stored:
                    return vocabulary
        except (
            AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError,
            MemoryError,
        ):  # fmt: skip
            pass  # not the structure of a tokenizer.json
        raise RNNError(
            f"{path} is not a vocabulary that this package saved, or was changed since; use the "
            "tokenizer.json of a run"
        )


def _form_of(stored: Any) -> Optional[Form]:
    """The form of a text whose tokenizer has these parts beside its model; None if none has."""
    levels = [(level, False) for level in LEVELS] + [("word", True)]
    for (level, tokenized), lower, rules in itertools.product(levels, (False, True), RULES):
        form = Form(level, tokenized, lower, rules)
        parts = json.loads(form.tokenizer(form.specials, ()).to_str())
        if {**parts, "model": None} == {**stored, "model": None}:
            return form
    return None
