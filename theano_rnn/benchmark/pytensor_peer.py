"""The same network in PyTensor, the heir of Theano, as a careful user of it writes it.

This module imports nothing of the package, as PyTensor runs in the environment of the peers.
One sequence has vectors as its states, as in ``stock``; several have matrices (B, H). U is stored
by rows. The gates are stacked in the order of ``theano_rnn.model.cells``.
"""

import ctypes
from typing import Any, Callable, Optional

#: An array of NumPy, or a variable of PyTensor.
Array = Any
#: step(x, y) -> E, and parameters() -> U, V, W.
Loaded = tuple[Callable[[Array, Array], float], Callable[[], dict[str, Array]]]


def load_pytensor(
    values: dict[str, Array],
    cell: str,
    B: int,
    learning_rate: float,
    mode: str,
    blas: Optional[str] = None,
) -> Loaded:
    """step(x, y) -> E, and parameters() -> U, V, W, with the full gradient.

    Parameters
    ----------
    values : dict
        U (vocab_size, G*H), V (vocab_size, H), W (G*H, H).
    cell : str
        "tanh", "gru" or "lstm".
    B : int
        Sequences in a step.
    learning_rate : float
    mode : str
        "NUMBA", which takes SciPy's BLAS, or "FAST_RUN" for C.
    blas : str, optional
        The file of the BLAS that the C calls.
    """
    if blas is not None:
        ctypes.CDLL(blas, mode=ctypes.RTLD_GLOBAL)
    import pytensor
    from pytensor import tensor as pt

    U, V, W = (pytensor.shared(values[name], name) for name in "UVW")
    H = values["W"].shape[1]

    def product(s: Array, W: Array) -> Array:
        """W s of vectors, and of each row of a matrix."""
        return pt.dot(W, s) if B == 1 else pt.dot(s, W.T)

    def tanh(p: Array, s: Array, W: Array) -> list[Array]:
        return [pt.tanh(p + product(s, W))]

    def gru(p: Array, s: Array, W_zr: Array, W_h: Array) -> list[Array]:
        zr = pt.sigmoid(p[..., : 2 * H] + product(s, W_zr))
        z, r = zr[..., :H], zr[..., H:]
        h = pt.tanh(p[..., 2 * H :] + product(r * s, W_h))
        return [z * s + (1 - z) * h]

    def lstm(p: Array, s: Array, c: Array, W: Array) -> list[Array]:
        a = p + product(s, W)
        gates = pt.sigmoid(a[..., : 3 * H])
        c = gates[..., H : 2 * H] * c + gates[..., :H] * pt.tanh(a[..., 3 * H :])
        return [gates[..., 2 * H :] * pt.tanh(c), c]

    x, y = pt.lvectors("x", "y") if B == 1 else pt.lmatrices("x", "y")
    rows = U[x.ravel()]
    p = rows if B == 1 else rows.reshape((x.shape[0], B, rows.shape[1]))
    start = pt.zeros((H,) if B == 1 else (B, H), dtype=U.dtype)
    states = pytensor.scan(
        {"tanh": tanh, "gru": gru, "lstm": lstm}[cell],
        sequences=[p],
        outputs_info=[start] * (2 if cell == "lstm" else 1),
        # Cut once, and not in each step: the gradient of a cut is as large as W.
        non_sequences=[W[: 2 * H], W[2 * H :]] if cell == "gru" else [W],
        strict=True,
        return_updates=False,
    )
    s = states[0] if cell == "lstm" else states
    logits = s.reshape((-1, H)).dot(V.T)
    E = -pt.special.log_softmax(logits, axis=1)[pt.arange(logits.shape[0]), y.ravel()].sum()
    d_rows, dV, dW = pytensor.grad(E, [rows, V, W])
    rate = values["U"].dtype.type(learning_rate / B)
    sgd_step = pytensor.function(
        [x, y],
        E,
        updates=[
            (U, pt.inc_subtensor(rows, -rate * d_rows)),
            (V, V - rate * dV),
            (W, W - rate * dW),
        ],
        mode=mode,
    )

    def parameters() -> dict[str, Array]:
        return {name: p.get_value() for name, p in zip("UVW", (U, V, W))}

    return lambda x, y: float(sgd_step(x, y)), parameters
