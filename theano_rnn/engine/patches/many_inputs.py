"""Fused element-wise Ops of 32 inputs and more, in Python.

The defect (theano-pymc 1.1.2, ``theano/tensor/elemwise.py``, ``Elemwise.prepare_node``): NumPy
makes no ufunc of more than 31 inputs, so such an Op gets none, and ``perform`` fails: it has no
attribute 'ufunc'. The gradient of a scan has such Ops, among those that compute its lengths.
DebugMode runs every Op in Python too, as does ``linker=py``.

The patch: the Op gets a function that does what the ufunc would.
"""

import functools
from typing import Any, Callable

import numpy as np
from theano.graph.basic import Apply
from theano.tensor.elemwise import Elemwise

from theano_rnn.common.types import Array

#: The most inputs of a ufunc.
MOST = 31

shipped = Elemwise.perform


def install() -> None:
    """Have these Ops compute in Python, too."""
    Elemwise.perform = perform


@functools.wraps(shipped)
def perform(self: Elemwise, node: Apply, inputs: list[Any], output_storage: list[Any]) -> None:
    """The shipped method, with a function in the place of a ufunc where NumPy makes none."""
    if len(inputs) > MOST and not hasattr(node.tag, "ufunc"):
        node.tag.ufunc = ManyInputs(self.scalar_op.impl, self.scalar_op.nout)
    shipped(self, node, inputs, output_storage)


class ManyInputs:
    """A function of numbers, called element by element, as a ufunc of ``np.frompyfunc`` is.

    Parameters
    ----------
    function : callable
    nout : int
        How many numbers it returns.
    """

    def __init__(self, function: Callable[..., Any], nout: int) -> None:
        self.function, self.nout = function, nout

    def __call__(self, *arrays: Array) -> Any:
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        columns = [np.broadcast_to(a, shape).astype(object).ravel() for a in arrays]
        rows = [self.function(*numbers) for numbers in zip(*columns)]
        parts = [rows] if self.nout == 1 else zip(*rows)
        made = []
        for part in parts:
            array = np.empty(len(rows), object)
            array[:] = part
            made.append(array.reshape(shape))
        return made[0] if self.nout == 1 else made
