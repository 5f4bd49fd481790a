"""A recurrent language model as a compiled Theano scan graph, cross-checked against NumPy.

The public names are loaded when first used, so that ``theano_rnn.reference`` does not wait for
Theano.
"""

from typing import TYPE_CHECKING

from theano_rnn.common.errors import RNNError

if TYPE_CHECKING:
    from theano_rnn.rnn import RNN

__all__ = ["RNN", "RNNError"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "RNN":
        from theano_rnn.rnn import RNN

        return RNN
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
