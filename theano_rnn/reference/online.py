"""Credit assigned forward in time: the influence of the parameters on the state, step by step.

In place of errors that go back, the influence G_t = dh_t/dtheta of every parameter on the whole
state h_t goes forward with it. With J_t = dh_t/dh_{t-1}, D_t the derivative of h_t by theta with
h_{t-1} held, and e_t = dE_t/dh_t of the output at t alone,

    rtrl        G_t = J_t G_{t-1} + D_t                   dE/dtheta = sum_t e_t G_t, exactly
    snap1       G_t = own(J_t G_{t-1} + D_t)              a parameter's own unit only
    local       G_t = own(I_t G_{t-1} + D_t)              I_t: the part of J_t past W
    immediate   G_t = D_t                                 nothing before step t
    uoro        G_t ~ u_t v_t', nu_t random signs
                u_t = rho0 J_t u_{t-1} + rho1 nu_t        rho0^2 = |v_{t-1}| / |J_t u_{t-1}|
                v_t = v_{t-1} / rho0 + nu_t' D_t / rho1   rho1^2 = |nu_t' D_t| / |nu_t|

Here everything is dense: G has an entry for each number of the state and each parameter.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from theano_rnn.reference.cells import CELLS
from theano_rnn.reference.checks import checked_net, checked_parameters, checked_tokens
from theano_rnn.reference.layout import Net, hidden_size, named, table
from theano_rnn.reference.masks import no_masks
from theano_rnn.reference.steps import (
    add_to_output_matrix,
    embedded,
    layer_input,
    next_state,
    output_error,
    output_loss,
    output_matrix,
    recurrent,
    top,
)
from theano_rnn.reference.types import Array, Floats, Parameters, Tokens

METHODS = ("rtrl", "snap1", "uoro", "local", "immediate")


class Online:
    """A network on a text, one token after the other, and the gradient of each loss as it comes.

    Parameters
    ----------
    parameters : dict of arrays
        As `NumpyRNN` takes them. They may be changed in place between two steps.
    method : str
        One of METHODS.
    cell, layers, bias, tied, embedding, projection
        The network, as in `NumpyRNN`. snap1 and local need one layer and no embedding.

    Raises
    ------
    ValueError
        For another method, or one that this network does not have.
    """

    def __init__(
        self,
        parameters: Mapping[str, Array],
        method: str,
        *,
        cell: str = "tanh",
        layers: int = 1,
        bias: bool = False,
        tied: bool = False,
        embedding: bool = False,
        projection: bool = False,
    ) -> None:
        self.net = net = checked_net(cell, layers, bias, tied, embedding, projection)
        self.parameters = checked_parameters(parameters, net)
        if method not in METHODS:
            raise ValueError(f"method is {method!r}: pass one of {', '.join(METHODS)}")
        if method in ("snap1", "local") and (net.layers > 1 or net.embedding):
            raise ValueError(f"method is {method!r}: pass one layer and no embedding")
        self.method, H = method, hidden_size(self.parameters)
        self.h = np.zeros((net.layers, CELLS[cell].parts, H))
        #: dh_t/dtheta, (layers, parts, H, ...) by the names of the parameters.
        self.G = {
            name: np.zeros(self.h.shape + p.shape) for name, p in of_steps(self.parameters).items()
        }
        self.u = np.zeros(self.h.shape)
        self.v = {name: np.zeros(p.shape) for name, p in of_steps(self.parameters).items()}

    def step(
        self, token: int, target: int, signs: Floats | None = None
    ) -> tuple[float, Parameters]:
        """E_t and its gradient, by the names of the parameters; the state goes on.

        ``signs`` (layers * parts * H,) are nu_t of uoro, each 1 or -1.
        """
        net, parameters, before = self.net, self.parameters, self.h
        masks = no_masks(net, parameters, np.array([token]))
        self.h = after = next_state(net, parameters, token, before, masks, 0)
        J, D = derivatives(net, parameters, token, before, after)
        s = top(after, masks, 0)
        error = output_error(parameters, s, target)
        e = np.zeros_like(after)
        e[-1, 0] = output_matrix(parameters).T @ error  # dE_t/ds_t = V' (o_t - y_t)
        if self.method == "uoro":
            assert signs is not None
            self._approximate(J, D, signs.reshape(e.shape))
            along = (e * self.u).sum()
            gradients = {name: along * v for name, v in self.v.items()}
        else:
            self._carry(J, D, before, token)
            gradients = {name: np.tensordot(e, G, 3) for name, G in self.G.items()}
        gradients = {name: gradients.get(name, np.zeros_like(p)) for name, p in parameters.items()}
        # dV = (o_t - y_t) s_t', exact for every method
        add_to_output_matrix(gradients, parameters, np.outer(error, s))
        if net.bias:
            gradients["c"] += error
        return output_loss(parameters, s, target), gradients

    def _carry(self, J: Floats, D: Parameters, before: Floats, token: int) -> None:
        """G_t from G_{t-1}."""
        if self.method == "immediate":
            J = np.zeros_like(J)
        if self.method == "local":
            J = identity(self.net, self.parameters, token, before)
        for name, G in self.G.items():
            G = np.tensordot(J, G, 3) + D[name]
            self.G[name] = own(G) if self.method in ("snap1", "local") else G

    def _approximate(self, J: Floats, D: Parameters, nu: Floats) -> None:
        """u_t and v_t from u_{t-1} and v_{t-1}."""
        Ju = np.tensordot(J, self.u, 3)
        w = {name: np.tensordot(nu, d, 3) for name, d in D.items()}  # nu' D_t
        rho0 = root_of_ratio(norm(self.v), norm({"": Ju}))
        rho1 = root_of_ratio(norm(w), norm({"": nu}))
        self.u = rho0 * Ju + rho1 * nu
        self.v = {name: v / rho0 + w[name] / rho1 for name, v in self.v.items()}


def online_gradients(
    parameters: Mapping[str, Array],
    x: Tokens,
    y: Tokens,
    method: str,
    signs: Floats | None = None,
    **kind: bool | int | str,
) -> Parameters:
    """The gradient of E, summed over the steps, by the names of the parameters.

    Parameters
    ----------
    parameters : dict of arrays
    x, y : sequences of T ints
    method : str
        One of METHODS.
    signs : array (T, layers * parts * H), optional
        For uoro: nu_t of each step.
    **kind
        The network: cell, layers, bias, tied, embedding, projection.
    """
    online = Online(parameters, method, **kind)  # type: ignore[arg-type]
    vocab_size = table(online.parameters).shape[1]
    x, y = checked_tokens("x", x, vocab_size), checked_tokens("y", y, vocab_size)
    total = {name: np.zeros_like(p) for name, p in online.parameters.items()}
    for t in range(len(x)):
        _, gradients = online.step(x[t], y[t], None if signs is None else signs[t])
        for name, gradient in gradients.items():
            total[name] += gradient
    return total


def of_steps(parameters: Parameters) -> Parameters:
    """The parameters that a step uses: all but V, P and c."""
    return {name: p for name, p in parameters.items() if name not in ("V", "P", "c")}


def derivatives(
    net: Net, parameters: Parameters, token: int, before: Floats, after: Floats
) -> tuple[Floats, Parameters]:
    """J_t (layers, parts, H, layers, parts, H), and D_t (layers, parts, H, ...) by name.

    Row by row: the derivative of one number of h_t goes back through all layers of the step.
    """
    J = np.zeros(after.shape + before.shape)
    D = {name: np.zeros(after.shape + p.shape) for name, p in of_steps(parameters).items()}
    for index in np.ndindex(after.shape):
        d = np.zeros_like(after)  # by h_t of this step, layer by layer
        d[index] = 1
        for l in reversed(range(net.layers)):
            U, weights = parameters[named("U", l)], recurrent(net, parameters, l)
            below = embedded(parameters, token) if l == 0 else after[l - 1, 0]
            p = layer_input(parameters, l, below)
            backward = CELLS[net.cell].backward
            dp, *d_weights, J[index][l] = backward(p, *weights.values(), before[l], d[l])
            for name, dW in zip(weights, d_weights):
                if name in D:  # a is not, without biases
                    D[name][index] += dW
            if net.bias:
                D[named("b", l)][index] += dp
            if l == 0 and not net.embedding:
                D["U"][index][:, token] += dp  # x_t is one-hot
                continue
            D[named("U", l)][index] += np.outer(dp, below)
            if l == 0:
                D["L"][index][:, token] += U.T @ dp
            else:
                d[l - 1, 0] += U.T @ dp  # s_t of the layer below
    return J, D


def identity(net: Net, parameters: Parameters, token: int, before: Floats) -> Floats:
    """I_t, of the shape of J_t, for one layer: how each unit goes on without W."""
    (_, parts, H), cell = before.shape, CELLS[net.cell]
    full = np.zeros(before.shape * 2)
    if cell.identity is not None:
        p = layer_input(parameters, 0, embedded(parameters, token))
        of_unit = cell.identity(p, *recurrent(net, parameters, 0).values(), before[0])
        for i, j, n in np.ndindex(parts, parts, H):
            full[0, i, n, 0, j, n] = of_unit[i, j, n]
    return full


def own(G: Floats) -> Floats:
    """G (1, parts, H, G*H, ...) with the influence of row g*H + n on the unit n alone."""
    _, _, H, rows, *_ = G.shape
    is_own = np.arange(rows) % H == np.arange(H)[:, None]  # (H, G*H)
    kept: Floats = G * is_own.reshape(is_own.shape + (1,) * (G.ndim - 4))
    return kept


def norm(arrays: Parameters) -> float:
    """The 2-norm of all numbers together."""
    return float(np.sqrt(sum((a**2).sum() for a in arrays.values())))


def root_of_ratio(a: float, b: float) -> float:
    """sqrt(a / b), and 1 where one of them is 0: any factor is unbiased."""
    return float(np.sqrt(a / b)) if a > 0 and b > 0 else 1.0
