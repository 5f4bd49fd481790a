"""What a Scan computes, read from its inner graph, or the reason why the loop cannot do it.

Every variable of a step counts as a matrix: a scalar is 1 x 1, a vector is one row. A ``Dim`` is a
length that is known when the loop begins. If an operation needs two lengths to be equal, they
become one ``Dim``, and the loop checks them. What the loop cannot do raises ``Unsupported``, and
the Scan stays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, NamedTuple, Optional

from theano.configdefaults import config
from theano.graph.basic import Apply, Constant, clone
from theano.graph.fg import FunctionGraph
from theano.graph.op import Op
from theano.scan.op import Scan
from theano.tensor.basic import (
    Alloc,
    Dot,
    Join,
    ScalarFromTensor,
    Split,
    TensorFromScalar,
)
from theano.tensor.elemwise import DimShuffle, Elemwise
from theano.tensor.opt import MakeVector, Shape_i
from theano.tensor.subtensor import IncSubtensor, Subtensor, get_idx_list
from theano.tensor.type import TensorType

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS

TYPES = (*FLOATS, "bool", "int8", "uint8", "int16", "int32", "int64")

#: Rewrites of the inner graph whose work the plan does itself: fused loops, BLAS, memory reuse.
LEFT_OUT = ("inplace", "fusion", "BlasOpt", "native_loop")


class Unsupported(Exception):
    """Why a Scan cannot run as a native loop."""


class Dim:
    """A length, as a C expression. Lengths that must be equal have one ``root``."""

    def __init__(self, code: str, order: int) -> None:
        self.code, self.order = code, order
        self._joined: Optional[Dim] = None

    @property
    def root(self) -> "Dim":
        return self if self._joined is None else self._joined.root

    def join(self, other: "Dim") -> None:
        """Make two lengths one; the root is the one that is known first."""
        first, later = sorted((self.root, other.root), key=lambda dim: dim.order)
        if first is not later:
            later._joined = first

    def __repr__(self) -> str:
        return self.code


ONE = Dim("1", -1)


class Shape(NamedTuple):
    """The two lengths of a matrix; ONE along a broadcast dimension."""

    rows: Dim
    columns: Dim


@dataclass
class State:
    """A recurrent output of a Scan.

    input : number of the Scan's input that is its first buffer
    output : number of the Scan's output that it is
    reads, writes : (tap, variable); a tap is a row of the buffer, counted from the position
    start : the position in the first step
    keeps_rows : whether every row stays, as in the accumulators of a gradient (Scan's mit_mot);
        otherwise the buffer is circular, and only tap 0 is written
    """

    input: int
    output: int
    reads: list[tuple[int, Variable]]
    writes: list[tuple[int, Variable]]
    start: int
    keeps_rows: bool


@dataclass
class Loop:
    """A Scan: where its variables come from, and what is known of them."""

    graph: FunctionGraph
    sequences: list[tuple[int, Variable]]  # (input, variable)
    states: list[State]
    collected: list[tuple[int, int, Variable]]  # (input that holds the length, output, variable)
    fixed: list[tuple[int, Variable]]  # (input, variable), the same in each step
    shapes: dict[Variable, Shape] = field(default_factory=dict)
    parts: dict[Apply, Shape] = field(default_factory=dict)  # shapes of what a node slices out
    scalars: set[Variable] = field(default_factory=set)  # 0-d, known before the first step
    prologue: list[Apply] = field(default_factory=list)  # nodes that define lengths, in order
    nodes: list[Apply] = field(default_factory=list)  # nodes of a step, in order
    checks: list[tuple[Dim, Dim, str]] = field(default_factory=list)  # lengths that must be equal


def analyse(scan: Scan) -> Loop:
    """Read a Scan Op.

    Parameters
    ----------
    scan : theano.scan.op.Scan

    Returns
    -------
    Loop

    Raises
    ------
    Unsupported
        With the reason, if the loop cannot do some part of it.
    """
    if scan.as_while:
        raise Unsupported("it ends on a condition (until)")
    if scan.n_shared_outs:
        raise Unsupported("it updates a shared variable")
    loop = _interface(scan)
    for variable in [*loop.graph.inputs, *loop.graph.outputs]:
        _check_type(variable)
    for where, variables in _sources(loop):
        for variable in variables:  # the taps of a state are rows of one buffer
            dims = [Dim(f"n{where}_{axis}", 0) for axis in range(variable.ndim)]
            loop.shapes[variable] = _shape(variable, dims)
    for node in loop.graph.toposort():
        _infer(loop, node)
    for variable in loop.graph.outputs:
        _take_constant(loop, variable)
    for state in loop.states:
        for _, variable in state.writes:
            _check_row(loop, state, variable)
    return loop


def _interface(scan: Scan) -> Loop:
    """Optimize the inner graph, and find out which of its variables is which."""
    inputs, outputs = clone(scan.inputs, scan.outputs)
    graph = FunctionGraph(inputs, outputs, clone=False)
    scan.mode_instance.excluding(*LEFT_OUT).optimizer.optimize(graph)
    taken, made = iter(graph.inputs), iter(graph.outputs)
    n = 1 + scan.n_seqs
    sequences = [(1 + k, next(taken)) for k in range(scan.n_seqs)]
    states = []
    for k in range(scan.n_mit_mot + scan.n_mit_sot + scan.n_sit_sot):
        keeps_rows = k < scan.n_mit_mot
        reads = [(tap, next(taken)) for tap in scan.tap_array[k]]
        taps = scan.mit_mot_out_slices[k] if keeps_rows else [0]
        writes = [(tap, next(made)) for tap in taps]
        states.append(State(n + k, k, reads, writes, -scan.mintaps[k], keeps_rows))
    n += len(states)
    collected = [(n + k, len(states) + k, next(made)) for k in range(scan.n_nit_sot)]
    n += len(collected)
    fixed = [(n + k, variable) for k, variable in enumerate(taken)]
    return Loop(graph, sequences, states, collected, fixed)


def _sources(loop: Loop) -> Iterator[tuple[int, list[Variable]]]:
    """(number, variables that are its rows) of each input of the Scan."""
    yield from ((k, [variable]) for k, variable in loop.sequences)
    yield from ((s.input, [variable for _, variable in s.reads]) for s in loop.states)
    yield from ((k, [variable]) for k, variable in loop.fixed)


def _check_type(variable: Variable) -> None:
    if not isinstance(variable.type, TensorType) or variable.ndim > 2:
        raise Unsupported(f"it has a {variable.type}, which is not a scalar, vector or matrix")
    if variable.dtype not in TYPES:
        raise Unsupported(f"it has a {variable.type}")


def _shape(variable: Variable, dims: Sequence[Dim]) -> Shape:
    """The Shape of a variable, given a Dim for each of its dimensions."""
    dims = [ONE if wide else dim for wide, dim in zip(variable.broadcastable, dims)]
    return Shape(*[ONE] * (2 - len(dims)), *dims)


def _infer(loop: Loop, node: Apply) -> None:
    """Find the shapes of a node's outputs, and add the node to the loop."""
    for variable in node.inputs:
        _take_constant(loop, variable)
    if _is_length(loop, node):
        (output,) = node.outputs
        loop.scalars.add(output)
        loop.shapes[output] = Shape(ONE, ONE)
        loop.prologue.append(node)
        return
    if isinstance(node.op, MakeVector) and _is_for_split(loop, node):
        return  # the Split reads the lengths where they come from
    rule = next((rule for kind, rule in RULES.items() if isinstance(node.op, kind)), None)
    if rule is None:
        raise Unsupported(f"the loop does not know {type(node.op).__name__}")
    for output in node.outputs:
        _check_type(output)
    if isinstance(node.op, Split):
        loop.shapes.update(zip(node.outputs, rule(loop, node)))
    elif len(node.outputs) == 1:
        loop.shapes[node.outputs[0]] = rule(loop, node)
    else:
        raise Unsupported(f"{node.op} has {len(node.outputs)} outputs")
    loop.nodes.append(node)


def _take_constant(loop: Loop, variable: Variable) -> None:
    if isinstance(variable, Constant) and isinstance(variable.type, TensorType):
        if variable.data.size != 1:
            raise Unsupported(f"it holds a constant of {variable.data.size} numbers")
        loop.shapes[variable] = Shape(ONE, ONE)


def _check_row(loop: Loop, state: State, variable: Variable) -> None:
    """Check that the new value of a state has the lengths of its rows."""
    row = state.reads[0][1]
    if variable.ndim != row.ndim or variable.broadcastable != row.broadcastable:
        raise Unsupported(f"a {variable.type} becomes a state that is a {row.type}")
    for own, other in zip(loop.shapes[row], loop.shapes[variable]):
        _same(loop, own, other, f"output {state.output}")


def _is_length(loop: Loop, node: Apply) -> bool:
    """Whether a node is a length, or arithmetic on lengths."""
    if isinstance(node.op, Shape_i):
        return True
    return isinstance(node.op, (Elemwise, ScalarFromTensor, TensorFromScalar)) and all(
        variable in loop.scalars or (isinstance(variable, Constant) and variable.type.ndim == 0)
        for variable in node.inputs
    )


def _known(loop: Loop, variable: Variable, op: Op) -> None:
    if variable is not None and variable not in loop.scalars:
        if not isinstance(variable, Constant):
            raise Unsupported(f"{op} takes an index or a length that is computed in the step")


def _same(loop: Loop, a: Dim, b: Dim, what: object) -> None:
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
            _same(loop, lengths[0], other, node.op)
    return _shape(output, dims)


def _dot(loop: Loop, node: Apply) -> Shape:
    x, y = node.inputs
    if not config.blas__ldflags:
        raise Unsupported("it has a product, and there is no BLAS")
    if x.dtype != y.dtype or x.dtype not in FLOATS:
        raise Unsupported(f"it has a product of {x.dtype} and {y.dtype}")
    if y.ndim != 2 or x.ndim not in (1, 2):
        raise Unsupported(f"it has a product of {x.ndim} and {y.ndim} dimensions")
    _same(loop, loop.shapes[x].columns, loop.shapes[y].rows, node.op)
    return Shape(loop.shapes[x].rows, loop.shapes[y].columns)


def _dimshuffle(loop: Loop, node: Apply) -> Shape:
    (x,), (output,) = node.inputs, node.outputs
    own = loop.shapes[x][2 - x.ndim :]
    return _shape(output, [ONE if axis == "x" else own[axis] for axis in node.op.new_order])


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
    return _shape(output, _slice(loop, node)[2 - output.ndim :])


def _inc_subtensor(loop: Loop, node: Apply) -> Shape:
    x, y = node.inputs[:2]
    wide = [True] * (2 - y.ndim) + list(y.broadcastable)
    for is_wide, own, other in zip(wide, _slice(loop, node), loop.shapes[y]):
        if not is_wide:
            _same(loop, own, other, node.op)
    return loop.shapes[x]


def _is_for_split(loop: Loop, node: Apply) -> bool:
    """Whether a node is a list of lengths that only tell a Split where to split."""
    return all(v in loop.scalars or isinstance(v, Constant) for v in node.inputs) and all(
        client != "output" and isinstance(client.op, Split) and place == 2
        for client, place in loop.graph.clients[node.outputs[0]]
    )


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
        _same(loop, first[1 - along], loop.shapes[part][1 - along], "Join")
    dims = list(first)
    dims[along] = _new_dim(loop, node, along)
    return Shape(*dims)


def _split(loop: Loop, node: Apply) -> Iterator[Shape]:
    x, _, sizes = node.inputs
    along = axis_of(node)
    if sizes.owner is None or not isinstance(sizes.owner.op, MakeVector):
        raise Unsupported("it splits by lengths that are computed in the step")
    for k in range(len(node.outputs)):
        dims = list(loop.shapes[x])
        dims[along] = _new_dim(loop, node, k)
        yield Shape(*dims)


def _alloc(loop: Loop, node: Apply) -> Shape:
    value, *lengths = node.inputs
    for length in lengths:
        _known(loop, length, node.op)
    dims = [_new_dim(loop, node, 2 - len(lengths) + axis) for axis in range(len(lengths))]
    made = _shape(node.outputs[0], dims)
    for dim, own in zip(made, loop.shapes[value]):
        if own is not ONE:
            _same(loop, dim, own, node.op)
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
