"""Which loops of a compiled function run as one C++ function, and why the others do not."""

from dataclasses import dataclass
from typing import Any

from theano.graph.basic import Apply
from theano.scan.op import Scan

from theano_rnn.engine.loop.ir import Unsupported
from theano_rnn.engine.loop.op import NativeLoop, as_native_loop


@dataclass(frozen=True)
class Explained:
    """A loop of a function.

    name : the Scan's
    is_native : whether it runs as one C++ function
    reason : what a step of it consists of, or why it stays a Scan
    """

    name: str
    is_native: bool
    reason: str


def explain(function: Any) -> list[Explained]:
    """Every loop of a compiled Theano function, in the order in which they run."""
    nodes = function.maker.fgraph.toposort()
    return [_explained(node) for node in nodes if isinstance(node.op, (Scan, NativeLoop))]


def _explained(node: Apply) -> Explained:
    name = node.op.name or "scan"
    if isinstance(node.op, NativeLoop):
        return Explained(name, True, str(node.op.program.work))
    try:
        as_native_loop(node)
    except Unsupported as reason:
        return Explained(name, False, str(reason))
    return Explained(name, False, "the rewrite native_loop was left out")
