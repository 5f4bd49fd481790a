"""What several test modules share: random nets, and the graph compiled once for all of them."""

import functools
import os

# The nets of the tests are small: a second thread of BLAS only waits, and where the machine is
# busy it waits long.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from theano_rnn import graph
from theano_rnn.engine import compile_function, tensor
from theano_rnn.truncation import Truncation

SCHEMES = ("full", "window", "chunk", "last")
CUTTING = SCHEMES[1:]
# T = 6, K = 2: which step j (column) receives the error of which output t (row).
PICTURES = {
    "full": ("x.....", "xx....", "xxx...", "xxxx..", "xxxxx.", "xxxxxx", 21),
    "window:2": ("x.....", "xx....", "xxx...", ".xxx..", "..xxx.", "...xxx", 15),
    "chunk:2": ("x.....", "xx....", "..x...", "..xx..", "....x.", "....xx", 9),
    "last:2": ("......", "......", "......", "......", "....x.", "....xx", 3),
}


def net(seed, hidden_size=4, vocab_size=7, T=6, scale=1.0, dtype="float64"):
    """Parameters uniform in +-scale, and a random sentence with its targets."""
    rng = np.random.default_rng(seed)
    shapes = {
        "U": (hidden_size, vocab_size),
        "V": (vocab_size, hidden_size),
        "W": (hidden_size, hidden_size),
    }
    parameters = {
        name: rng.uniform(-scale, scale, shape).astype(dtype) for name, shape in shapes.items()
    }
    return parameters, rng.integers(vocab_size, size=T), rng.integers(vocab_size, size=T)


def named(scheme, K):
    """The name NumpyRNN knows a scheme by."""
    return scheme if scheme == "full" else f"{scheme}:{K}"


def cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@functools.cache
def compiled(scheme, dtype="float64"):
    """f(parameters, x, y, K) -> o, E, gradients: every net and every K from one compilation.

    The graph of the model, but with parameters and K as inputs.
    """
    x, y = tensor.lvectors("x", "y")
    U, V, W = (tensor.matrix(name, dtype) for name in "UVW")
    K = tensor.lscalar("K")
    net = graph.network(x, y, U, V, W, Truncation(scheme, None if scheme == "full" else K))
    outputs = [tensor.nnet.softmax(net.logits), net.loss, *graph.gradients(net, U, V, W)]
    inputs = [x, y, U, V, W] + ([] if scheme == "full" else [K])
    function = compile_function(inputs, outputs, name=scheme)

    def run(parameters, x, y, K=None):
        U, V, W = (parameters[name] for name in "UVW")
        cut = [] if scheme == "full" else [K]
        o, loss, dU, dV, dW = function(x, y, np.ascontiguousarray(U.T), V, W, *cut)
        return o, float(loss), {"U": dU.T, "V": dV, "W": dW}

    return run
