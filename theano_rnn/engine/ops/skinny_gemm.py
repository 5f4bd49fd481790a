"""Skinny GEMM: products of a matrix with few rows and one with many, as in an output layer.

For a sentence of 20 words, the three products with V multiply a matrix of 20 rows by one of
thousands, (vocab_size, H). BLAS copies both into blocks of its own. That pays for matrices that
are large both ways; for 20 rows the copy costs as much as the product. ``skinny_gemm.h`` reads the
large matrix once. The rewrite ``skinny_gemm``, which ``engine.rewrites`` registers, replaces
Theano's Dot22 and Gemm by the Ops below. They look at the sizes when they run, and call BLAS for
all other shapes.

They use as many threads as BLAS. They add in another order than BLAS, and the results differ by
rounding; the order depends on the number of threads.
"""

from typing import Any, Optional

import numpy as np
from theano import tensor
from theano.graph.basic import Apply
from theano.graph.opt import local_optimizer
from theano.tensor.blas import Dot22, Gemm

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS, BlasOp, if_same_type


class _SkinnyOp(BlasOp):
    """What the two Ops share: the C++.

    Parameters
    ----------
    in_bf16 : bool
        As for every ``BlasOp``; the rewrite of ``ops/bf16.py`` sets it.
    """

    __props__ = ("in_bf16",)
    files = (
        "gil.h", "ops/vectors.h", "ops/gemv.h", "ops/threads.h", "ops/matrix.h",
        "loop/loop.h", "ops/skinny_gemm.h", "ops/skinny_gemm.c",
    )  # fmt: skip

    def __init__(self, in_bf16: bool = False) -> None:
        self.in_bf16 = in_bf16

    def _dot(self, x: Any, y: Any) -> Any:
        """What ``perform`` multiplies with."""
        if self.in_bf16:
            raise NotImplementedError("products in bf16 are computed in C")
        return np.dot(x, y)


class SkinnyDot22(_SkinnyOp):
    """x y: (m, k) and (k, n) -> (m, n), of one dtype, float32 or float64.

    Raises
    ------
    ValueError
        When run, if the inner sizes differ.
    """

    def make_node(self, x: Variable, y: Variable) -> Apply:
        broadcastable = (x.broadcastable[0], y.broadcastable[1])
        return Apply(self, [x, y], [tensor.TensorType(x.dtype, broadcastable)()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [(shapes[0][0], shapes[1][1])]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        outputs[0][0] = self._dot(*inputs)

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (x, y), (out,), fail = inputs, outputs, sub["fail"]
        return f"if (!skinny_gemm::product<dtype_{x}>({x}, {y}, &{out})) {{ {fail} }}"


class SkinnyGemm(_SkinnyOp):
    """beta z + alpha x y, written over z (m, n), of scalars, x (m, k) and y (k, n).

    Raises
    ------
    ValueError
        When run, if the sizes do not fit; z is as it was then.
    """

    def __init__(self, in_bf16: bool = False) -> None:
        super().__init__(in_bf16)
        self.destroy_map = {0: [0]}

    def make_node(
        self, z: Variable, alpha: Variable, x: Variable, y: Variable, beta: Variable
    ) -> Apply:
        return Apply(self, [z, alpha, x, y, beta], [z.type()])

    def infer_shape(self, fgraph: Any, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0]]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        z, alpha, x, y, beta = inputs
        product = alpha * self._dot(x, y)
        z[:] = product if beta == 0 else beta * z + product  # z may be no numbers
        outputs[0][0] = z

    def c_code(self, node: Apply, name: str, inputs: Any, outputs: Any, sub: Any) -> str:
        (z, alpha, x, y, beta), (out,), fail = inputs, outputs, sub["fail"]
        return f"""
        if (!skinny_gemm::add_product<dtype_{z}>(
                {z}, *(dtype_{z}*)PyArray_DATA({alpha}), {x}, {y},
                *(dtype_{z}*)PyArray_DATA({beta}))) {{ {fail} }}
        Py_INCREF({z});
        Py_XDECREF({out});
        {out} = {z};
        """


@local_optimizer([Dot22, Gemm])
def local_skinny_gemm(fgraph: Any, node: Apply) -> Optional[dict[Variable, Variable]]:
    """Dot22 -> SkinnyDot22; Gemm that writes in place -> SkinnyGemm."""
    if not isinstance(node.op, (Dot22, Gemm)) or node.outputs[0].dtype not in FLOATS:
        return None
    if isinstance(node.op, Dot22):
        new = SkinnyDot22()(*node.inputs)
    else:
        if not node.op.inplace:
            return None
        new = SkinnyGemm()(*node.inputs)
    return if_same_type(node.outputs[0], new)
