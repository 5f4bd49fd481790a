"""The gradient of W, which Theano takes out of the backward loop: two defects.

The optimization ``scanOp_pushout_output`` of theano-pymc 1.1.2 replaces ``dW += s_{t-1}' delta_t``
inside the backward loop by one product after it.

First defect (Theano issue 4652): for an operand that is an input of the loop it takes the whole
sequence, while a loop under truncate_gradient runs only its first K steps; for minibatches with
ReLU or the identity as activation that is a product of T rows with K rows, "Shape mismatch".

Second defect: if one operand is an output of the loop already and the other becomes one, Theano
builds a new loop, but still takes the first operand from the old one. Then two loops run, or
Theano notices ("Trying to reintroduce a removed node"), prints that, and skips every loop that
follows.
"""

from typing import Any

from theano.graph.basic import Apply
from theano.graph.fg import FunctionGraph
from theano.scan.opt import PushOutScanOutput

from theano_rnn.common.types import Variables

shipped = PushOutScanOutput.push_out_inner_vars


def install() -> None:
    """Take the operands from the loop that runs, and only the steps that it runs."""
    PushOutScanOutput.push_out_inner_vars = push_out_inner_vars


def push_out_inner_vars(
    self: PushOutScanOutput,
    fgraph: FunctionGraph,
    inner_vars: Variables,
    scan_node: Apply,
    scan_args: Any,
) -> tuple[Variables, Apply, Any]:
    """The shipped method, with the outer variables of the new loop, cut to its steps."""
    old = list(scan_args.outer_out_nit_sot)
    outer_vars, scan_node, scan_args = shipped(self, fgraph, inner_vars, scan_node, scan_args)
    new = dict(zip(old, scan_args.outer_out_nit_sot))
    return [new.get(v, v)[: scan_args.n_steps] for v in outer_vars], scan_node, scan_args
