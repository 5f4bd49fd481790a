"""A loss whose true gradient is the truncated one.

The states before a cut are constants, taken from an array computed once. The steps after it are
run again with the given parameters. So finite differences of this loss check *truncated*
gradients; finite differences of the true loss cannot.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from theano_rnn.reference.bptt import artbp_factors
from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.checks import (
    checked_cuts,
    checked_kept,
    checked_net,
    checked_pair,
    checked_parameters,
    parse_truncation,
)
from theano_rnn.reference.layout import Net, table, times
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
    kept: Array | None = None,
    cuts: Array | None = None,
) -> float:
    """Summed cross-entropy with the states before each cut held constant.

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
    cell, layers, bias, tied, embedding
        The network, as in `NumpyRNN`.
    kept : array (T, layers, H), optional
        The dropout mask, as in `NumpyRNN.ce_error`.
    cuts : array (T,) of booleans, optional
        For ``"artbp:K"``, as in `NumpyRNN.bptt`.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the network, parameters, tokens, scheme, frozen states or factors are not as described.
    """
    net = checked_net(cell, layers, bias, tied, embedding)
    parameters = checked_parameters(parameters, net)
    x, y = checked_pair(x, y, table(parameters).shape[1])
    scheme, k, alpha = parse_truncation(truncation)
    frozen = _checked_states(frozen_states, net, len(x), parameters["W"].shape[1])
    kept = checked_kept(kept, np.ones(len(x), dtype=bool), net, parameters)
    if k is None:  # full
        return _full(net, parameters, frozen, x, y, kept)
    if scheme == "artbp":
        factors = artbp_factors(checked_cuts(cuts, (len(x),), scheme), k, alpha)
        return _artbp(net, parameters, frozen, x, y, kept, factors)
    loss = {"window": _window, "chunk": _chunk, "last": _last}[scheme]
    return loss(net, parameters, frozen, x, y, kept, k)


def _full(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, y: Ints, kept: Floats
) -> float:
    """Only the initial state is frozen."""
    loss = 0.0
    s = frozen[-1]
    for t in range(len(x)):
        s = next_state(net, parameters, x[t], s, kept[t])
        loss += output_loss(parameters, top(s, kept[t]), y[t])
    return loss


def _window(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, y: Ints, kept: Floats, k: int
) -> float:
    """For each output: start from frozen s_{t-k-1}, run k + 1 steps, read the last loss."""
    loss = 0.0
    for t in range(len(x)):
        start = max(0, t - k)
        s = frozen[start - 1]
        for j in range(start, t + 1):
            s = next_state(net, parameters, x[j], s, kept[j])
        loss += output_loss(parameters, top(s, kept[t]), y[t])
    return loss


def _chunk(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, y: Ints, kept: Floats, k: int
) -> float:
    """For each chunk: start from the frozen state before it, run k steps, read every loss."""
    loss = 0.0
    for start in range(0, len(x), k):
        s = frozen[start - 1]
        for t in range(start, min(start + k, len(x))):
            s = next_state(net, parameters, x[t], s, kept[t])
            loss += output_loss(parameters, top(s, kept[t]), y[t])
    return loss


def _last(
    net: Net, parameters: Parameters, frozen: Floats, x: Ints, y: Ints, kept: Floats, k: int
) -> float:
    """Early outputs read frozen states through V; the last k steps run from the frozen one."""
    loss = 0.0
    start = max(0, len(x) - k)
    for t in range(start):
        loss += output_loss(parameters, top(frozen[t], kept[t]), y[t])
    s = frozen[start - 1]
    for t in range(start, len(x)):
        s = next_state(net, parameters, x[t], s, kept[t])
        loss += output_loss(parameters, top(s, kept[t]), y[t])
    return loss


def _artbp(
    net: Net,
    parameters: Parameters,
    frozen: Floats,
    x: Ints,
    y: Ints,
    kept: Floats,
    factors: Floats,
) -> float:
    """Step t reads frozen + a_t (s - frozen), s_{t-1} in value, and a_t times it in derivative."""
    loss = 0.0
    s = frozen[-1]
    for t in range(len(x)):
        before = frozen[t - 1] + factors[t] * (s - frozen[t - 1])
        s = next_state(net, parameters, x[t], before, kept[t])
        loss += output_loss(parameters, top(s, kept[t]), y[t])
    return loss


def _checked_states(states: Array, net: Net, T: int, hidden_size: int) -> Floats:
    """The states as (T + 1, layers, parts, H), or ``ValueError``."""
    states, parts = np.asarray(states), CELLS[net.cell].parts
    shape = (T + 1, net.layers * parts * hidden_size)
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
    return states.reshape(T + 1, net.layers, parts, hidden_size)
