"""The Op that a Scan is lowered to, and the rewrites that put it in the Scan's place.

The user's graph stays ``theano.scan`` and its ``theano.grad``. Where a function is compiled in
FAST_RUN by a C compiler:

``native_loop``          puts a NativeLoop where a Scan stands that can be lowered
``native_loop_inplace``  writes the states over first buffers that nothing else needs

Each is switched off by its name, as in ``mode.excluding("native_loop")`` or in the flag
``optimizer_excluding``.
"""

import dataclasses
import functools
import zlib
from pathlib import Path
from typing import Any, Optional

from theano.compile import optdb
from theano.graph.basic import Apply
from theano.graph.destroyhandler import DestroyHandler
from theano.graph.fg import FunctionGraph, InconsistencyError
from theano.graph.op import COp
from theano.graph.opt import GlobalOptimizer, copy_stack_trace, in2out, local_optimizer
from theano.graph.toolbox import ReplaceValidate
from theano.scan.op import Scan
from theano.tensor.blas import ldflags

from theano_rnn.common.types import Variable
from theano_rnn.engine.loop.analysis import Refused, analyse
from theano_rnn.engine.loop.emission import NAME, emit
from theano_rnn.engine.loop.plan import plan


@functools.cache
def header() -> str:
    """The C++ that every lowered loop calls."""
    return Path(__file__).with_name("loop.h").read_text("utf-8")


@dataclasses.dataclass(frozen=True)
class Program:
    """What a Scan was lowered to: C++, and the types of what it returns.

    ``states`` is how many of the outputs, the first ones, have a first buffer, which are the
    inputs from ``first_state`` on.
    """

    function: str
    support: tuple[str, ...]
    types: tuple[Any, ...]
    first_state: int
    states: int


#: Characters of C++ that are compiled; those of a step of gru or lstm are some 30,000. A compiler
#: needs a minute for a million.
LONGEST = 150_000


class NativeLoop(COp):
    """All steps of a Scan in one C++ function.

    Takes what the Scan takes and returns what it returns.

    Parameters
    ----------
    program : Program
    inplace : tuple of int
        Outputs that are written over their first buffers.
    name : str
        The Scan's.
    """

    __props__ = ("program", "inplace")

    def __init__(
        self, program: Program, inplace: tuple[int, ...] = (), name: Optional[str] = None
    ) -> None:
        self.program, self.inplace, self.name = program, inplace, name
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
        """In C also where a linker asks for Python: there is no Python of it."""
        self.prepare_node(node, storage_map=storage_map, compute_map=compute_map, impl="c")
        return self.make_c_thunk(node, storage_map, compute_map, no_recycling)

    def perform(self, node: Apply, inputs: list[Any], outputs: list[Any]) -> None:
        raise NotImplementedError(
            "a lowered loop has only C; leave it out: optimizer_excluding=native_loop"
        )

    def c_headers(self, **kwargs: Any) -> list[str]:
        return ["<cmath>"]

    def c_libraries(self, **kwargs: Any) -> list[str]:
        return list(ldflags())

    def c_lib_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, libs_dir=True))

    def c_header_dirs(self, **kwargs: Any) -> list[str]:
        return list(ldflags(libs=False, include_dir=True))

    def c_compile_args(self, **kwargs: Any) -> list[str]:
        # Heeds the "omp simd" pragmas, and only those: no threads.
        return ["-fopenmp-simd", *ldflags(libs=False, flags=True)]

    def c_support_code(self, **kwargs: Any) -> str:
        return "\n".join([header(), *self.program.support])

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

    def c_code_cache_version(self) -> tuple[int, ...]:
        return (1, zlib.crc32(header().encode()))


def lowered(node: Apply) -> NativeLoop:
    """The Op for a node of a Scan.

    Raises
    ------
    Refused
        With the reason, if it cannot be lowered.
    """
    scan = node.op
    loop = analyse(scan)
    function, support = emit(loop, plan(loop), [x.dtype for x in node.inputs])
    if len(function) > LONGEST:
        raise Refused(f"its C++ is longer than {LONGEST:,} characters: it takes long to compile")
    types = tuple(output.type for output in node.outputs)
    program = Program(function, support, types, 1 + scan.n_seqs, len(loop.states))
    return NativeLoop(program, name=scan.name)


@local_optimizer([Scan])
def local_native_loop(fgraph: FunctionGraph, node: Apply) -> Optional[list[Variable]]:
    """Scan -> NativeLoop, if it can be lowered."""
    if not isinstance(node.op, Scan):
        return None
    try:
        op = lowered(node)
    except Refused:
        return None
    outputs: list[Variable] = op(*node.inputs, return_list=True)
    copy_stack_trace(node.outputs, outputs)
    return outputs


class Inplace(GlobalOptimizer):
    """States written over their first buffers, one by one, where nothing else needs the buffer."""

    def add_requirements(self, fgraph: FunctionGraph) -> None:
        fgraph.attach_feature(ReplaceValidate())
        fgraph.attach_feature(DestroyHandler())

    def apply(self, fgraph: FunctionGraph) -> None:
        for node in fgraph.toposort():
            if isinstance(node.op, NativeLoop):
                for o in range(node.op.program.states):
                    node = self.overwritten(fgraph, node, o)

    def overwritten(self, fgraph: FunctionGraph, node: Apply, o: int) -> Apply:
        """The node that writes state o over its first buffer; the same where it must not."""
        op = node.op
        first = node.inputs[op.program.first_state + o]
        if o in op.inplace or first.owner is None or len(fgraph.clients[first]) > 1:
            return node
        new = NativeLoop(op.program, (*op.inplace, o), op.name).make_node(*node.inputs)
        copy_stack_trace(node.outputs, new.outputs)
        try:
            pairs = list(zip(node.outputs, new.outputs))
            fgraph.replace_all_validate(pairs, reason="native_loop_inplace")
        except InconsistencyError:  # it is a view of what is needed later
            return node
        return new


# With the other rewrites of this package that put in an Op of theirs, before Elemwise are fused.
optdb.register(
    "native_loop", in2out(local_native_loop, name="native_loop"), 48.7, "fast_run", "cxx_only"
)
# Where Scan's own is.
optdb.register("native_loop_inplace", Inplace(), 75, "fast_run", "inplace")
