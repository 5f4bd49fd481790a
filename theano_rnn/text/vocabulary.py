"""Tokens and their numbers: a thin wrapper over the ``tokenizers`` library.

There are three forms of text, each with its own way to cut a sentence into tokens:

======================  =====================================  ===========================
form                    tokens                                 special tokens, ids first
======================  =====================================  ===========================
``level="word"``        words, numbers, punctuation; in lower  ``<s>``, ``</s>``, ``<unk>``
                        case; ``don't`` is ``do`` ``n't``
``level="char"``        characters, case kept                  ``<s>``, ``</s>``, ``<unk>``
``tokenized=True``      what stands between white space,       ``</s>``, ``<unk>``
                        unchanged (Penn Treebank form)
======================  =====================================  ===========================

In the tokenized form ``</s>`` also starts a sequence, as it does in the published Penn Treebank
figures: its vocabulary is then exactly 10,000, and a line counts as its words and one end.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from theano_rnn.common import files
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Ints, PathLike
from theano_rnn.common.validation import shown

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
LEVELS = ("word", "char")
DEFAULT_SIZE = 8000

# Possessive (++, *+) and bounded ({1,40}) repeats: the library panics when one match backtracks
# more than ten million times, which a long enough word would do.
WORD = "|".join(
    [
        r"\p{L}{1,40}?(?=n['’]t\b)",  # do in don't
        r"n['’]t\b",
        r"['’](?:s|re|ve|ll|d|m)\b",
        r"\p{N}++(?:[.,]\p{N}++)++",  # 3.14 and 10,000
        r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*+(?:_[\p{L}\p{N}]++)*+",  # word, 1st, snake_case
        r"__[\p{L}\p{N}]++(?:_[\p{L}\p{N}]++)*+__",  # __init__
        r"\.{2,}",
        r"-{2,}",
        r"_++",
        r"\S",
    ]
)
NO_SPACE_BEFORE = set(".,;:!?)]}%…’”") | {"n't", "n’t"}
NO_SPACE_BEFORE |= {mark + tail for mark in "'’" for tail in ("s", "re", "ve", "ll", "d", "m")}
NO_SPACE_AFTER = set("([{“‘$#@")


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
            self._tokenizer = _tokenizer(tokens, level, tokenized)
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
        counts = _count(sentences, level, tokenized)
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
        join = " ".join if self.tokenized else _spaced
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


def special_tokens(level: str, tokenized: bool = False) -> list[str]:
    """The special tokens of a form of text, by id; the first one starts a sequence.

    Parameters
    ----------
    level : {"word", "char"}
    tokenized : bool

    Returns
    -------
    list of str
    """
    if not isinstance(level, str) or level not in LEVELS:
        raise RNNError(f"the level is {' or '.join(LEVELS)}, not {shown(level)}")
    if not isinstance(tokenized, (bool, np.bool_)):
        raise RNNError(f"tokenized must be True or False, not {shown(tokenized)}")
    if tokenized and level != "word":
        raise RNNError("tokenized text is for the level word: leave out one of the two")
    return [END, UNKNOWN] if tokenized else [START, END, UNKNOWN]


def _cutter(level: str, tokenized: bool) -> Any:
    """The library's pre-tokenizer of a form of text."""
    if tokenized:
        return pre_tokenizers.WhitespaceSplit()
    if level == "char":
        return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return pre_tokenizers.Split(Regex(WORD), "removed", invert=True)


def _tokenizer(tokens: Sequence[str], level: str, tokenized: bool) -> Tokenizer:
    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = _cutter(level, tokenized)
    if level == "word" and not tokenized:
        tokenizer.normalizer = normalizers.Lowercase()
    # The special tokens are not declared as such to the library: it would then find their
    # spelling in the text. This puts them around a sentence by id.
    start = special_tokens(level, tokenized)[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {END}",
        special_tokens=[(token, ids[token]) for token in dict.fromkeys([start, END])],
    )
    return tokenizer


def _count(sentences: Iterable[str], level: str, tokenized: bool) -> Counter[str]:
    """How often each token occurs, cut as `Vocabulary.encode` does."""
    if not isinstance(sentences, Iterable):
        raise RNNError(f"sentences must be a list of texts, not {shown(sentences)}")
    counts: Counter[str] = Counter()
    cut = _cutter(level, tokenized).pre_tokenize_str
    lower = normalizers.Lowercase().normalize_str
    for sentence in sentences:
        try:
            if level == "char":
                counts.update(sentence.encode("utf-8").decode("utf-8"))  # refuses a surrogate
                continue
            text = sentence if tokenized else lower(sentence)
            counts.update(token for token, _ in cut(text))
        except (AttributeError, TypeError, UnicodeEncodeError):
            raise RNNError(f"not a text that can be encoded: {shown(sentence)}") from None
    return counts


def _spaced(tokens: Sequence[str]) -> str:
    """Words with the usual spaces around punctuation; straight quotes open and close in turn."""
    text, glue, is_open = [], True, {'"': False, "'": False}
    for token in tokens:
        before = not glue and token not in NO_SPACE_BEFORE and not token.startswith("..")
        glue = token in NO_SPACE_AFTER
        if token in is_open:
            before = before and not is_open[token]
            glue = is_open[token] = not is_open[token]
        text.append(" " + token if before else token)
    return "".join(text)
