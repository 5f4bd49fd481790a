"""Rows of a matrix by number, and sums over a matrix, in plain C.

Theano's AdvancedIncSubtensor1 starts a NumPy iterator for each row, its Unique is Python, its sum
of squares reads the matrix twice, and its column sums read one column after the other. Four
rewrites, which ``engine.rewrites`` registers, replace them by the Ops below:

``row_increment``   x[rows] += y for a matrix and a vector of row numbers
``row_unique``      the distinct numbers of a vector, and the place of each element among them
``sum_of_squares``  sum(x * x) over a matrix
``column_sums``     sum(x, axis=0) of a matrix: the gradient of a bias
"""

from typing import Any, Optional

import numpy as np
from theano import scalar, tensor
from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.graph.opt import copy_stack_trace, local_optimizer
from theano.tensor.elemwise import Elemwise, Sum
from theano.tensor.extra_ops import Unique
from theano.tensor.subtensor import AdvancedIncSubtensor1

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS, SimdOp, if_same_type


class _RowOp(SimdOp):
    """What the Ops share: the C."""

    files: tuple[str, ...] = ("gil.h", "ops/rows.c")

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<algorithm>", "<utility>", "<vector>"]


class RowIncrement(_RowOp):
    """x with y[i] added to its row number[i], one after the other.

    Parameters
    ----------
    inplace : bool
        Whether x itself is changed.
    x : (N, n) matrix, float32 or float64
    y : (m, n) matrix of its dtype
    number : (m,) int64 vector
        Counted from the end where negative; a number may occur more than once.

    Raises
    ------
    IndexError, ValueError
        When run, for a row that is not there or another number of rows; x is as it was then.
    """

    __props__ = ("inplace",)

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace
        if inplace:
            self.destroy_map = {0: [0]}

    def make_node(self, x: Variable, y: Variable, number: Variable) -> Apply:
        return Apply(self, [x, y, number], [x.type()])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0]]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        x, y, number = inputs
        out = x if self.inplace else x.copy()
        np.add.at(out, number, y)
        outputs[0][0] = out

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x, y, number), (out,), fail = inputs, outputs, sub["fail"]
        own = (
            f"Py_XDECREF({out}); Py_INCREF({x}); {out} = {x};"
            if self.inplace
            else f"Py_XDECREF({out}); {out} = (PyArrayObject*)PyArray_NewCopy({x}, NPY_CORDER);"
            f" if ({out} == NULL) {{ {fail} }}"
        )
        return f"{own} if (!rows::increment<dtype_{x}>({out}, {y}, {number})) {{ {fail} }}"


class RowUnique(_RowOp):
    """The distinct numbers of an int64 vector, sorted, and each element's place among them."""

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [tensor.lvector(), tensor.lvector()])

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        outputs[0][0], outputs[1][0] = np.unique(inputs[0], return_inverse=True)

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x,), (different, place) = inputs, outputs
        return f"if (!rows::unique({x}, &{different}, &{place})) {{ {sub['fail']} }}"


class SumOfSquares(_RowOp):
    """sum(x * x) over all elements of a matrix, added up in float64."""

    __props__ = ()
    files = ("gil.h", "ops/threads.h", "ops/squares.c")

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [tensor.TensorType(x.dtype, ())()])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        return [()]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        (x,) = inputs
        outputs[0][0] = np.asarray(np.square(x).sum(dtype="float64"), x.dtype)

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x,), (out,), fail = inputs, outputs, sub["fail"]
        return f"""
        if ({out} == NULL) {out} = (PyArrayObject*)PyArray_EMPTY(0, NULL, PyArray_TYPE({x}), 0);
        if ({out} == NULL) {{ {fail} }}
        *(dtype_{x}*)PyArray_DATA({out}) = (dtype_{x})squares::sum<dtype_{x}>({x});
        """


class ColumnSums(_RowOp):
    """sum(x, axis=0) of a matrix: (N, n) -> (n,), added up in float64."""

    __props__ = ()

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [tensor.TensorType(x.dtype, x.broadcastable[1:])()])

    def infer_shape(self, fgraph: FunctionGraph, node: Apply, shapes: list[Any]) -> list[Any]:
        return [shapes[0][1:]]

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        (x,) = inputs
        outputs[0][0] = x.sum(axis=0, dtype="float64").astype(x.dtype)

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        (x,), (out,), fail = inputs, outputs, sub["fail"]
        return f"""
        Py_XDECREF({out});
        {out} = (PyArrayObject*)PyArray_EMPTY(1, PyArray_DIMS({x}) + 1, PyArray_TYPE({x}), 0);
        if ({out} == NULL) {{ {fail} }}
        rows::column_sums<dtype_{x}>({x}, (dtype_{x}*)PyArray_DATA({out}));
        """


@local_optimizer([AdvancedIncSubtensor1])
def local_row_increment(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """x[number] += y, in place or not -> RowIncrement."""
    if not isinstance(node.op, AdvancedIncSubtensor1):
        return None
    x, y, number = node.inputs
    if node.op.set_instead_of_inc or x.ndim != 2 or x.dtype not in FLOATS:
        return None
    if y.dtype != x.dtype or y.broadcastable != (False, False) or number.dtype != "int64":
        return None
    out = RowIncrement(node.op.inplace)(x, y, number)
    copy_stack_trace(node.outputs[0], out)
    return [out]


@local_optimizer([Unique])
def local_row_unique(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """Unique of an int64 vector with the places -> RowUnique."""
    if not isinstance(node.op, Unique):
        return None
    op, (x,) = node.op, node.inputs
    if x.dtype != "int64" or x.ndim != 1 or op.axis is not None:
        return None
    if op.return_index or op.return_counts or not op.return_inverse:
        return None
    outputs: list[Variable] = RowUnique()(x)
    copy_stack_trace(node.outputs, outputs)
    return outputs


@local_optimizer([Sum])
def local_sum_of_squares(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """sum(sqr(x)) -> SumOfSquares(x)."""
    if not isinstance(node.op, Sum):
        return None
    (squares,), (old,) = node.inputs, node.outputs
    square = squares.owner
    if square is None or not isinstance(square.op, Elemwise) or old.ndim != 0:
        return None
    if not isinstance(square.op.scalar_op, scalar.Sqr) or len(fgraph.clients[squares]) != 1:
        return None
    (x,) = square.inputs
    if x.dtype not in FLOATS or x.broadcastable != (False, False) or old.dtype != x.dtype:
        return None
    new = SumOfSquares()(x)
    copy_stack_trace(old, new)
    return [new]


@local_optimizer([Sum])
def local_column_sums(fgraph: FunctionGraph, node: Apply) -> Optional[dict[Variable, Variable]]:
    """sum(x, axis=0) -> ColumnSums(x)."""
    if not isinstance(node.op, Sum):
        return None
    (x,), (old,) = node.inputs, node.outputs
    if x.ndim != 2 or node.op.axis not in ((0,), [0]) or x.dtype not in FLOATS:
        return None
    return if_same_type(old, ColumnSums()(x))
