"""The Op that runs a Scan as one C++ function, and the rewrites that put it in the Scan's place.

The user writes ``theano.scan`` and takes ``theano.grad`` of it. ``engine.rewrites`` registers

``native_loop``          replaces a Scan by a NativeLoop, if the loop supports all that it does
``native_loop_inplace``  writes the states over their first buffers, if nothing else needs these
"""

import dataclasses
from typing import Any, Optional

from theano.graph.basic import Apply
from theano.graph.destroyhandler import DestroyHandler
from theano.graph.fg import FunctionGraph, InconsistencyError
from theano.graph.opt import GlobalOptimizer, copy_stack_trace, local_optimizer
from theano.graph.toolbox import ReplaceValidate
from theano.scan.op import Scan

from theano_rnn.common.types import Variable
from theano_rnn.engine.c_code import BlasOp
from theano_rnn.engine.loop.analysis import analyse
from theano_rnn.engine.loop.emission import NAME, emit
from theano_rnn.engine.loop.ir import Unsupported
from theano_rnn.engine.loop.plan import Work, plan


@dataclasses.dataclass(frozen=True)
class Program:
    """The C++ of a loop, and what its Op must know.

    function, support : the C++ function, and what has to stand before it
    types : of the outputs
    first_state : number of the input that is the first buffer of the first state
    states : how many states there are: the first outputs, one buffer each
    work : how many kernels of which kind; for ``explain``, and not part of what the loop is
    """

    function: str
    support: tuple[str, ...]
    types: tuple[Any, ...]
    first_state: int
    states: int
    work: Work = dataclasses.field(default=Work(0, 0, 0), compare=False)


#: Most characters of C++ in a loop. A step of gru or lstm has some 30,000; a compiler takes a
#: minute for a million.
LONGEST = 150_000


class NativeLoop(BlasOp):
    """All steps of a Scan in one C++ function.

    It takes the inputs of the Scan and returns its outputs.

    Parameters
    ----------
    program : Program
    inplace : tuple of int
        States (numbers of outputs) that are written over their first buffers.
    name : str
        The Scan's.
    in_bf16 : bool
        As for every ``BlasOp``; the rewrite of ``ops/bf16.py`` sets it.
    """

    __props__ = ("program", "inplace", "in_bf16")
    files = (
        "gil.h", "ops/vectors.h", "ops/gemv.h", "ops/threads.h", "ops/matrix.h", "loop/loop.h",
    )  # fmt: skip

    def __init__(
        self,
        program: Program,
        inplace: tuple[int, ...] = (),
        name: Optional[str] = None,
        in_bf16: bool = False,
    ) -> None:
        self.program, self.inplace, self.name = program, inplace, name
        self.in_bf16 = in_bf16
        if inplace:
            self.destroy_map = {o: [program.first_state + o] for o in inplace}

    def __str__(self) -> str:
        return f"NativeLoop{{{self.name}}}"

    def make_node(self, *inputs: Variable) -> Apply:
        return Apply(self, list(inputs), [make() for make in self.program.types])

    def make_thunk(
        self,
        node: Apply,
        storage_map: Any,
        compute_map: Any,
        no_recycling: Any,
        impl: Optional[str] = None,
    ) -> Any:
        """The thunk in C, also where a linker asks for Python: this Op has no Python."""
        self.prepare_node(node, storage_map=storage_map, compute_map=compute_map, impl="c")
        return self.make_c_thunk(node, storage_map, compute_map, no_recycling)

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        raise NotImplementedError(
            "NativeLoop runs in C only; to run the Scan itself, set "
            "THEANO_FLAGS=optimizer_excluding=native_loop"
        )

    def c_support_code(self, **kwargs: Any) -> str:
        return "\n".join([super().c_support_code(), *self.program.support])

    def c_support_code_apply(self, node: Apply, name: str) -> str:
        return self.program.function.replace(NAME, f"native_loop_{name}")

    def c_code(
        self, node: Apply, name: str, inputs: list[str], outputs: list[str], sub: dict[str, str]
    ) -> str:
        taken = ", ".join(f"(PyArrayObject*){x}" for x in inputs)
        made = ", ".join(f"(PyArrayObject**)&{z}" for z in outputs)
        inplace = ", ".join(str(o in self.inplace).lower() for o in range(len(outputs)))
        return f"""
        PyArrayObject* taken[] = {{{taken}}};
        PyArrayObject** made[] = {{{made}}};
        const bool inplace[] = {{{inplace}}};
        if (!native_loop_{name}(taken, made, inplace)) {{ {sub["fail"]} }}
        """


def as_native_loop(node: Apply) -> NativeLoop:
    """Return the NativeLoop that computes what the Scan of a node does.

    Raises
    ------
    Unsupported
        With the reason, if the loop cannot do what the Scan does.
    """
    scan = node.op
    loop = analyse(scan)
    planned = plan(loop)
    function, support = emit(loop, planned, [x.dtype for x in node.inputs])
    if len(function) > LONGEST:
        raise Unsupported(
            f"its C++ is longer than {LONGEST:,} characters: it takes long to compile"
        )
    types = tuple(output.type for output in node.outputs)
    program = Program(function, support, types, 1 + scan.n_seqs, len(loop.states), planned.work)
    return NativeLoop(program, name=scan.name)


@local_optimizer([Scan])
def local_native_loop(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """Scan -> NativeLoop, if the loop supports all that the Scan does."""
    if not isinstance(node.op, Scan):
        return None
    try:
        op = as_native_loop(node)
    except Unsupported:
        return None
    outputs: list[Variable] = op(*node.inputs, return_list=True)
    copy_stack_trace(node.outputs, outputs)
    return outputs


class Inplace(GlobalOptimizer):
    """Write the states over their first buffers, one by one, if nothing else needs the buffer."""

    def add_requirements(self, fgraph: FunctionGraph) -> None:
        fgraph.attach_feature(ReplaceValidate())
        fgraph.attach_feature(DestroyHandler())

    def apply(self, fgraph: FunctionGraph) -> None:
        for node in fgraph.toposort():
            if isinstance(node.op, NativeLoop):
                for o in range(node.op.program.states):
                    node = self.overwritten(fgraph, node, o)

    def overwritten(self, fgraph: FunctionGraph, node: Apply, o: int) -> Apply:
        """Return a node that writes state o over its first buffer, or this one if it must not."""
        op = node.op
        first = node.inputs[op.program.first_state + o]
        if o in op.inplace or first.owner is None or len(fgraph.clients[first]) > 1:
            return node
        new = NativeLoop(op.program, (*op.inplace, o), op.name, op.in_bf16).make_node(*node.inputs)
        copy_stack_trace(node.outputs, new.outputs)
        try:
            pairs = list(zip(node.outputs, new.outputs))
            fgraph.replace_all_validate(pairs, reason="native_loop_inplace")
        except InconsistencyError:  # the buffer is a view of something that is needed later
            return node
        return new
