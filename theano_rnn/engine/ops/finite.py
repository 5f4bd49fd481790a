"""An Op that stops a compiled function before it uses a number that is not finite."""

from typing import Any

import numpy as np
from theano import tensor
from theano.graph.basic import Apply
from theano.tensor.opt import Assert

from theano_rnn.common.types import Variable


class RaiseUnless(Assert):
    """Theano's Assert with FloatingPointError, so that a caller can tell it from all others."""

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        if not np.all(inputs[1:]):
            raise FloatingPointError(self.msg)
        outputs[0][0] = inputs[0]

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        code: str = super().c_code(node, name, inputs, outputs, sub)
        return code.replace("PyExc_AssertionError", "PyExc_FloatingPointError")

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (*super().c_code_cache_version(), 1)


def if_finite(a: Variable, number: Variable) -> Variable:
    """Return ``a``, but raise FloatingPointError if the number is NaN or infinite.

    Nothing that reads the result is computed then, so nothing is written over either.

    Parameters
    ----------
    a : expression
    number : scalar expression

    Returns
    -------
    expression
        A view of ``a``.
    """
    is_finite = tensor.eq(tensor.isnan(number) | tensor.isinf(number), 0)
    return RaiseUnless("a number is not finite")(a, is_finite)
