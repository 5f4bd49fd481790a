"""Scan's gradient of W taken out of the loop under truncate_gradient, mended.

The defect (Theano issue 4652, still in theano-pymc 1.1.2): the optimization
``scanOp_pushout_output`` replaces ``dW += s_{t-1}' delta_t`` inside the backward loop by one
product after it. For an operand that is an input of the loop it takes the whole sequence, while
a truncated loop runs only its first K steps; for minibatches with ReLU or the identity as
activation that is a product of T rows with K rows, "Shape mismatch".
"""

from theano.scan.opt import PushOutScanOutput

shipped = PushOutScanOutput.push_out_inner_vars


def mend() -> None:
    """Have the optimization take of each sequence the steps the loop runs."""
    PushOutScanOutput.push_out_inner_vars = push_out_inner_vars


def push_out_inner_vars(self, *args):
    """The shipped method, its outer variables cut to the number of steps."""
    outer_vars, scan_node, scan_args = shipped(self, *args)
    return [v[: scan_args.n_steps] for v in outer_vars], scan_node, scan_args
