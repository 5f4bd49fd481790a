"""A recurrent language model as a compiled Theano scan graph, cross-checked against NumPy.

``train`` and ``load`` make and open a run; ``RNN``, ``Step`` and ``Flow`` are its parts. All are
imported when first used, so that neither ``import theano_rnn`` nor ``theano_rnn.reference`` waits
for Theano.
"""

import importlib
from typing import TYPE_CHECKING

from theano_rnn.common.errors import RNNError

if TYPE_CHECKING:
    from theano_rnn.flow import Flow
    from theano_rnn.optim.step import Step
    from theano_rnn.rnn import RNN
    from theano_rnn.runs import load, train

__all__ = ["RNN", "Flow", "RNNError", "Step", "load", "train"]
__version__ = "0.1.0"

#: The modules of the public names that need Theano.
_MODULES = {
    "RNN": "theano_rnn.rnn",
    "Step": "theano_rnn.optim.step",
    "Flow": "theano_rnn.flow",
    "load": "theano_rnn.runs",
    "train": "theano_rnn.runs",
}


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
