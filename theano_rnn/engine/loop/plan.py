"""In what order a lowered loop computes, in which kernels, and what of it is kept in memory.

A kernel is a list of nodes. One product, fill, or addition to a slice is a kernel by itself;
element-wise operations on matrices of one shape are one kernel as far as that can be, and what
only they need never leaves the processor's registers. Slices and transposes are not computed:
they are another look at memory.

Work that does not depend on the state can be done for many steps at once. A product with a fixed
matrix gains by it, as its matrix is then read once for all of them: such products, and what they
need, are done for a block of steps before the first of these.
"""

from dataclasses import dataclass

from theano.graph.basic import Apply, Constant
from theano.tensor.basic import Alloc, Dot, Join, Split
from theano.tensor.elemwise import DimShuffle, Elemwise
from theano.tensor.subtensor import IncSubtensor, Subtensor

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.analysis import ONE, Dim, Loop, Shape, axis_of

VIEWS = (Subtensor, DimShuffle, Split)

#: Nodes that are computed together.
Kernel = list[Apply]


@dataclass
class Plan:
    """What is done before the steps of a block, and in each step.

    block, step : lists of kernels, each a list of nodes
    stored : variables that are in memory after their kernel
    over : {node: node}, an addition to a slice that is done in its first input, and whose
        memory that is
    """

    block: list[Kernel]
    step: list[Kernel]
    stored: set[Variable]
    over: dict[Apply, Apply]

    @property
    def kernels(self) -> list[Kernel]:
        return self.block + self.step

    @property
    def of_block(self) -> set[Variable]:
        """Variables that are computed for a whole block."""
        return {output for kernel in self.block for node in kernel for output in node.outputs}


def plan(loop: Loop) -> Plan:
    """How a loop is computed."""
    ahead = _ahead(loop)
    block = _kernels(loop, [node for node in loop.nodes if node in ahead])
    step = _kernels(loop, [node for node in loop.nodes if node not in ahead])
    return Plan(block, step, _stored(loop, block + step), _over(loop))


def is_view(node: Apply) -> bool:
    return isinstance(node.op, VIEWS)


def _ahead(loop: Loop) -> set[Apply]:
    """Nodes that are done for a block of steps at once: products, and what these need."""
    sequences = {variable for _, variable in loop.sequences}
    fixed = {variable for _, variable in loop.fixed}
    # As rows of a block: variables of the sequences, and what is computed row by row from them.
    rows, same = set(sequences), set(fixed)
    capable = set()
    for node in loop.nodes:
        if is_view(node) and node.inputs[0] in same:
            same.update(node.outputs)
        elif _is_by_rows(loop, node, rows, same):
            rows.update(node.outputs)
            capable.add(node)
    ahead = set()
    for node in reversed(loop.nodes):
        clients = [client for v in node.outputs for client, _ in loop.graph.clients[v]]
        needed = any(client in ahead for client in clients)
        if node in capable and (isinstance(node.op, Dot) or needed):
            ahead.add(node)
    return ahead


def _is_by_rows(loop: Loop, node: Apply, rows: set[Variable], same: set[Variable]) -> bool:
    """Whether each row of the output is computed from the same row of every input."""
    shapes, output = loop.shapes, node.outputs[0]
    if isinstance(node.op, Dot):
        x, y = node.inputs
        return x in rows and y in same
    first = node.inputs[0]
    if isinstance(node.op, DimShuffle):
        kept = [axis for axis in node.op.new_order if axis != "x"]
        is_turned = kept != sorted(kept)
        return first in rows and not is_turned and _roots(shapes[first]) == _roots(shapes[output])
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
    """The nodes as kernels: what is element-wise waits until nothing else can be done."""
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
    """All element-wise nodes of one shape that can be done now, one after the other."""
    shape = _roots(loop.shapes[first.outputs[0]])
    kernel = []
    for node in left:
        if isinstance(node.op, Elemwise) and _roots(loop.shapes[node.outputs[0]]) == shape:
            owners = [v.owner for v in node.inputs]
            if not any(owner in left and owner not in kernel for owner in owners):
                kernel.append(node)
    return kernel


def _over(loop: Loop) -> dict[Apply, Apply]:
    """Additions to a slice of a matrix that nothing else reads: done in its memory."""
    over = {}
    for node in loop.nodes:
        if isinstance(node.op, IncSubtensor):
            base = node.inputs[0]
            is_own = base.owner in loop.nodes and isinstance(base.owner.op, (Alloc, IncSubtensor))
            if is_own and len(loop.graph.clients[base]) == 1:
                over[node] = base.owner
    return over


def _stored(loop: Loop, kernels: list[Kernel]) -> set[Variable]:
    """What a kernel leaves for others, for the views on it, or as an output of the loop."""
    stored = set()
    for kernel in kernels:
        for node in kernel:
            (output,) = node.outputs
            clients = [client for client, _ in loop.graph.clients[output]]
            if len(kernel) == 1 or any(client not in kernel for client in clients):
                stored.add(output)
    return stored
