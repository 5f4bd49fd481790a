"""Theano, imported when the first graph is made.

The cells, the truncation schemes and the optimizers are read by ``--help`` too, for their names
and docstrings, and it should not wait for Theano.
"""

import importlib
from typing import Any


class _Later:
    """A module that the engine has; its attributes are looked up when they are used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        module = getattr(importlib.import_module("theano_rnn.engine"), self._name)
        return getattr(module, attribute)


theano: Any = _Later("theano")
tensor: Any = _Later("tensor")
