"""Softmax cross-entropy and its gradient in one pass over the logits, with a vectorised exp.

Theano's own pair of Ops calls the C library's exp once for each element. The user writes
``categorical_crossentropy(softmax(z), y)`` and takes ``theano.grad`` of it; three rewrites, which
``engine.rewrites`` registers, change what runs:

``softmax_cross_entropy``          replaces Theano's pair by the two Ops below
``softmax_cross_entropy_merge``    takes the loss from the Op that computes the gradient anyway
``softmax_cross_entropy_inplace``  writes the gradient over logits that nothing else needs
"""

from typing import Any, Optional

import numpy as np
from theano import tensor
from theano.gradient import grad_undefined
from theano.graph.basic import Apply, ancestors
from theano.graph.fg import FunctionGraph
from theano.graph.opt import copy_stack_trace, local_optimizer
from theano.tensor.nnet.nnet import (
    CrossentropySoftmax1HotWithBiasDx,
    CrossentropySoftmaxArgmax1HotWithBias,
    Softmax,
    SoftmaxWithBias,
)

from theano_rnn.common.types import Array, Variable
from theano_rnn.engine.c_code import FLOATS, SimdOp, if_same_type


class _RowLossOp(SimdOp):
    """What the two Ops share: their inputs, and the C."""

    files = ("gil.h", "ops/threads.h", "ops/vector_math.h", "ops/softmax.c")

    def checked(self, logits: Variable, y: Variable) -> tuple[Variable, Variable]:
        """The two inputs as Theano variables of the types the C takes."""
        logits = tensor.as_tensor_variable(logits)
        y = tensor.as_tensor_variable(y)
        if logits.ndim != 2 or logits.dtype not in FLOATS:
            raise TypeError(
                f"{self}: logits must be a float32 or float64 matrix, not {logits.type}"
            )
        if y.ndim != 1 or y.dtype not in tensor.integer_dtypes:
            raise TypeError(f"{self}: y must be a vector of integers, not {y.type}")
        return logits, y if y.dtype == "int64" else tensor.cast(y, "int64")

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<algorithm>", "<cmath>", "<cstdlib>", "<cstring>", "<limits>"]


class SoftmaxCrossEntropy(_RowLossOp):
    """The loss of each row of logits.

    E_i = log sum_v exp(z_iv) - z_iy

    Parameters
    ----------
    logits : (N, vocab_size) matrix, float32 or float64
    y : (N,) integer vector
        The target of each row.

    Returns
    -------
    (N,) vector
        In the dtype of the logits.

    Raises
    ------
    ValueError
        When run, if a target is negative or not below vocab_size, as Theano's own Op does.

    Notes
    -----
    A logit of -infinity has probability 0. A row with NaN or +infinity in it, or with nothing
    but -infinity, has the loss NaN. Probabilities relative to the row's largest that are
    below the smallest normal number, exp(-87.3) (float64: exp(-708.4)), count as 0.
    """

    __props__ = ()

    def make_node(self, logits: Variable, y: Variable) -> Apply:
        logits, y = self.checked(logits, y)
        return Apply(self, [logits, y], [tensor.TensorType(logits.dtype, y.broadcastable)()])

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        outputs[0][0] = _in_numpy(*inputs)[0]

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        return [(shapes[0][0],)]

    def grad(self, inputs: list[Any], output_gradients: list[Variable]) -> list[Variable]:
        logits, y = inputs
        _, gradient = SoftmaxCrossEntropyGradient()(logits, y, output_gradients[0])
        return [gradient, grad_undefined(self, 1, y)]

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        logits, y = inputs
        return f"""
        if (!softmax_cross_entropy::run<dtype_{logits}>(
                {logits}, {y}, NULL, &{outputs[0]}, NULL, false)) {{ {sub["fail"]} }}
        """


class SoftmaxCrossEntropyGradient(_RowLossOp):
    """The loss of each row of logits, and the gradient of their weighted sum.

    E_i = log sum_v exp(z_iv) - z_iy
    d(sum_i w_i E_i)/dz_i = w_i (softmax(z_i) - onehot(y_i))

    The weights are an input because a mask or a mean then costs nothing: the row is scaled by
    w_i / sum_v exp(z_iv) instead of 1 / sum_v exp(z_iv).

    Parameters
    ----------
    inplace : bool
        Whether the gradient may be written over the logits.
    logits, y
        As for SoftmaxCrossEntropy.
    weight : (N,) or (1,) vector, or scalar
        dE/dE_i, the gradient that arrives at the loss of each row.

    Returns
    -------
    (N,) vector, (N, vocab_size) matrix
        The losses, not weighted, and the gradient.

    Notes
    -----
    There is no second derivative here. ``categorical_crossentropy(softmax(z), y)`` has one: it
    is Theano's own Ops that are differentiated, before the rewrites put this one in.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace
        if inplace:
            self.destroy_map = {1: [0]}

    def make_node(self, logits: Variable, y: Variable, weight: Variable) -> Apply:
        logits, y = self.checked(logits, y)
        weight = tensor.as_tensor_variable(weight)
        if weight.ndim > 1:
            raise TypeError(f"{self}: weight must be a vector or a scalar, not {weight.type}")
        if weight.dtype != logits.dtype:
            weight = tensor.cast(weight, logits.dtype)
        loss = tensor.TensorType(logits.dtype, y.broadcastable)()
        return Apply(self, [logits, y, weight], [loss, logits.type()])

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        logits, y, weight = inputs
        outputs[0][0], difference = _in_numpy(logits, y)
        difference *= weight.reshape(-1, 1)
        if self.inplace:
            logits[...] = difference
        outputs[1][0] = logits if self.inplace else difference

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        return [(shapes[0][0],), shapes[0]]

    def grad(self, inputs: list[Any], output_gradients: list[Variable]) -> list[Variable]:
        return [grad_undefined(self, i, variable) for i, variable in enumerate(inputs)]

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        logits, y, weight = inputs
        loss, gradient = outputs
        inplace = "true" if self.inplace else "false"
        return f"""
        if (!softmax_cross_entropy::run<dtype_{logits}>(
                {logits}, {y}, {weight}, &{loss}, &{gradient}, {inplace})) {{ {sub["fail"]} }}
        """


def _in_numpy(logits: Array, y: Array) -> tuple[Array, Array]:
    """loss and softmax(z) - onehot(y), for Theano without a C compiler."""
    rows = np.arange(len(logits))
    if len(y) != len(rows):
        raise ValueError(f"softmax cross-entropy: {len(y)} targets for {len(rows)} rows of logits")
    if np.any((y < 0) | (y >= logits.shape[1])):
        raise ValueError("softmax cross-entropy: a target is out of bounds")
    most = logits.max(axis=1, keepdims=True, initial=-np.inf)
    e = np.exp(logits - most)
    total = e.sum(axis=1, keepdims=True)
    loss = np.log(total[:, 0]) + (most[:, 0] - logits[rows, y])
    e /= total
    e[rows, y] -= 1
    return loss, e


def _logits(softmax_node: Apply) -> Variable:
    """z, and z + b where Theano's Op takes a bias that is not zero, of softmax_node."""
    z, *others = softmax_node.inputs
    if isinstance(softmax_node.op, Softmax) or _is_zero(others[0]):
        return z
    return z + others[0].dimshuffle("x", 0)


def _is_zero(bias: Variable) -> bool:
    # Theano gives a softmax that has no bias zeros_like(z[0]).
    try:
        return float(tensor.get_scalar_constant_value(bias)) == 0.0
    except tensor.NotScalarConstantError:
        return False


def _used_only_by(op_class: type, variable: Variable, fgraph: FunctionGraph) -> bool:
    # A client of the graph's outputs is a string in place of a node.
    return all(
        isinstance(getattr(client, "op", None), op_class) for client, _ in fgraph.clients[variable]
    )


@local_optimizer([CrossentropySoftmax1HotWithBiasDx])
def local_gradient(fgraph: FunctionGraph, node: Apply) -> Optional[dict[Variable, Variable]]:
    """Dx(weight, softmax(z), y) -> the gradient from z, if that spares the softmax."""
    weight, o, y = node.inputs
    softmaxes = (Softmax, SoftmaxWithBias, CrossentropySoftmaxArgmax1HotWithBias)
    if o.owner is None or not isinstance(o.owner.op, softmaxes) or o.dtype not in FLOATS:
        return None
    if not _used_only_by(CrossentropySoftmax1HotWithBiasDx, o, fgraph):
        return None
    _, gradient = SoftmaxCrossEntropyGradient()(_logits(o.owner), y, weight)
    return if_same_type(node.outputs[0], gradient)


@local_optimizer([CrossentropySoftmaxArgmax1HotWithBias])
def local_loss(fgraph: FunctionGraph, node: Apply) -> Optional[dict[Variable, Variable]]:
    """The loss of Theano's Op, its softmax and argmax unused -> ours."""
    loss, o, largest = node.outputs
    if fgraph.clients[o] or fgraph.clients[largest] or loss.dtype not in FLOATS:
        return None
    return if_same_type(loss, SoftmaxCrossEntropy()(_logits(node), node.inputs[2]))


@local_optimizer([SoftmaxCrossEntropy])
def local_merge(fgraph: FunctionGraph, node: Apply) -> Optional[dict[Variable, Variable]]:
    """The loss -> that of an Op which computes the gradient from the same logits and targets."""
    if not isinstance(node.op, SoftmaxCrossEntropy):
        return None
    (loss,) = node.outputs
    for client, _ in fgraph.clients[node.inputs[0]]:
        if not isinstance(getattr(client, "op", None), SoftmaxCrossEntropyGradient):
            continue
        # Weights made from the loss, as for exp(mean(E)), need it before the gradient.
        if client.inputs[:2] == node.inputs and loss not in ancestors([client.inputs[2]]):
            return if_same_type(loss, client.outputs[0])
    return None


@local_optimizer([SoftmaxCrossEntropyGradient], inplace=True)
def local_inplace(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """Theano refuses this by itself where the logits are needed afterwards."""
    if not isinstance(node.op, SoftmaxCrossEntropyGradient) or node.op.inplace:
        return None
    new: list[Variable] = SoftmaxCrossEntropyGradient(inplace=True)(*node.inputs)
    copy_stack_trace(node.outputs, new)
    return new
