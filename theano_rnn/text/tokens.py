"""How a sentence is cut into tokens, and joined again, with the ``tokenizers`` library.

There are three forms of text, each with tokens of its own:

======================  =====================================  ===========================
form                    tokens                                 special tokens, ids first
======================  =====================================  ===========================
``level="word"``        words, numbers, punctuation; in lower  ``<s>``, ``</s>``, ``<unk>``
                        case; ``don't`` is ``do`` ``n't``
``level="char"``        characters, in their case              ``<s>``, ``</s>``, ``<unk>``
``tokenized=True``      whatever white space separates,        ``</s>``, ``<unk>``
                        unchanged (Penn Treebank form)
======================  =====================================  ===========================

In the tokenized form ``</s>`` also starts a sequence, as in the published Penn Treebank results:
the vocabulary then has exactly 10,000 tokens, and a line counts as its words and one end.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.validation import one_of, shown

# The library is imported where a text is cut: settings, and so --help, only want the names here.
if TYPE_CHECKING:
    from tokenizers import Tokenizer

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
LEVELS = ("word", "char")

# The repeats are possessive (++, *+) or bounded ({1,40}): otherwise one match of a long word would
# backtrack more than ten million times, and the library panics then.
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


def special_tokens(level: str, tokenized: bool = False) -> list[str]:
    """The special tokens of a form of text, by id; the first one starts a sequence.

    Parameters
    ----------
    level : {"word", "char"}
    tokenized : bool

    Returns
    -------
    list of str

    Raises
    ------
    RNNError
        For an unknown form.
    """
    one_of(level, "level", LEVELS)
    if not isinstance(tokenized, (bool, np.bool_)):
        raise RNNError(f"tokenized must be True or False, not {shown(tokenized)}")
    if tokenized and level != "word":
        raise RNNError("tokenized text is for the level word, not char; leave one of them out")
    return [END, UNKNOWN] if tokenized else [START, END, UNKNOWN]


def pre_tokenizer(level: str, tokenized: bool) -> Any:
    """The part of the library that cuts a form of text into tokens."""
    from tokenizers import Regex, pre_tokenizers

    if tokenized:
        return pre_tokenizers.WhitespaceSplit()
    if level == "char":
        return pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    return pre_tokenizers.Split(Regex(WORD), "removed", invert=True)


def make_tokenizer(tokens: Sequence[str], level: str, tokenized: bool) -> "Tokenizer":
    """The library's tokenizer, which turns a sentence into ids, start and end included."""
    from tokenizers import Tokenizer, models, normalizers, processors

    ids = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizer(level, tokenized)
    if level == "word" and not tokenized:
        tokenizer.normalizer = normalizers.Lowercase()
    # The library does not know that some tokens are special: it would look for their spelling in
    # the text. This puts their ids around a sentence instead.
    start = special_tokens(level, tokenized)[0]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {END}",
        special_tokens=[(token, ids[token]) for token in dict.fromkeys([start, END])],
    )
    return tokenizer


def token_counts(sentences: Iterable[str], level: str, tokenized: bool) -> Counter[str]:
    """How often each token occurs in the sentences, cut as ``Vocabulary.encode`` cuts them."""
    from tokenizers import normalizers

    if not isinstance(sentences, Iterable):
        raise RNNError(f"sentences must be a list of texts, not {shown(sentences)}")
    counts: Counter[str] = Counter()
    cut = pre_tokenizer(level, tokenized).pre_tokenize_str
    lower = normalizers.Lowercase().normalize_str
    for sentence in sentences:
        try:
            if level == "char":
                counts.update(sentence.encode("utf-8").decode("utf-8"))  # an error for a surrogate
                continue
            text = sentence if tokenized else lower(sentence)
            counts.update(token for token, _ in cut(text))
        except (AttributeError, TypeError, UnicodeEncodeError):
            raise RNNError(f"{shown(sentence)} is not Unicode text; pass a str") from None
    return counts


class Line:
    """A line of readable text that grows token by token, with the usual spaces.

    Straight quotes open and close in turn. A tokenized text has a space between all tokens, and
    one of characters none but its own.

    >>> line = Line("word", tokenized=False)
    >>> [line.add(token) for token in "it 's ( so ) .".split()]
    ['it', "'s", ' (', 'so', ')', '.']
    """

    def __init__(self, level: str, tokenized: bool) -> None:
        self._is_char, self._tokenized = level == "char", tokenized
        self._glue, self._is_open = True, {'"': False, "'": False}

    def add(self, token: str) -> str:
        """The token, with a space before it if one belongs there."""
        if self._is_char:
            return token
        glue, self._glue, is_open = self._glue, False, self._is_open
        if self._tokenized:
            return token if glue else " " + token
        before = not glue and token not in NO_SPACE_BEFORE and not token.startswith("..")
        self._glue = token in NO_SPACE_AFTER
        if token in is_open:
            before = before and not is_open[token]
            self._glue = is_open[token] = not is_open[token]
        return " " + token if before else token
