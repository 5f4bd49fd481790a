"""Token ids, checked and arranged as the compiled functions take them."""

from typing import Any, NamedTuple, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints


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

    def arranged(self, a: Floats) -> Floats:
        """Values (layers, T, B, H) of the steps, moved with their tokens as in ``order``."""
        return a if self.order is None else a[:, self.order, np.arange(self.rows)]


def batch_inputs(x: Any, y: Any, mask: Any, vocab_size: int, align_right: bool) -> BatchInputs:
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

    Returns
    -------
    BatchInputs

    Raises
    ------
    RNNError
        If x, y or mask are not of these shapes, or a token id is outside the vocabulary.
    """
    if is_single(x):
        if mask is not None:
            raise RNNError("a mask is for batches, x and y of shape (T, B); leave it out")
        x, y = validation.token_pair(x, y, vocab_size)
        validation.check_positions(len(x), vocab_size)
        return BatchInputs(x[:, None], y, None, None, None)
    if y is None:
        raise RNNError("y is None; pass the targets, of the shape of x")
    x, y, mask = validation.token_batch(x, y, mask, vocab_size)
    validation.check_positions(x.size, vocab_size)
    if mask is None:
        return BatchInputs(x, y.ravel(), None, None, None)
    order = None
    if align_right:
        T, B = mask.shape
        order = (np.arange(T)[:, None] + mask.sum(axis=0)) % T
        x, y, mask = (a[order, np.arange(B)] for a in (x, y, mask))
    position = np.flatnonzero(mask)
    return BatchInputs(np.ascontiguousarray(x), y.ravel()[position], mask, position, order)


def batch_x(x: object, vocab_size: int) -> Ints:
    """The inputs alone, (T, B), of one sequence (T,) or a batch (T, B)."""
    if is_single(x):
        x = validation.token_ids(x, "x", vocab_size)[:, None]
    else:
        x = validation.token_batch(x, None, None, vocab_size)[0]
    validation.check_positions(x.size, vocab_size)
    return x


def is_single(x: object) -> bool:
    """Whether x is one sequence and not a batch; also true for bad input."""
    if isinstance(x, np.ndarray):
        return x.ndim != 2
    first: Optional[object] = x[0] if isinstance(x, (list, tuple)) and len(x) else None
    return not isinstance(first, (list, tuple, np.ndarray))
