"""Scans for the tests of engine/loop: found in a graph, compiled as native loops and as Scans."""

from conftest import IN_PYTHON

from theano_rnn.engine import tensor, theano
from theano_rnn.engine.loop import NativeLoop
from theano_rnn.engine.loop.analysis import analyse

#: Rewrites that take out of a scan what does not need its state: without them it is in the steps.
PUSH_OUT = ("scan_eqopt1", "scanOp_pushout_output")


def variable(dims, name, dtype="float64"):
    """Of a type for dims such as "TBH"; a 1 is a dimension that is broadcast."""
    return tensor.TensorType(dtype, [length == "1" for length in dims])(name)


def scans(outputs):
    """The nodes of Scans that outputs are computed by, the last one first."""
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    owners = [v.owner for v in theano.graph.basic.ancestors(outputs) if v.owner]
    return list(dict.fromkeys(node for node in owners if type(node.op).__name__ == "Scan"))


def loop_of(outputs):
    """What is known of the last Scan that outputs are computed by."""
    return analyse(scans(outputs)[0].op)


def function(inputs, outputs, is_on=True, mode=IN_PYTHON):
    mode = mode if is_on else mode.excluding("native_loop", "reused_products")
    f = theano.function(inputs, outputs, mode=mode, on_unused_input="ignore")
    # The errors under window:K go back in a Scan of K rounds, whose products are large.
    left = [n for n in scans(f.maker.fgraph.outputs) if "errors" not in str(n.op.name)]
    assert (bool(loops(f)), bool(left)) == (is_on, not is_on)
    return f


def loops(f):
    """The native loops of a function."""
    ops = [node.op for node in f.maker.fgraph.toposort()]
    return [op for op in ops if isinstance(op, NativeLoop)]
