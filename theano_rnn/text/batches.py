"""Minibatches: sentences of nearly equal length, or one long text in parallel rows.

A sequence is the start token, the tokens and the end token, as in ``theano_rnn.text.corpus``. A
model reads ``s[:-1]`` and predicts ``s[1:]``, so a sequence of ``n`` tokens has ``n - 1`` steps.

- Sentences, each from the initial state: ``buckets`` chooses the sequences of each batch,
  ``batch`` makes the arrays.
- One long text, whose state goes from each batch to the next: ``Stream``.

All arrays are time first, (T, B).
"""

import copy
import operator
from collections.abc import Sequence
from typing import Union, overload

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Ints
from theano_rnn.text.sequences import Sequences

# Lengths in a batch may differ by this share. More of it mixes sequences better, but pads more.
JITTER = 0.1
# No batch has more positions than this many times batch_size sentences of mean length.
LARGEST = 4


def buckets(
    sequences: Sequence[Ints], batch_size: int, seed: Union[int, Sequence[int]]
) -> list[Ints]:
    """The sequences of each batch of an epoch, by index: of nearly equal length, in random order.

    The sequences are sorted by ``length * u``, with ``u`` uniform in [1, 1 + ``JITTER``), and cut
    into batches. Then the batches are shuffled.

    Parameters
    ----------
    sequences : sequence of 1-D arrays
    batch_size : int
        The largest number of sequences in a batch. A batch of very long ones has fewer, so that
        ``T * B`` is at most ``LARGEST`` times ``batch_size`` times the mean length, or has one.
    seed : int, or ints
        Seeds ``u`` and the shuffle. ``[seed, epoch]`` mixes the sequences anew in each epoch.

    Returns
    -------
    list of 1-D int64 arrays
        The indices of the sequences of each batch. Each sequence is in exactly one batch.

    Raises
    ------
    RNNError
        For no sequence, one too short to predict anything, or a bad batch size or seed.

    Notes
    -----
    On the sentences of War and Peace, in batches of 64, 4 % of the positions are padding, and 8 %
    of the pairs of sentences that share a batch share one again in the next epoch. The usual way,
    sorting by length within pools of 100 batches of shuffled sentences, gives 11 % and 12 %, and
    depends on the size of the pool. The cap turns 304 batches into 306 there, and the largest has
    6,480 positions instead of 10,880: the largest batch decides how much memory training needs.

    Examples
    --------
    >>> sequences = [np.arange(n) for n in (9, 3, 3, 9)]
    >>> sorted(sorted(group.tolist()) for group in buckets(sequences, batch_size=2, seed=0))
    [[0, 3], [1, 2]]
    """
    batch_size = validation.whole_number(batch_size, "batch size", at_least=1)
    for part in seed if isinstance(seed, (list, tuple)) else [seed]:
        validation.whole_number(part, "seed", at_least=0)
    lengths = step_counts(sequences)
    rng = np.random.default_rng(seed)
    order = np.argsort(lengths * rng.uniform(1, 1 + JITTER, len(lengths)), kind="stable")
    cuts = _cuts(lengths[order], batch_size, LARGEST * batch_size * lengths.mean())
    groups = np.split(order, cuts)
    return [groups[i] for i in rng.permutation(len(groups))]


def _cuts(lengths: Ints, batch_size: int, positions: float) -> list[int]:
    """The indices at which a new batch begins: it is full, or T * B would exceed ``positions``."""
    longest = np.maximum.accumulate(lengths).tolist()  # so far: T or, by the jitter, a bit more
    cuts, start = [], 0
    for i, T in enumerate(longest):
        B = i - start  # without i
        if B and (B == batch_size or T * (B + 1) > positions):
            cuts.append(i)
            start = i
    return cuts


def batch(sequences: Sequence[Ints]) -> tuple[Ints, Ints, Bools]:
    """Inputs, targets and mask of a minibatch: each sequence a column, padded at the end with 0.

    Parameters
    ----------
    sequences : sequence of B 1-D int arrays
        The longest has T + 1 tokens.

    Returns
    -------
    x, y : int64 arrays (T, B)
        Inputs and targets, one column per sequence.
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
    lengths = step_counts(sequences)  # (B,)
    mask = np.arange(lengths.max())[:, None] < lengths  # (T, B)
    x = np.zeros(mask.shape, np.int64)  # (T, B)
    y = np.zeros(mask.shape, np.int64)  # (T, B)
    for b, s in enumerate(sequences):
        x[: lengths[b], b] = s[:-1]
        y[: lengths[b], b] = s[1:]
    return x, y, mask


def padding(lengths: Sequence[int], groups: Sequence[Ints]) -> float:
    """The share of the positions of all batches that are padding; lower is better.

    ``1 - sum_n length_n / sum_groups T * B``

    Parameters
    ----------
    lengths : sequence of ints
        The steps of each sequence, one less than its tokens.
    groups : list of 1-D int arrays
        As ``buckets`` returns them.

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


def step_counts(sequences: Sequence[Ints]) -> Ints:
    """The steps of each sequence, one less than its tokens.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays

    Returns
    -------
    int64 array

    Raises
    ------
    RNNError
        For no sequence, or one too short to predict anything.
    """
    if isinstance(sequences, Sequences):
        return _checked(sequences.lengths - 1)
    kinds = list, tuple, np.ndarray
    is_list = isinstance(sequences, kinds) and getattr(sequences, "ndim", 1) > 0
    if not is_list or not all(isinstance(s, kinds) for s in sequences):
        raise RNNError(f"sequences must be a list of sequences, not {validation.shown(sequences)}")
    for n, s in enumerate(sequences):
        if getattr(s, "ndim", 1) != 1:
            raise RNNError(f"sequences[{n}] has shape {np.shape(s)}; pass arrays of shape (T,)")
    return _checked(np.array([len(s) - 1 for s in sequences], dtype=np.int64))


def _checked(lengths: Ints) -> Ints:
    if not len(lengths):
        raise RNNError("sequences is empty; pass at least one sequence")
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
    """One text in B parallel rows, cut into pieces of K steps; the state goes from piece to piece.

    The sequences, one after another, are a text of n inputs and n targets. Row b of the batch is
    the b-th part of it, n // B tokens long. At most B - 1 tokens at the end, n % B of them, are
    left out. Piece i has the steps i * K to (i + 1) * K of all rows, so each row of a piece begins
    where it ended in the piece before. Indexing gives any piece, so a run can resume at any.

    Parameters
    ----------
    sequences : sequence of 1-D int arrays
    batch_size : int
        B, the number of rows. With more rows each is shorter, and more of them begin in the
        middle of a sentence with the initial state.
    steps : int
        K, the steps of a piece. The last piece has the remaining steps, 1 to K.

    Attributes
    ----------
    tokens : int
        The number of tokens that all pieces together predict, n // B * B.
    left_out : int
        The number of tokens at the end of the text that are in no row.
    rows, steps : int
        B, and the steps of a row, n // B.

    Raises
    ------
    RNNError
        For a text of fewer tokens than rows, or a bad number of rows or steps.

    Notes
    -----
    The rows have the type of the sequences, two or four bytes a token. A piece of int64 rows is a
    read-only view of them, of others a copy.

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
        steps = validation.whole_number(steps, "steps", at_least=1)
        n = int(step_counts(sequences).sum())
        if n < B:
            raise RNNError(
                f"the text has {n} tokens to predict, fewer than the {B} rows of a batch; "
                "pass a longer text or a smaller batch size"
            )
        self.tokens, self.left_out = n // B * B, n % B
        if isinstance(sequences, Sequences):
            x, y = sequences.inputs(), sequences.targets()
        else:
            x, y = (
                np.concatenate([s[ends] for s in sequences]).astype(np.int64)
                for ends in (slice(-1), slice(1, None))
            )
        self._x, self._y = _rows(x, B), _rows(y, B)  # (n // B, B)
        self.rows, self.steps = B, len(self._x)
        self._starts = np.arange(0, self.steps, steps)  # of the pieces

    def cut_every(self, steps: int) -> "Stream":
        """The same rows in pieces of so many steps."""
        return self.cut_at(np.arange(steps, self.steps, steps))

    def cut_at(self, steps: Ints) -> "Stream":
        """The same rows in pieces that begin at these steps, and at the first.

        Parameters
        ----------
        steps : increasing integers above 0
        """
        other = copy.copy(self)
        other._starts = np.concatenate([[0], steps])
        return other

    def __len__(self) -> int:
        """The number of pieces."""
        return len(self._starts)

    @overload
    def __getitem__(self, i: int) -> Piece: ...

    @overload
    def __getitem__(self, i: slice) -> list[Piece]: ...

    def __getitem__(self, i: Union[int, slice]) -> Union[Piece, list[Piece]]:
        """Piece i: x and y, each (steps, B); for a slice a list of pieces."""
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        i = range(len(self))[operator.index(i)]  # IndexError if out of range
        start, *following = self._starts[i : i + 2]
        steps = slice(start, following[0] if following else None)
        return self._x[steps].astype(np.int64, copy=False), self._y[steps].astype(
            np.int64, copy=False
        )


def _rows(text: Array, B: int) -> Array:
    rows = np.ascontiguousarray(text[: len(text) // B * B].reshape(B, -1).T)  # (n // B, B)
    rows.flags.writeable = False
    return rows
