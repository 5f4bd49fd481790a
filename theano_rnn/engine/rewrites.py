"""Every rewrite of Theano's graphs that this package adds or leaves out, each with its reason.

Theano's optimizer runs its rewrites by position, and those at one position by name. ``ops/`` and
``loop/`` define the rewrites below; here is where each is put, and why there. Theano's own that
matter to them: canonical forms at 1 to 2, fusion of neighbouring Elemwise at 49, Ops that write
over their inputs from 50 on (BLAS at 70, Elemwise at 75).

Each is switched off by its name, as in ``mode.excluding("native_loop")`` or in the flag
``optimizer_excluding``; ``bf16_gemm`` alone is off unless ``mode.including("bf16")`` has it.
None runs in the mode FAST_COMPILE. A scan takes the mode of its steps
from ``theano.scan(mode=...)`` or from the flags, not from the function it stands in.
"""

from dataclasses import dataclass
from typing import Any

from theano.compile import optdb
from theano.graph.opt import in2out, out2in

from theano_rnn.engine.loop import op as loop_op
from theano_rnn.engine.loop import reuse
from theano_rnn.engine.ops import activations, bf16, rows, skinny_gemm, softmax, updates, zeros

#: Without a C compiler there is nothing to gain: Theano leaves these out.
IN_C = ("fast_run", "cxx_only")


@dataclass(frozen=True)
class Rewrite:
    """A rewrite and where it runs.

    name : for ``excluding`` and ``optimizer_excluding``
    position : Theano's optimizer runs it there
    optimizer : what runs: a local rewrite, walked over the graph, or a global one
    tags : the groups of Theano it belongs to
    reason : why at this position
    """

    name: str
    position: float
    optimizer: Any
    tags: tuple[str, ...]
    reason: str


def _everywhere(name: str, position: float, local: Any, reason: str, *tags: str) -> Rewrite:
    """A local rewrite, tried at each node, from the inputs to the outputs."""
    return Rewrite(name, position, in2out(local, name=name), tags or IN_C, reason)


#: In the order in which they run.
REWRITES = (
    Rewrite(
        "softmax_cross_entropy",
        2.02,
        out2in(softmax.local_gradient, softmax.local_loss, name="softmax_cross_entropy"),
        ("fast_run",),
        "Theano's pair of Ops is complete after its own rewrite at 2.01. From the outputs to the "
        "inputs: a softmax is unused only once its gradients are replaced.",
    ),
    _everywhere(
        "increment_of_zeros",
        48.4,
        zeros.local_increment_of_zeros,
        "after Theano's rewrites, in which equal lengths become one; while shapes are known",
        "fast_run",
    ),
    _everywhere("column_sums", 48.5, rows.local_column_sums, "before fusion, at 49"),
    _everywhere("row_unique", 48.5, rows.local_row_unique, "as column_sums"),
    _everywhere("sum_of_squares", 48.5, rows.local_sum_of_squares, "before fusion takes its Sqr"),
    _everywhere(
        "vectorized_sigmoid",
        48.5,
        activations.local_sigmoid,
        "after the rewrites that know Theano's Ops, as log(sigmoid(x)) -> -softplus(-x), and "
        "before fusion, so that ours are fused",
    ),
    _everywhere("vectorized_tanh", 48.5, activations.local_tanh, "as vectorized_sigmoid"),
    Rewrite(
        "reused_products",
        48.6,
        reuse.ReusedProducts(),
        IN_C,
        "of Scans, after Theano's rewrites of them and before native_loop; in Python, a product "
        "that is kept costs more than one made again",
    ),
    _everywhere(
        "native_loop",
        48.7,
        loop_op.local_native_loop,
        "after Theano's rewrites of Scans, the last at 1.61, which do not know this Op; before "
        "fusion, as those above",
    ),
    _everywhere(
        "softmax_cross_entropy_merge",
        49.2,
        softmax.local_merge,
        "after the last merge of equal expressions, at 49; before 49.5, from where on Ops may "
        "write over their inputs",
        "fast_run",
    ),
    _everywhere(
        "softmax_cross_entropy_inplace",
        70.1,
        softmax.local_inplace,
        "with BLAS, and before Elemwise at 75, which would take the logits for itself",
        "fast_run",
        "inplace",
    ),
    _everywhere(
        "skinny_gemm",
        71,
        skinny_gemm.local_skinny_gemm,
        "after Theano's Gemm writes in place, at 70",
    ),
    _everywhere(
        "bf16_gemm",
        71.1,
        bf16.local_bf16_gemm,
        "after native_loop and skinny_gemm, whose Ops it changes; before these write in place",
        "bf16",
    ),
    Rewrite(
        "merged_updates",
        74.9,
        updates.MergedUpdates(),
        (*IN_C, "inplace"),
        "after fusion, and before Theano's Elemwise may write over what these read, at 75",
    ),
    Rewrite(
        "native_loop_inplace",
        75,
        loop_op.Inplace(),
        ("fast_run", "inplace"),
        "where Theano makes its own Scan write in place",
    ),
    _everywhere(
        "row_increment",
        80,
        rows.local_row_increment,
        "after Theano's increment writes in place, at 70.6",
    ),
)

#: Rewrites of Theano that ``compile_function`` leaves out, because they make a step slower.
LEFT_OUT = {
    "local_dot22_to_dot22scalar": "It makes ``rate * dot(a, b)`` one call of BLAS, also where "
    "``dot(a, b)`` is read elsewhere, as a gradient is for its norm: the product is then computed "
    "twice.",
    "local_subtensor_merge": "It makes one slice of two, ``s[:T][::-1]``, by arithmetic that "
    "allows for a negative T: half of all Ops of a step, each with a module to compile, where a "
    "slice of a slice costs nothing.",
}


def install() -> None:
    """Register the rewrites with Theano's optimizer. To be called once."""
    for rewrite in REWRITES:
        optdb.register(rewrite.name, rewrite.optimizer, rewrite.position, *rewrite.tags)
