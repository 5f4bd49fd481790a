"""The tutorial's network in plain theano-pymc, as a careful user writes it.

This module imports nothing of the package. The state is a vector, the products with U and V are
outside the scan, and U is stored by rows, of which only those that occur are updated.
"""

import sys
from typing import Any, Callable

if sys.version_info >= (3, 11) and "theano" not in sys.modules:
    # theano-pymc 1.1.2: scan_perform.c does not compile since Python 3.11, and scan falls back to
    # its Python loop only after an ImportError, which this is not. So one must block the import.
    sys.modules["theano.scan.scan_perform_ext"] = None

import theano
from theano import tensor

__all__ = ["compile_sgd_step", "theano"]

#: Theano has no types.
Variable = Any


def compile_sgd_step(U: Variable, V: Variable, W: Variable, B: int = 1) -> Callable[..., Any]:
    """A compiled function (x, y, learning_rate) -> E that takes one SGD step.

    x and y are vectors (T,), or matrices (T, B) if B is more than 1.

    Parameters
    ----------
    U, V : (vocab_size, H) shared variables
    W : (H, H) shared variable
    """
    learning_rate = tensor.scalar("learning_rate")
    if B == 1:
        x, y = tensor.lvectors("x", "y")
        rows = U[x]  # (T, H)
        s, _ = theano.scan(
            lambda p_t, s_before, W: tensor.tanh(p_t + W.dot(s_before)),
            sequences=[rows],
            outputs_info=[tensor.zeros_like(W[0])],
            non_sequences=[W],
            strict=True,
        )  # (T, H)
    else:
        x, y = tensor.lmatrices("x", "y")
        rows = U[x.flatten()]  # (T * B, H)
        s, _ = theano.scan(
            lambda p_t, s_before, W_T: tensor.tanh(p_t + s_before.dot(W_T)),
            sequences=[rows.reshape((x.shape[0], B, W.shape[0]))],
            outputs_info=[tensor.zeros((B, W.shape[0]))],
            non_sequences=[W.T],
            strict=True,
        )
        s = s.reshape((rows.shape[0], W.shape[0]))  # (T * B, H)
    o = tensor.nnet.softmax(s.dot(V.T))  # (T * B, vocab_size)
    E = tensor.nnet.categorical_crossentropy(o, y.flatten()).sum()
    d_rows, dV, dW = (g / B for g in theano.grad(E, [rows, V, W]))
    updates = [
        (U, tensor.inc_subtensor(rows, -learning_rate * d_rows)),
        (V, V - learning_rate * dV),
        (W, W - learning_rate * dW),
    ]
    sgd_step: Callable[..., Any] = theano.function([x, y, learning_rate], E, updates=updates)
    return sgd_step
