"""Which loops of a compiled function were lowered, and why the others were not."""

from dataclasses import dataclass
from typing import Any

from theano.graph.basic import Apply
from theano.scan.op import Scan

from theano_rnn.engine.loop.analysis import Refused
from theano_rnn.engine.loop.op import NativeLoop, lowered


@dataclass(frozen=True)
class Explained:
    """A loop of a function.

    name : the Scan's
    is_lowered : whether it runs as one C++ function
    words : of what that is made, or why it is a Scan
    """

    name: str
    is_lowered: bool
    words: str


def explain(function: Any) -> list[Explained]:
    """Every loop of a compiled Theano function, in the order in which they run.

    Parameters
    ----------
    function : theano.compile.function.types.Function

    Returns
    -------
    list of Explained
    """
    nodes = function.maker.fgraph.toposort()
    return [_explained(node) for node in nodes if isinstance(node.op, (Scan, NativeLoop))]


def _explained(node: Apply) -> Explained:
    name = node.op.name or "scan"
    if isinstance(node.op, NativeLoop):
        ahead, _, step = node.op.program.function.rpartition("// the step")
        words = [
            f"{step.count('product<')} products and {step.count('omp simd')} fused loops a step"
        ]
        if "product<" in ahead:
            words.append(f"{ahead.count('product<')} products for a block of steps at once")
        return Explained(name, True, ", ".join(words))
    try:
        lowered(node)
    except Refused as reason:
        return Explained(name, False, str(reason))
    return Explained(name, False, "the rewrite native_loop was left out")
