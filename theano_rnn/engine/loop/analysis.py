"""What a Scan computes, read from its inner graph, or the reason why a loop cannot do it.

What the loop cannot do raises ``Unsupported``, and the Scan stays.
"""

from collections.abc import Iterator

from theano.graph.basic import Apply, Constant, clone
from theano.graph.fg import FunctionGraph
from theano.scalar import Scalar
from theano.scan.op import Scan
from theano.tensor.basic import ScalarFromTensor, Split, TensorFromScalar
from theano.tensor.elemwise import Elemwise
from theano.tensor.opt import MakeVector, Shape_i
from theano.tensor.type import TensorType

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import FLOATS
from theano_rnn.engine.loop.ir import ONE, Dim, Loop, Shape, State, Unsupported
from theano_rnn.engine.loop.rules import RULES, as_shape, join_dims

TYPES = (*FLOATS, "bool", "int8", "uint8", "int16", "int32", "int64")

#: Rewrites of the inner graph whose work the plan does itself: fused loops, BLAS, memory reuse.
LEFT_OUT = ("inplace", "fusion", "BlasOpt", "native_loop")


def analyse(scan: Scan) -> Loop:
    """Read a Scan Op.

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
            loop.shapes[variable] = as_shape(variable, dims)
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
    if isinstance(variable.type, Scalar):  # as those of a slice are
        raise Unsupported("it has a slice of rows, whose number it computes")
    if not isinstance(variable.type, TensorType) or variable.ndim > 2:
        raise Unsupported(f"it has a {variable.type}, which is not a scalar, vector or matrix")
    if variable.dtype not in TYPES:
        raise Unsupported(f"it has a {variable.type}")


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
        join_dims(loop, own, other, f"output {state.output}")


def _is_length(loop: Loop, node: Apply) -> bool:
    """Whether a node is a length, or arithmetic on lengths."""
    if isinstance(node.op, Shape_i):
        return True
    return isinstance(node.op, (Elemwise, ScalarFromTensor, TensorFromScalar)) and all(
        variable in loop.scalars or (isinstance(variable, Constant) and variable.type.ndim == 0)
        for variable in node.inputs
    )


def _is_for_split(loop: Loop, node: Apply) -> bool:
    """Whether a node is a list of lengths that only tell a Split where to split."""
    return all(v in loop.scalars or isinstance(v, Constant) for v in node.inputs) and all(
        client != "output" and isinstance(client.op, Split) and place == 2
        for client, place in loop.graph.clients[node.outputs[0]]
    )
