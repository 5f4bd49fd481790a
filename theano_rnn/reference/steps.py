"""One step of the stacked recurrence, its states over a sentence, and its output layer.

Throughout the reference t and j count from 0, as layers do, and states carry one extra row: the
initial state s_{-1} = 0 is stored at index -1, so ``states[t - 1]`` is right for t = 0 too. One
state is an array (layers, parts, H); its parts are s, and for an lstm s and c.

``masks`` are those of dropout, see ``masks``. The functions of one step take parameters whose W is
multiplied by its mask already: ``masks.of_W(parameters)``.
"""

from __future__ import annotations

from typing import Any, Union

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.layout import Net, hidden_size, named, table
from theano_rnn.reference.masks import Masks
from theano_rnn.reference.types import Floats, Ints, Parameters

#: The input of a layer: a vector, or a token in place of its one-hot vector.
Input = Union[Floats, int]


def layer_input(parameters: Parameters, l: int, below: Input, factors: Any = 1) -> Floats:
    """p_t = U (factors * x_t) + b of layer l, (G*H,); ``below`` is x_t, at l = 0 `embedded`."""
    U, b = parameters[named("U", l)], parameters.get(named("b", l))
    one_hot = l == 0 and "L" not in parameters
    # U times a one-hot vector is a column of U
    p: Floats = factors * U[:, below] if one_hot else U @ (factors * below)
    return p if b is None else p + b


def embedded(parameters: Parameters, token: int) -> Input:
    """x_t: column L[:, token], (D,), or the token itself where x_t is one-hot."""
    return parameters["L"][:, token] if "L" in parameters else token


def recurrent(net: Net, parameters: Parameters, l: int) -> dict[str, Any]:
    """W of layer l by name if the cell has it, and so a: 0 without biases."""
    names = [named(name, l) for name in CELLS[net.cell].recurrent]
    return {name: parameters.get(name, 0.0) for name in names}


def next_state(
    net: Net, parameters: Parameters, token: int, before: Floats, masks: Masks, t: int
) -> Floats:
    """The state after token t, (layers, parts, H): layer by layer from the bottom."""
    after, below = [], embedded(parameters, token)
    for l in range(net.layers):
        p = layer_input(parameters, l, below, masks.below(t, l))
        weights = recurrent(net, parameters, l).values()
        after.append(CELLS[net.cell].forward(p, *weights, before[l]))
        below = after[l][0]  # s_t of this layer is the input of the next
    return np.array(after)


def states(net: Net, parameters: Parameters, x: Ints, masks: Masks) -> Floats:
    """All states of a sentence, (T + 1, layers, parts, H), with the initial state last."""
    T, parameters = len(x), masks.of_W(parameters)
    shape = (T + 1, net.layers, CELLS[net.cell].parts, hidden_size(parameters))
    s = np.zeros(shape, dtype=table(parameters).dtype)
    for t in range(T):
        s[t] = next_state(net, parameters, x[t], s[t - 1], masks, t)
    return s


def output_matrix(parameters: Parameters) -> Floats:
    """V (vocab_size, H). If it is tied, it is L', or U' without an embedding, or L' P."""
    if "V" in parameters:
        return parameters["V"]
    tied = table(parameters).T
    return tied @ parameters["P"] if "P" in parameters else tied


def add_to_output_matrix(gradients: Parameters, parameters: Parameters, dV: Floats) -> None:
    """Add the gradient of the output matrix to the gradients of what it is made of."""
    if "V" in parameters:
        gradients["V"] += dV
    elif "P" in parameters:  # V = L' P
        gradients["P"] += parameters["L"] @ dV
        gradients["L"] += parameters["P"] @ dV.T
    else:
        table(gradients)[:] += dV.T  # V = L', or U'


def log_softmax(logits: Floats) -> Floats:
    """log(exp(a) / sum exp(a)), with the largest subtracted so that no exp overflows."""
    shifted = logits - logits.max()
    log_p: Floats = shifted - np.log(np.exp(shifted).sum())
    return log_p


def top(state: Floats, masks: Masks, t: int) -> Floats:
    """s_t of the top layer as the output reads it, (H,), from the state of step t."""
    s: Floats = masks.below(t, len(state)) * state[-1, 0]
    return s


def log_output(parameters: Parameters, s: Floats) -> Floats:
    """log o_t, o_t = softmax(V s_t + c), (vocab_size,); s is s_t as `top` gives it."""
    logits = output_matrix(parameters) @ s
    return log_softmax(logits + parameters["c"] if "c" in parameters else logits)


def output(parameters: Parameters, s: Floats) -> Floats:
    """o_t, (vocab_size,)."""
    return np.exp(log_output(parameters, s))


def output_loss(parameters: Parameters, s: Floats, target: int) -> float:
    """E_t = -log o_t[y_t], finite even where o_t[y_t] underflows to 0."""
    return -float(log_output(parameters, s)[target])


def output_error(parameters: Parameters, s: Floats, target: int) -> Floats:
    """dE_t/d(V s_t + c) = o_t - y_t, (vocab_size,)."""
    error = output(parameters, s)
    error[target] -= 1
    return error
