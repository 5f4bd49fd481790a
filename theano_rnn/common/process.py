"""Whether this process can run Theano at all; to be asked before NumPy is imported."""

import os
import sys

from theano_rnn.common.errors import RNNError


def check() -> None:
    """Raise an RNNError if neither NumPy nor Theano can start here, whatever the settings.

    Without docstrings Theano does not start; without a current folder, NumPy 2.3 on Python 3.13.
    """
    if sys.flags.optimize > 1:
        raise RNNError(
            "python -OO (PYTHONOPTIMIZE=2) leaves out the docstrings, and Theano does not start "
            "without; run python, or python -O"
        )
    try:
        os.getcwd()
    except FileNotFoundError:
        raise RNNError("the current folder has been deleted; change to another one: cd") from None
