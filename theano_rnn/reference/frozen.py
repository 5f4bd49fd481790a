"""The loss a truncated gradient is the true gradient of.

States before a cut are constants, taken from an array computed once; the steps the gradient may
see are run again with the parameters given. Finite differences of this loss therefore prove
*truncated* gradients, which finite differences of the true loss cannot.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from theano_rnn.reference.checks import checked_pair, checked_parameters, parse_truncation
from theano_rnn.reference.steps import next_state, output_loss


def frozen_state_loss(
    parameters: Mapping, frozen_states: np.ndarray, x, y, truncation: str
) -> float:
    """Summed cross-entropy with the states before each cut held constant.

    Where ``frozen_states`` were computed with the same parameters this is the true loss; its
    gradient with respect to the parameters is the gradient under ``truncation``.

    Parameters
    ----------
    parameters : dict
        U (H, vocab_size), V (vocab_size, H), W (H, H), the ones to perturb.
    frozen_states : array (T + 1, H)
        ``NumpyRNN.hidden_states(x)`` at the unperturbed parameters; the last row is the zero
        initial state.
    x, y : sequence of T ints
        Token ids and their targets.
    truncation : str
        ``"full"``, ``"window:K"``, ``"chunk:K"`` or ``"last:K"``.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the parameters, tokens, scheme or frozen states are not as described.
    """
    U, V, W = checked_parameters(parameters).values()
    x, y = checked_pair(x, y, U.shape[1])
    scheme, k = parse_truncation(truncation)
    frozen = _checked_states(frozen_states, (len(x) + 1, len(W)))
    if scheme == "full":
        return _full(U, V, W, frozen, x, y)
    return {"window": _window, "chunk": _chunk, "last": _last}[scheme](U, V, W, frozen, x, y, k)


def _full(U, V, W, frozen, x, y):
    """Only the initial state is frozen."""
    loss = 0.0
    s = frozen[-1]
    for t in range(len(x)):
        s = next_state(U, W, x[t], s)
        loss += output_loss(V, s, y[t])
    return loss


def _window(U, V, W, frozen, x, y, k):
    """For each output: start from frozen s_{t-k-1}, run k + 1 steps, read the last loss."""
    loss = 0.0
    for t in range(len(x)):
        start = max(0, t - k)
        s = frozen[start - 1]
        for j in range(start, t + 1):
            s = next_state(U, W, x[j], s)
        loss += output_loss(V, s, y[t])
    return loss


def _chunk(U, V, W, frozen, x, y, k):
    """For each chunk: start from the frozen state before it, run k steps, read every loss."""
    loss = 0.0
    for start in range(0, len(x), k):
        s = frozen[start - 1]
        for t in range(start, min(start + k, len(x))):
            s = next_state(U, W, x[t], s)
            loss += output_loss(V, s, y[t])
    return loss


def _last(U, V, W, frozen, x, y, k):
    """Early outputs read frozen states through V; the last k steps run from the frozen one."""
    loss = 0.0
    start = max(0, len(x) - k)
    for t in range(start):
        loss += output_loss(V, frozen[t], y[t])
    s = frozen[start - 1]
    for t in range(start, len(x)):
        s = next_state(U, W, x[t], s)
        loss += output_loss(V, s, y[t])
    return loss


def _checked_states(states: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    states = np.asarray(states)
    if states.shape != shape:
        raise ValueError(
            f"frozen_states has shape {states.shape}: pass (T + 1, H) = {shape},"
            " as NumpyRNN.hidden_states(x) returns them"
        )
    if states.dtype.kind != "f" or not np.isfinite(states).all():
        raise ValueError("frozen_states holds other than finite floats: pass hidden_states(x)")
    if states[-1].any():
        raise ValueError(
            "frozen_states[-1] is not zero: the initial state belongs in the last row"
        )
    return states
