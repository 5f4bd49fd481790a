"""The plan of a loop: the order of its nodes, their fusion into kernels, what is stored in memory.

A kernel is a list of nodes. A product, a fill, a join and an addition to a slice are a kernel
each. Element-wise operations on matrices of one shape are fused into as few kernels as possible:
values that only their kernel needs stay in the processor's registers. Slices and transposes
compute nothing; they are views of memory.

Work that does not depend on the state can be done for many steps at once. A product with a fixed
matrix gains by that, because the matrix is read once for all of them. Such products, and what
they need, are computed for a block of steps before the first step of the block.
"""

from dataclasses import dataclass
from typing import NamedTuple, Optional

from theano import scalar
from theano.graph.basic import Apply, Constant
from theano.graph.op import Op
from theano.tensor.basic import Alloc, Dot, Join, Split
from theano.tensor.elemwise import DimShuffle, Elemwise
from theano.tensor.subtensor import IncSubtensor, Subtensor

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS
from theano_rnn.engine.loop.ir import ONE, Dim, Loop, Shape, State, Unsupported
from theano_rnn.engine.loop.rules import axis_of

VIEWS = (Subtensor, DimShuffle, Split)

#: Nodes that are computed together.
Kernel = list[Apply]

#: Scalar operations whose C raises ZeroDivisionError, where they are of integers.
DIVISIONS = (scalar.IntDiv, scalar.Mod)


class Copy(NamedTuple):
    """What is copied to an output after each step.

    output, tap : which output, and which row counted from the position
    variable : what is copied
    is_spare : whether it is copied only if it could not be computed in the output's buffer
    """

    output: int
    tap: int
    variable: Variable
    is_spare: bool


class Work(NamedTuple):
    """How many kernels of the kinds that take time a plan has.

    products, fused_loops : matrix products and element-wise kernels of each step
    block_products : matrix products that are computed for a block of steps at once
    """

    products: int
    fused_loops: int
    block_products: int

    def __str__(self) -> str:
        words = f"products: {self.products} a step; fused loops: {self.fused_loops} a step"
        if self.block_products:
            words += f"; products for a block of steps at once: {self.block_products}"
        return words


@dataclass
class Plan:
    """What is computed before a block of steps, and in each step.

    block, step : lists of kernels, each a list of nodes
    stored : variables that are in memory after their kernel
    over : {node: node}, an addition to a slice that is written over its first input, and the
        node that owns this memory
    outputs : {variable: (output, start)}, computed in the buffer of that output, if this has
        more rows than ``start``: a shorter one is written only when all has been read
    copies : in order
    """

    block: list[Kernel]
    step: list[Kernel]
    stored: set[Variable]
    over: dict[Apply, Apply]
    outputs: dict[Variable, tuple[int, int]]
    copies: list[Copy]

    @property
    def kernels(self) -> list[Kernel]:
        return self.block + self.step

    @property
    def of_block(self) -> set[Variable]:
        """Variables that are computed for a whole block."""
        return {output for kernel in self.block for node in kernel for output in node.outputs}

    @property
    def work(self) -> Work:
        """How many kernels there are."""
        return Work(_count(self.step, Dot), _count(self.step, Elemwise), _count(self.block, Dot))


def plan(loop: Loop) -> Plan:
    """Plan the work of a loop.

    Raises
    ------
    Unsupported
        If a state becomes what another state was: the buffer could be written over too early.
    """
    batched = _batched(loop)
    block = _kernels(loop, [node for node in loop.nodes if node in batched])
    step = _kernels(loop, [node for node in loop.nodes if node not in batched])
    made = Plan(block, step, _stored(loop, block + step), _over(loop), {}, [])
    _assign_outputs(loop, made)
    return made


def is_view(node: Apply) -> bool:
    """Whether a node computes nothing: its outputs are views of its input."""
    return isinstance(node.op, VIEWS)


def viewed(v: Variable) -> Variable:
    """The variable whose memory this one is a view of: itself if it is none."""
    while v.owner is not None and is_view(v.owner):
        v = v.owner.inputs[0]
    return v


def can_raise(kernel: Kernel) -> bool:
    """Whether an element-wise kernel may leave its loop with an error: it divides integers."""
    return any(
        isinstance(op, DIVISIONS) and all(v.type.dtype not in FLOATS for v in op_inputs)
        for node in kernel
        for op, op_inputs in _scalar_operations(node)
    )


def _scalar_operations(node: Apply) -> list[tuple[Op, list[Variable]]]:
    """(operation, its inputs) of an Elemwise node; several, where Theano has composed them."""
    op = node.op.scalar_op
    if not isinstance(op, scalar.Composite):
        return [(op, node.inputs)]
    return [(inner.op, inner.inputs) for inner in op.fgraph.apply_nodes]


def _count(kernels: list[Kernel], op_class: type) -> int:
    return sum(isinstance(kernel[0].op, op_class) for kernel in kernels)


def _batched(loop: Loop) -> set[Apply]:
    """Nodes that are computed for a block of steps at once: products, and what these need."""
    # Both kinds of inputs of a block: with rows of their own in each step, and the same in all.
    rows = {variable for _, variable in loop.sequences}
    same = {variable for _, variable in loop.fixed}
    capable = set()
    for node in loop.nodes:
        if is_view(node) and node.inputs[0] in same:
            same.update(node.outputs)
        elif _is_by_rows(loop, node, rows, same):
            rows.update(node.outputs)
            capable.add(node)
    batched = set()
    for node in reversed(loop.nodes):
        clients = [client for v in node.outputs for client, _ in loop.graph.clients[v]]
        needed = any(client in batched for client in clients)
        if node in capable and (isinstance(node.op, Dot) or needed):
            batched.add(node)
    return batched


def _is_by_rows(loop: Loop, node: Apply, rows: set[Variable], same: set[Variable]) -> bool:
    """Whether each row of the output is computed from the same row of every input."""
    shapes, output = loop.shapes, node.outputs[0]
    if isinstance(node.op, Dot):
        x, y = node.inputs
        return x in rows and y in same
    first = node.inputs[0]
    if isinstance(node.op, DimShuffle):
        axes = [axis for axis in node.op.new_order if axis != "x"]
        is_transposed = axes != sorted(axes)
        return (
            first in rows and not is_transposed and _roots(shapes[first]) == _roots(shapes[output])
        )
    if isinstance(node.op, (Subtensor, Split)):
        return first in rows and shapes[first].rows is shapes[output].rows
    if isinstance(node.op, Join):
        return axis_of(node) == 1 and all(part in rows for part in node.inputs[1:])
    if not isinstance(node.op, Elemwise):
        return False
    own = shapes[output].rows.root
    taken = [v for v in node.inputs if v not in loop.scalars and not isinstance(v, Constant)]
    return any(v in rows for v in taken) and all(
        shapes[v].rows.root is own if v in rows else v in same and shapes[v].rows is ONE
        for v in taken
    )


def _roots(shape: Shape) -> tuple[Dim, ...]:
    return tuple(dim.root for dim in shape)


def _kernels(loop: Loop, nodes: list[Apply]) -> list[Kernel]:
    """The nodes as kernels; element-wise nodes wait until nothing else can be computed."""
    left, kernels = list(nodes), []
    while left:
        ready = [n for n in left if not any(v.owner in left for v in n.inputs)]
        others = [n for n in ready if not isinstance(n.op, Elemwise)]
        kernel = others[:1] or _fused(loop, left, ready[0])
        if not is_view(kernel[0]):
            kernels.append(kernel)
        left = [node for node in left if node not in kernel]
    return kernels


def _fused(loop: Loop, left: list[Apply], first: Apply) -> Kernel:
    """All element-wise nodes of one shape that can be computed now, one after the other."""
    shape = _roots(loop.shapes[first.outputs[0]])
    kernel = []
    for node in left:
        if isinstance(node.op, Elemwise) and _roots(loop.shapes[node.outputs[0]]) == shape:
            owners = [v.owner for v in node.inputs]
            if not any(owner in left and owner not in kernel for owner in owners):
                kernel.append(node)
    return kernel


def _over(loop: Loop) -> dict[Apply, Apply]:
    """Additions to a slice of a matrix that nothing else reads: they are written over it."""
    over = {}
    for node in loop.nodes:
        if isinstance(node.op, IncSubtensor):
            base = node.inputs[0]
            is_own = base.owner in loop.nodes and isinstance(base.owner.op, (Alloc, IncSubtensor))
            if is_own and len(loop.graph.clients[base]) == 1:
                over[node] = base.owner
    return over


def _stored(loop: Loop, kernels: list[Kernel]) -> set[Variable]:
    """Variables that another kernel, a view or an output of the loop reads."""
    stored = set()
    for kernel in kernels:
        for node in kernel:
            (output,) = node.outputs
            clients = [client for client, _ in loop.graph.clients[output]]
            if len(kernel) == 1 or any(client not in kernel for client in clients):
                stored.add(output)
    return stored


def _assign_outputs(loop: Loop, plan: Plan) -> None:
    """Which variables are computed where the Scan keeps them, and which are copied there."""
    slots: list[tuple[int, int, Variable, Optional[State]]]
    slots = [(s.output, tap, v, s) for s in loop.states for tap, v in s.writes]
    slots += [(o, 0, v, None) for _, o, v in loop.collected]
    taps = {v for s in loop.states for _, v in s.reads}
    over = {*plan.over, *plan.over.values()}
    for o, tap, v, state in slots:  # states first: what is both is computed in the state
        if state is not None and viewed(v) in taps:
            raise Unsupported("a state becomes what another one was")
        is_own = v in plan.stored and v not in plan.of_block and v.owner not in over
        is_own = is_own and v not in plan.outputs and not (state and state.keeps_rows)
        if is_own:
            plan.outputs[v] = o, state.start if state else 0
        plan.copies.append(Copy(o, tap, v, is_spare=is_own))
    # Outputs may be copies of what a state was: they are made before it is written over.
    states = {s.output for s in loop.states}
    plan.copies.sort(key=lambda copy: copy.output in states)
