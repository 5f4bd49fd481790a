"""The rewrite ``bf16_gemm``: large products of a function in bf16, the sums in float32.

It is on in functions that are compiled with ``precision="bf16"``, and changes all Ops that
multiply: the skinny GEMM and the native loops. ``bf16_gemm.h`` says what they multiply in bf16:
large matrices of float32. ``theano_rnn.reference.bf16`` is the oracle, and has the bound of the
error.
"""

import copy
from typing import Any, Optional

from theano.graph.basic import Apply
from theano.graph.opt import copy_stack_trace, local_optimizer

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import BlasOp
from theano_rnn.engine.loop.op import NativeLoop
from theano_rnn.engine.ops.skinny_gemm import SkinnyDot22, SkinnyGemm


@local_optimizer([SkinnyDot22, SkinnyGemm, NativeLoop])
def local_bf16_gemm(fgraph: Any, node: Apply) -> Optional[list[Variable]]:
    """An Op that multiplies -> the same in bf16.

    Also those of float64, which compute as before: with linker=c all Ops of a function are one C++
    program, and its products are in bf16 or not.
    """
    if not isinstance(node.op, BlasOp) or node.op.in_bf16:
        return None
    op = copy.copy(node.op)
    op.in_bf16 = True
    new: list[Variable] = op.make_node(*node.inputs).outputs
    copy_stack_trace(node.outputs, new)
    return new
