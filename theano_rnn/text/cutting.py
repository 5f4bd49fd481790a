"""Sentences cut into types, which are numbered as they come, at some megabytes a second.

A type is a token before the vocabulary is known: a word, a character, or for bpe a word that the
vocabulary cuts further. Most of a text repeats: the library cuts each chunk between two white
spaces once, and after that a chunk is looked up.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Optional

import numpy as np

from theano_rnn.common import memory
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Ints
from theano_rnn.common.validation import shown
from theano_rnn.text.sequences import BLOCK, Sequences, ranges
from theano_rnn.text.tokens import Form

#: Chunks whose types are remembered; a log has no end of new numbers.
MOST_CHUNKS = 2**19
#: Most types of a record.
LONGEST = 1000
#: What joins the parts of an emoji; characters without it need not be looked at one by one.
JOINING = re.compile(
    "[\u200d\ufe0f\u20e3\U0001f1e6-\U0001f1ff\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
CHUNK = re.compile(r"\s*\S+|\s+")


class Types(dict[str, int]):
    """Numbers of types, 0, 1, ... in the order of their first use."""

    def __missing__(self, token: str) -> int:
        self[token] = number = len(self)
        return number


class Cutter(dict[str, tuple[int, ...]]):
    """Cuts sentences into types; it remembers the types of each chunk.

    Parameters
    ----------
    form : Form

    Attributes
    ----------
    types : Types
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.types = Types()
        self._form = form
        normalizer = form.normalizer()
        self._normal = str if normalizer is None else normalizer.normalize_str
        self._cut = form.pre_tokenizer().pre_tokenize_str

    def __missing__(self, chunk: str) -> tuple[int, ...]:
        found = tuple(self.types[token] for token, _ in self._cut(self._normal(chunk)))
        if len(self) >= MOST_CHUNKS:
            self.clear()
        self[chunk] = found
        return found

    def cut(self, sentence: str) -> Iterable[int]:
        """The numbers of the types of a sentence.

        Raises
        ------
        AttributeError, TypeError, UnicodeEncodeError
            If it is not Unicode text; maybe only when the numbers are asked for.
        """
        if self._form.level == "word":
            return chain.from_iterable(map(self.__getitem__, sentence.split()))
        if self._form.level == "bpe":
            return chain.from_iterable(map(self.__getitem__, CHUNK.findall(sentence)))
        sentence.encode("utf-8")  # an error for a surrogate
        text = self._normal(sentence)
        if self._form.rules != 1 and JOINING.search(text):
            return (self.types[token] for token, _ in self._cut(text))
        return map(self.types.__getitem__, text)


class Records:
    """Cut sentences, four bytes a type: records of at most ``LONGEST`` types.

    A sentence is one record, or several if it is longer. As a sequence, a record that continues
    a sentence begins with the last token of the record before it, so that each token of the text
    is predicted once.

    Parameters
    ----------
    cutter : Cutter
        Shared by all splits of a text.
    words : Cutter, optional
        Counts the words of a sentence. By default its types are its words.
    longest : int, optional
        Instead of ``LONGEST``; None for no limit.
    """

    def __init__(
        self, cutter: Cutter, words: Optional[Cutter] = None, longest: Optional[int] = LONGEST
    ) -> None:
        self._cutter, self._word_cutter, self._longest = cutter, words, longest
        self._types, self._lengths = array("I"), array("I")
        self._is_first, self._is_last = bytearray(), bytearray()
        self._words, self._bytes = array("I"), array("I")

    def __len__(self) -> int:
        return len(self._lengths)

    def add(self, sentence: str) -> None:
        """Cut one more sentence.

        Raises
        ------
        RNNError
            If it is not Unicode text.
        """
        before = len(self._types)
        try:
            self._types.extend(self._cutter.cut(sentence))
            size = len(sentence) if sentence.isascii() else len(sentence.encode("utf-8"))
        except (AttributeError, TypeError, UnicodeEncodeError):
            raise RNNError(f"{shown(sentence)} is not Unicode text; pass a str") from None
        n = words = len(self._types) - before
        if self._word_cutter is not None:
            words = sum(1 for _ in self._word_cutter.cut(sentence))
        longest = self._longest or n
        for start in range(0, n, longest) if n else (0,):
            stop = min(n, start + longest)
            self._lengths.append(stop - start)
            self._is_first.append(start == 0)
            self._is_last.append(stop == n)
            # The end of a sentence is a word, and the byte between it and the next.
            for counts, total in ((self._words, words + 1), (self._bytes, size + 1)):
                counts.append(total if n == 0 else total * stop // n - total * start // n)

    def cut_at(self, share: int, within: bool) -> int:
        """Where a share of the tokens ends, the end of each sentence counted.

        Parameters
        ----------
        share : int
            In percent, from the first record on.
        within : bool
            Cut the record in two where the share ends within it; otherwise it is whole, and in
            the share.

        Returns
        -------
        int
            How many records are in the share.
        """
        lengths = np.array(self._lengths, np.int64)
        stops = np.cumsum(lengths + np.array(self._is_last))
        wanted = int(stops[-1]) * share // 100 if len(stops) else 0
        i = int(np.searchsorted(stops, wanted))
        if wanted == 0 or stops[i] == wanted or not within:
            return i + (wanted > 0)
        k, n = int(wanted - stops[i] + lengths[i] + self._is_last[i]), int(lengths[i])
        for counts in (self._words, self._bytes):  # the end, a word and a byte, is in the rest
            first = (counts[i] - self._is_last[i]) * k // n
            counts[i : i + 1] = array("I", [first, counts[i] - first])
        self._lengths[i : i + 1] = array("I", [k, n - k])
        self._is_first[i : i + 1] = bytes([self._is_first[i], False])
        self._is_last[i : i + 1] = bytes([False, self._is_last[i]])
        return i + 1

    def per_sentence(self) -> Ints:
        """How many records each sentence is, (sentences,)."""
        firsts = np.flatnonzero(np.frombuffer(self._is_first, np.bool_))
        return np.diff(np.append(firsts, len(self)))

    def check_memory(self) -> None:
        """Raise RNNError if the tokens will not fit in the memory of this machine."""
        if 12 * len(self._types) > memory.total():
            raise RNNError(
                f"the text has more than {len(self._types):,} tokens, which do not fit in the "
                "memory of this machine; give a part of it"
            )

    def counts(self, order: Ints) -> Ints:
        """How often each type occurs in some of the records, (types,)."""
        counts = np.zeros(len(self._cutter.types), np.int64)
        for block in _blocks(order):
            counts += np.bincount(self._block(block)[0], minlength=len(counts))
        return counts

    def sizes(self, order: Ints) -> tuple[int, int]:
        """The words and the bytes of some of the records, their ends counted."""
        words, sizes = (np.frombuffer(a, np.uint32) for a in (self._words, self._bytes))
        return int(words[order].sum()), int(sizes[order].sum())

    def text(self, order: Ints) -> Iterator[str]:
        """Lines of some of the records, whose types are characters; none ends within a word."""
        names, held = list(self._cutter.types), [""]
        for i in order:
            types, _ = self._block(np.array([i]))
            text = "".join(names[t] for t in types) + "\n" * self._is_last[i]
            cut = len(text) if self._is_last[i] else text.rfind(" ") + 1
            if cut:
                yield "".join(held) + text[:cut]
                held = []
            held.append(text[cut:])
        if any(held):
            yield "".join(held)

    def sequences(
        self, order: Ints, ids: Sequence[Sequence[int]], start: int, end: int, dtype: str
    ) -> Sequences:
        """Some of the records as sequences of token ids.

        Parameters
        ----------
        order : int array
            The records, by index.
        ids : sequence of sequences of int
            The token ids of each type.
        start, end : int
            The ids around a sentence.
        dtype : str
            Of the array of ids.
        """
        table = np.fromiter(chain.from_iterable(ids), dtype)
        widths = np.fromiter(map(len, ids), np.int64, len(ids))
        offsets = np.cumsum(widths) - widths
        is_first, is_last = (np.frombuffer(a, np.bool_) for a in (self._is_first, self._is_last))
        arrays, lengths = [np.zeros(0, dtype)], [np.zeros(0, np.int64)]
        for block in _blocks(order):
            first, last = is_first[block], is_last[block]
            types, counts = self._block(block, ~first)
            tokens = table[ranges(offsets[types], widths[types])]
            sums = np.concatenate([[0], np.cumsum(widths[types])])
            stops = sums[np.cumsum(counts)]
            starts = sums[np.cumsum(counts) - counts]
            # Of the type before the record, only the last token.
            begins = types[(np.cumsum(counts) - counts)[~first]]
            starts[~first] += widths[begins] - 1
            inner = stops - starts
            length = inner + first + last
            after = np.cumsum(length)
            sequence = np.empty(after[-1], dtype)
            sequence[ranges(after - length + first, inner)] = tokens[ranges(starts, inner)]
            sequence[(after - length)[first]] = start
            sequence[after[last] - 1] = end
            arrays.append(sequence)
            lengths.append(length)
        stops = np.cumsum(np.concatenate(lengths))
        return Sequences(np.concatenate(arrays), stops - np.concatenate(lengths), stops)

    def _block(self, records: Ints, more: Optional[Array] = None) -> tuple[Array, Ints]:
        """The types of records, joined, and how many each has; ``more`` types before it."""
        lengths = np.frombuffer(self._lengths, np.uint32)
        starts = self._starts[records]
        counts = lengths[records].astype(np.int64)
        if more is not None:
            starts, counts = starts - more, counts + more
        return np.frombuffer(self._types, np.uint32)[ranges(starts, counts)], counts

    @property
    def _starts(self) -> Ints:
        """Where each record begins in the types; computed once all are there."""
        if len(self._begins) != len(self):
            lengths = np.frombuffer(self._lengths, np.uint32).astype(np.int64)
            self._begins = np.cumsum(lengths) - lengths
        return self._begins

    _begins: Ints = np.zeros(0, np.int64)


def _blocks(order: Ints) -> Iterator[Ints]:
    """Parts of the order. The places of a token take more memory than the token."""
    return (order[i : i + BLOCK] for i in range(0, len(order), BLOCK))
