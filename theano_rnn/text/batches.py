"""Sequences to minibatches: sentences of near equal length, or one long text in parallel rows.

A sequence is the start token, the tokens and the end token, as in `theano_rnn.text.corpus`. A
model reads ``s[:-1]`` and predicts ``s[1:]``: a sequence of ``n`` tokens is ``n - 1`` steps.

- Sentences, each begun from the initial state: `buckets` says which share a batch, `batch` makes
  the arrays.
- A text, whose state is carried from one batch to the next: `Stream`.

All arrays are time first, (T, B).
"""

import operator
from collections.abc import Sequence
from typing import Union, overload

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Bools, Ints

# How far apart, as a share, two lengths in a batch may be: more mixes more, and pads more.
JITTER = 0.1
# No batch is larger than this many times batch_size sentences of mean length.
LARGEST = 4


def buckets(
    sequences: Sequence[Ints], batch_size: int, seed: Union[int, Sequence[int]]
) -> list[Ints]:
    """Batches of sequences of near equal length, in random order: one epoch.

    The sequences are sorted by ``length * u``, ``u`` uniform in [1, 1 + `JITTER`), and cut in
    batches, which are shuffled.

    Parameters
    ----------
    sequences : sequence of 1-D arrays
    batch_size : int
        The most sequences in a batch. Of very long ones it holds fewer, so that ``T * B`` is at
        most `LARGEST` times ``batch_size`` times the mean length, or it holds one only.
    seed : int, or ints
        Another seed, other companions and another order: ``[seed, epoch]`` for each epoch its
        own.

    Returns
    -------
    list of 1-D int64 arrays
        The indices of the sequences of each batch; each sequence is in one.

    Raises
    ------
    RNNError
        For no sequence, one too short to predict anything, or a bad batch size or seed.

    Notes
    -----
    On the sentences of War and Peace, 64 a batch, 4 % of the positions are padding, and of two
    sentences that share a batch 8 % do so again in the next epoch. Sorting by length within pools
    of 100 batches of shuffled sentences, the usual way, comes to 11 % and 12 %, and depends on
    how the pool compares with the corpus. There the cap makes 306 batches of 304, and the largest
    has 6,480 positions instead of 10,880: the largest decides the memory a training needs.

    Examples
    --------
    >>> sequences = [np.arange(n) for n in (9, 3, 3, 9)]
    >>> sorted(sorted(group.tolist()) for group in buckets(sequences, batch_size=2, seed=0))
    [[0, 3], [1, 2]]
    """
    batch_size = validation.whole_number(batch_size, "batch size", at_least=1)
    for part in seed if isinstance(seed, (list, tuple)) else [seed]:
        validation.whole_number(part, "seed", at_least=0)
    lengths = _lengths(sequences)
    rng = np.random.default_rng(seed)
    order = np.argsort(lengths * rng.uniform(1, 1 + JITTER, len(lengths)), kind="stable")
    cuts = _cuts(lengths[order], batch_size, LARGEST * batch_size * lengths.mean())
    groups = np.split(order, cuts)
    return [groups[i] for i in rng.permutation(len(groups))]


def _cuts(lengths: Ints, batch_size: int, positions: float) -> list[int]:
    """Where a new batch begins: at batch_size sequences, or before T * B exceeds positions."""
    longest = np.maximum.accumulate(lengths).tolist()  # so far: T or, by the jitter, a bit more
    cuts, start = [], 0
    for i, T in enumerate(longest):
        B = i - start  # without i
        if B and (B == batch_size or T * (B + 1) > positions):
            cuts.append(i)
            start = i
    return cuts


def batch(sequences: Sequence[Ints]) -> tuple[Ints, Ints, Bools]:
    """Sequences side by side, padded on the right with 0.

    Parameters
    ----------
    sequences : sequence of B 1-D int arrays
        The longest has T + 1 tokens.

    Returns
    -------
    x, y : int64 arrays (T, B)
        What is read, and what is to be predicted: a column a sequence.
    mask : bool array (T, B)
        False in the padding.

    Raises
    ------
    RNNError
        For no sequence, or one too short to predict anything.

    Examples
    --------
    >>> x, y, mask = batch([np.array([0, 7, 8, 1]), np.array([0, 9, 1])])
    >>> x
    array([[0, 0],
           [7, 9],
           [8, 0]])
    >>> y
    array([[7, 9],
           [8, 1],
           [1, 0]])
    >>> mask
    array([[ True,  True],
           [ True,  True],
           [ True, False]])
    """
    lengths = _lengths(sequences)  # (B,)
    mask = np.arange(lengths.max())[:, None] < lengths  # (T, B)
    x = np.zeros(mask.shape, np.int64)  # (T, B)
    y = np.zeros(mask.shape, np.int64)  # (T, B)
    for b, s in enumerate(sequences):
        x[: lengths[b], b] = s[:-1]
        y[: lengths[b], b] = s[1:]
    return x, y, mask


def padding(lengths: Sequence[int], groups: Sequence[Ints]) -> float:
    """The share of the positions of all batches that are padding: wasted.

    ``1 - sum_n length_n / sum_groups T * B``

    Parameters
    ----------
    lengths : sequence of ints
        The steps of each sequence: its tokens but one.
    groups : list of 1-D int arrays
        As `buckets` returns them.

    Returns
    -------
    float
        From 0 to below 1.

    Examples
    --------
    >>> padding([4, 2, 1], [np.array([0, 1]), np.array([2])])  # 2 of 4 * 2 + 1 * 1
    0.2222222222222222
    """
    steps = np.asarray(lengths)
    used = sum(int(steps[group].sum()) for group in groups)
    positions = sum(int(steps[group].max()) * len(group) for group in groups)
    return (positions - used) / positions


def _lengths(sequences: Sequence[Ints]) -> Ints:
    """The steps of each sequence, int64."""
    kinds = list, tuple, np.ndarray
    is_list = isinstance(sequences, kinds) and getattr(sequences, "ndim", 1) > 0
    if not is_list or not all(isinstance(s, kinds) for s in sequences):
        raise RNNError(f"sequences must be a list of sequences, not {validation.shown(sequences)}")
    if not all(getattr(s, "ndim", 1) == 1 for s in sequences):
        raise RNNError("sequences must be of shape (T,) each; one is not")
    lengths = np.array([len(s) - 1 for s in sequences], dtype=np.int64)
    if not len(lengths):
        raise RNNError("sequences is empty; pass at least one")
    if lengths.min() < 1:
        n = int(np.argmin(lengths))
        raise RNNError(
            f"sequences[{n}] has {lengths[n] + 1} tokens; pass at least two, "
            "one to read and one to predict"
        )
    return lengths


#: x and y (T, B).
Piece = tuple[Ints, Ints]


class Stream(Sequence[Piece]):
    """A text in B parallel rows, cut in pieces of K steps, as for a state that is carried.

    The sequences in their order are one text, of n tokens to read and n to predict. Row b of the
    batch is its b-th part of n // B tokens; the n % B tokens at the end, B - 1 at the most, are
    left out. Piece i is steps i * K to (i + 1) * K of all rows, so that each row goes on in a
    piece where it stopped in the one before. A piece is found by its index, wherever one starts.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays
    batch_size : int
        B, the rows. The more, the shorter they are, and the more begin in the middle of a
        sentence with the initial state.
    steps : int
        K, the steps of a piece. The last piece has what is left, 1 to K.

    Attributes
    ----------
    tokens : int
        Predicted in all pieces together: n // B * B.
    left_out : int
        Tokens at the end of the text that are in no row.

    Raises
    ------
    RNNError
        For a text of fewer tokens than rows, or a bad number of rows or steps.

    Notes
    -----
    A piece is a read-only view of one array of all rows: an epoch allocates nothing. It is in C
    order.

    References
    ----------
    Zaremba, Sutskever and Vinyals (2014), "Recurrent neural network regularization": 20 rows,
    pieces of 20 or 35 steps.

    Examples
    --------
    >>> stream = Stream([np.array([0, 5, 6, 1]), np.array([0, 7, 1])], batch_size=2, steps=1)
    >>> len(stream), stream.left_out
    (2, 1)
    >>> for x, y in stream:
    ...     print(x, y)
    [[0 6]] [[5 1]]
    [[5 0]] [[6 7]]
    """

    def __init__(self, sequences: Sequence[Ints], batch_size: int, steps: int) -> None:
        B = validation.whole_number(batch_size, "batch size", at_least=1)
        self._steps = validation.whole_number(steps, "steps", at_least=1)
        n = int(_lengths(sequences).sum())
        if n < B:
            raise RNNError(
                f"the text has {n} tokens to predict, fewer than the {B} rows of a batch; "
                "pass a longer text or a smaller batch size"
            )
        self.tokens, self.left_out = n // B * B, n % B
        self._x = _rows([s[:-1] for s in sequences], B)  # (n // B, B)
        self._y = _rows([s[1:] for s in sequences], B)  # (n // B, B)

    def __len__(self) -> int:
        """The number of pieces."""
        return -(-len(self._x) // self._steps)

    @overload
    def __getitem__(self, i: int) -> Piece: ...

    @overload
    def __getitem__(self, i: slice) -> list[Piece]: ...

    def __getitem__(self, i: Union[int, slice]) -> Union[Piece, list[Piece]]:
        """Piece i, its x and y (at most K, B); of a slice, the list of pieces."""
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        start = range(len(self))[operator.index(i)] * self._steps  # refuses what is out of range
        return self._x[start : start + self._steps], self._y[start : start + self._steps]


def _rows(parts: list[Ints], B: int) -> Ints:
    text = np.concatenate(parts)
    rows = text[: len(text) // B * B].reshape(B, -1).T  # (n // B, B)
    rows = rows.astype(np.int64, order="C")
    rows.flags.writeable = False
    return rows
