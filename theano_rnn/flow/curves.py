"""The curves of a cell, its activations and gates, and where a model is on them."""

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.measures import Flow
from theano_rnn.model.architecture import named
from theano_rnn.model.cells import CELLS


def operating_points(flow: Flow) -> dict[str, Floats]:
    """z of each curve of the cell, at every step and unit, (T, n).

    Without gates, of each layer z_t = U x_t + W s_{t-1} + b. With gates, the layers side by side,
    each gate's z, from its value; that of the candidate, "tanh h" of a gru and "tanh g" of an
    lstm; and for lstm c, which goes through tanh.
    """
    a = flow.architecture
    parts = CELLS[a.cell].parts
    states = flow.states.reshape(flow.T + 1, a.layers, parts, flow.H)
    z = [_preactivation(flow, states[:, :, 0], layer) for layer in range(a.layers)]
    if CELLS[a.cell].carry_gate is None:
        names = [a.cell if a.layers == 1 else f"{a.cell}, layer {n + 1}" for n in range(a.layers)]
        return dict(zip(names, z))
    tiny = np.finfo("float64").tiny
    with np.errstate(divide="ignore"):
        points = {
            f"gate {name}": np.concatenate(
                list(np.log(np.maximum(g, tiny)) - np.log(np.maximum(1 - g, 1e-17))), axis=1
            )
            for name, g in flow.gates.items()
        }
    if a.cell == "lstm":
        return {
            **points,
            "tanh g": np.concatenate(z, axis=1),
            "tanh(c)": states[1:, :, 1].reshape(flow.T, -1),
        }
    return {**points, "tanh h": np.concatenate(z, axis=1)}


def _preactivation(flow: Flow, s: Floats, layer: int) -> Floats:
    """z of one layer, of a cell with gates that of its candidate, (T, H); s (T+1, layers, H)."""
    p, a = flow.parameters, flow.architecture
    U, W = (p[named(name, layer)] for name in "UW")
    b = p.get(named("b", layer))
    if layer > 0:
        below = s[1:, layer - 1] @ U.T
    elif a.embedding_size is None:
        below = U[:, flow.x].T
    else:
        below = p["L"][:, flow.x].T @ U.T
    if b is not None:
        below = below + b
    # The candidate's rows are the last ones.
    p_t, W, before = below[:, -flow.H :], W[-flow.H :], s[:-1, layer]
    if a.cell == "gru":
        before = flow.gates["r"][layer] * before
    again: Floats = before @ W.T
    if a.cell == "gru_after":
        again = flow.gates["r"][layer] * (again + p.get(named("a", layer), 0))
    z: Floats = p_t + again
    return z


def activation(name: str, z: Floats) -> Floats:
    """phi of a curve by its name: "tanh", "sigmoid", "relu", a "gate f", "tanh g" or "tanh(c)"."""
    if name.startswith("tanh"):
        return np.tanh(z)
    return np.maximum(z, 0) if name.startswith("relu") else 0.5 * (1 + np.tanh(0.5 * z))


def derivative(name: str, z: Floats) -> Floats:
    """phi' of a curve by its name, with Theano's 1/2 for relu at 0.

    >>> derivative("tanh", np.zeros(1)), derivative("gate f", np.zeros(1))
    (array([1.]), array([0.25]))
    """
    if name.startswith("relu"):
        return np.heaviside(z, 0.5)
    phi = activation(name, z)
    return 1 - phi**2 if name.startswith("tanh") else phi * (1 - phi)
