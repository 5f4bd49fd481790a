"""Tokens and their ids."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.common.validation import shown
from theano_rnn.text.tokens import (
    END,
    UNKNOWN,
    join_words,
    make_tokenizer,
    special_tokens,
    token_counts,
)

DEFAULT_SIZE = 8000


class Vocabulary:
    """Tokens in the order of their ids, and the way a text is cut into them.

    Parameters
    ----------
    tokens : sequence of str
        The special tokens of the form (see the module), then the others, all distinct.
    level : {"word", "char"}
        What a token is.
    tokenized : bool
        The text is tokenized already: cut at white space only. For ``level="word"``.

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
        For an unknown level, or tokens that are not as said above.

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
            raise RNNError("a vocabulary's tokens must be a list of strings")
        if tokens[: len(specials)] != specials or len(set(tokens)) != len(tokens):
            raise RNNError(
                f"a vocabulary's tokens must be distinct and begin with {', '.join(specials)}; "
                f"these are {len(set(tokens))} distinct of {len(tokens)}, beginning with "
                f"{', '.join(map(shown, tokens[: len(specials)]))}"
            )
        self.tokens = tokens
        self.level = level
        self.tokenized = tokenized
        try:
            self._tokenizer = make_tokenizer(tokens, level, tokenized)
        except (TypeError, UnicodeEncodeError):  # of a lone surrogate
            raise RNNError("a vocabulary's tokens must be Unicode text; one is not") from None
        ids = {token: index for index, token in enumerate(tokens)}
        self.start, self.end, self.unknown = ids[specials[0]], ids[END], ids[UNKNOWN]

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
        """The most frequent tokens of some sentences, ties broken by the token's text.

        Parameters
        ----------
        sentences : iterable of str
            The training split.
        level, tokenized
            As for `Vocabulary`.
        size : int, optional
            How many tokens, special ones included. Left out: all of a tokenized text, as its
            vocabulary was chosen already, otherwise at most 8000.

        Returns
        -------
        Vocabulary

        Raises
        ------
        RNNError
            When the size is below the special tokens and one more, or above what the text has.
        """
        specials = special_tokens(level, tokenized)
        counts = token_counts(sentences, level, tokenized)
        if not counts:
            raise RNNError("there are no tokens to make a vocabulary of: the text is empty")
        if not tokenized:
            # Only a tokenized text can spell a special token; here they cannot occur.
            assert not any(token in counts for token in specials)
        elif counts[END]:
            raise RNNError(
                f"the tokenized text contains {END} {counts[END]} times; the end of each line "
                "becomes one, so remove them from the text"
            )
        del counts[UNKNOWN]
        distinct = len(counts) + len(specials)
        if size is None:
            size = distinct if tokenized else min(distinct, DEFAULT_SIZE)
        elif isinstance(size, bool) or not isinstance(size, (int, np.integer)):
            raise RNNError(f"the vocabulary size must be a whole number, not {shown(size)}")
        elif size <= len(specials):
            raise RNNError(
                f"a vocabulary of {shown(size)} is too small: {', '.join(specials)} are in it, "
                f"so ask for at least {len(specials) + 1}"
            )
        elif size > distinct:
            raise RNNError(
                f"a vocabulary of {shown(size)} is larger than the text's: the training split has "
                f"{len(counts)} distinct tokens, {distinct} with {', '.join(specials)}; ask for "
                f"at most {distinct}, or leave the size out"
            )
        ranked = sorted(counts, key=lambda token: (-counts[token], token))
        return cls(specials + ranked[: size - len(specials)], level, tokenized)

    def encode(self, sentence: str) -> Ints:
        """The ids of one sentence between the start and the end token, 1-D int64.

        At character level a newline is no token (the end token stands for it), so it is unknown.

        Parameters
        ----------
        sentence : str

        Returns
        -------
        (n,) int64 array

        Raises
        ------
        RNNError
            When the sentence is not Unicode text, or a tokenized one contains ``</s>``.
        """
        try:
            ids = np.array(self._tokenizer.encode(sentence).ids, dtype=np.int64)
        except TypeError:
            raise RNNError(f"not a text that can be encoded: {shown(sentence)}") from None
        if self.tokenized and self.end in ids[1:-1]:
            raise RNNError(f"a tokenized sentence contains {END} itself: {shown(sentence)}")
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text: no start token, a newline for each end but the last, usual spacing.

        Parameters
        ----------
        ids : iterable of int

        Returns
        -------
        str

        Raises
        ------
        RNNError
            When an id is not of this vocabulary.
        """
        lines: list[list[str]] = [[]]
        given: Any = ids
        is_list = isinstance(given, Iterable) and getattr(given, "ndim", 1) == 1
        for index in given if is_list else [given]:
            if not isinstance(index, (int, np.integer)) or not 0 <= index < self.size:
                raise RNNError(f"id {shown(index)} is not in a vocabulary of {self.size} tokens")
            if index == self.end:
                if not (self.tokenized and lines == [[]]):  # there, the first one is the start
                    lines.append([])
            elif index != self.start:
                lines[-1].append(self.tokens[index])
        if len(lines) > 1 and not lines[-1]:
            lines.pop()
        if self.level == "char":
            return "\n".join("".join(line) for line in lines)
        join = " ".join if self.tokenized else join_words
        return "\n".join(join(line) for line in lines)

    def save(self, path: PathLike) -> None:
        """Write the library's own ``tokenizer.json``.

        Parameters
        ----------
        path : path
        """
        with files.writing(path):
            files.replace(Path(path), self.to_json().encode("utf-8"))

    def to_json(self) -> str:
        """What `save` writes."""
        return str(self._tokenizer.to_str(pretty=True))

    @classmethod
    def load(cls, path: PathLike) -> "Vocabulary":
        """Read what `save` wrote.

        Parameters
        ----------
        path : path

        Returns
        -------
        Vocabulary

        Raises
        ------
        RNNError
            When the file is missing, damaged, or not written by this package.
        """
        try:
            stored = json.loads(files.read(Path(path), files.VOCABULARY).decode("utf-8"))
        except OSError as error:
            raise RNNError(f"cannot read the vocabulary {path}: {error.strerror}") from None
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
                # The whole file must be what saving would write: nothing of it is ignored.
                if json.loads(vocabulary._tokenizer.to_str()) == stored:
                    return vocabulary
        except (
            AttributeError, LookupError, TypeError, ValueError, OverflowError, RecursionError,
            MemoryError,
        ):  # fmt: skip
            pass  # not the structure of a tokenizer.json
        raise RNNError(
            f"{path} is not a vocabulary of this package, or was changed after it was saved"
        )
