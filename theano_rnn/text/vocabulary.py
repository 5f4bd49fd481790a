"""Tokens and their ids."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.common.validation import shown, whole_number
from theano_rnn.text.tokens import (
    END,
    UNKNOWN,
    Line,
    make_tokenizer,
    special_tokens,
    token_counts,
)

DEFAULT_SIZE = 8000


class Vocabulary:
    """The tokens of a text and their ids; it encodes sentences and decodes ids.

    Parameters
    ----------
    tokens : sequence of str
        All distinct, first the special tokens of the form (see ``theano_rnn.text.tokens``).
    level : {"word", "char"}
        What a token is.
    tokenized : bool
        The text is tokenized already and is cut at white space only. For ``level="word"``.

    Attributes
    ----------
    tokens : list of str
        By id.
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
        self, tokens: Sequence[str], level: str = "word", tokenized: bool = False
    ) -> None:
        specials = special_tokens(level, tokenized)
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
        self.level = level
        self.tokenized = tokenized
        try:
            self._tokenizer = make_tokenizer(tokens, level, tokenized)
        except (TypeError, UnicodeEncodeError):
            raise RNNError(
                "a vocabulary has a token with a lone surrogate; pass Unicode text"
            ) from None
        ids = {token: index for index, token in enumerate(tokens)}
        self.start, self.end, self.unknown = ids[specials[0]], ids[END], ids[UNKNOWN]

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
    ) -> "Vocabulary":
        """The vocabulary of the most frequent tokens; equally frequent ones are sorted by text.

        Parameters
        ----------
        sentences : iterable of str
            The training split.
        level, tokenized
            As for ``Vocabulary``.
        size : int, optional
            The number of tokens, special ones included. By default all of a tokenized text,
            because its vocabulary was chosen already; otherwise at most 8000.

        Returns
        -------
        Vocabulary

        Raises
        ------
        RNNError
            If the size leaves no room for a token beside the special ones, or is larger than the
            number of tokens in the text.
        """
        specials = special_tokens(level, tokenized)
        counts = token_counts(sentences, level, tokenized)
        if not counts:
            raise RNNError("the text is empty, so it has no vocabulary; pass a text with tokens")
        if not tokenized:
            # Only a tokenized text can contain the spelling of a special token.
            assert not any(token in counts for token in specials)
        elif counts[END]:
            raise RNNError(
                f"the tokenized text contains {END} {counts[END]} times; remove them, for the end "
                f"of each line becomes {END}"
            )
        del counts[UNKNOWN]
        distinct = len(counts) + len(specials)
        if size is None:
            size = distinct if tokenized else min(distinct, DEFAULT_SIZE)
        elif whole_number(size, "the vocabulary size", at_least=len(specials) + 1) > distinct:
            raise RNNError(
                f"the vocabulary size is {size}, but the training split has {len(counts)} "
                f"distinct tokens, {distinct} with {', '.join(specials)}; ask for at most "
                f"{distinct}, or leave the size out"
            )
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        return cls(specials + ranked[: size - len(specials)], level, tokenized)

    def encode(self, sentence: str) -> Ints:
        """The ids of the tokens of one sentence, between the start and the end token.

        At character level a newline is unknown, because the end token stands for it.

        Parameters
        ----------
        sentence : str

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

        Parameters
        ----------
        ids : iterable of int

        Returns
        -------
        str

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

        Parameters
        ----------
        sentence : str

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

        Parameters
        ----------
        path : path

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

        Parameters
        ----------
        path : path

        Returns
        -------
        Vocabulary

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
            for level, tokenized in (("word", False), ("char", False), ("word", True)):
                if special_tokens(level, tokenized) != tokens[: 2 if tokenized else 3]:
                    continue
                vocabulary = cls(tokens, level, tokenized)
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
