"""Many sequences of token ids in one array, with two or four bytes a token."""

from collections.abc import Sequence
from typing import Union, overload

import numpy as np

from theano_rnn.common.types import Array, Ints

#: Sequences that are joined at once.
BLOCK = 2**12


class Sequences(Sequence[Ints]):
    """A list of sequences of token ids, each a part of one array.

    Indexing gives a new int64 array; a slice, or an array of indices, gives ``Sequences`` of the
    same array.

    Parameters
    ----------
    tokens : (n,) array of uint16 or uint32
    starts, stops : (sequences,) int arrays
        Sequence i is ``tokens[starts[i] : stops[i]]``. Sequences may share tokens.

    Examples
    --------
    >>> few = Sequences(np.array([0, 5, 6, 1, 0, 7, 1], np.uint16), [0, 4], [4, 7])
    >>> few[1], few.lengths.tolist(), [s.tolist() for s in few[:1]]
    (array([0, 7, 1]), [4, 3], [[0, 5, 6, 1]])
    """

    def __init__(self, tokens: Array, starts: Array, stops: Array) -> None:
        self.tokens = tokens
        self.starts, self.stops = np.asarray(starts), np.asarray(stops)

    @property
    def lengths(self) -> Ints:
        """The tokens of each sequence, int64."""
        lengths: Ints = (self.stops - self.starts).astype(np.int64)
        return lengths

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, i: int) -> Ints: ...

    @overload
    def __getitem__(self, i: Union[slice, Array]) -> "Sequences": ...

    def __getitem__(self, i: Union[int, slice, Array]) -> Union[Ints, "Sequences"]:
        if isinstance(i, (slice, np.ndarray)):
            return Sequences(self.tokens, self.starts[i], self.stops[i])
        return self.tokens[self.starts[i] : self.stops[i]].astype(np.int64)

    def inputs(self) -> Array:
        """All sequences without their last tokens, joined; in the type of the array."""
        return self._joined(self.starts)

    def targets(self) -> Array:
        """All sequences without their first tokens, joined; in the type of the array."""
        return self._joined(self.starts + 1)

    def _joined(self, starts: Array) -> Array:
        # In blocks: the places of a token take four times the memory of the token.
        lengths = self.lengths - 1
        blocks = range(0, len(self), BLOCK)
        return np.concatenate(
            [self.tokens[ranges(starts[i : i + BLOCK], lengths[i : i + BLOCK])] for i in blocks]
        )


def ranges(starts: Array, lengths: Array) -> Ints:
    """The whole numbers of several ranges, joined.

    >>> ranges(np.array([5, 0]), np.array([2, 3]))
    array([5, 6, 0, 1, 2])
    """
    stops = np.cumsum(lengths)
    return np.repeat(starts - (stops - lengths), lengths) + np.arange(
        stops[-1] if len(stops) else 0
    )
