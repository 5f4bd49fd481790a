"""Skinny GEMM: products of a matrix with few rows and one with many, as in an output layer.

For a sentence of 20 words, the three products with V multiply a matrix of 20 rows by one of
thousands, (vocab_size, H). BLAS copies both into blocks of its own. That pays for matrices that
are large both ways; for 20 rows the copy costs as much as the product. ``skinny_gemm.h`` reads the
large matrix once. The rewrite ``skinny_gemm``, which ``engine.rewrites`` registers, replaces
Theano's Dot22 and Gemm by the Ops below. They look at the sizes when they run, and call BLAS for
all other shapes.

They use as many threads as OPENBLAS_NUM_THREADS gives BLAS, and one where it is not set. They add
in another order than BLAS: the results differ by rounding.
"""

from typing import Any, Optional

import numpy as np
from theano import tensor
from theano.graph.basic import Apply
from theano.graph.opt import copy_stack_trace, local_optimizer
from theano.tensor.basic import NotScalarConstantError, get_scalar_constant_value
from theano.tensor.blas import Dot22, Gemm

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS, BlasOp


class _SkinnyOp(BlasOp):
    """What the two Ops share: the C++."""

    files = ("gil.h", "loop/loop.h", "ops/skinny_gemm.h", "ops/skinny_gemm.c")


class SkinnyDot22(_SkinnyOp):
    """x y: (m, k) and (k, n) -> (m, n), of one dtype, float32 or float64.

    Raises
    ------
    ValueError
        When run, if the inner sizes differ.
    """

    __props__ = ()

    def make_node(self, x: Variable, y: Variable) -> Apply:
        broadcastable = (x.broadcastable[0], y.broadcastable[1])
        return Apply(self, [x, y], [tensor.TensorType(x.dtype, broadcastable)()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [(shapes[0][0], shapes[1][1])]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        outputs[0][0] = np.dot(*inputs)

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (x, y), (out,), fail = inputs, outputs, sub["fail"]
        return f"if (!skinny_gemm::product<dtype_{x}>({x}, {y}, &{out})) {{ {fail} }}"


class SkinnyGemm(_SkinnyOp):
    """z + alpha x y, written over z: (m, n), a scalar, (m, k) and (k, n) -> (m, n).

    Raises
    ------
    ValueError
        When run, if the sizes do not fit; z is as it was then.
    """

    __props__ = ()

    def __init__(self) -> None:
        self.destroy_map = {0: [0]}

    def make_node(self, z: Variable, alpha: Variable, x: Variable, y: Variable) -> Apply:
        return Apply(self, [z, alpha, x, y], [z.type()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0]]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        z, alpha, x, y = inputs
        z += alpha * np.dot(x, y)
        outputs[0][0] = z

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (z, alpha, x, y), (out,), fail = inputs, outputs, sub["fail"]
        return f"""
        if (!skinny_gemm::add_product<dtype_{z}>(
                {z}, *(dtype_{z}*)PyArray_DATA({alpha}), {x}, {y})) {{ {fail} }}
        Py_INCREF({z});
        Py_XDECREF({out});
        {out} = {z};
        """


@local_optimizer([Dot22, Gemm])
def local_skinny_gemm(fgraph: Any, node: Apply) -> Optional[list[Variable]]:
    """Dot22 -> SkinnyDot22; Gemm that writes in place, with beta = 1 -> SkinnyGemm."""
    if not isinstance(node.op, (Dot22, Gemm)) or node.outputs[0].dtype not in FLOATS:
        return None
    if isinstance(node.op, Dot22):
        new = SkinnyDot22()(*node.inputs)
    else:
        z, alpha, x, y, beta = node.inputs
        if not node.op.inplace or not _is_one(beta):
            return None
        new = SkinnyGemm()(z, alpha, x, y)
    (old,) = node.outputs
    if new.type != old.type:
        return None
    copy_stack_trace(old, new)
    return [new]


def _is_one(scalar: Variable) -> bool:
    try:
        return bool(get_scalar_constant_value(scalar) == 1)
    except NotScalarConstantError:
        return False
