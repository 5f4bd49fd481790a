"""The curves of a cell (its activations and gates), and the points where a model is on them."""

import numpy as np

from theano_rnn.common.types import Floats
from theano_rnn.flow.measures import Measures
from theano_rnn.model.activations import SIGMOID, Activation
from theano_rnn.model.architecture import named
from theano_rnn.model.cells import CELLS


def operating_points(flow: Measures) -> dict[str, Floats]:
    """z of each curve of the cell, at every step and unit, (T, n).

    A cell without gates has one curve per layer, z_t = U x_t + W s_{t-1} + b. A cell with gates
    has a curve for each gate (z computed from its value), one for the candidate ("tanh h" of gru,
    "tanh g" of lstm), and lstm one for c, the argument of its other tanh; all layers are side by
    side.
    """
    a = flow.architecture
    cell, phi = CELLS[a.cell], CELLS[a.cell].activation.name
    states = flow.states.reshape(flow.T + 1, a.layers, cell.parts, flow.H)
    z = [_preactivation(flow, states[:, :, 0], layer) for layer in range(a.layers)]
    if cell.G == 1:
        names = [phi if a.layers == 1 else f"{phi}, layer {n + 1}" for n in range(a.layers)]
        return dict(zip(names, z))
    tiny = np.finfo("float64").tiny
    with np.errstate(divide="ignore"):
        points = {
            f"gate {name}": np.concatenate(
                list(np.log(np.maximum(g, tiny)) - np.log(np.maximum(1 - g, 1e-17))), axis=1
            )
            for name, g in flow.gates.items()
        }
    points[f"{phi} {cell.gates[-1]}"] = np.concatenate(z, axis=1)
    for part, name in enumerate(cell.state[1:], start=1):
        points[f"{phi}({name})"] = states[1:, :, part].reshape(flow.T, -1)
    return points


def _preactivation(flow: Measures, s: Floats, layer: int) -> Floats:
    """z of one layer (with gates, of its candidate), (T, H); s is (T+1, layers, H)."""
    p, a = flow.parameters, flow.architecture
    U = p[named("U", layer)]
    b = p.get(named("b", layer))
    if layer > 0:
        below = s[1:, layer - 1] @ U.T
    elif a.embedding_size is None:
        below = U[:, flow.x].T
    else:
        below = p["L"][:, flow.x].T @ U.T
    if b is not None:
        below = below + b
    # The candidate has the last rows.
    p_t, before = below[:, -flow.H :], s[:-1, layer]
    cell = CELLS[a.cell]
    if not cell.has_W:
        return p_t
    W = p[named("W", layer)][-flow.H :]
    gates = {name: g[layer] for name, g in flow.gates.items()} if cell.G > 1 else {}
    return cell.candidate(p_t, W, before, gates, p.get(named("a", layer), 0))


def activation_of(name: str) -> Activation:
    """The activation of a curve by its name: "tanh", "relu, layer 2", "gate f", "tanh(c)"."""
    if name.startswith("gate"):
        return SIGMOID
    phis = (cell.activation for cell in CELLS.values())
    return next(phi for phi in phis if name.startswith(phi.name))


def activation(name: str, z: Floats) -> Floats:
    """phi(z) of a curve by its name."""
    return activation_of(name).phi(z)


def derivative(name: str, z: Floats) -> Floats:
    """phi'(z) of a curve by its name; for relu at 0 it is 1/2, as in Theano.

    >>> derivative("tanh", np.zeros(1)), derivative("gate f", np.zeros(1))
    (array([1.]), array([0.25]))
    """
    return activation_of(name).derivative(z)
