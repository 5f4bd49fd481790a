"""A loss whose true gradient is the truncated one.

The states before a cut are constants, taken from an array computed once. The steps after it are
run again with the given parameters. So finite differences of this loss check *truncated*
gradients; finite differences of the true loss cannot.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from theano_rnn.reference import activations
from theano_rnn.reference.bptt import artbp_factors
from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.checks import (
    checked_cuts,
    checked_net,
    checked_pair,
    checked_parameters,
    parse_truncation,
)
from theano_rnn.reference.layout import Net, hidden_size, table, times
from theano_rnn.reference.masks import Kept, Masks, checked_masks
from theano_rnn.reference.steps import next_state, output_loss, top
from theano_rnn.reference.types import Array, Floats, Ints, Parameters, Tokens


def frozen_state_loss(
    parameters: Mapping[str, Array],
    frozen_states: Floats,
    x: Tokens,
    y: Tokens,
    truncation: str,
    *,
    cell: str = "tanh",
    layers: int = 1,
    bias: bool = False,
    tied: bool = False,
    embedding: bool = False,
    projection: bool = False,
    kept: Kept | None = None,
    cuts: Array | None = None,
    ar: float = 0.0,
    tar: float = 0.0,
) -> float:
    """Summed cross-entropy, plus R, with the states before each cut held constant.

    If ``frozen_states`` were computed with the same parameters, it equals the true loss, and its
    gradient is the gradient of the true loss under ``truncation``.

    Parameters
    ----------
    parameters : dict
        The parameters to perturb, as `NumpyRNN` takes them.
    frozen_states : array (T + 1, H), or wider
        ``NumpyRNN.hidden_states(x, kept)`` at the unperturbed parameters.
    x, y : sequence of T ints
        Token ids and their targets.
    truncation : str
        As `NumpyRNN` takes it.
    cell, layers, bias, tied, embedding, projection
        The network, as in `NumpyRNN`.
    kept : array (T, layers, H), or dict, optional
        The masks of dropout, as in `NumpyRNN.ce_error`.
    cuts : array (T,) of booleans, optional
        For ``"artbp:K"``, as in `NumpyRNN.bptt`.
    ar, tar : float
        Weights of the penalties R, as in `NumpyRNN.bptt`.

    Raises
    ------
    ValueError
        If the network, parameters, tokens, scheme, frozen states or factors are not as described.
    """
    net = checked_net(cell, layers, bias, tied, embedding, projection)
    parameters = checked_parameters(parameters, net)
    x, y = checked_pair(x, y, table(parameters).shape[1])
    scheme, k, alpha = parse_truncation(truncation)
    frozen = _checked_states(frozen_states, net, len(x), hidden_size(parameters))
    (masks,) = checked_masks(kept, [x], np.ones(len(x), dtype=bool), net, parameters)
    parameters = masks.of_W(parameters)
    if k is None:  # full: one chunk
        read = _chunk(net, parameters, frozen, x, masks, len(x))
    elif scheme == "artbp":
        factors = artbp_factors(checked_cuts(cuts, (len(x),), scheme), k, alpha)
        read = _artbp(net, parameters, frozen, x, masks, factors)
    else:
        of_scheme = {"window": _window, "chunk": _chunk, "last": _last}[scheme]
        read = of_scheme(net, parameters, frozen, x, masks, k)
    loss = sum(output_loss(parameters, top(read[t], masks, t), y[t]) for t in range(len(x)))
    pair = activations.of_pair(tar, [len(x)])
    return loss + activations.penalty(read[:, -1, 0], masks.states[:, -1], ar, pair)


# The state that each output reads, (T, layers, parts, H).


def _window(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, masks: Masks, k: int
) -> Floats:
    """For each output: start from frozen s_{t-k-1}, run k + 1 steps, read the last state."""
    read = np.zeros_like(frozen[:-1])
    for t in range(len(x)):
        start = max(0, t - k)
        s = frozen[start - 1]
        for j in range(start, t + 1):
            s = next_state(net, parameters, x[j], s, masks, j)
        read[t] = s
    return read


def _chunk(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, masks: Masks, k: int
) -> Floats:
    """For each chunk: start from the frozen state before it, run k steps, read every state."""
    read = np.zeros_like(frozen[:-1])
    for start in range(0, len(x), k):
        s = frozen[start - 1]
        for t in range(start, min(start + k, len(x))):
            read[t] = s = next_state(net, parameters, x[t], s, masks, t)
    return read


def _last(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, masks: Masks, k: int
) -> Floats:
    """Early outputs read frozen states through V; the last k steps run from the frozen one."""
    start = max(0, len(x) - k)
    read = frozen[:-1].copy()
    s = frozen[start - 1]
    for t in range(start, len(x)):
        read[t] = s = next_state(net, parameters, x[t], s, masks, t)
    return read


def _artbp(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, masks: Masks, factors: Floats
) -> Floats:
    """Step t reads frozen + a_t (s - frozen), s_{t-1} in value, and a_t times it in derivative."""
    read = np.zeros_like(frozen[:-1])
    s = frozen[-1]
    for t in range(len(x)):
        before = frozen[t - 1] + factors[t] * (s - frozen[t - 1])
        read[t] = s = next_state(net, parameters, x[t], before, masks, t)
    return read


def _checked_states(states: Array, net: Net, T: int, H: int) -> Floats:
    """The states as (T + 1, layers, parts, H), or ``ValueError``."""
    states, parts = np.asarray(states), CELLS[net.cell].parts
    shape = (T + 1, net.layers * parts * H)
    if states.shape != shape:
        raise ValueError(
            f"frozen_states has shape {states.shape}: pass"
            f" (T + 1, {times(net.layers * parts)}) = {shape},"
            " as NumpyRNN.hidden_states(x, kept) returns them"
        )
    if states.dtype.kind != "f" or not np.isfinite(states).all():
        raise ValueError("frozen_states must hold finite floats only: pass hidden_states(x)")
    if states[-1].any():
        raise ValueError(
            "frozen_states[-1] is not zero: the initial state belongs in the last row"
        )
    return states.reshape(T + 1, net.layers, parts, H)
