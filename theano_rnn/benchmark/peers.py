"""The same network in JAX and in PyTorch, as a careful user of each writes it.

This module imports nothing of the package. It runs in an environment of its own, because both
need a newer NumPy than Theano does. U is stored by rows, and only the rows of tokens that occur
are read and updated. The gates are stacked in the order of ``theano_rnn.model.cells``.
"""

import functools
from typing import Any, Callable

#: An array of NumPy, JAX or PyTorch.
Array = Any
State = tuple[Array, ...]
StepFunction = Callable[[State, Array], State]
#: step(x, y) -> E, and parameters() -> U, V, W.
Loaded = tuple[Callable[[Array, Array], float], Callable[[], dict[str, Array]]]


def load_jax(values: dict[str, Array], cell: str, truncation: str, learning_rate: float) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W, in JAX: one jitted function, buffers donated.

    Parameters
    ----------
    values : dict
        U (vocab_size, G*H), V (vocab_size, H), W (G*H, H).
    cell : str
    truncation : str
        "full", "window:K" or "chunk:K"; K must divide the length into whole chunks.
    learning_rate : float
    """
    import jax
    from jax import numpy as jnp

    def step_of(W: Array) -> StepFunction:
        W_T = W.T
        H = W_T.shape[0]
        # Cut once, and not in each step: the gradient of a cut is as large as W.
        W_zr, W_h = W_T[:, : 2 * H], W_T[:, 2 * H :]

        def tanh(state: State, p: Array) -> State:
            (s,) = state
            return (jnp.tanh(p + s @ W_T),)

        def gru(state: State, p: Array) -> State:
            (s,) = state
            zr = jax.nn.sigmoid(p[:, : 2 * H] + s @ W_zr)
            z, r = zr[:, :H], zr[:, H:]
            h = jnp.tanh(p[:, 2 * H :] + (r * s) @ W_h)
            return (z * s + (1 - z) * h,)

        def lstm(state: State, p: Array) -> State:
            s, c = state
            a = p + s @ W_T
            i, f, o = jnp.split(jax.nn.sigmoid(a[:, : 3 * H]), 3, axis=1)
            c = f * c + i * jnp.tanh(a[:, 3 * H :])
            return (o * jnp.tanh(c), c)

        return {"tanh": tanh, "gru": gru, "lstm": lstm}[cell]

    def run(step: StepFunction, start: State, p: Array) -> tuple[State, State]:
        """The states after each step, and the last one."""

        def scan_step(state: State, p_t: Array) -> tuple[State, State]:
            state = step(state, p_t)
            return state, state

        last, states = jax.lax.scan(scan_step, start, p)
        return last, states

    def states(W: Array, p: Array) -> Array:
        """The states s_t (T, B, H), whose gradient is the truncated one."""
        T, B, H = p.shape[0], p.shape[1], W.shape[1]
        start = (jnp.zeros((B, H), p.dtype),) * (2 if cell == "lstm" else 1)
        scheme, _, steps = truncation.partition(":")
        step = step_of(W)
        if scheme == "full":
            return run(step, start, p)[1][0]
        K = int(steps)
        if scheme == "chunk":

            def chunk(state: State, p: Array) -> tuple[State, State]:
                return run(step, jax.lax.stop_gradient(state), p)

            _, s = jax.lax.scan(chunk, start, p.reshape(T // K, K, *p.shape[1:]))
            return s[0].reshape(T, B, H)
        # window: all windows as one minibatch, which begin at frozen states
        frozen = [jax.lax.stop_gradient(s) for s in run(step, start, p)[1]]
        n = min(K + 1, T)
        j = jnp.arange(T)[None, :] - (n - 1) + jnp.arange(n)[:, None]  # (n, T)
        windows = p[jnp.maximum(j, 0)].reshape(n, T * B, -1)
        is_begun = jnp.repeat(j >= 0, B, axis=1)[..., None]
        begin = tuple(
            jnp.concatenate([jnp.zeros((n, B, H), p.dtype), s])[:T].reshape(T * B, H)
            for s in frozen
        )

        def window_step(state: State, inputs: State) -> tuple[State, None]:
            p_t, begun = inputs
            after = step(state, p_t)
            return tuple(jnp.where(begun, a, s) for a, s in zip(after, state)), None

        last, _ = jax.lax.scan(window_step, begin, (windows, is_begun))
        return last[0].reshape(T, B, H)

    def loss(rows: Array, V: Array, W: Array, y: Array, B: int) -> Array:
        s = states(W, rows.reshape(-1, B, rows.shape[1]))
        logits = s.reshape(-1, s.shape[2]) @ V.T
        chosen = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return (jax.nn.logsumexp(logits, axis=1) - chosen).sum()

    @functools.partial(jax.jit, donate_argnums=0, static_argnums=3)
    def sgd_step(parameters: State, x: Array, y: Array, B: int) -> tuple[Array, State]:
        U, V, W = parameters
        rows = U[x]
        E, (d_rows, dV, dW) = jax.value_and_grad(loss, argnums=(0, 1, 2))(rows, V, W, y, B)
        rate = learning_rate / B
        return E, (U.at[x].add(-rate * d_rows), V - rate * dV, W - rate * dW)

    parameters = tuple(jnp.asarray(values[name]) for name in "UVW")

    def step(x: Array, y: Array) -> float:
        nonlocal parameters
        B = x.shape[1] if x.ndim == 2 else 1
        E, parameters = sgd_step(parameters, x.ravel(), y.ravel(), B)
        return float(E)

    return step, lambda: dict(zip("UVW", parameters))


def load_torch(
    values: dict[str, Array],
    cell: str,
    truncation: str,
    learning_rate: float,
    is_compiled: bool = False,
) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W, in PyTorch with its own recurrences.

    It is eager, or the loss and its gradient are compiled by ``torch.compile`` for these shapes.

    PyTorch's GRU resets after the product instead of before it, which is the same work. Its GRU
    and LSTM also multiply their input by a matrix. That is the identity here, so that only the
    rows of U that occur are read, as in the other programs.
    """
    import torch

    if truncation != "full":
        raise ValueError(f"truncation {truncation} is not written for PyTorch")
    U, V, W = (torch.tensor(values[name]) for name in "UVW")
    H, G = W.shape[1], W.shape[0] // W.shape[1]
    if cell == "tanh":
        recurrence = None
    else:
        recurrence = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell](G * H, H, bias=False)
        order = {"gru": [1, 0, 2], "lstm": [0, 1, 3, 2]}[cell]  # theirs, by our gates
        blocks = W.reshape(G, H, H)
        with torch.no_grad():
            recurrence.weight_hh_l0.copy_(blocks[order].reshape(G * H, H))
            identity = torch.eye(G * H).reshape(G, H, G * H)
            recurrence.weight_ih_l0.copy_(identity[order].reshape(G * H, G * H))
        recurrence.weight_ih_l0.requires_grad_(False)
        W = recurrence.weight_hh_l0
    V.requires_grad_(True)
    W.requires_grad_(True)

    def states(p: Array) -> Array:
        if recurrence is not None:
            return recurrence(p)[0]
        W_T, s, all_states = W.t(), torch.zeros(p.shape[1], H), []
        for p_t in p:
            s = torch.tanh(torch.addmm(p_t, s, W_T))
            all_states.append(s)
        return torch.stack(all_states)

    def loss(rows: Array, targets: Array, B: int) -> Array:
        s = states(rows.reshape(-1, B, rows.shape[1]))
        logits = s.reshape(-1, H) @ V.t()
        return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")

    if is_compiled:
        loss = torch.compile(loss, dynamic=False)

    def step(x: Array, y: Array) -> float:
        B = x.shape[1] if x.ndim == 2 else 1
        tokens, targets = torch.from_numpy(x.ravel()), torch.from_numpy(y.ravel())
        rows = U[tokens].requires_grad_(True)
        E = loss(rows, targets, B)
        d_rows, dV, dW = torch.autograd.grad(E, [rows, V, W])
        with torch.no_grad():
            rate = learning_rate / B
            U.index_add_(0, tokens, d_rows, alpha=-rate)
            V.sub_(dV, alpha=rate)
            W.sub_(dW, alpha=rate)
        return float(E)

    def parameters() -> dict[str, Array]:
        ours = W.detach()
        if recurrence is not None:
            ours = torch.empty(G, H, H).index_copy_(0, torch.tensor(order), ours.reshape(G, H, H))
        return {"U": U.numpy(), "V": V.detach().numpy(), "W": ours.reshape(G * H, H).numpy()}

    return step, parameters
