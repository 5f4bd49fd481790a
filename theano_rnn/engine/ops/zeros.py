"""Sums of zeros and all of another array, which the gradient of a slice of everything is.

``theano.scan`` cuts its sequences to its number of steps, also where that is all of them. The
gradient of each cut allocates zeros, copies them, and adds the gradient of the slice: twice all
states of a sequence, (T, B, H), are read and written for nothing.
"""

from typing import Any, Optional

from theano import tensor
from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.opt import copy_stack_trace, local_optimizer
from theano.tensor.basic import Alloc, ScalarFromTensor, extract_constant
from theano.tensor.opt import Assert
from theano.tensor.subtensor import IncSubtensor, get_idx_list

from theano_rnn.common.types import Variable


@local_optimizer([IncSubtensor])
def local_increment_of_zeros(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """zeros[0:n] += y -> y, where n is the length.

    Theano broadcasts y where it has one row when it is run. What becomes y must have its shape: an
    Assert looks at each size that is not known to be the same.
    """
    if not isinstance(node.op, IncSubtensor) or node.op.set_instead_of_inc:
        return None
    if not hasattr(fgraph, "shape_feature"):  # a user can leave it out
        return None
    (zeros, y, *numbers), (out,) = node.inputs, node.outputs
    if zeros.owner is None or not isinstance(zeros.owner.op, Alloc) or y.type != out.type:
        return None
    value, *shape = zeros.owner.inputs
    slices = get_idx_list((zeros, *numbers), node.op.idx_list)
    is_whole = all(_takes_all(part, n) for part, n in zip(slices, shape))
    if not is_whole or extract_constant(value, only_process_constants=True) != 0:
        return None
    shape_of = fgraph.shape_feature.shape_of
    pairs = [(n, m) for n, m in zip(shape_of[zeros], shape_of[y]) if n is not m]
    new = Assert()(y, *(tensor.eq(n, m) for n, m in pairs)) if pairs else y
    copy_stack_trace(out, new)
    return [new]


def _takes_all(part: Any, n: Variable) -> bool:
    """Whether an index is a slice that takes all of n rows."""
    if not isinstance(part, slice) or part.step is not None:
        return False
    begins = part.start is None or extract_constant(part.start, only_process_constants=True) == 0
    return begins and (part.stop is None or _tensor(part.stop) is _tensor(n))


def _tensor(number: Variable) -> Variable:
    """The tensor that a scalar is made of; the number itself elsewhere."""
    is_made = number.owner is not None and isinstance(number.owner.op, ScalarFromTensor)
    return number.owner.inputs[0] if is_made else number
