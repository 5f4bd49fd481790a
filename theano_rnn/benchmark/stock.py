"""The tutorial's network in plain theano-pymc, as a careful user writes it.

Imports nothing of this package. The state is a vector, the projections to and from it are
hoisted out of the scan, U is stored by rows and only touched rows are updated.
"""

import sys

if sys.version_info >= (3, 11) and "theano" not in sys.modules:
    # theano-pymc 1.1.2: scan_perform.c does not compile here, and the failure is not the
    # ImportError after which scan would take its Python loop. A user has to block the import.
    sys.modules["theano.scan.scan_perform_ext"] = None

import theano
from theano import tensor


def compile_sgd_step(U, V, W):
    """A function (x, y, learning_rate) -> E that updates the parameters.

    Parameters
    ----------
    U, V : (vocab_size, H) shared variables
    W : (H, H) shared variable
    """
    x, y = tensor.lvectors("x", "y")
    learning_rate = tensor.scalar("learning_rate")
    rows = U[x]  # (T, H)
    s, _ = theano.scan(
        lambda p_t, s_before, W: tensor.tanh(p_t + W.dot(s_before)),
        sequences=[rows],
        outputs_info=[tensor.zeros_like(W[0])],
        non_sequences=[W],
        strict=True,
    )  # (T, H)
    o = tensor.nnet.softmax(s.dot(V.T))  # (T, vocab_size)
    E = tensor.nnet.categorical_crossentropy(o, y).sum()
    d_rows, dV, dW = theano.grad(E, [rows, V, W])
    updates = [
        (U, tensor.inc_subtensor(rows, -learning_rate * d_rows)),
        (V, V - learning_rate * dV),
        (W, W - learning_rate * dW),
    ]
    return theano.function([x, y, learning_rate], E, updates=updates)
