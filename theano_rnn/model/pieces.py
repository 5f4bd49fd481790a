"""Long sequences in pieces, so that memory does not grow with their length.

A state goes from one piece to the next. So the loss of a sequence is the sum of the losses of its
pieces. Under "chunk:K" no error crosses the border of a chunk, and the gradient is the sum of the
gradients of pieces of whole chunks::

    for piece in pieces:                    # each of some thousand steps
        loss, gradients, state = f(piece, state)
        total += loss; sums += gradients

Both are those of the sequence in one piece, up to the order of the sums.
"""

from collections.abc import Iterator, Sequence
from typing import Optional

import numpy as np

from theano_rnn.common.types import Array, Floats, Function
from theano_rnn.model.batch_inputs import BatchInputs, steps_of_piece
from theano_rnn.model.dropout import NO_MASKS, Masks


def pieces(batch: BatchInputs, whole: Optional[int]) -> Iterator[slice]:
    """The steps of each piece of a batch, in order; ``whole`` is that of ``steps_of_piece``."""
    T = len(batch.x)
    n = steps_of_piece(T, batch.rows, whole)
    return (slice(begin, min(begin + n, T)) for begin in range(0, T, n))


def summed(
    function: Function,
    batch: BatchInputs,
    state: Floats,
    whole: Optional[int] = None,
    masks: Masks = NO_MASKS,
    others: Sequence[Array] = (),
) -> tuple[float, list[Floats], Floats]:
    """The loss and the gradients of a batch, added over its pieces, and the state after it.

    Parameters
    ----------
    function : compiled function
        It takes the arrays of a batch, a state, the masks of dropout, and the others;
        it returns a loss, gradients or none, and the state after the batch.
    batch : BatchInputs
    state : (B, state_size) array
        Before the first step.
    whole : int or None
        As in ``steps_of_piece``.
    masks : Masks
    others : sequence of arrays
        The same for each piece.

    Returns
    -------
    loss : float
    gradients : list of arrays
    state : (B, state_size) array
    """
    loss = 0.0
    gradients: list[Floats] = []
    for steps in pieces(batch, whole):
        if batch.mask is not None and steps.start and not batch.mask[steps].any():
            break  # what follows is padding
        arrays = [*batch.of_steps(steps).arrays(), state, *masks.of_steps(steps).given()]
        of_piece, *found, state = function(*arrays, *others)
        loss += float(of_piece)
        for total, g in zip(gradients, found):
            np.add(total, g, out=total)
        gradients = gradients or found
    return loss, gradients, state
