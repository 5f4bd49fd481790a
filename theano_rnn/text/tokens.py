"""How a sentence is cut into tokens, and joined again, with the ``tokenizers`` library.

There are four forms of text, each with tokens of its own:

======================  =====================================  ===========================
form                    tokens                                 special tokens, ids first
======================  =====================================  ===========================
``level="word"``        words, numbers, punctuation; in lower  ``<s>``, ``</s>``, ``<unk>``
                        case; ``don't`` is ``do`` ``n't``
``level="char"``        characters, in their case              ``<s>``, ``</s>``, ``<unk>``
``level="bpe"``         words and parts of words, in their     ``<s>``, ``</s>``, ``<unk>``
                        case; no text is unknown
``tokenized=True``      whatever white space separates,        ``</s>``, ``<unk>``
                        unchanged (Penn Treebank form)
======================  =====================================  ===========================

In the tokenized form ``</s>`` also starts a sequence, as in the published Penn Treebank results:
the vocabulary then has exactly 10,000 tokens, and a line counts as its words and one end.

A text is in Unicode's normal form NFC. Characters that shape a word, such as a joiner or a soft
hyphen, are part of it, and an emoji or a flag is one token.
"""

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from theano_rnn.common.errors import RNNError
from theano_rnn.common.validation import one_of, shown

# The library is imported where a text is cut: settings, and so --help, only want the names here.
if TYPE_CHECKING:
    from tokenizers import Tokenizer

START, END, UNKNOWN = "<s>", "</s>", "<unk>"
LEVELS = ("word", "char", "bpe")

# The repeats are possessive (++, *+) or bounded ({1,40}): otherwise one match of a long word would
# backtrack more than ten million times, and the library panics then.
NEGATION = [r"\p{L}{1,40}?(?=n['’]t\b)", r"n['’]t\b"]  # do in don't
SUFFIX = r"['’](?:s|re|ve|ll|d|m)\b"
NUMBER = r"\p{N}++(?:[.,]\p{N}++)++"  # 3.14 and 10,000
RUNS = [r"\.{2,}", r"-{2,}", r"_++"]
# Scripts without spaces: a character is a word (Unicode's annex 29).
SINGLE = r"\p{Han}\p{Hiragana}"
LETTER = rf"[\p{{L}}\p{{N}}&&[^{SINGLE}]]"
# Marks, and characters that shape a word: a joiner, a soft hyphen, and not the space of no width.
INSIDE = rf"[\p{{L}}\p{{M}}\p{{N}}\p{{Cf}}&&[^{SINGLE}\x{{200B}}]]"
#: A character that is written as several: a family, a flag, a keycap.
EMOJI = r"(?=\p{Extended_Pictographic}|[\x{1F1E6}-\x{1F1FF}]|[0-9#*]\x{FE0F}?\x{20E3})\X"

#: The versions of the rules by which a text is read: those of 0.1.0, and today's.
RULES = (1, 2)
#: What a word is, by rules.
WORD = {
    1: "|".join(
        [
            *NEGATION,
            SUFFIX,
            NUMBER,
            r"[\p{L}\p{N}][\p{L}\p{M}\p{N}]*+(?:_[\p{L}\p{N}]++)*+",  # word, 1st, snake_case
            r"__[\p{L}\p{N}]++(?:_[\p{L}\p{N}]++)*+__",  # __init__
            *RUNS,
            r"\S",
        ]
    ),
    2: "|".join(
        [
            EMOJI,
            *NEGATION,
            SUFFIX,
            NUMBER,
            rf"[{SINGLE}][\p{{M}}\p{{Cf}}&&[^\x{{200B}}]]*+",
            rf"{LETTER}{INSIDE}*+(?:_{LETTER}{INSIDE}*+)*+",
            rf"__{LETTER}++(?:_{LETTER}++)*+__",
            *RUNS,
            r"\S\p{M}*+",
        ]
    ),
}
# After these, marks of the direction of writing, and of invisible joints.
NO_SPACE_BEFORE = set(".,;:!?)]}%…’”»؟،؛۔।॥") | {"n't", "n’t"}
NO_SPACE_BEFORE |= set("\xad\u200b\u200c\u200d\u200e\u200f\u202c\u2060\u2069")
NO_SPACE_BEFORE |= {mark + tail for mark in "'’" for tail in ("s", "re", "ve", "ll", "d", "m")}
NO_SPACE_AFTER = set("([{“‘$#@«¿¡‚")
NO_SPACE_AFTER |= set("\u200b\u2060\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
#: Chinese and Japanese have no spaces, nor have their marks.
WITHOUT_SPACES = re.compile(
    "[\u3000-\u30ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
)


@dataclass(frozen=True)
class Form:
    """How a text is cut into tokens: all that a vocabulary says beside its tokens.

    Attributes
    ----------
    level : {"word", "char", "bpe"}
    tokenized : bool
        The text is tokenized already and is cut at white space only.
    lower : bool, optional
        In lower case. By default at the level word, unless the text is tokenized.
    rules : {1, 2}
        See ``RULES``.
    """

    level: str = "word"
    tokenized: bool = False
    lower: Optional[bool] = None
    rules: int = RULES[-1]

    def __post_init__(self) -> None:
        one_of(self.level, "level", LEVELS)
        if not isinstance(self.tokenized, (bool, np.bool_)):
            raise RNNError(f"tokenized must be True or False, not {shown(self.tokenized)}")
        if self.tokenized and self.level != "word":
            raise RNNError(
                f"tokenized is for the level word, not {self.level}; leave one of them out"
            )
        if self.lower not in (None, True, False):
            raise RNNError(f"lower must be True, False or None, not {shown(self.lower)}")
        if self.rules not in RULES:
            raise RNNError(f"rules must be {RULES[0]} or {RULES[1]}, not {shown(self.rules)}")
        if self.lower is None:
            object.__setattr__(self, "lower", self.level == "word" and not self.tokenized)

    @property
    def specials(self) -> list[str]:
        """The special tokens by id; the first one starts a sequence."""
        return [END, UNKNOWN] if self.tokenized else [START, END, UNKNOWN]

    def normalizer(self) -> Any:
        """The part of the library that rewrites a sentence before it is cut; None if none does."""
        from tokenizers import normalizers

        parts = [normalizers.Lowercase()] if self.lower else []
        if self.rules == 1:
            return parts[0] if parts else None
        return normalizers.Sequence([normalizers.Replace("\ufeff", ""), normalizers.NFC(), *parts])

    def pre_tokenizer(self) -> Any:
        """The part of the library that cuts a sentence: into tokens, or for bpe into words."""
        from tokenizers import Regex, pre_tokenizers

        if self.tokenized:
            return pre_tokenizers.WhitespaceSplit()
        if self.level == "bpe":
            return pre_tokenizers.ByteLevel(add_prefix_space=False)
        if self.level == "word":
            return pre_tokenizers.Split(Regex(WORD[self.rules]), "removed", invert=True)
        character = r"[\s\S]" if self.rules == 1 else rf"{EMOJI}|[\s\S]"
        return pre_tokenizers.Split(Regex(character), "isolated")

    def tokenizer(self, tokens: Sequence[str], merges: Sequence[Sequence[str]]) -> "Tokenizer":
        """The library's tokenizer, which turns a sentence into ids, start and end included.

        Parameters
        ----------
        tokens : sequence of str
            By id.
        merges : sequence of pairs of str
            For bpe: the tokens that are joined, in this order.
        """
        from tokenizers import Tokenizer, decoders, models, processors

        ids = {token: index for index, token in enumerate(tokens)}
        if self.level == "bpe":
            tokenizer = Tokenizer(models.BPE(ids, [tuple(pair) for pair in merges]))
            tokenizer.decoder = decoders.ByteLevel()
        else:
            tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = self.pre_tokenizer()
        normalizer = self.normalizer()
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        # The library does not know that some tokens are special: it would look for their spelling
        # in the text. This puts their ids around a sentence instead.
        start = self.specials[0]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {END}",
            special_tokens=[(token, ids[token]) for token in dict.fromkeys([start, END])],
        )
        return tokenizer


class Line:
    """A line of readable text that grows token by token, with the usual spaces.

    Straight quotes open and close in turn. A tokenized text has a space between all tokens, one of
    characters or bpe none but its own.

    >>> line = Line("word", tokenized=False)
    >>> [line.add(token) for token in "it 's ( well - known ) .".split()]
    ['it', "'s", ' (', 'well', '-', 'known', ')', '.']
    """

    def __init__(self, level: str, tokenized: bool) -> None:
        self._level, self._tokenized = level, tokenized
        self._glue, self._is_open = True, {'"': False, "'": False, "„": False}
        self._last = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # of bpe

    def add(self, token: str) -> str:
        """The token, with a space before it if one belongs there."""
        if self._level == "char":
            return token
        if self._level == "bpe":  # a character may have its bytes in several tokens
            return self._decoder.decode(bytes(BYTES[character] for character in token))
        glue, self._glue, is_open = self._glue, False, self._is_open
        if self._tokenized:
            return token if glue else " " + token
        last, self._last = self._last, token
        if WITHOUT_SPACES.match(token) or WITHOUT_SPACES.match(last):
            return token
        if token == "-" and last[-1:].isalnum():
            self._glue = True  # a hyphen
            return token
        if token in ("„", "“"):
            token_closes, is_open["„"] = is_open["„"], token == "„"
            self._glue = not token_closes
            return token if glue or token_closes else " " + token
        before = not glue and token not in NO_SPACE_BEFORE and not token.startswith("..")
        self._glue = token in NO_SPACE_AFTER
        if token in is_open:
            before = before and not is_open[token]
            self._glue = is_open[token] = not is_open[token]
        return " " + token if before else token


def _bytes() -> dict[str, int]:
    """The byte that a character of a token of bpe stands for, as in GPT-2."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(n): byte for n, byte in [*zip(printable, printable), *enumerate(others, 256)]}


BYTES = _bytes()
