"""Checked token ids in the arrangement in which the compiled functions read them."""

from typing import Any, NamedTuple, Optional

import numpy as np

from theano_rnn.common import validation
from theano_rnn.common.errors import RNNError
from theano_rnn.common.types import Array, Bools, Floats, Ints


class Feed(NamedTuple):
    """What is fed to the graph for B sequences; see ``graph.Inputs``.

    x (T, B) and y (N,), and where sequences differ in length is_in (T, B) and position (N,), else
    None. order (T, B) says which step of its sequence stands where, where it is not its own.
    """

    x: Ints
    y: Ints
    is_in: Optional[Bools]
    position: Optional[Ints]
    order: Optional[Ints]

    @property
    def is_masked(self) -> bool:
        return self.is_in is not None

    @property
    def rows(self) -> int:
        """B"""
        return self.x.shape[1]

    def arrays(self) -> list[Optional[Array]]:
        return [self.x, self.y] + ([self.is_in, self.position] if self.is_masked else [])

    def arranged(self, a: Floats) -> Floats:
        """(layers, T, B, H) values of the steps as they were given, as they are fed."""
        return a if self.order is None else a[:, self.order, np.arange(self.rows)]


def feed(x: Any, y: Any, mask: Any, vocab_size: int, is_last: bool) -> Feed:
    """One sequence (T,) or a batch (T, B) with its mask.

    Under ``last`` (``is_last``) the sequences of a batch have to end together: each is moved to
    the last steps of its column, where scan's own truncate_gradient counts back from its end.
    """
    if is_single(x):
        if mask is not None:
            raise RNNError("a mask is for batches, x and y of shape (T, B); leave it out")
        x, y = validation.token_pair(x, y, vocab_size)
        validation.check_positions(len(x), vocab_size)
        return Feed(x[:, None], y, None, None, None)
    if y is None:
        raise RNNError("y is None; pass the targets, of the shape of x")
    x, y, mask = validation.token_batch(x, y, mask, vocab_size)
    validation.check_positions(x.size, vocab_size)
    if mask is None:
        return Feed(x, y.ravel(), None, None, None)
    order = None
    if is_last:
        T, B = mask.shape
        order = (np.arange(T)[:, None] + mask.sum(axis=0)) % T
        x, y, mask = (a[order, np.arange(B)] for a in (x, y, mask))
    position = np.flatnonzero(mask)
    return Feed(np.ascontiguousarray(x), y.ravel()[position], mask, position, order)


def feed_inputs(x: object, vocab_size: int) -> Ints:
    """One sequence (T,) or a batch (T, B) of inputs, as (T, B)."""
    if is_single(x):
        x = validation.token_ids(x, "x", vocab_size)[:, None]
    else:
        x = validation.token_batch(x, None, None, vocab_size)[0]
    validation.check_positions(x.size, vocab_size)
    return x


def is_single(x: object) -> bool:
    """Whether x is one sequence, or nothing that could be a batch."""
    if isinstance(x, np.ndarray):
        return x.ndim != 2
    first: Optional[object] = x[0] if isinstance(x, (list, tuple)) and len(x) else None
    return not isinstance(first, (list, tuple, np.ndarray))
