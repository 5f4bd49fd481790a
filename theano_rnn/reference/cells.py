"""One step of each recurrence, forward and backward, derived by hand.

Each cell has two functions. Its input p_t = U x_t + b and its matrix W hold the G gates one
below the other, in the order stated; the state before is a (parts, H) array or a tuple of parts.
A new cell is a pair of such functions and an entry in ``CELLS``.

    forward(p, W, before) -> after
    backward(p, W, before, d_after) -> dp, dW, d_before

``d_after`` is dE with respect to the state after this step, ``d_before`` to the one before; dp is
also dE/db, and dU is dp x_t'. Backward computes the gates again, so that forward keeps nothing.

A cell whose recurrence has a bias a takes it after W, and returns dE/da after dW. A cell whose
gates read the input alone has no W: it takes none and returns no dW.

A cell whose state has a way past W has a third function, with the arguments of forward:

    identity(p, W, before) -> (parts, parts, H)

the part of the Jacobian of the step that does not go through W. There each unit is alone: entry
[i, j, n] is d(part i)/d(part j before) of unit n.
"""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

import numpy as np

from theano_rnn.reference.types import Backward, Floats, State


class Cell(NamedTuple):
    """A recurrence: its gates and state vectors, counted, and its two functions.

    Attributes
    ----------
    gates : int
        G.
    parts : int
        Vectors of H numbers in the state.
    forward, backward : functions
    recurrent : str
        The parameters of the recurrence in the order of the arguments: "W", "Wa" for a cell that
        has a bias a there, or "" for a cell without W.
    identity : function, optional
    """

    gates: int
    parts: int
    forward: Callable[..., State]
    backward: Callable[..., Any]
    recurrent: str = "W"
    identity: Callable[..., Floats] | None = None


def sigma(a: Floats) -> Floats:
    """1 / (1 + exp(-a)), as the exp of its logarithm: no exp overflows."""
    sigma: Floats = np.exp(-np.logaddexp(0, -a))
    return sigma


# s_t = tanh(z_t), z_t = p_t + W s_{t-1} (Elman 1990); sigma and relu in place of tanh likewise.


def tanh_forward(p: Floats, W: Floats, before: State) -> State:
    (s_before,) = before
    return (np.tanh(p + W @ s_before),)


def tanh_backward(p: Floats, W: Floats, before: State, d_after: State) -> Backward:
    (s_before,), (ds,) = before, d_after
    s = np.tanh(p + W @ s_before)
    dz = ds * (1 - s**2)  # dE/dz_t = dE/ds_t * (1 - s_t^2)
    return dz, np.outer(dz, s_before), (W.T @ dz,)  # dE/dW = dz_t s_{t-1}', dE/ds_{t-1} = W' dz_t


def sigmoid_forward(p: Floats, W: Floats, before: State) -> State:
    (s_before,) = before
    return (sigma(p + W @ s_before),)


def sigmoid_backward(p: Floats, W: Floats, before: State, d_after: State) -> Backward:
    (s_before,), (ds,) = before, d_after
    s = sigma(p + W @ s_before)
    dz = ds * s * (1 - s)  # dE/dz_t = dE/ds_t * s_t * (1 - s_t)
    return dz, np.outer(dz, s_before), (W.T @ dz,)


def relu_forward(p: Floats, W: Floats, before: State) -> State:
    (s_before,) = before
    return (np.maximum(p + W @ s_before, 0),)


def relu_backward(p: Floats, W: Floats, before: State, d_after: State) -> Backward:
    (s_before,), (ds,) = before, d_after
    z = p + W @ s_before
    # dE/dz_t = dE/ds_t * (1 + sign z_t) / 2: one half at exactly 0, as Theano's tensor.nnet.relu,
    # which is (z + |z|) / 2. A bias of zero above a layer whose units are all off is met there.
    dz = ds * (1 + np.sign(z)) / 2
    return dz, np.outer(dz, s_before), (W.T @ dz,)


# The gated recurrent unit (Cho et al. 2014). Gates in the order z, r, h, with s' = s_{t-1}:
#   z = sigma(p_z + W_z s'), r = sigma(p_r + W_r s'), h = tanh(p_h + W_h (r * s'))
#   s_t = z * s' + (1 - z) * h


def _gru_gates(p: Floats, W: Floats, s_before: Floats) -> tuple[Floats, Floats, Floats]:
    p_z, p_r, p_h = np.split(p, 3)
    W_z, W_r, W_h = np.split(W, 3)
    z = sigma(p_z + W_z @ s_before)
    r = sigma(p_r + W_r @ s_before)
    h = np.tanh(p_h + W_h @ (r * s_before))
    return z, r, h


def gru_forward(p: Floats, W: Floats, before: State) -> State:
    (s_before,) = before
    z, _, h = _gru_gates(p, W, s_before)
    return (z * s_before + (1 - z) * h,)


def gru_backward(p: Floats, W: Floats, before: State, d_after: State) -> Backward:
    (s_before,), (ds,) = before, d_after
    z, r, h = _gru_gates(p, W, s_before)
    W_z, W_r, W_h = np.split(W, 3)
    dp_z = ds * (s_before - h) * z * (1 - z)  # dE/dz = ds * (s' - h), through sigma
    dp_h = ds * (1 - z) * (1 - h**2)  # dE/dh = ds * (1 - z), through tanh
    d_rs = W_h.T @ dp_h  # dE/d(r * s') = W_h' dp_h
    dp_r = d_rs * s_before * r * (1 - r)  # dE/dr = d(r * s') * s', through sigma
    dW = [np.outer(dp_z, s_before), np.outer(dp_r, s_before), np.outer(dp_h, r * s_before)]
    # dE/ds' = ds * z + d(r * s') * r + W_z' dp_z + W_r' dp_r
    ds_before = ds * z + d_rs * r + W_z.T @ dp_z + W_r.T @ dp_r
    return np.concatenate([dp_z, dp_r, dp_h]), np.concatenate(dW), (ds_before,)


def gru_identity(p: Floats, W: Floats, before: State) -> Floats:
    (s_before,) = before
    z, _, _ = _gru_gates(p, W, s_before)
    return z[None, None]  # ds_t/ds' = z


# The gated recurrent unit that resets after the product (Cho et al. 2014, version 1; cuDNN):
#   z and r as above, h = tanh(p_h + r * (W_h s' + a)); a is 0 without biases


def _gru_after_gates(
    p: Floats, W: Floats, a: Floats, s_before: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    p_z, p_r, p_h = np.split(p, 3)
    W_z, W_r, W_h = np.split(W, 3)
    z = sigma(p_z + W_z @ s_before)
    r = sigma(p_r + W_r @ s_before)
    q = W_h @ s_before + a
    return z, r, q, np.tanh(p_h + r * q)


def gru_after_forward(p: Floats, W: Floats, a: Floats, before: State) -> State:
    (s_before,) = before
    z, _, _, h = _gru_after_gates(p, W, a, s_before)
    return (z * s_before + (1 - z) * h,)


def gru_after_backward(
    p: Floats, W: Floats, a: Floats, before: State, d_after: State
) -> tuple[Floats, Floats, Floats, tuple[Floats, ...]]:
    (s_before,), (ds,) = before, d_after
    z, r, q, h = _gru_after_gates(p, W, a, s_before)
    dp_z = ds * (s_before - h) * z * (1 - z)  # dE/dz = ds * (s' - h), through sigma
    dp_h = ds * (1 - z) * (1 - h**2)  # dE/dh = ds * (1 - z), through tanh
    dp_r = dp_h * q * r * (1 - r)  # dE/dr = dp_h * q, through sigma
    dq = dp_h * r  # dE/dq, which is dE/da too
    by_gate = np.concatenate([dp_z, dp_r, dq])  # of what W s' is added to
    ds_before = ds * z + W.T @ by_gate  # dE/ds' = ds * z + W_z' dp_z + W_r' dp_r + W_h' dq
    return np.concatenate([dp_z, dp_r, dp_h]), np.outer(by_gate, s_before), dq, (ds_before,)


def gru_after_identity(p: Floats, W: Floats, a: Floats, before: State) -> Floats:
    (s_before,) = before
    z, _, _, _ = _gru_after_gates(p, W, a, s_before)
    return z[None, None]  # ds_t/ds' = z


# The minimal gated recurrent unit (Feng et al. 2024); their z is our 1 - z. Gates in the order
# z, h; no W:
#   z = sigma(p_z), h = p_h
#   s_t = z * s' + (1 - z) * h


def mingru_forward(p: Floats, before: State) -> State:
    (s_before,) = before
    p_z, h = np.split(p, 2)
    z = sigma(p_z)
    return (z * s_before + (1 - z) * h,)


def mingru_backward(p: Floats, before: State, d_after: State) -> tuple[Floats, tuple[Floats, ...]]:
    (s_before,), (ds,) = before, d_after
    p_z, h = np.split(p, 2)
    z = sigma(p_z)
    dp_z = ds * (s_before - h) * z * (1 - z)  # dE/dz = ds * (s' - h), through sigma
    dp_h = ds * (1 - z)  # dE/dh
    return np.concatenate([dp_z, dp_h]), (ds * z,)  # dE/ds' = ds * z: the Jacobian is diag(z)


def mingru_identity(p: Floats, before: State) -> Floats:
    return sigma(np.split(p, 2)[0])[None, None]  # ds_t/ds' = z


# Long short-term memory with a forget gate (Gers et al. 2000), no peepholes. The state is (s, c).
# Gates in the order i, f, o, g, with s' = s_{t-1} and c' = c_{t-1}:
#   i, f, o = sigma(p + W s') each, g = tanh(p_g + W_g s')
#   c_t = f * c' + i * g, s_t = o * tanh(c_t)


def _lstm_gates(p: Floats, W: Floats, s_before: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    a_i, a_f, a_o, a_g = np.split(p + W @ s_before, 4)
    return sigma(a_i), sigma(a_f), sigma(a_o), np.tanh(a_g)


def lstm_forward(p: Floats, W: Floats, before: State) -> State:
    s_before, c_before = before
    i, f, o, g = _lstm_gates(p, W, s_before)
    c = f * c_before + i * g
    return o * np.tanh(c), c


def lstm_backward(p: Floats, W: Floats, before: State, d_after: State) -> Backward:
    (s_before, c_before), (ds, dc) = before, d_after
    i, f, o, g = _lstm_gates(p, W, s_before)
    tanh_c = np.tanh(f * c_before + i * g)
    dc = dc + ds * o * (1 - tanh_c**2)  # dE/dc_t from step t+1, and through s_t
    dp_i = dc * g * i * (1 - i)  # dE/di = dc * g, through sigma
    dp_f = dc * c_before * f * (1 - f)  # dE/df = dc * c', through sigma
    dp_o = ds * tanh_c * o * (1 - o)  # dE/do = ds * tanh(c), through sigma
    dp_g = dc * i * (1 - g**2)  # dE/dg = dc * i, through tanh
    dp = np.concatenate([dp_i, dp_f, dp_o, dp_g])
    return dp, np.outer(dp, s_before), (W.T @ dp, dc * f)  # dE/ds' = W' dp, dE/dc' = dc * f


def lstm_identity(p: Floats, W: Floats, before: State) -> Floats:
    s_before, c_before = before
    i, f, o, g = _lstm_gates(p, W, s_before)
    tanh_c = np.tanh(f * c_before + i * g)
    none = np.zeros_like(f)
    # ds_t/dc' = o (1 - tanh(c)^2) f, dc_t/dc' = f; s' goes through W only
    return np.array([[none, o * (1 - tanh_c**2) * f], [none, f]])


CELLS = {
    "tanh": Cell(1, 1, tanh_forward, tanh_backward),
    "sigmoid": Cell(1, 1, sigmoid_forward, sigmoid_backward),
    "relu": Cell(1, 1, relu_forward, relu_backward),
    "gru": Cell(3, 1, gru_forward, gru_backward, identity=gru_identity),
    "gru_after": Cell(3, 1, gru_after_forward, gru_after_backward, "Wa", gru_after_identity),
    "lstm": Cell(4, 2, lstm_forward, lstm_backward, identity=lstm_identity),
    "mingru": Cell(2, 1, mingru_forward, mingru_backward, "", mingru_identity),
}
