"""tanh and the sigmoid in code that the C compiler vectorises.

Theano's own Elemwise calls the C library's tanh, or its exp, once for each element. The user
writes ``tensor.tanh(z)`` and ``tensor.nnet.sigmoid(z)``; the rewrites ``vectorized_tanh`` and
``vectorized_sigmoid`` replace these by the Ops below, also in the steps of a scan and in
expressions that Theano fuses into one loop. ``engine.rewrites`` registers them.
"""

from typing import Any, Optional

from theano import scalar
from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.opt import copy_stack_trace, local_optimizer
from theano.tensor.elemwise import Elemwise
from theano.tensor.nnet.sigm import ScalarSigmoid

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS, FromFiles


class _Vectorized(FromFiles):
    """A Theano Op, the other base class, with C code of ours."""

    files = ("ops/vector_math.h",)
    function: str  # its name in vector_math.h

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x,), (z,) = inputs, outputs
        dtype = node.inputs[0].type.dtype
        if dtype not in FLOATS:
            raise NotImplementedError(f"{self} of {dtype}")
        return f"{z} = vector_math::{self.function}<npy_{dtype}>({x});"


class VectorizedTanh(_Vectorized, scalar.Tanh):
    """tanh, to within 2 units of the last digit.

    Notes
    -----
    Exactly 1 and -1 far from 0, x itself near 0, NaN for NaN.
    """

    function = "tanh"


class VectorizedSigmoid(_Vectorized, ScalarSigmoid):
    """1 / (1 + exp(-x)), to within 2 units of the last digit.

    Notes
    -----
    0 where it is no normal number, below -87.3 (float64: -708.4), NaN for NaN.
    """

    function = "sigmoid"

    def impl(self, x: float) -> Any:
        from scipy.special import expit  # slow to import, and only for Ops that run in Python

        return expit(x)


def _replacement(theanos: type, op_class: Any) -> Any:
    """Return a rewrite: Elemwise of the scalar Op `theanos` -> Elemwise of op_class."""
    ours = Elemwise(op_class(scalar.upgrade_to_float, name=f"vectorized_{op_class.function}"))

    @local_optimizer([Elemwise])
    def rewrite(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
        if not isinstance(node.op, Elemwise) or type(node.op.scalar_op) is not theanos:
            return None
        (x,), (old,) = node.inputs, node.outputs
        if node.op.inplace_pattern or x.dtype not in FLOATS or old.dtype != x.dtype:
            return None
        new = ours(x)
        copy_stack_trace(old, new)
        return [new]

    return rewrite


local_tanh = _replacement(scalar.Tanh, VectorizedTanh)
local_sigmoid = _replacement(ScalarSigmoid, VectorizedSigmoid)
