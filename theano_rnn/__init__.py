"""A recurrent language model as a compiled Theano scan graph, cross-checked against NumPy.

The public names are loaded when first used, so that ``theano_rnn.reference`` does not wait for
Theano.
"""

from theano_rnn.errors import RNNError

__all__ = ["RNN", "RNNError"]
__version__ = "0.1.0"


def __getattr__(name):
    if name == "RNN":
        from theano_rnn.model import RNN

        return RNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
