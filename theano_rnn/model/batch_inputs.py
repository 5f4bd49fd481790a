"""Token ids, checked and arranged as the compiled functions take them."""

from typing import Any, NamedTuple, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints

#: Above so many positions, steps times sequences, a batch is taken in pieces where it may be.
LONG = 4096
#: Positions of a piece, at most if K allows. Its arrays stay in the cache: 100,000 characters take
#: two thirds of the time.
PIECE = 1024


class BatchInputs(NamedTuple):
    """The arrays of a batch of B sequences, as the compiled functions take them.

    Attributes
    ----------
    x : (T, B) token ids
    y : (N,) token ids
        The targets, N in all.
    mask : (T, B) booleans or None
        True where x has a token; None where all sequences have T tokens.
    position : (N,) integers or None
        Which of the T*B states predicts each target; None without a mask.
    order : (T, B) integers or None
        Positions of the tokens when sequences are right-aligned: ``x[t, b]`` was given at
        ``order[t, b]``. None if no token has moved.
    """

    x: Ints
    y: Ints
    mask: Optional[Bools]
    position: Optional[Ints]
    order: Optional[Ints]

    @property
    def is_masked(self) -> bool:
        """Whether sequences differ in length."""
        return self.mask is not None

    @property
    def rows(self) -> int:
        """B, the number of sequences."""
        return self.x.shape[1]

    def arrays(self) -> list[Optional[Array]]:
        """The arguments of a compiled function, in its order."""
        return [self.x, self.y] + ([self.mask, self.position] if self.is_masked else [])

    def of_steps(self, steps: slice) -> "BatchInputs":
        """The batch of some of the steps, of a batch without ``order``."""
        begin, end = steps.start * self.rows, steps.stop * self.rows  # of T*B positions
        if self.mask is None or self.position is None:
            return self._replace(x=self.x[steps], y=self.y[begin:end])
        first, last = np.searchsorted(self.position, (begin, end))
        return self._replace(
            x=self.x[steps],
            y=self.y[first:last],
            mask=self.mask[steps],
            position=self.position[first:last] - begin,
        )

    def arranged(self, a: Floats) -> Floats:
        """Values (layers, T, B, H) of the steps, moved with their tokens as in ``order``."""
        return a if self.order is None else a[:, self.order, np.arange(self.rows)]


def steps_of_piece(T: int, B: int, whole: Optional[int]) -> int:
    """Steps of each piece but the last.

    Parameters
    ----------
    T, B : int
        Steps and sequences of the batch.
    whole : int or None
        A piece may end after a multiple of so many steps; None: nowhere.

    Examples
    --------
    >>> steps_of_piece(100_000, 1, whole=100), steps_of_piece(100_000, 1, whole=None)
    (1000, 100000)
    """
    if whole is None or T * B <= LONG:
        return T
    return min(T, max(PIECE // (B * whole), 1) * whole)


def batch_inputs(
    x: Any, y: Any, mask: Any, vocab_size: int, align_right: bool, whole: Optional[int] = None
) -> BatchInputs:
    """The arrays of one sequence (T,), or of a batch (T, B) with its mask.

    Parameters
    ----------
    x, y : (T,) or (T, B) token ids
    mask : (T, B) booleans, optional
        False behind the end of a sequence.
    vocab_size : int
    align_right : bool
        Move each sequence to the last steps of its column. The scheme ``last`` needs this: scan
        counts ``truncate_gradient`` steps back from the end of the batch.
    whole : int or None
        As in ``steps_of_piece``: only a piece of them needs to fit in the memory.

    Raises
    ------
    RNNError
        If x, y or mask are not of these shapes, or a token id is outside the vocabulary.
    """
    if is_single(x):
        if mask is not None:
            raise RNNError("a mask is for batches, x and y of shape (T, B); leave it out")
        x, y = validation.token_pair(x, y, vocab_size)
        validation.check_positions(steps_of_piece(len(x), 1, whole), vocab_size)
        return BatchInputs(x[:, None], y, None, None, None)
    if y is None:
        raise RNNError("y is None; pass the targets, of the shape of x")
    x, y, mask = validation.token_batch(x, y, mask, vocab_size)
    T, B = x.shape
    validation.check_positions(steps_of_piece(T, B, whole) * B, vocab_size)
    if mask is None:
        return BatchInputs(x, y.ravel(), None, None, None)
    order = None
    if align_right:
        order = (np.arange(T)[:, None] + mask.sum(axis=0)) % T
        x, y, mask = (a[order, np.arange(B)] for a in (x, y, mask))
    position = np.flatnonzero(mask)
    return BatchInputs(np.ascontiguousarray(x), y.ravel()[position], mask, position, order)


def batch_x(x: object, vocab_size: int, whole: Optional[int] = None) -> Ints:
    """The inputs alone, (T, B), of one sequence (T,) or a batch (T, B)."""
    if is_single(x):
        x = validation.token_ids(x, "x", vocab_size)[:, None]
    else:
        x = validation.token_batch(x, None, None, vocab_size)[0]
    T, B = x.shape
    validation.check_positions(steps_of_piece(T, B, whole) * B, vocab_size)
    return x


def is_single(x: object) -> bool:
    """Whether x is one sequence and not a batch; also true for bad input."""
    if isinstance(x, np.ndarray):
        return x.ndim != 2
    first: Optional[object] = x[0] if isinstance(x, (list, tuple)) and len(x) else None
    return not isinstance(first, (list, tuple, np.ndarray))
