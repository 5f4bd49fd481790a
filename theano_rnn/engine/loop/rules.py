"""The shape of what each Op of a step computes, or the reason why a loop cannot compute it."""

from collections.abc import Iterator, Sequence
from typing import Any, Callable

from theano.graph.basic import Apply, Constant
from theano.graph.op import Op
from theano.tensor.basic import Alloc, Dot, Join, Split
from theano.tensor.elemwise import DimShuffle, Elemwise
from theano.tensor.opt import MakeVector
from theano.tensor.subtensor import IncSubtensor, Subtensor, get_idx_list

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS
from theano_rnn.engine.loop.ir import ONE, Dim, Loop, Shape, Unsupported


def as_shape(variable: Variable, dims: Sequence[Dim]) -> Shape:
    """The Shape of a variable, given a Dim for each of its dimensions."""
    dims = [ONE if wide else dim for wide, dim in zip(variable.broadcastable, dims)]
    return Shape(*[ONE] * (2 - len(dims)), *dims)


def _known(loop: Loop, variable: Variable, op: Op) -> None:
    if variable is not None and variable not in loop.scalars:
        if not isinstance(variable, Constant):
            raise Unsupported(f"{op} takes an index or a length that is computed in the step")


def join_dims(loop: Loop, a: Dim, b: Dim, what: object) -> None:
    """Make two lengths one, and have the loop check that they are equal."""
    if a.root is not b.root:
        loop.checks.append((a, b, str(what)))
        a.join(b)


def _new_dim(loop: Loop, node: Apply, axis: int) -> Dim:
    """A length that the prologue defines."""
    if not loop.prologue or loop.prologue[-1] is not node:
        loop.prologue.append(node)
    n = len(loop.prologue)
    return Dim(f"length{n}_{axis}", n)


def _elementwise(loop: Loop, node: Apply) -> Shape:
    (output,) = node.outputs
    dims = []
    for axis in range(output.ndim):
        lengths = [
            loop.shapes[v][2 - output.ndim + axis]
            for v in node.inputs
            if not v.broadcastable[axis]
        ]
        dims.append(lengths[0] if lengths else ONE)
        for other in lengths[1:]:
            join_dims(loop, lengths[0], other, node.op)
    return as_shape(output, dims)


def _dot(loop: Loop, node: Apply) -> Shape:
    x, y = node.inputs
    if x.dtype != y.dtype or x.dtype not in FLOATS:
        raise Unsupported(f"it has a product of {x.dtype} and {y.dtype}")
    if y.ndim != 2 or x.ndim not in (1, 2):
        raise Unsupported(f"it has a product of {x.ndim} and {y.ndim} dimensions")
    join_dims(loop, loop.shapes[x].columns, loop.shapes[y].rows, node.op)
    return Shape(loop.shapes[x].rows, loop.shapes[y].columns)


def _dimshuffle(loop: Loop, node: Apply) -> Shape:
    (x,), (output,) = node.inputs, node.outputs
    own = loop.shapes[x][2 - x.ndim :]
    return as_shape(output, [ONE if axis == "x" else own[axis] for axis in node.op.new_order])


def slices(node: Apply) -> list[tuple[Variable, Variable]]:
    """(start, stop) of a basic slice along rows and along columns, None where it is open."""
    x, *others = node.inputs
    entries = get_idx_list([x, *others[isinstance(node.op, IncSubtensor) :]], node.op.idx_list)
    found = [(None, None)] * (2 - x.ndim)
    for entry in entries:
        if not isinstance(entry, slice) or not (entry.step is None or _is_one(entry.step)):
            raise Unsupported(f"{node.op} is not a slice with step 1")
        found.append((entry.start, entry.stop))
    return found + [(None, None)] * (2 - len(found))


def _is_one(variable: Variable) -> bool:
    return isinstance(variable, Constant) and variable.data == 1


def _slice(loop: Loop, node: Apply) -> Shape:
    dims = []
    for axis, (start, stop) in enumerate(slices(node)):
        _known(loop, start, node.op)
        _known(loop, stop, node.op)
        is_whole = start is None and stop is None
        own = loop.shapes[node.inputs[0]][axis]
        dims.append(own if is_whole else _new_dim(loop, node, axis))
    loop.parts[node] = Shape(*dims)
    return loop.parts[node]


def _subtensor(loop: Loop, node: Apply) -> Shape:
    (output,) = node.outputs
    return as_shape(output, _slice(loop, node)[2 - output.ndim :])


def _inc_subtensor(loop: Loop, node: Apply) -> Shape:
    x, y = node.inputs[:2]
    wide = [True] * (2 - y.ndim) + list(y.broadcastable)
    for is_wide, own, other in zip(wide, _slice(loop, node), loop.shapes[y]):
        if not is_wide:
            join_dims(loop, own, other, node.op)
    if x.dtype != y.dtype and not node.op.set_instead_of_inc:
        raise Unsupported(f"it adds {y.dtype} to a slice of {x.dtype}")
    return loop.shapes[x]


def axis_of(node: Apply) -> int:
    """The axis of a Join or a Split: 0 for rows, 1 for columns."""
    if isinstance(node.op, Join):
        axis, ndim = node.inputs[0], node.outputs[0].ndim
    else:
        axis, ndim = node.inputs[1], node.inputs[0].ndim
    if not isinstance(axis, Constant):
        raise Unsupported(f"{type(node.op).__name__} along an axis that is computed")
    return int(int(axis.data) % ndim + 2 - ndim)


def _join(loop: Loop, node: Apply) -> Shape:
    (output,), parts, along = node.outputs, node.inputs[1:], axis_of(node)
    if any(part.dtype != output.dtype for part in parts):
        raise Unsupported("it joins matrices of different dtypes")
    first = loop.shapes[parts[0]]
    for part in parts[1:]:
        join_dims(loop, first[1 - along], loop.shapes[part][1 - along], "Join")
    dims = list(first)
    dims[along] = _new_dim(loop, node, along)
    return as_shape(output, dims[2 - output.ndim :])


def _split(loop: Loop, node: Apply) -> Iterator[Shape]:
    x, _, sizes = node.inputs
    along = axis_of(node)
    if sizes.owner is None or not isinstance(sizes.owner.op, MakeVector):
        raise Unsupported("it splits by lengths that are computed in the step")
    for k, output in enumerate(node.outputs):
        dims = list(loop.shapes[x])
        dims[along] = _new_dim(loop, node, k)
        yield as_shape(output, dims[2 - output.ndim :])


def _alloc(loop: Loop, node: Apply) -> Shape:
    value, *lengths = node.inputs
    for length in lengths:
        _known(loop, length, node.op)
    dims = [_new_dim(loop, node, 2 - len(lengths) + axis) for axis in range(len(lengths))]
    made = as_shape(node.outputs[0], dims)
    for dim, own in zip(made, loop.shapes[value]):
        if own is not ONE:
            join_dims(loop, dim, own, node.op)
    return made


RULES: dict[type, Callable[[Loop, Apply], Any]] = {
    Elemwise: _elementwise,
    Dot: _dot,
    DimShuffle: _dimshuffle,
    Subtensor: _subtensor,
    IncSubtensor: _inc_subtensor,
    Alloc: _alloc,
    Join: _join,
    Split: _split,
}
