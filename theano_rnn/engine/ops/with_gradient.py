"""A variable whose gradient is what a function makes of the error that arrives at it."""

from typing import Any, Callable

from theano.compile.ops import ViewOp
from theano.graph.basic import Apply

from theano_rnn.common.types import Variable, Variables


class _WithGradient(ViewOp):
    """x itself; Theano removes it from a function that it compiles, as it does every ViewOp."""

    def __init__(self, gradient: Callable[[Variable], Variable]) -> None:
        self.gradient = gradient

    def __eq__(self, other: Any) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def L_op(self, inputs: Variables, outputs: Variables, errors: Variables) -> Variables:
        return [self.gradient(errors[0])]

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return shapes


def with_gradient(x: Variable, gradient: Callable[[Variable], Variable]) -> Variable:
    """x, at which the error dL/dx arrives as ``gradient(dL/dx)``.

    Parameters
    ----------
    x : expression
    gradient : function (expression of x's type) -> expression of x's type

    Returns
    -------
    expression
    """
    return _WithGradient(gradient)(x)
